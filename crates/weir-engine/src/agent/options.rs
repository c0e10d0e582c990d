//! The options of `[agent]` and those that every sink has.

use weir_config::{ComponentKind, Kind, OptionSpec};

const MIB: u64 = 1 << 20;

/// The options of `[agent]`.
pub static AGENT_OPTIONS: &[OptionSpec] = &[
    OptionSpec::defaulted("name", Kind::Text, "weir", "Name of this agent, in logs, metrics and status."),
    OptionSpec::unset(
        "data_dir",
        Kind::Path,
        "The folder for everything the agent must remember: logs of file channels that name no path of their own.",
    )
    .example("/var/lib/weir"),
    OptionSpec::defaulted(
        "memory",
        Kind::Bytes { min: 32 * MIB, max: u64::MAX },
        "1 GiB",
        "The memory budget: the sum of all buffers that the configuration allows is at most this, or the agent does not start. At least 32 MiB, the buffers of one source and one sink.",
    ),
    OptionSpec::defaulted(
        "shutdown_deadline",
        Kind::Duration { min_ms: 0, max_ms: 3_600_000 },
        "10 s",
        "How long a stopping agent goes on delivering. What is then left stays in durable channels; what is left in memory channels is lost and counted.",
    ),
    OptionSpec::unset(
        "admin",
        Kind::Text,
        "HOST:PORT of the admin endpoint: /metrics, /health, /status. Unset: none. It has no access control: keep it on a loopback address.",
    )
    .example("127.0.0.1:9600"),
    OptionSpec::defaulted(
        "log_level",
        Kind::Choice(&[
            ("error", "only what needs a person"),
            ("warn", "and what may need one"),
            ("info", "and changes of state"),
            ("debug", "and decisions"),
            ("trace", "everything"),
        ]),
        "info",
        "How much the agent logs about itself, to standard error. The environment variable WEIR_LOG overrides it.",
    ),
    OptionSpec::defaulted(
        "log_format",
        Kind::Choice(&[("text", "for people"), ("json", "one JSON object per line")]),
        "text",
        "Form of the agent's own log.",
    ),
];

/// The options that every sink has, besides `channel` and `group`.
pub static SINK_OPTIONS: &[OptionSpec] = &[
    OptionSpec::unset(
        "dead_letter",
        Kind::Reference(ComponentKind::Channel),
        "The channel that gets the events which the destination refuses for good. Without one such an event holds up the sink, because it may not be lost.",
    ),
    OptionSpec::defaulted(
        "batch_bytes",
        Kind::Bytes { min: 4096, max: 64 * MIB },
        "1 MiB",
        "Most bytes of events delivered at once. A shallow channel gives less: batches follow the load. Above 64 MiB one delivery would outgrow the memory budget.",
    ),
];
