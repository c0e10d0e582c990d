//! Fetch requests.

use std::sync::Arc;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::{BrokerId, FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::FetchOptions;

/// A partition.
pub(super) type Key = (Arc<str>, i32);

/// A partition of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    pub(super) key: Key,
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
    /// Of the last batch that was read; -1 if there is none or the broker cannot use it.
    pub(super) last_epoch: i32,
}

/// What a request says to the broker's session.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Terms {
    pub(super) session_id: i32,
    pub(super) session_epoch: i32,
    pub(super) wanted: Vec<Wanted>,
    pub(super) forgotten: Vec<Key>,
}

pub(super) fn fetch_request(options: &FetchOptions, wait_ms: i32, mut terms: Terms) -> FetchRequest {
    // A stable sort: within a topic the order stays, which is the order of turns.
    terms.wanted.sort_by(|a, b| a.key.0.cmp(&b.key.0));
    terms.forgotten.sort_unstable();
    let bytes = |limit: usize| i32::try_from(limit).unwrap_or(i32::MAX);
    let name =
        |key: Option<&Key>| TopicName(StrBytes::from_string(key.map_or_else(String::new, |key| key.0.to_string())));
    let topics = terms.wanted.chunk_by(|a, b| a.key.0 == b.key.0).map(|chunk| {
        let partitions = chunk.iter().map(|wanted| {
            FetchPartition::default()
                .with_partition(wanted.key.1)
                .with_fetch_offset(wanted.offset)
                .with_current_leader_epoch(wanted.leader_epoch)
                .with_last_fetched_epoch(wanted.last_epoch)
                .with_partition_max_bytes(bytes(options.partition_bytes_max))
        });
        let topic = name(chunk.first().map(|wanted| &wanted.key));
        FetchTopic::default().with_topic(topic).with_partitions(partitions.collect())
    });
    let forgotten = terms.forgotten.chunk_by(|a, b| a.0 == b.0).map(|chunk| {
        let partitions = chunk.iter().map(|(_, partition)| *partition);
        ForgottenTopic::default().with_topic(name(chunk.first())).with_partitions(partitions.collect())
    });
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(bytes(options.bytes_max))
        .with_isolation_level(i8::from(options.read_committed))
        .with_session_id(terms.session_id)
        .with_session_epoch(terms.session_epoch)
        .with_topics(topics.collect())
        .with_forgotten_topics_data(forgotten.collect())
        .with_rack_id(StrBytes::from_string(options.rack.clone().unwrap_or_default()))
}
