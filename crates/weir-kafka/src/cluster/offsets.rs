//! Offsets by age.

use std::collections::HashMap;

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, ListOffsetsRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::{Cluster, ClusterError};
use crate::ErrorCode;

/// Which offset of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OffsetAt {
    /// Of the oldest record there is.
    Earliest,
    /// Of the next record to come: the high watermark.
    Latest,
    /// Of the first record with this timestamp (milliseconds since 1970 UTC) or a later one.
    Time(i64),
}

/// An offset that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OffsetFound {
    /// The partition.
    pub partition: i32,
    /// The offset; `None` if no record is that late.
    pub offset: Option<i64>,
    /// Timestamp of the record at the offset, milliseconds; -1 unless asked by time.
    pub timestamp_ms: i64,
}

impl OffsetAt {
    const fn on_wire(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::Time(timestamp_ms) => timestamp_ms,
        }
    }
}

impl Cluster {
    /// Asks the leaders of `partitions` for offsets; the answers come in no particular order.
    ///
    /// # Errors
    /// [`ClusterError`] after a request timeout of trying, or at once if retrying cannot help.
    pub async fn offsets(
        &self,
        topic: &str,
        partitions: &[i32],
        at: OffsetAt,
    ) -> Result<Vec<OffsetFound>, ClusterError> {
        self.topic(topic).await?;
        self.retry(&[topic], || self.offsets_once(topic, partitions, at)).await
    }

    async fn offsets_once(
        &self,
        topic: &str,
        partitions: &[i32],
        at: OffsetAt,
    ) -> Result<Vec<OffsetFound>, ClusterError> {
        let refused = |code| ClusterError::Refused { what: format!("listing offsets of {topic}"), code, detail: None };
        let mut by_leader: HashMap<i32, Vec<ListOffsetsPartition>> = HashMap::new();
        for index in partitions {
            let known = self.partition(topic, *index).map_err(refused)?;
            let leader = known.as_ref().and_then(|partition| partition.leader).ok_or(refused(ErrorCode::NO_LEADER))?;
            let epoch = known.map_or(-1, |partition| partition.leader_epoch);
            by_leader.entry(leader).or_default().push(
                ListOffsetsPartition::default()
                    .with_partition_index(*index)
                    .with_current_leader_epoch(epoch)
                    .with_timestamp(at.on_wire()),
            );
        }
        let mut found = Vec::with_capacity(partitions.len());
        for (leader, asked) in by_leader {
            let name = TopicName(StrBytes::from_string(topic.to_owned()));
            let request = ListOffsetsRequest::default()
                .with_replica_id(BrokerId(-1))
                .with_topics(vec![ListOffsetsTopic::default().with_name(name).with_partitions(asked)]);
            let response = self.call(leader, &request).await?;
            for partition in response.topics.into_iter().flat_map(|topic| topic.partitions) {
                if let Some(code) = ErrorCode::from_wire(partition.error_code) {
                    return Err(refused(code));
                }
                let offset = Some(partition.offset).filter(|offset| *offset >= 0);
                let (partition, timestamp_ms) = (partition.partition_index, partition.timestamp);
                found.push(OffsetFound { partition, offset, timestamp_ms });
            }
        }
        Ok(found)
    }
}
