//! The list of components: one line each. An unknown type's error lists what stands here.

use weir_engine::channel::{file_channel_type, memory_channel_type};
use weir_engine::registry::Registry;

/// Every type of component of this build.
#[must_use]
pub fn registry() -> Registry {
    Registry {
        sources: vec![
            crate::syslog::syslog_source_type(),
            crate::generate::generate_source_type(),
            crate::kafka::source::kafka_source_type(),
        ],
        interceptors: vec![
            crate::timestamp::timestamp_interceptor_type(),
            crate::host::host_interceptor_type(),
            crate::r#static::static_interceptor_type(),
        ],
        channels: vec![memory_channel_type(), file_channel_type(), crate::kafka::channel::kafka_channel_type()],
        sinks: vec![
            crate::files::files_sink_type(),
            crate::hdfs::hdfs_sink_type(),
            crate::kafka::sink::kafka_sink_type(),
            crate::logger::logger_sink_type(),
            crate::null::null_sink_type(),
            crate::solr::solr_sink_type(),
        ],
    }
}
