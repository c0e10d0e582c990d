//! What differs from one release to the next.

use super::options::Version;
use crate::logging;

/// Facts about a release. Its tools are classes.
#[derive(Debug)]
pub(super) struct Release {
    /// As in the names of its artifacts.
    pub(super) text: &'static str,
    /// Oldest Java that runs it.
    pub(super) java_version_min: u32,
    /// Its artifacts. The brokers themselves log nothing unless there is a binding of slf4j among the jars.
    pub(super) coordinates: &'static [&'static str],
    /// Nodes find each other by `ZooKeeper`, not by a quorum of their own.
    pub(super) has_zookeeper: bool,
    /// Logs by log4j 2, not 1.
    pub(super) has_log4j2: bool,
    /// Tools share the names of their flags; else each has its own for a client's properties.
    pub(super) has_common_flags: bool,
    /// Groups may use the consumer protocol of KIP-848.
    pub(super) has_consumer_protocol: bool,
    /// Console producer.
    pub(super) producer: &'static str,
    /// Console consumer.
    pub(super) consumer: &'static str,
    /// `kafka-consumer-groups`.
    pub(super) groups: &'static str,
    /// `kafka-topics`.
    pub(super) topics: &'static str,
    /// `kafka-dump-log`.
    pub(super) dump: &'static str,
}

static V2_8: Release = Release {
    text: "2.8.2",
    java_version_min: 8,
    coordinates: &["org.apache.kafka:kafka_2.13:2.8.2", "org.slf4j:slf4j-reload4j:1.7.36"],
    has_zookeeper: true,
    has_log4j2: false,
    has_common_flags: false,
    has_consumer_protocol: false,
    producer: "kafka.tools.ConsoleProducer",
    consumer: "kafka.tools.ConsoleConsumer",
    groups: "kafka.admin.ConsumerGroupCommand",
    topics: "kafka.admin.TopicCommand",
    dump: "kafka.tools.DumpLogSegments",
};

static V3_9: Release = Release {
    text: "3.9.1",
    java_version_min: 11,
    coordinates: &[
        "org.apache.kafka:kafka_2.13:3.9.1",
        "org.apache.kafka:kafka-tools:3.9.1",
        "org.slf4j:slf4j-reload4j:1.7.36",
    ],
    has_zookeeper: false,
    has_log4j2: false,
    has_common_flags: false,
    has_consumer_protocol: false,
    producer: "kafka.tools.ConsoleProducer",
    consumer: "org.apache.kafka.tools.consumer.ConsoleConsumer",
    groups: "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    topics: "org.apache.kafka.tools.TopicCommand",
    dump: "kafka.tools.DumpLogSegments",
};

static V4_3: Release = Release {
    text: "4.3.1",
    java_version_min: 17,
    coordinates: &[
        "org.apache.kafka:kafka_2.13:4.3.1",
        "org.apache.kafka:kafka-tools:4.3.1",
        "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",
    ],
    has_zookeeper: false,
    has_log4j2: true,
    has_common_flags: true,
    has_consumer_protocol: true,
    producer: "org.apache.kafka.tools.ConsoleProducer",
    consumer: "org.apache.kafka.tools.consumer.ConsoleConsumer",
    groups: "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    topics: "org.apache.kafka.tools.TopicCommand",
    dump: "org.apache.kafka.tools.DumpLogSegments",
};

impl Version {
    pub(super) const fn release(self) -> &'static Release {
        match self {
            Self::V2_8 => &V2_8,
            Self::V3_9 => &V3_9,
            Self::V4_3 => &V4_3,
        }
    }
}

impl Release {
    /// What makes a Java machine log everything from `level` up to its standard error.
    pub(super) fn logging_text(&self, level: &str) -> String {
        match self.has_log4j2 {
            false => format!(
                "log4j.rootLogger={level},C\n\
                 log4j.appender.C=org.apache.log4j.ConsoleAppender\n\
                 log4j.appender.C.target=System.err\n\
                 log4j.appender.C.layout=org.apache.log4j.PatternLayout\n\
                 log4j.appender.C.layout.ConversionPattern=%d %p %c{{1}}: %m%n\n"
            ),
            true => logging::log4j2(level),
        }
    }
}
