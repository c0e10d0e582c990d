//! The configurations of both tiers, as text.

use crate::commands::demo::config::{Places, Ports, path_template, quoted};

/// What a reader of `--print-config` gets: two files, each after a line with its name.
pub(super) fn both(places: &Places, ports: &Ports, brokers: &[String], topic: &str) -> String {
    format!(
        "# ---- edge.toml ----\n{}\n# ---- hub.toml ----\n{}",
        edge(places, ports, brokers, topic),
        hub(places, brokers, topic)
    )
}

/// Close to the devices: takes, keeps, passes on.
pub(super) fn edge(places: &Places, ports: &Ports, brokers: &[String], topic: &str) -> String {
    format!(
        r#"# The edge of `weir demo --kafka`: an ordinary configuration. Save it, change it, `weir run` it.
# What each option means: weir components TYPE.

[agent]
name = "edge"
log_level = "warn"

# Devices send syslog here.
[sources.network]
type = "syslog"
listen = ["tcp://127.0.0.1:{tcp}"]
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

/// Behind Kafka: the topic is its channel.
pub(super) fn hub(places: &Places, brokers: &[String], topic: &str) -> String {
    format!(
        r#"# The hub of `weir demo --kafka`: an ordinary configuration. Save it, change it, `weir run` it, as often as there
# are machines for it: the agents of one consumer group share the partitions.

[agent]
name = "hub"
log_level = "warn"

[channels.events]
type = "kafka"
brokers = {brokers}
topic = {topic}
consumer_group = {topic}
start = "earliest"

# Files by day and hour of arrival. A file is finished after half a second, so that an event can be read in a
# finished file within a second; for real use some seconds or minutes make fewer and larger files.
[sinks.archive]
type = "files"
channel = "events"
path = {files}
time = "arrival"
roll_time = "500 ms"
"#,
        brokers = list(brokers),
        topic = quoted(topic),
        files = path_template(places),
    )
}

fn list(brokers: &[String]) -> String {
    let quoted: Vec<_> = brokers.iter().map(|address| quoted(address)).collect();
    format!("[{}]", quoted.join(", "))
}
