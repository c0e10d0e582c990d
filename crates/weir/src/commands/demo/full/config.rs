//! The configuration of the hub, as text.

use std::path::PathBuf;

use crate::commands::demo::config::quoted;
use crate::commands::demo::tiers::config::list;

/// The group, a consumer group of Kafka, of the sink for HDFS.
pub(super) const HDFS_GROUP: &str = "hdfs";
/// The group of the sink for Solr.
pub(super) const SOLR_GROUP: &str = "solr";
/// The collection.
pub(super) const COLLECTION: &str = "events";
/// The folder of all files in HDFS.
pub(super) const FOLDER: &str = "/events";
/// The least severe that is searchable: 4 is a warning. Of the synthetic lines that is one in nine.
pub(super) const SEVERITY_MAX: u32 = 4;

/// Where the servers are.
pub(super) struct Addresses {
    pub(super) brokers: Vec<String>,
    pub(super) topic: String,
    /// `hdfs://host:port`.
    pub(super) hdfs: String,
    /// `core-site.xml` and `hdfs-site.xml`; `None` while there is no cluster.
    pub(super) hadoop_conf: Option<PathBuf>,
    /// `http://host:port/solr` of each node.
    pub(super) solr: Vec<String>,
}

impl Addresses {
    /// Where servers are by default, for a configuration that is only looked at.
    pub(super) fn usual(brokers: &[String]) -> Self {
        let brokers = if brokers.is_empty() { vec!["127.0.0.1:9092".to_owned()] } else { brokers.to_vec() };
        Self {
            brokers,
            topic: "weir-demo".to_owned(),
            hdfs: "hdfs://127.0.0.1:8020".to_owned(),
            hadoop_conf: None,
            solr: vec!["http://127.0.0.1:8983/solr".to_owned()],
        }
    }
}

/// Behind Kafka: the topic is its channel, HDFS and Solr are where events end.
pub(super) fn hub(addresses: &Addresses) -> String {
    let Addresses { brokers, topic, hdfs, hadoop_conf, solr } = addresses;
    let path = quoted(&format!("{hdfs}{FOLDER}/%Y-%m-%d/%H"));
    let hadoop_conf = match hadoop_conf {
        Some(folder) => format!("hadoop_conf = {}", quoted(&folder.display().to_string())),
        None => "# Of a cluster with a configuration: hadoop_conf = \"/etc/hadoop/conf\" instead.\nweb_address = \"127.0.0.1:9870\"".to_owned(),
    };
    format!(
        r#"# The hub of `weir demo --full`: an ordinary configuration. Save it, change it, `weir run` it, as often as there
# are machines for it: the agents of one consumer group share the partitions.

[agent]
name = "hub"
log_level = "warn"

# Each sink below is a group of its own, and each group gets every event of the topic, at its own pace.
[channels.events]
type = "kafka"
brokers = {brokers}
topic = {topic}
consumer_group = {topic}
start = "earliest"

# HDFS keeps everything: headers and body of an event in a line. Names of files say which offsets they hold, so nothing
# is in two of them. A file is finished after two seconds, so that it can be read soon; for real use a minute or more
# makes fewer and larger files.
[sinks.archive]
type = "hdfs"
channel = "events"
group = "{HDFS_GROUP}"
path = {path}
{hadoop_conf}
time = "arrival"
format = "json"
roll_time = "2 s"

# Solr finds what matters. The default id says topic, partition and offset: what comes again overwrites itself.
[sinks.search]
type = "solr"
channel = "events"
group = "{SOLR_GROUP}"
urls = {solr}
collection = "{COLLECTION}"

# Warnings and worse.
[[sinks.search.select]]
header = "Severity"
at_most = {SEVERITY_MAX}
"#,
        brokers = list(brokers),
        solr = list(solr),
        topic = quoted(topic),
    )
}
