//! Where a group stands: committed positions, and ends of partitions.

use std::collections::HashMap;

use weir_kafka::{Cluster, ClusterError, OffsetAt, Place};

use super::stay::Start;

/// Which group of which topic, and where it begins without a position.
#[derive(Clone, Debug)]
pub(super) struct Whereabouts {
    pub(super) topic: String,
    pub(super) group: String,
    pub(super) at: OffsetAt,
}

impl Whereabouts {
    pub(super) fn place(&self, partition: u32) -> Place {
        Place { topic: self.topic.as_str().into(), partition: partition.cast_signed() }
    }

    /// Where the group stands in `partitions`. Two to four round trips.
    ///
    /// # Errors
    /// [`ClusterError`] after a request timeout of trying, or at once if retrying cannot help.
    pub(super) async fn starts(
        &self,
        cluster: &Cluster,
        partitions: &[u32],
    ) -> Result<Vec<(u32, Start)>, ClusterError> {
        let places: Vec<Place> = partitions.iter().map(|partition| self.place(*partition)).collect();
        let committed: HashMap<i32, u64> = cluster
            .committed(&self.group, &places)
            .await?
            .into_iter()
            .filter_map(|found| Some((found.place.partition, u64::try_from(found.offset?).ok()?)))
            .collect();
        let ends = self.offsets(cluster, partitions, OffsetAt::Latest).await?;
        let new: Vec<u32> =
            partitions.iter().copied().filter(|partition| !committed.contains_key(&partition.cast_signed())).collect();
        let begins = if new.is_empty() { HashMap::new() } else { self.offsets(cluster, &new, self.at).await? };
        let start = |partition: &u32| {
            let end = ends.get(partition).copied().unwrap_or_default();
            let known = committed.get(&partition.cast_signed()).copied();
            // No record is as late as the time asked for: from the next one on.
            let offset = known.or_else(|| begins.get(partition).copied()).unwrap_or(end);
            (*partition, Start { offset, is_committed: known.is_some(), end })
        };
        Ok(partitions.iter().map(start).collect())
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
