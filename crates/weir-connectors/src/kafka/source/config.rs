//! Options of the Kafka source.

use std::sync::Arc;

use regex_lite::Regex;
use weir_config::{ComponentConfig, ComponentKind, Diagnostics, Kind, OptionSpec, Options, TypeSpec};
use weir_engine::registry::SourceType;
use weir_engine::source::{Source, SourceContext, SourceSpec, StartError};
use weir_kafka::FetchOptions;

use crate::kafka::connection::{CONNECTION_OPTIONS, ConnectionSpec, joined, total};
use crate::kafka::consume::ConsumeSpec;
use crate::kafka::record::{RECORD_OPTIONS, RecordSpec};

const MIB: u64 = 1 << 20;
const HOUR_MS: u64 = 3_600_000;

const OWN_OPTIONS: &[OptionSpec] = &[
    OptionSpec::required(
        "topics",
        Kind::List { of: &Kind::Text, items_min: 1 },
        "Topics to read. What stands between slashes is a regular expression that the whole name must match: \"/syslog-.*/\" reads topics created later, too; they are looked for every metadata_age.",
    )
    .example("[\"syslog\"]"),
    OptionSpec::defaulted(
        "consumer_group",
        Kind::Text,
        "weir",
        "Agents and other consumers of one group share the partitions; each group gets all events.",
    ),
    OptionSpec::defaulted(
        "start",
        Kind::Text,
        "earliest",
        "Where to begin in a partition without a committed offset, or whose offset is gone: earliest, latest, or a time such as 2026-01-31T08:00:00Z. With latest, what is there already is never read.",
    ),
    OptionSpec::defaulted(
        "isolation",
        Kind::Choice(&[
            ("read_committed", "records of open and aborted transactions are not read"),
            ("read_uncommitted", "they are"),
        ]),
        "read_committed",
        "What is read of transactions.",
    ),
    OptionSpec::defaulted(
        "lanes",
        Kind::Count { min: 1, max: 64 },
        "2",
        "Threads that unpack and pass on; partitions are spread over them, and each stays with its lane. Above 64 there are more threads than any machine we know can use.",
    ),
    OptionSpec::defaulted(
        "fetch_memory",
        Kind::Bytes { min: MIB, max: 1 << 36 },
        "64 MiB",
        "Memory for fetched batches until their receipts settle, all partitions together. At 80 % fetching pauses, at 50 % it goes on. Below 1 MiB a batch of Kafka's default size has no room.",
    ),
    OptionSpec::defaulted(
        "batch_bytes_max",
        Kind::Bytes { min: MIB, max: 1 << 31 },
        "32 MiB",
        "Largest batch after decompression, by default 32 times what brokers take at most unless told otherwise; each lane may need as much. A partition with a larger one rests until this is raised. Below 1 MiB batches of Kafka's default size would be refused.",
    ),
    OptionSpec::unset(
        "rate",
        Kind::Rate { min: 0.1, max: 1e9 },
        "Most events per second over all lanes; unset: as fast as the channels take them.",
    )
    .example("50k/s"),
    OptionSpec::defaulted(
        "session_timeout",
        Kind::Duration { min_ms: 1_000, max_ms: HOUR_MS },
        "45 s",
        "After this time without a sign of life the group gives the partitions of this agent to others. Brokers take 6 s to 30 min unless configured otherwise.",
    ),
    OptionSpec::defaulted(
        "rebalance_timeout",
        Kind::Duration { min_ms: 1_000, max_ms: HOUR_MS },
        "60 s",
        "How long members may take to give up partitions. Half of it is waited for receipts of what is on its way; what is not settled then is read again by the next owner.",
    ),
    OptionSpec::unset(
        "instance",
        Kind::Text,
        "A name of this member that outlives restarts (static membership): its partitions are kept for it for the session timeout. No two members of a group may have the same.",
    )
    .example("hub-1"),
    OptionSpec::defaulted(
        "commit_interval",
        Kind::Duration { min_ms: 10, max_ms: 600_000 },
        "1 s",
        "How often offsets are committed; after a crash what was received since is read again. Below 10 ms brokers would do little else; above 10 min a crash would repeat too much.",
    ),
    OptionSpec::defaulted(
        "set_headers",
        Kind::TEXTS,
        "[\"topic\", \"partition\", \"offset\"]",
        "Headers to give events that do not have them yet, out of topic, partition and offset.",
    ),
];

const PARTS: &[&[OptionSpec]] = &[CONNECTION_OPTIONS, OWN_OPTIONS, RECORD_OPTIONS];
static OPTIONS: [OptionSpec; total(PARTS)] = joined(PARTS);

static SPEC: TypeSpec = TypeSpec {
    kind: ComponentKind::Source,
    name: "kafka",
    aliases: &[],
    summary: "Reads Kafka topics as a member of a consumer group; commits offsets when the channels hold the events.",
    options: &OPTIONS,
};

