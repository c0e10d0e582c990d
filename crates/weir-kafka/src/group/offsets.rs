//! Committed offsets: the requests, and reading them without being a member.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{
    FindCoordinatorRequest, FindCoordinatorResponse, GroupId, OffsetCommitRequest, OffsetFetchRequest,
    OffsetFetchResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::Place;
use crate::connection::Connection;
use crate::{Cluster, ClusterError, ErrorCode};

/// Versions of OffsetFetch from which on it says which member asks, asks for several groups, can wait for open
/// transactions.
const FETCH_AS_MEMBER: i16 = 9;
const FETCH_BY_GROUP: i16 = 8;
const FETCH_STABLE: i16 = 7;

/// An offset to commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commit {
    /// The partition.
    pub place: Place,
    /// Offset of the next record to read.
    pub offset: i64,
    /// Up to 4 KiB of text that is kept with it.
    pub metadata: Option<String>,
}

/// An offset that was committed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committed {
    /// The partition.
    pub place: Place,
    /// Offset of the next record to read; `None` if none was committed, or it has expired.
    pub offset: Option<i64>,
    /// The text kept with it.
    pub metadata: Option<String>,
}

impl Cluster {
    /// The committed offsets of any group, without being a member of it. Two round trips.
    ///
    /// # Errors
    /// [`ClusterError`] after a request timeout of trying, or at once if retrying cannot help.
    pub async fn committed(&self, group: &str, places: &[Place]) -> Result<Vec<Committed>, ClusterError> {
        self.retry(&[], || async {
            let found = find_coordinator(self, group).await?;
            let connection = self.link(found.node_id.0).await?;
            let timeout = self.options().connection.request_timeout;
            fetch_offsets(&connection, group, None, places, timeout).await
        })
        .await
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(super) fn refused(what: &str, group: &str, code: ErrorCode) -> ClusterError {
    ClusterError::Refused { what: format!("{what} group {group}"), code, detail: None }
}

pub(super) async fn find_coordinator(cluster: &Cluster, group: &str) -> Result<FindCoordinatorResponse, ClusterError> {
    let found = cluster.call_any(&FindCoordinatorRequest::default().with_key(text(group))).await?;
    match ErrorCode::from_wire(found.error_code) {
        None => Ok(found),
        Some(code) => Err(refused("finding the coordinator of", group, code)),
    }
}

/// All of a commit but who commits.
pub(super) fn commit_request(group: &str, commits: &[Commit]) -> OffsetCommitRequest {
    let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
    for commit in commits {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(commit.place.partition)
            .with_committed_offset(commit.offset)
            .with_committed_metadata(Some(text(commit.metadata.as_deref().unwrap_or_default())));
        match topics.iter_mut().find(|topic| topic.name.as_str() == &*commit.place.topic) {
            Some(topic) => topic.partitions.push(partition),
            None => topics.push(
                OffsetCommitRequestTopic::default()
                    .with_name(TopicName(text(&commit.place.topic)))
                    .with_partitions(vec![partition]),
            ),
        }
    }
    OffsetCommitRequest::default().with_group_id(GroupId(text(group))).with_topics(topics)
}

/// Asks the coordinator at the other end of `connection`, as a member (id and epoch) of the consumer protocol or as nobody.
pub(super) async fn fetch_offsets(
    connection: &Connection,
    group: &str,
    member: Option<(&str, i32)>,
    places: &[Place],
    timeout: Duration,
) -> Result<Vec<Committed>, ClusterError> {
    let request = fetch_request(group, member, places, connection.version::<OffsetFetchRequest>()?);
    let response = connection.call(&request, timeout).await?;
    read_offsets(response).map_err(|code| refused("reading offsets of", group, code))
}

fn fetch_request(group: &str, member: Option<(&str, i32)>, places: &[Place], version: i16) -> OffsetFetchRequest {
    let mut topics: Vec<(TopicName, Vec<i32>)> = Vec::new();
    for place in places {
        match topics.iter_mut().find(|(topic, _)| topic.as_str() == &*place.topic) {
            Some((_, partitions)) => partitions.push(place.partition),
            None => topics.push((TopicName(text(&place.topic)), vec![place.partition])),
        }
    }
    // Offsets that an open transaction will change are waited for, where the broker can.
    let request = OffsetFetchRequest::default().with_require_stable(version >= FETCH_STABLE);
    if version < FETCH_BY_GROUP {
        let topics = topics.into_iter().map(|(name, partitions)| {
            OffsetFetchRequestTopic::default().with_name(name).with_partition_indexes(partitions)
        });
        return request.with_group_id(GroupId(text(group))).with_topics(Some(topics.collect()));
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        OffsetFetchRequestTopics::default().with_name(name).with_partition_indexes(partitions)
    });
    let asked =
        OffsetFetchRequestGroup::default().with_group_id(GroupId(text(group))).with_topics(Some(topics.collect()));
    let asked = match member.filter(|_| version >= FETCH_AS_MEMBER) {
        None => asked,
        Some((id, epoch)) => asked.with_member_id(Some(text(id))).with_member_epoch(epoch),
    };
    request.with_groups(vec![asked])
}

/// Either form of an answer; the first error in it.
fn read_offsets(response: OffsetFetchResponse) -> Result<Vec<Committed>, ErrorCode> {
    let mut found = Vec::new();
    let mut codes = vec![response.error_code];
    let mut add = |topic: &TopicName, partition, offset: i64, metadata: Option<StrBytes>| {
        found.push(Committed {
            place: Place { topic: Arc::from(topic.as_str()), partition },
            offset: Some(offset).filter(|offset| *offset >= 0),
            metadata: metadata.map(|text| text.to_string()).filter(|text| !text.is_empty()),
        });
    };
    for topic in response.topics {
        for part in topic.partitions {
            codes.push(part.error_code);
            add(&topic.name, part.partition_index, part.committed_offset, part.metadata);
        }
    }
    for group in response.groups {
        codes.push(group.error_code);
        for topic in group.topics {
            for part in topic.partitions {
                codes.push(part.error_code);
                add(&topic.name, part.partition_index, part.committed_offset, part.metadata);
            }
        }
    }
    match codes.into_iter().find_map(ErrorCode::from_wire) {
        None => Ok(found),
        Some(code) => Err(code),
    }
}
