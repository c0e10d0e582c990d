//! Where a group stands: committed positions, and ends of partitions.

use std::collections::HashMap;

use weir_kafka::{Cluster, ClusterError, Committed, OffsetAt, Place};

use super::stay::Start;
use crate::kafka::consume::is_of_another_topic;

/// Which group of which topic, and where it begins without a position.
#[derive(Clone, Debug)]
pub(super) struct Whereabouts {
    pub(super) topic: String,
    pub(super) group: String,
    pub(super) at: OffsetAt,
    /// Id of the topic when the channel was opened: names of what is delivered are made of it.
    pub(super) opened: u128,
}

/// Where to begin.
pub(super) struct Starts {
    /// Id of the topic they are of; 0 where brokers have none.
    pub(super) topic: u128,
    pub(super) starts: Vec<(u32, Start)>,
    /// Partitions whose committed positions were of an earlier topic of the same name, with these.
    pub(super) void: Vec<(u32, u64)>,
}

impl Whereabouts {
    pub(super) fn place(&self, partition: u32) -> Place {
        Place { topic: self.topic.as_str().into(), partition: partition.cast_signed() }
    }

    /// Id of the topic as last heard.
    pub(super) fn topic_id(&self, cluster: &Cluster) -> u128 {
        cluster.cached_topic(&self.topic).map_or(0, |topic| topic.id)
    }

    /// Where the group stands in `partitions`; in the topic as it is now, if it was made anew. Two to five round trips.
    ///
    /// # Errors
    /// [`ClusterError`] after a request timeout of trying, or at once if retrying cannot help.
    pub(super) async fn starts(&self, cluster: &Cluster, partitions: &[u32]) -> Result<Starts, ClusterError> {
        let places: Vec<Place> = partitions.iter().map(|partition| self.place(*partition)).collect();
        let found = cluster.committed(&self.group, &places).await?;
        let mut topic = self.topic_id(cluster);
        if found.iter().any(|found| is_of_another_topic(found, topic)) {
            // Another agent may have heard of a new topic before this one.
            cluster.refresh(&[&self.topic]).await?;
            topic = self.topic_id(cluster);
        }
        let (void, valid): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| is_of_another_topic(found, topic));
        let [void, valid] = [void, valid].map(|found| {
            let offset =
                |found: Committed| Some((found.place.partition.cast_unsigned(), u64::try_from(found.offset?).ok()?));
            found.into_iter().filter_map(offset).collect::<HashMap<u32, u64>>()
        });
        let ends = self.offsets(cluster, partitions, OffsetAt::Latest).await?;
        let new: Vec<u32> = partitions.iter().copied().filter(|partition| !valid.contains_key(partition)).collect();
        let begins = if new.is_empty() { HashMap::new() } else { self.offsets(cluster, &new, self.at).await? };
        let start = |partition: &u32| {
            let end = ends.get(partition).copied().unwrap_or_default();
            let known = valid.get(partition).copied();
            // No record is as late as the time asked for: from the next one on.
            let offset = known.or_else(|| begins.get(partition).copied()).unwrap_or(end);
            // What was delivered under a name made of the old topic is no repeat of what is in the new one.
            let end = if known.is_none() && topic != self.opened { offset } else { end };
            (*partition, Start { offset, is_committed: known.is_some(), end })
        };
        let starts = partitions.iter().map(start).collect();
        Ok(Starts { topic, starts, void: void.into_iter().collect() })
    }

    /// Offsets by age; none where no record is that late.
    pub(super) async fn offsets(
        &self,
        cluster: &Cluster,
        partitions: &[u32],
        at: OffsetAt,
    ) -> Result<HashMap<u32, u64>, ClusterError> {
        let indices: Vec<i32> = partitions.iter().map(|partition| partition.cast_signed()).collect();
        let found = cluster.offsets(&self.topic, &indices, at).await?;
        let known = found
            .into_iter()
            .filter_map(|found| Some((u32::try_from(found.partition).ok()?, u64::try_from(found.offset?).ok()?)));
        Ok(known.collect())
    }
}
