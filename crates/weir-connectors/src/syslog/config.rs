//! Options of the syslog source.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use weir_codec::framing::{FramingSpec, Overlong};
use weir_config::{Address, ComponentConfig, ComponentKind, Diagnostics, Kind, OptionSpec, Scheme, TypeSpec};
use weir_engine::registry::SourceType;
use weir_engine::source::{Source, SourceContext, SourceSpec, StartError};
use weir_event::HeaderName;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

static SPEC: TypeSpec = TypeSpec {
    kind: ComponentKind::Source,
    name: "syslog",
    aliases: &[],
    summary: "Takes syslog over UDP, TCP and unix sockets: RFC 5424, RFC 3164 and what devices really send.",
    options: &[
        OptionSpec::required(
            "listen",
            Kind::List {
                of: &Kind::Address(&[Scheme::Tcp, Scheme::Udp, Scheme::Unix, Scheme::UnixDatagram]),
                items_min: 1,
            },
            "Where to listen; any number of addresses.",
        )
        .example("[\"udp://127.0.0.1:5140\", \"tcp://127.0.0.1:5140\"]"),
        OptionSpec::defaulted(
            "lanes",
            Kind::Count { min: 0, max: 64 },
            "0",
            "Threads that read; connections are spread over them. 0: one per core, at most 4. Above 64 there are more threads than any machine we know can use.",
        ),
        OptionSpec::defaulted(
            "batch_bytes",
            Kind::Bytes { min: 4 * KIB, max: 16 * MIB },
            "512 KiB",
            "A batch is sent on when it has this size. Stays below Kafka's 1 MiB limit for a batch with room for headers; above 16 MiB memory is all it costs.",
        ),
        OptionSpec::defaulted(
            "batch_delay",
            Kind::Duration { min_ms: 0, max_ms: 10_000 },
            "5 ms",
            "A batch is sent on at this age, full or not. Above 10 s nobody would call it near real time.",
        ),
        OptionSpec::defaulted(
            "frame_bytes_max",
            Kind::Bytes { min: 480, max: 8 * MIB },
            "64 KiB",
            "Longest message. What is longer is cut and flagged. At least 480, which RFC 5424 obliges every receiver to take.",
        ),
        OptionSpec::defaulted(
            "octet_count_max",
            Kind::Bytes { min: 480, max: 1 << 31 },
            "1 MiB",
            "A larger octet count means the stream is out of step: the connection is closed and counted.",
        ),
        OptionSpec::defaulted(
            "overlong",
            Kind::Choice(&[
                ("split", "the rest of an over-long message becomes further events, each flagged: nothing is lost"),
                ("discard", "the rest is dropped and counted"),
            ]),
            "split",
            "What happens to the part of a message beyond frame_bytes_max.",
        ),
        OptionSpec::defaulted(
            "keep_fields",
            Kind::Choice(&[
                ("none", "the body is what follows the host, as in Flume"),
                ("all", "the body is the whole line as it was sent"),
            ]),
            "none",
            "What the body of an event is.",
        ),
        OptionSpec::defaulted(
            "fields",
            Kind::Choice(&[
                ("header", "Facility, Severity, timestamp, host, version, as in Flume"),
                (
                    "full",
                    "and app, procid, msgid, structured_data; the body is then the message alone unless keep_fields says all",
                ),
            ]),
            "header",
            "Which fields become headers.",
        ),
        OptionSpec::unset("client_ip_header", Kind::Text, "Header that gets the address of the sender.")
            .example("client_ip"),
        OptionSpec::defaulted(
            "time_zone",
            Kind::Text,
            "local",
            "Zone of timestamps that name none: local, UTC, or a name such as Europe/London.",
        ),
        OptionSpec::defaulted(
            "receive_buffer",
            Kind::Bytes { min: 4 * KIB, max: 1 << 30 },
            "8 MiB",
            "Kernel buffer of each UDP socket: what comes while the source waits must fit. More than the system's limit needs the right to exceed it; what was really given is logged.",
        ),
        OptionSpec::defaulted(
            "connections_max",
            Kind::Count { min: 1, max: 1_000_000 },
            "10k",
            "Most connections at a time; further ones are closed at once and counted.",
        ),
        OptionSpec::defaulted(
            "partial_bytes_max",
            Kind::Bytes { min: 64 * KIB, max: 1 << 34 },
            "32 MiB",
            "Most memory for the unfinished messages of all connections together. Beyond it the connection that asks for more is cut off: its part is kept as a flagged event.",
        ),
        OptionSpec::defaulted(
            "idle_timeout",
            Kind::Duration { min_ms: 0, max_ms: 604_800_000 },
            "0",
            "A connection without a byte for this long is closed; 0 keeps it for ever, since a quiet device is not a broken one.",
        ),
    ],
};