/// The type `kafka`, for the registry.
#[must_use]
pub fn kafka_source_type() -> SourceType {
    SourceType { spec: &SPEC, parse }
}

/// Longest name of a topic, by Kafka's rules.
const TOPIC_BYTES_MAX: usize = 249;

/// Which topics.
#[derive(Clone, Debug, Default)]
pub(super) struct Topics {
    pub(super) names: Vec<String>,
    /// Of whole names.
    pub(super) patterns: Vec<Regex>,
}

/// Which headers to set where they are absent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SetHeaders {
    pub(super) topic: bool,
    pub(super) partition: bool,
    pub(super) offset: bool,
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub(super) struct KafkaSourceSpec {
    pub(super) connection: ConnectionSpec,
    pub(super) records: RecordSpec,
    pub(super) topics: Topics,
    pub(super) consume: ConsumeSpec,
    pub(super) lanes: usize,
    pub(super) fetch_memory: u64,
    pub(super) batch_bytes_max: usize,
    pub(super) rate: Option<f64>,
    pub(super) set_headers: SetHeaders,
}

fn parse(config: &ComponentConfig, diagnostics: &mut Diagnostics) -> Option<Arc<dyn SourceSpec>> {
    parse_spec(&config.options, diagnostics).map(|spec| Arc::new(spec) as Arc<dyn SourceSpec>)
}

fn parse_spec(options: &Options, diagnostics: &mut Diagnostics) -> Option<KafkaSourceSpec> {
    // All of them first, so that every fault is told at once.
    let connection = ConnectionSpec::parse(options, diagnostics);
    let records = RecordSpec::parse(options, diagnostics);
    let topics = topics(options, diagnostics);
    let consume = ConsumeSpec::parse(options, diagnostics);
    let set_headers = set_headers(options, diagnostics);
    Some(KafkaSourceSpec {
        connection: connection?,
        records: records?,
        topics: topics?,
        consume: consume?,
        set_headers: set_headers?,
        lanes: options.count("lanes") as usize,
        fetch_memory: options.bytes("fetch_memory"),
        batch_bytes_max: options.bytes("batch_bytes_max") as usize,
        rate: options.rate("rate"),
    })
}

fn topics(options: &Options, diagnostics: &mut Diagnostics) -> Option<Topics> {
    let mut topics = Topics::default();
    let mut is_sound = true;
    for text in options.list_text("topics") {
        let pattern = text.strip_prefix('/').and_then(|text| text.strip_suffix('/'));
        let fault = match pattern.map(|pattern| Regex::new(&format!("^(?:{pattern})$"))) {
            Some(Ok(regex)) => {
                topics.patterns.push(regex);
                continue;
            }
            None if is_topic_name(text) => {
                topics.names.push(text.to_owned());
                continue;
            }
            Some(Err(error)) => format!("{text:?} is not a regular expression between slashes: {error}"),
            None => format!("{text:?} is not the name of a topic"),
        };
        let hint = "names have letters, digits, dots, hyphens and underscores; a pattern stands between slashes: \"/syslog-.*/\"";
        diagnostics.push(options.error("topics", fault).with_hint(hint));
        is_sound = false;
    }
    is_sound.then_some(topics)
}

fn is_topic_name(text: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=TOPIC_BYTES_MAX).contains(&text.len()) && text.chars().all(is_legal)
}

fn set_headers(options: &Options, diagnostics: &mut Diagnostics) -> Option<SetHeaders> {
    let mut set = SetHeaders::default();
    for name in options.list_text("set_headers") {
        match name {
            "topic" => set.topic = true,
            "partition" => set.partition = true,
            "offset" => set.offset = true,
            other => {
                let message = format!("{other:?} is not one of topic, partition, offset");
                diagnostics.push(options.error("set_headers", message));
                return None;
            }
        }
    }
    Some(set)
}

impl KafkaSourceSpec {
    pub(super) fn fetch_options(&self) -> FetchOptions {
        let defaults = FetchOptions::default();
        // One answer per broker may come on top of the mark at which fetching pauses: with a 16th each, half as much
        // again as the limit is enough for 11 brokers.
        let bytes_max = (self.fetch_memory / 16).clamp(MIB / 4, defaults.bytes_max as u64) as usize;
        FetchOptions {
            bytes_max,
            partition_bytes_max: bytes_max.min(defaults.partition_bytes_max),
            read_committed: self.consume.read_committed,
            rack: self.connection.rack().map(str::to_owned),
            ..defaults
        }
    }
}

impl SourceSpec for KafkaSourceSpec {
    fn memory_bytes(&self) -> u64 {
        // See `fetch_options` for the half; and a batch per lane, decompressed.
        self.fetch_memory / 2 * 3 + (self.lanes * self.batch_bytes_max) as u64
    }

    fn start(&self, context: &SourceContext) -> Result<Vec<Box<dyn Source>>, StartError> {
        super::lane::start(&context.name, self)
    }
}
