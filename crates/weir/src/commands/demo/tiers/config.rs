//! The configuration of the edge, as text: the same for both demos of two tiers.

use crate::commands::demo::config::{Places, Ports, quoted};

/// Close to the devices: takes, keeps, passes on. `demo` is the option that asks for it; `fields` what it makes headers of.
pub(crate) fn edge(
    demo: &str,
    fields: &str,
    places: &Places,
    ports: &Ports,
    brokers: &[String],
    topic: &str,
) -> String {
    format!(
        r#"# The edge of `weir demo {demo}`: an ordinary configuration. Save it, change it, `weir run` it.
# What each option means: weir components TYPE.

[agent]
name = "edge"
log_level = "warn"

# Devices send syslog here.
[sources.network]
type = "syslog"
listen = ["tcp://127.0.0.1:{tcp}"]
fields = "{fields}"
channels = ["spool"]

# A durable log: it takes what comes while Kafka is away, and survives kill -9 and power loss.
[channels.spool]
type = "file"
path = {log}
segment_bytes = "64 MiB"

# Acknowledged by every broker that has to have it, numbered so that a repeat is known as one: both are the default.
[sinks.kafka]
type = "kafka"
channel = "spool"
brokers = {brokers}
topic = {topic}
"#,
        tcp = ports.tcp(),
        log = quoted(&places.log.display().to_string()),
        brokers = list(brokers),
        topic = quoted(topic),
    )
}

/// What a reader of `--print-config` gets: two files, each after a line with its name.
pub(crate) fn both(edge: &str, hub: &str) -> String {
    format!("# ---- edge.toml ----\n{edge}\n# ---- hub.toml ----\n{hub}")
}

/// A TOML list of texts.
pub(crate) fn list(texts: &[String]) -> String {
    let quoted: Vec<_> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", quoted.join(", "))
}
