//! Channel type `kafka`: options.

use std::sync::Arc;
use std::time::Duration;

use weir_config::{ComponentConfig, ComponentKind, Diagnostics, Kind, OptionSpec, TypeSpec};
use weir_engine::channel::Channel;
use weir_engine::registry::{ChannelContext, ChannelSpec, ChannelType};
use weir_engine::source::StartError;

use super::reader::ReadSpec;
use super::topic::KafkaChannel;
use crate::kafka::connection::{CONNECTION_OPTIONS, ConnectionSpec, joined, total};
use crate::kafka::consume::ConsumeSpec;
use crate::kafka::produce::{PRODUCE_OPTIONS, ProduceSpec};
use crate::kafka::record::{RECORD_OPTIONS, RecordSpec};

const MIB: u64 = 1 << 20;
/// Memory of batches that lanes are encoding while the room is full: a few batches of the default size.
const ENCODING_BYTES: u64 = 8 * MIB;

const CHANNEL_ONLY: &[OptionSpec] = &[
    OptionSpec::required("topic", Kind::Text, "The topic that holds the events; it must exist.").example("netmeta"),
    OptionSpec::defaulted(
        "start_timeout",
        Kind::Duration { min_ms: 0, max_ms: 3_600_000 },
        "60 s",
        "How long an agent with sinks on this channel waits for the brokers when it starts, before it gives up. One that only writes starts at once and makes its sources wait.",
    ),
];

const READ_OPTIONS: &[OptionSpec] = &[
    OptionSpec::defaulted(
        "consumer_group",
        Kind::Text,
        "weir",
        "Consumer group of the sinks. A sink group G other than `default` is consumer group CONSUMER_GROUP.G. Agents with the same one share the events.",
    ),
    OptionSpec::defaulted(
        "start",
        Kind::Text,
        "earliest",
        "Where a consumer group begins that has no position: earliest, latest, or a time such as 2026-03-01T00:00:00Z.",
    ),
    OptionSpec::defaulted(
        "isolation",
        Kind::Choice(&[
            ("read_committed", "events of open transactions wait, those of aborted ones are left out"),
            ("read_uncommitted", "every event as soon as it is there"),
        ]),
        "read_committed",
        "What is read of transactions of other producers. Weir writes none.",
    ),
    OptionSpec::defaulted(
        "fetch_memory",
        Kind::Bytes { min: MIB, max: 64 * 1024 * MIB },
        "64 MiB",
        "Most bytes fetched and not taken by a sink, of each sink group. A partition is not fetched while it has more than is left of 80 % of it, so that a few which nobody takes leave memory to the others; what brokers have sent by then may take half as much again.",
    ),
    OptionSpec::defaulted(
        "session_timeout",
        Kind::Duration { min_ms: 1_000, max_ms: 1_800_000 },
        "45 s",
        "An agent that is silent for so long has its partitions taken over. Brokers allow 6 s to 30 min unless told otherwise. From Kafka 4.0 on they use their own, 45 s, unless `instance` is set.",
    ),
    OptionSpec::defaulted(
        "rebalance_timeout",
        Kind::Duration { min_ms: 1_000, max_ms: 3_600_000 },
        "60 s",
        "How long members may take to give up partitions. Sinks have half of it to finish what they hold of them.",
    ),
    OptionSpec::unset(
        "instance",
        Kind::Text,
        "A name that outlives restarts (static membership): partitions are kept for this agent for the session timeout. Different on every agent.",
    )
    .example("hub1"),
    OptionSpec::defaulted(
        "commit_interval",
        Kind::Duration { min_ms: 50, max_ms: 600_000 },
        "1 s",
        "How often positions of delivered events are committed. A crash repeats what was delivered since.",
    ),
];

const PARTS: &[&[OptionSpec]] = &[CONNECTION_OPTIONS, CHANNEL_ONLY, RECORD_OPTIONS, PRODUCE_OPTIONS, READ_OPTIONS];
static OPTIONS: [OptionSpec; total(PARTS)] = joined(PARTS);

static SPEC: TypeSpec = TypeSpec {
    kind: ComponentKind::Channel,
    name: "kafka",
    aliases: &[],
    summary: "Holds events in a topic of Apache Kafka: sources here and sinks on other agents, or both here.",
    options: &OPTIONS,
};

/// The type `kafka`, for the registry.
#[must_use]
pub fn kafka_channel_type() -> ChannelType {
    ChannelType { spec: &SPEC, is_shared: true, parse }
}

/// A checked channel.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) connection: ConnectionSpec,
    pub(super) topic: String,
    pub(super) start_timeout: Duration,
    pub(super) record: RecordSpec,
    pub(super) produce: ProduceSpec,
    pub(super) read: ReadSpec,
}

fn parse(config: &ComponentConfig, diagnostics: &mut Diagnostics) -> Option<Arc<dyn ChannelSpec>> {
    let options = &config.options;
    let connection = ConnectionSpec::parse(options, diagnostics);
    let record = RecordSpec::parse(options, diagnostics);
    let produce = ProduceSpec::parse(options, diagnostics);
    let consume = ConsumeSpec::parse(options, diagnostics);
    let connection = connection?;
    let read = ReadSpec {
        consume: consume?,
        fetch_memory: options.bytes("fetch_memory") as usize,
        rack: connection.rack().map(str::to_owned),
    };
    let (topic, start_timeout) = (options.text("topic").to_owned(), options.duration("start_timeout"));
    Some(Arc::new(Spec { connection, topic, start_timeout, record: record?, produce: produce?, read }))
}

impl ChannelSpec for Spec {
    /// Of one sink group.
    fn memory_bytes(&self) -> u64 {
        self.produce.in_flight_bytes as u64 + ENCODING_BYTES + self.read.memory_bytes()
    }

    fn open(&self, context: &ChannelContext) -> Result<Arc<dyn Channel>, StartError> {
        Ok(Arc::new(KafkaChannel::open(&context.name, self)?))
    }
}
