//! Fetch requests.

use std::sync::Arc;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{BrokerId, FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::FetchOptions;

/// A session of this epoch is none: every request names all its partitions.
const NO_SESSION: i32 = -1;

/// A partition of a request.
pub(super) struct Wanted {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
}

pub(super) fn fetch_request(options: &FetchOptions, wait_ms: i32, mut wanted: Vec<Wanted>) -> FetchRequest {
    // A stable sort: within a topic the order stays, which is the order of turns.
    wanted.sort_by(|a, b| a.topic.cmp(&b.topic));
    let bytes = |limit: usize| i32::try_from(limit).unwrap_or(i32::MAX);
    let topics = wanted.chunk_by(|a, b| a.topic == b.topic).map(|chunk| {
        let partitions = chunk.iter().map(|wanted| {
            FetchPartition::default()
                .with_partition(wanted.partition)
                .with_fetch_offset(wanted.offset)
                .with_current_leader_epoch(wanted.leader_epoch)
                .with_partition_max_bytes(bytes(options.partition_bytes_max))
        });
        let name = chunk.first().map_or_else(String::new, |first| first.topic.to_string());
        FetchTopic::default().with_topic(TopicName(StrBytes::from_string(name))).with_partitions(partitions.collect())
    });
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(bytes(options.bytes_max))
        .with_isolation_level(i8::from(options.read_committed))
        .with_session_epoch(NO_SESSION)
        .with_topics(topics.collect())
        .with_rack_id(StrBytes::from_string(options.rack.clone().unwrap_or_default()))
}
