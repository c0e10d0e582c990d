//! The topic: what there is to be found.

use std::collections::BTreeMap;
use std::time::Duration;

use weir_codec::record_batch::{Decoder, DecoderOptions};
use weir_event::{ArenaPool, ChannelId};
use weir_kafka::{Cluster, ClusterOptions, FetchOptions, Fetcher, OffsetAt};

use super::progress::Progress;
use crate::exit::Failure;

/// A partition that gives nothing for so long, with records still to come, is not going to.
const STALLED_AFTER: Duration = Duration::from_secs(60);
/// Batches after decompression: Kafka's default limit is 1 MiB before it.
const ARENA_BYTES: usize = 1 << 20;

/// A topic as it is when `weir verify` begins.
pub(super) struct Topic {
    cluster: Cluster,
    pub(super) name: String,
    /// What names of files and ids call it.
    pub(super) log: u64,
    pub(super) partitions: Vec<Extent>,
}

/// What a partition has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Extent {
    pub(super) partition: u32,
    /// Its oldest offset.
    pub(super) start: u64,
    /// Behind its last one.
    pub(super) end: u64,
}

impl Topic {
    pub(super) async fn open(options: ClusterOptions, name: &str) -> Result<Self, Failure> {
        let failed = |what: String| move |error: weir_kafka::ClusterError| Failure::because(&what, &error);
        let brokers = options.bootstrap.join(", ");
        let cluster = Cluster::connect(options).await;
        let cluster = cluster.map_err(failed(format!("no broker of {brokers} can be used")))?;
        let found = cluster.topic(name).await.map_err(failed(format!("topic {name} cannot be used")))?;
        let log = weir_connectors::kafka::channel::topic_identity(
            cluster.id().as_deref().unwrap_or_default(),
            name,
            found.id,
        );
        let numbers: Vec<i32> = (0..).take(found.partitions.len()).collect();
        let starts = offsets(&cluster, name, &numbers, OffsetAt::Earliest).await?;
        let ends = offsets(&cluster, name, &numbers, OffsetAt::Latest).await?;
        let partitions = numbers.iter().map(|number| Extent {
            partition: number.unsigned_abs(),
            start: starts.get(&number.unsigned_abs()).copied().unwrap_or(0),
            end: ends.get(&number.unsigned_abs()).copied().unwrap_or(0),
        });
        Ok(Self { partitions: partitions.collect(), cluster, name: name.to_owned(), log })
    }

    /// Where each partition ends now: it may have grown since the beginning, or lost its end.
    pub(super) async fn ends_now(&self) -> Result<BTreeMap<u32, u64>, Failure> {
        let numbers: Vec<i32> = (0..).take(self.partitions.len()).collect();
        offsets(&self.cluster, &self.name, &numbers, OffsetAt::Latest).await
    }

    /// The oldest offset of each partition.
    pub(super) fn starts(&self) -> BTreeMap<u32, u64> {
        self.partitions.iter().map(|extent| (extent.partition, extent.start)).collect()
    }

    /// Calls `each` with partition, offset and body of every event in `extents`, each partition in order.
    pub(super) async fn read(
        &self,
        extents: &[Extent],
        progress: &Progress,
        each: &mut dyn FnMut(u32, u64, &[u8]),
    ) -> Result<(), Failure> {
        let failed = |what: &str, error: &dyn std::error::Error| {
            Failure::because(&format!("reading topic {}: {what}", self.name), error)
        };
        // Sinks see committed records only.
        let options = FetchOptions { read_committed: true, ..FetchOptions::default() };
        let mut fetcher = Fetcher::new(&self.cluster, options);
        let mut left: BTreeMap<u32, Extent> = BTreeMap::new();
        for extent in extents.iter().filter(|extent| extent.start < extent.end) {
            left.insert(extent.partition, *extent);
            let (partition, start) = (i32::try_from(extent.partition), i64::try_from(extent.start));
            fetcher.assign(&self.name, partition.unwrap_or(i32::MAX), start.unwrap_or(i64::MAX));
        }
        let mut decoder = Decoder::new(ArenaPool::new(ARENA_BYTES, 2), DecoderOptions::default());
        while !left.is_empty() {
            let fetched = tokio::time::timeout(STALLED_AFTER, fetcher.next()).await.map_err(|_| {
                let place = left.values().next().map(|extent| format!("{}-{}", self.name, extent.partition));
                let place = place.unwrap_or_default();
                Failure::new(format!(
                    "{place} gives nothing for {STALLED_AFTER:?}: is a transaction open, a leader gone?"
                ))
            })?;
            let fetched = fetched.map_err(|error| failed("a partition cannot be read", &error))?;
            let partition = fetched.partition.unsigned_abs();
            let Some(extent) = left.get(&partition).copied() else { continue };
            for batch in fetched.batches {
                let place = ChannelId { log: self.log, partition };
                let decoded = decoder.decode(batch.bytes, Some(place), 0);
                let decoded = decoded.map_err(|error| failed("a batch cannot be decoded", &error))?;
                let Some(events) = decoded.into_events() else { continue };
                for row in 0..events.len() {
                    let offset = events.origin().and_then(|origin| origin.offset(row)).unwrap_or_default();
                    if (extent.start..extent.end).contains(&offset) {
                        each(partition, offset, events.body(row));
                        progress.events.add(1);
                    }
                }
            }
            if u64::try_from(fetched.next_offset).unwrap_or(0) >= extent.end {
                left.remove(&partition);
                fetcher.unassign(&self.name, fetched.partition);
            }
        }
        Ok(())
    }
}

async fn offsets(
    cluster: &Cluster,
    topic: &str,
    partitions: &[i32],
    at: OffsetAt,
) -> Result<BTreeMap<u32, u64>, Failure> {
    let asked = cluster.offsets(topic, partitions, at).await;
    let asked =
        asked.map_err(|error| Failure::because(&format!("the offsets of topic {topic} cannot be had"), &error))?;
    let offset = |found: &weir_kafka::OffsetFound| u64::try_from(found.offset.unwrap_or(0)).unwrap_or(0);
    Ok(asked.iter().map(|found| (found.partition.unsigned_abs(), offset(found))).collect())
}
