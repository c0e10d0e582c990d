//! Finding out where to begin in partitions: at the group's committed offset, else where the configuration says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc;
use weir_engine::chain;
use weir_kafka::{Cluster, ClusterError, Committed, OffsetAt, Place};

use super::gate::Gate;
use super::work::{Event, Located};
use crate::kafka::consume::is_of_another_topic;

/// Pauses between attempts while the cluster does not answer.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// A partition whose position is not known.
pub(super) struct Sought {
    pub(super) place: Place,
    pub(super) epoch: u64,
    /// Gone when the partition is somebody else's.
    pub(super) gate: Weak<Gate>,
}

/// Looks for positions until it has them; one task for the partitions that were assigned together.
pub(super) struct Locator {
    pub(super) cluster: Cluster,
    /// The group whose committed offsets count; `None` if they are known to be of no use.
    pub(super) group: Option<String>,
    pub(super) start: OffsetAt,
    pub(super) events: mpsc::UnboundedSender<Event>,
}

impl Locator {
    pub(super) async fn run(self, mut sought: Vec<Sought>) {
        let mut pause = PAUSE_MIN;
        loop {
            sought.retain(|one| one.gate.strong_count() > 0);
            if sought.is_empty() || self.events.is_closed() {
                return;
            }
            let event = match self.locate(&sought).await {
                Ok(located) => {
                    let _ = self.events.send(Event::LocatingFailed(None));
                    let _ = self.events.send(Event::Located(located));
                    return;
                }
                Err(error) => Event::LocatingFailed(Some(chain(&error))),
            };
            // A driver that is gone is noticed in the next round.
            let _ = self.events.send(event);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn refresh(&self, sought: &[Sought]) -> Result<(), ClusterError> {
        let topics: BTreeSet<&str> = sought.iter().map(|one| &*one.place.topic).collect();
        self.cluster.refresh(&topics.into_iter().collect::<Vec<_>>()).await
    }

    async fn locate(&self, sought: &[Sought]) -> Result<Vec<Located>, ClusterError> {
        let (mut committed, mut void) = (BTreeMap::new(), BTreeMap::new());
        if let Some(group) = &self.group {
            let places: Vec<Place> = sought.iter().map(|one| one.place.clone()).collect();
            let found = self.cluster.committed(group, &places).await?;
            let is_void = |found: &Committed| is_of_another_topic(found, topic_id(&self.cluster, &found.place.topic));
            if found.iter().any(is_void) {
                // Another member may have heard of a new topic before this one.
                self.refresh(sought).await?;
            }
            for found in found {
                let side = if is_void(&found) { &mut void } else { &mut committed };
                side.extend(found.offset.map(|offset| (found.place, offset)));
            }
        } else {
            // A position that is of no use may be one in a topic that was deleted.
            self.refresh(sought).await?;
        }
        let mut by_topic: BTreeMap<&Arc<str>, Vec<i32>> = BTreeMap::new();
        for one in sought.iter().filter(|one| !committed.contains_key(&one.place)) {
            by_topic.entry(&one.place.topic).or_default().push(one.place.partition);
        }
        let mut begun = BTreeMap::new();
        for (topic, partitions) in by_topic {
            for (partition, offset) in offsets(&self.cluster, topic, &partitions, self.start).await? {
                begun.insert(Place { topic: topic.clone(), partition }, offset);
            }
        }
        let located = |one: &Sought| {
            let known = committed.get(&one.place);
            let offset = *known.or_else(|| begun.get(&one.place))?;
            let (topic, void) = (topic_id(&self.cluster, &one.place.topic), void.get(&one.place).copied());
            let (place, epoch, is_committed) = (one.place.clone(), one.epoch, known.is_some());
            Some(Located { place, epoch, offset, is_committed, topic, void })
        };
        Ok(sought.iter().filter_map(located).collect())
    }
}

/// Id of a topic as last heard; 0 where it is not known, or brokers have none.
pub(super) fn topic_id(cluster: &Cluster, topic: &str) -> u128 {
    cluster.cached_topic(topic).map_or(0, |topic| topic.id)
}

/// The offsets of partitions at `at`; the end where no record is that late.
pub(super) async fn offsets(
    cluster: &Cluster,
    topic: &str,
    partitions: &[i32],
    at: OffsetAt,
) -> Result<Vec<(i32, i64)>, ClusterError> {
    let found = cluster.offsets(topic, partitions, at).await?;
    let (some, none): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| found.offset.is_some());
    let mut offsets: Vec<(i32, i64)> = some.iter().filter_map(|found| Some((found.partition, found.offset?))).collect();
    if !none.is_empty() {
        let late: Vec<i32> = none.iter().map(|found| found.partition).collect();
        let ends = cluster.offsets(topic, &late, OffsetAt::Latest).await?;
        offsets.extend(ends.iter().filter_map(|found| Some((found.partition, found.offset?))));
    }
    Ok(offsets)
}
