//! Options of the Kafka sink.

use std::sync::Arc;
use std::time::Duration;

use weir_codec::record_batch::{Compression, HeaderSelection, Recompressor};
use weir_config::{ComponentConfig, ComponentKind, Diagnostics, Kind, OptionSpec, TypeSpec};
use weir_engine::channel::Form;
use weir_engine::registry::SinkType;
use weir_engine::sink::{Sink, SinkContext, SinkSpec};
use weir_engine::source::StartError;
use weir_kafka::{ClusterOptions, ProducerOptions};

use super::super::connection::{CONNECTION_OPTIONS, ConnectionSpec, joined, total};
use super::super::encode::BatchEncoder;
use super::super::produce::{PRODUCE_OPTIONS, ProduceSpec};
use super::super::record::{Format, RECORD_OPTIONS, RecordSpec};
use super::lane::KafkaSink;
use super::topics::Topics;

const SINK_ONLY: &[OptionSpec] = &[
    OptionSpec::required("topic", Kind::Text, "The topic events are written to; it must exist. %{NAME} stands for a header of the event, nothing if it has none; the topic that comes of it must be one of topics_allowed, else the event goes to the dead letter channel. %% is a percent sign.").example("netmeta"),
    OptionSpec::unset(
        "topic_header",
        Kind::Text,
        "Header that names the topic of an event, if it is one of topics_allowed; other events go to `topic`. Unset, so that a header which a Kafka source has set cannot send events round in a circle.",
    )
    .example("topic"),
    OptionSpec::defaulted(
        "topics_allowed",
        Kind::TEXTS,
        "[]",
        "The topics that topic_header, or headers in `topic`, may name.",
    ),
];
const PARTS: &[&[OptionSpec]] = &[CONNECTION_OPTIONS, SINK_ONLY, RECORD_OPTIONS, PRODUCE_OPTIONS];
static OPTIONS: [OptionSpec; total(PARTS)] = joined(PARTS);

static SPEC: TypeSpec = TypeSpec {
    kind: ComponentKind::Sink,
    name: "kafka",
    aliases: &[],
    summary: "Writes events to topics of Apache Kafka: whole batches, in order, once each while the agent lives.",
    options: &OPTIONS,
};

/// The type `kafka`, for the registry.
#[must_use]
pub fn kafka_sink_type() -> SinkType {
    SinkType { spec: &SPEC, parse }
}

fn parse(config: &ComponentConfig, diagnostics: &mut Diagnostics) -> Option<Arc<dyn SinkSpec>> {
    let options = &config.options;
    let connection = ConnectionSpec::parse(options, diagnostics);
    let record = RecordSpec::parse(options, diagnostics);
    let produce = ProduceSpec::parse(options, diagnostics);
    let topics = Topics::parse(options, diagnostics);
    let spec = KafkaSinkSpec {
        connection: connection?,
        record: record?,
        produce: produce?,
        topics: topics?,
        batch_bytes: options.bytes("batch_bytes") as usize,
    };
    Some(Arc::new(spec))
}

/// A checked sink.
#[derive(Clone)]
pub(super) struct KafkaSinkSpec {
    connection: ConnectionSpec,
    pub(super) record: RecordSpec,
    pub(super) produce: ProduceSpec,
    pub(super) topics: Topics,
    batch_bytes: usize,
}

impl KafkaSinkSpec {
    /// Whether batches may go as they are at rest: nothing in them has to be looked at or changed.
    pub(super) fn passes_through(&self) -> bool {
        self.record == RecordSpec { format: Format::Raw, headers: HeaderSelection::All }
            && self.produce.partitioner.takes_whole_batches()
            && self.topics.only().is_some()
    }

    /// The producer's options. Its room is what the sink lets in, and one delivery more, so that the sink waits at a
    /// place where it can still say no.
    pub(super) fn producer_options(&self, request_timeout: Duration) -> ProducerOptions {
        let in_flight_bytes_max = self.produce.in_flight_bytes + 2 * self.batch_bytes;
        ProducerOptions { in_flight_bytes_max, ..self.produce.producer_options(request_timeout) }
    }

    pub(super) fn encoder(&self) -> BatchEncoder {
        BatchEncoder::new(self.record.clone(), self.compression(), self.produce.level)
            .expect("the level was checked with the configuration")
    }

    /// For batches that lie uncompressed in the channel.
    pub(super) fn recompressor(&self) -> Recompressor {
        Recompressor::new(self.compression(), self.produce.level).expect("the level was checked with the configuration")
    }

    fn compression(&self) -> Compression {
        self.produce.compression.unwrap_or(Compression::Lz4)
    }

    pub(super) fn brokers(&self) -> String {
        self.connection.brokers()
    }
}

impl SinkSpec for KafkaSinkSpec {
    /// What is in flight, and one delivery being encoded: as records, compressed, and in pieces.
    fn memory_bytes(&self) -> u64 {
        (self.produce.in_flight_bytes + 3 * self.batch_bytes) as u64
    }

    fn form(&self) -> Form {
        if self.passes_through() { Form::Stored } else { Form::Events }
    }

    /// One lane: order within a partition comes from one producer, and it can use a whole core. Brokers need not answer
    /// yet: what cannot be sent waits in the channel.
    fn start(&self, context: &SinkContext) -> Result<Vec<Box<dyn Sink>>, StartError> {
        let cluster: ClusterOptions = self.connection.cluster_options(&format!("sink {}", context.name))?;
        Ok(vec![Box::new(KafkaSink::new(context, self.clone(), cluster))])
    }
}
