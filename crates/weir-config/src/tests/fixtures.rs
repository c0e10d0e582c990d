//! The catalogue of these tests, with an option of every kind, and ways to check a text against it.

use crate::{AgentConfig, Catalogue, ComponentKind, Diagnostics, Document, Kind, OptionSpec, Scheme, TypeSpec};

const AGENT: &[OptionSpec] = &[
    OptionSpec::defaulted("name", Kind::Text, "weir", "Name of the agent."),
    OptionSpec::defaulted(
        "memory",
        Kind::Bytes { min: 16 << 20, max: 1 << 40 },
        "256 MiB",
        "All buffers together. Below 16 MiB not one batch per lane fits.",
    ),
    OptionSpec::defaulted(
        "admin",
        Kind::Address(&[Scheme::Tcp]),
        "127.0.0.1:9600",
        "Where metrics and health are served.",
    ),
];

const SYSLOG: &[OptionSpec] = &[
    OptionSpec::required(
        "listen",
        Kind::List { of: &Kind::Address(&[Scheme::Tcp, Scheme::Udp, Scheme::UnixDatagram]), items_min: 1 },
        "Where to listen.",
    )
    .example("[\"udp://0.0.0.0:5140\"]"),
    OptionSpec::defaulted(
        "frame_bytes_max",
        Kind::Bytes { min: 480, max: 1 << 20 },
        "64 KiB",
        "Longest message. RFC 5424 asks for 480 bytes at least.",
    ),
    OptionSpec::defaulted("keep_fields", Kind::Flag, "false", "Keep the header in the body.").reloadable(),
    OptionSpec::defaulted("sample", Kind::Float { min: 0.0, max: 1.0 }, "1.0", "Share of events kept."),
    OptionSpec::defaulted("rate", Kind::Rate { min: 1.0, max: f64::MAX }, "unlimited", "Most events a second."),
    OptionSpec::unset("idle", Kind::Duration { min_ms: 1_000, max_ms: u64::MAX }, "Closes idle peers."),
];

const ROLL: &[OptionSpec] = &[
    OptionSpec::defaulted(
        "size",
        Kind::Bytes { min: 1 << 20, max: 1 << 40 },
        "128 MiB",
        "Size at which a file is closed. Smaller files burden the name node.",
    ),
    OptionSpec::defaulted(
        "interval",
        Kind::Duration { min_ms: 1_000, max_ms: 86_400_000 },
        "30 s",
        "Age at which a file is closed.",
    ),
    OptionSpec::unset("events", Kind::Count { min: 1, max: u64::MAX }, "Events at which a file is closed."),
];

const FILES: &[OptionSpec] = &[
    OptionSpec::required("path", Kind::Path, "The folder of the files.").example("/var/log/weir"),
    OptionSpec::defaulted("roll", Kind::Table(ROLL), "{}", "When a file is closed."),
    OptionSpec::defaulted(
        "compression",
        Kind::Choice(&[("none", "as it is"), ("zstd", "small and fast"), ("gzip", "readable anywhere")]),
        "zstd",
        "Compression of the files.",
    ),
    OptionSpec::unset("password", Kind::Secret, "Password of the store."),
    OptionSpec::unset("labels", Kind::Map(&Kind::Text), "Written into each file."),
    OptionSpec::unset("rules", Kind::List { of: &Kind::Table(RULE), items_min: 0 }, "Where events go by severity."),
    OptionSpec::unset("folders", Kind::List { of: &Kind::Path, items_min: 1 }, "More folders."),
];

const RULE: &[OptionSpec] = &[
    OptionSpec::required("severity", Kind::Count { min: 0, max: 7 }, "The severity, 0 to 7."),
    OptionSpec::defaulted("suffix", Kind::Text, "log", "Ending of the file name."),
];

const SINK_COMMON: &[OptionSpec] = &[
    OptionSpec::defaulted("batch_events", Kind::Count { min: 1, max: 1_000_000 }, "10k", "Events per batch."),
    OptionSpec::unset(
        "dead_letter",
        Kind::Reference(ComponentKind::Channel),
        "The channel of events that the sink refuses.",
    ),
];

pub(crate) fn catalogue() -> Catalogue {
    let of = |kind, name, aliases, summary, options| TypeSpec { kind, name, aliases, summary, options };
    Catalogue::new(AGENT).with_common(ComponentKind::Sink, SINK_COMMON).with_types([
        of(ComponentKind::Source, "syslog", &["syslogtcp", "syslogudp"], "Receives syslog.", SYSLOG),
        of(ComponentKind::Source, "sequence", &["seq"], "Makes numbered events.", &[]),
        of(ComponentKind::Interceptor, "timestamp", &[], "Sets the header timestamp.", &[]),
        of(ComponentKind::Channel, "memory", &[], "Holds events in memory; they are lost with the agent.", &[]),
        of(ComponentKind::Sink, "files", &["file_roll"], "Writes events to files.", FILES),
        of(ComponentKind::Sink, "null", &[], "Discards events.", &[]),
    ])
}

/// The environment of these tests.
pub(crate) fn environment(name: &str) -> Option<String> {
    match name {
        "PORT" => Some("5140".to_owned()),
        "SIZE" => Some("2 MiB".to_owned()),
        _ => None,
    }
}

/// Checks texts as files of the given names.
pub(crate) fn check(texts: &[(&str, &str)]) -> (AgentConfig, Diagnostics) {
    let (document, mut diagnostics) = Document::parse(texts);
    let (config, found) = document.check(&catalogue(), &environment);
    diagnostics.append(found);
    (config, diagnostics)
}

/// What is said about one file.
pub(crate) fn said(text: &str) -> String {
    check(&[("agent.toml", text)]).1.render(false)
}

/// A pipeline without faults, to put faulty ones beside.
pub(crate) const SOUND: &str = r#"
[sources.in]
type = "syslog"
listen = ["udp://0.0.0.0:${PORT}", "unixgram:/dev/log"]
channels = ["c1"]

[channels.c1]
type = "memory"

[sinks.out]
type = "files"
channel = "c1"
path = "/data"
"#;
