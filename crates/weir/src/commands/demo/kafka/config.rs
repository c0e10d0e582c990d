//! The configuration of the hub, as text.

use crate::commands::demo::config::{Places, path_template, quoted};
use crate::commands::demo::tiers::config::list;

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