/// The type `syslog`, for the registry.
#[must_use]
pub fn syslog_source_type() -> SourceType {
    SourceType { spec: &SPEC, parse }
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub(super) struct SyslogSpec {
    pub(super) listen: Vec<Address>,
    pub(super) lanes: usize,
    pub(super) batch_bytes: usize,
    pub(super) batch_delay: Duration,
    pub(super) framing: FramingSpec,
    pub(super) keep_line: bool,
    pub(super) full_fields: bool,
    pub(super) client_ip_header: Option<HeaderName>,
    pub(super) time_zone: TimeZone,
    pub(super) receive_buffer: usize,
    pub(super) connections_max: usize,
    pub(super) partial_bytes_max: usize,
    pub(super) idle_timeout: Option<Duration>,
}

fn parse(config: &ComponentConfig, diagnostics: &mut Diagnostics) -> Option<Arc<dyn SourceSpec>> {
    let options = &config.options;
    let time_zone = match options.text("time_zone") {
        "local" => TimeZone::system(),
        name => match TimeZone::get(name) {
            Ok(zone) => zone,
            Err(_) => {
                let message = format!("there is no time zone {name:?}");
                let hint = "write local, UTC, or a name such as Europe/London";
                diagnostics.push(options.error("time_zone", message).with_hint(hint));
                return None;
            }
        },
    };
    let lanes = match options.count("lanes") {
        0 => std::thread::available_parallelism().map_or(1, usize::from).min(4),
        lanes => lanes as usize,
    };
    let idle_timeout = options.duration("idle_timeout");
    Some(Arc::new(SyslogSpec {
        listen: options.addresses("listen").into_iter().cloned().collect(),
        lanes,
        batch_bytes: options.bytes("batch_bytes") as usize,
        batch_delay: options.duration("batch_delay"),
        framing: FramingSpec {
            frame_bytes_max: options.bytes("frame_bytes_max") as usize,
            octet_count_max: options.bytes("octet_count_max") as usize,
            overlong: if options.choice("overlong") == "discard" { Overlong::Discard } else { Overlong::Split },
        },
        keep_line: options.choice("keep_fields") == "all",
        full_fields: options.choice("fields") == "full",
        client_ip_header: options.text_opt("client_ip_header").map(HeaderName::new),
        time_zone,
        receive_buffer: options.bytes("receive_buffer") as usize,
        connections_max: options.count("connections_max") as usize,
        partial_bytes_max: options.bytes("partial_bytes_max") as usize,
        idle_timeout: (!idle_timeout.is_zero()).then_some(idle_timeout),
    }))
}

impl SyslogSpec {
    /// Capacity of an arena: a full batch, then the part of a message carried over and as much again read behind it.
    pub(super) fn arena_bytes(&self) -> usize {
        self.batch_bytes + 2 * self.framing.frame_bytes_max + 4096
    }
}

impl SourceSpec for SyslogSpec {
    fn memory_bytes(&self) -> u64 {
        // Per lane: the arena being filled and one on its way into the channels; and a block of datagrams.
        let per_lane = 2 * self.arena_bytes() + super::socket::DATAGRAM_BLOCK_BYTES;
        (self.lanes * per_lane + self.partial_bytes_max) as u64
    }

    fn start(&self, context: &SourceContext) -> Result<Vec<Box<dyn Source>>, StartError> {
        super::listen::start(&context.name, self)
    }
}
