//! What the driver does about what it is told: by the group, the brokers, the lanes, its helpers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{debug, error, info, warn};
use weir_engine::chain;
use weir_engine::source::SourceError;
use weir_kafka::{ClusterError, Commit, Committed, FetchError, Fetched, GroupEvent, Place};

use super::driver::{Reader, Revoking};
use super::locate::{Locator, Sought, topic_id};
use super::member::Ask;
use super::partition::{Owned, Phase};
use super::work::{Event, Failure, Located, Outcome, Report};
use crate::kafka::consume::is_of_another_topic;

/// What the ledger counts partitions under whose position was of an earlier topic of the same name.
const TOPICS_MADE_ANEW: &str = "positions in topics that were made anew";

impl Reader {
    pub(super) fn on_event(&mut self, event: Event) {
        match event {
            Event::Report(report) => self.on_report(report),
            Event::Group(GroupEvent::Assigned(places)) => self.on_assigned(places),
            Event::Group(GroupEvent::Revoke(places)) => self.on_revoke(places),
            Event::Group(GroupEvent::Lost(places)) => self.on_lost(&places),
            Event::Group(GroupEvent::Failed(error)) => self.on_group_failed(error, None),
            Event::GroupFailed { error, again_in } => self.on_group_failed(error, again_in),
            Event::Committed { commits, result } => {
                self.is_committing = false;
                match result {
                    Ok(()) => {
                        for Commit { place, offset, metadata } in commits {
                            let Some(owned) = self.partitions.get_mut(&place) else { continue };
                            let committed = Committed { place, offset: Some(offset), metadata };
                            if !is_of_another_topic(&committed, owned.topic) {
                                owned.committed = Some(offset);
                            }
                        }
                    }
                    Err(error) => {
                        self.ledger.faults.add("failed commits", 1);
                        warn!(source = %self.name, error = %chain(&error), "offsets not committed; the next commit has them");
                    }
                }
            }
            Event::Located(located) => located.into_iter().for_each(|one| self.on_located(one)),
            Event::LocatingFailed(reason) => {
                if let Some(reason) = &reason {
                    warn!(source = %self.name, reason, "positions not known yet; trying on");
                }
                let reason = reason.map(|reason| format!("positions of partitions cannot be had: {reason}"));
                self.ledger.set_trouble("positions", reason);
            }
            Event::Topics { names, missing } => {
                let trouble = (!missing.is_empty()).then(|| format!("there is no topic {}", missing.join(", ")));
                if let Some(trouble) = &trouble {
                    warn!(source = %self.name, "{trouble}; waiting for it");
                }
                self.ledger.set_trouble("topics", trouble);
                info!(source = %self.name, topics = names.join(", "), "topics to read");
                if !self.is_stopping {
                    self.subscribe(names);
                }
            }
            Event::TopicsFailed(reason) => {
                self.ledger.faults.add("failed metadata requests", 1);
                warn!(source = %self.name, reason, "topics not known; trying on");
            }
            Event::Ends(ends) => {
                for (place, end) in ends {
                    if let Some(owned) = self.partitions.get_mut(&place) {
                        owned.end = owned.end.max(end);
                    }
                }
                self.watch.has_ends();
            }
        }
    }

    fn on_assigned(&mut self, places: Vec<Place>) {
        // A commit that the membership before took with it will not be answered.
        self.is_committing = false;
        self.ledger.set_trouble("group", None);
        info!(source = %self.name, partitions = %list(&places), "assigned");
        let mut sought = Vec::new();
        for place in places {
            let lane = self.emptiest_lane();
            let epoch = self.next_epoch();
            let mut owned = Owned::new(place.clone(), lane, epoch);
            if self.is_stopping {
                owned.close();
            }
            sought.push(Sought { place: place.clone(), epoch, gate: Arc::downgrade(&owned.gate) });
            self.partitions.insert(place, owned);
        }
        self.locate(sought, Some(self.spec.consume.consumer_group.clone()));
    }

    fn emptiest_lane(&self) -> usize {
        let owned = |lane: &usize| self.partitions.values().filter(|owned| owned.lane == *lane).count();
        (0..self.lanes.len()).min_by_key(owned).unwrap_or_default()
    }

    fn locate(&self, sought: Vec<Sought>, group: Option<String>) {
        let (cluster, events) = (self.cluster.clone(), self.events.clone());
        tokio::spawn(Locator { cluster, group, start: self.spec.consume.start, events }.run(sought));
    }

    fn on_located(&mut self, located: Located) {
        let Located { place, epoch, offset, is_committed, topic, void } = located;
        let Some(owned) = self.partitions.get_mut(&place) else { return };
        if owned.epoch != epoch || owned.phase != Phase::Locating {
            return;
        }
        let is_anew = owned.topic != 0 && topic != 0 && topic != owned.topic;
        owned.topic = if topic == 0 { owned.topic } else { topic };
        if is_anew || void.is_some() {
            self.ledger.faults.add(TOPICS_MADE_ANEW, 1);
            warn!(source = %self.name, partition = %name(&place), position = void.or(owned.settled), offset,
                "the topic was deleted and made anew, and the position was of the earlier one; reading from the offset");
        }
        if is_anew {
            // Nothing of the earlier topic moves the position in this one, nor is it committed.
            owned.committed = None;
            return self.read_from(&place, offset);
        }
        if owned.settled.is_none() {
            owned.committed = is_committed.then_some(offset);
            debug!(source = %self.name, partition = %name(&place), offset, is_committed, "reading from");
            return self.read_from(&place, offset);
        }
        let gone = offset - owned.next;
        let kind = "events that were gone before they were read";
        self.ledger.faults.add(kind, u64::try_from(gone).unwrap_or_default());
        error!(source = %self.name, partition = %name(&place), gone, offset,
            "the position was out of range: retention has passed it, or the topic lost events; reading on from the offset");
        self.go_on_at(&place, offset);
    }

    /// Goes on at another offset than the next, behind all that is under way.
    fn go_on_at(&mut self, place: &Place, offset: i64) {
        let Some(owned) = self.partitions.get_mut(place) else { return };
        if !matches!(owned.phase, Phase::Reading | Phase::Locating) {
            return;
        }
        owned.phase = Phase::Reading;
        owned.next = offset;
        // A lane that has ended by a fault has said so; the partition then stays where it is.
        let _ = self.lanes[owned.lane].send(owned.pass(offset, Vec::new()));
        self.fetcher.assign(&place.topic, place.partition, offset);
        self.fetcher.set_paused(&place.topic, place.partition, self.is_paused);
    }

    pub(super) fn on_fetched(&mut self, fetched: Result<Fetched, FetchError>) {
        let fetched = match fetched {
            Ok(fetched) => fetched,
            Err(error) => return self.on_fetch_failed(error),
        };
        let place = Place { topic: fetched.topic.clone(), partition: fetched.partition };
        let Some(owned) = self.partitions.get_mut(&place).filter(|owned| owned.phase == Phase::Reading) else {
            return;
        };
        let work = owned.work(fetched, &self.credits, self.spec.consume.read_committed);
        // A lane that has ended by a fault has said so; the partition then stays where it is.
        let _ = self.lanes[owned.lane].send(work);
        self.pause();
    }

    fn on_fetch_failed(&mut self, error: FetchError) {
        let (topic, partition) = match &error {
            FetchError::OutOfRange { topic, partition, .. }
            | FetchError::Truncated { topic, partition, .. }
            | FetchError::Refused { topic, partition, .. }
            | FetchError::NotABatch { topic, partition, .. } => (topic.clone(), *partition),
        };
        let place = Place { topic, partition };
        let kind = match &error {
            FetchError::OutOfRange { .. } => return self.locate_anew(&place),
            FetchError::Truncated { .. } if self.is_of_another_topic(&place) => return self.locate_anew(&place),
            FetchError::Truncated { intact_to, .. } => {
                let offset = *intact_to;
                self.ledger.faults.add("logs that were cut back", 1);
                error!(source = %self.name, error = %chain(&error), "records that were passed on are gone from the topic");
                return self.go_on_at(&place, offset);
            }
            FetchError::Refused { .. } => "refused fetches",
            FetchError::NotABatch { .. } => "batches that cannot be decoded",
        };
        self.begin_failing(&place, Failure { kind, reason: format!("{}, fetching again", chain(&error)) });
    }

    /// Whether the topic of a partition is another one of the same name by now, as far as anyone has heard.
    pub(super) fn is_of_another_topic(&self, place: &Place) -> bool {
        let topic = topic_id(&self.cluster, &place.topic);
        self.partitions.get(place).is_some_and(|owned| owned.topic != 0 && topic != 0 && owned.topic != topic)
    }

    /// Looks where to go on in a partition whose position is of no use.
    pub(super) fn locate_anew(&mut self, place: &Place) {
        let Some(owned) = self.partitions.get_mut(place) else { return };
        if !matches!(owned.phase, Phase::Reading | Phase::Locating) {
            return;
        }
        owned.phase = Phase::Locating;
        self.fetcher.unassign(&place.topic, place.partition);
        let sought = Sought { place: place.clone(), epoch: owned.epoch, gate: Arc::downgrade(&owned.gate) };
        self.locate(vec![sought], None);
    }

    fn on_report(&mut self, report: Report) {
        let Report { place, epoch, outcome } = report;
        let Some(owned) = self.partitions.get_mut(&place).filter(|owned| owned.epoch == epoch) else {
            return;
        };
        match outcome {
            Outcome::Sent(open) => owned.report(Some(open)),
            Outcome::Dropped => owned.report(None),
            Outcome::Failed(failure) => {
                owned.report(None);
                self.begin_failing(&place, failure);
            }
        }
    }

    /// Stops a partition; what was sent before the failure settles first, so that it is not sent twice.
    fn begin_failing(&mut self, place: &Place, failure: Failure) {
        self.fetcher.unassign(&place.topic, place.partition);
        if let Some(owned) = self.partitions.get_mut(place) {
            owned.begin_failing(failure);
        }
    }

    /// Lets partitions rest whose work before a failure is settled.
    pub(super) fn finish_failing(&mut self) {
        let failed = self.partitions.values_mut().filter_map(|owned| Some((owned.place.clone(), owned.has_failed()?)));
        for (place, failure) in failed.collect::<Vec<_>>() {
            self.fail(&place, failure.kind, &failure.reason);
        }
    }

    /// Lets a partition rest after a failure; nothing of it is skipped.
    pub(super) fn fail(&mut self, place: &Place, kind: &str, reason: &str) {
        let Some(owned) = self.partitions.get_mut(place) else { return };
        let partition = name(place);
        if matches!(owned.phase, Phase::Closing { .. }) {
            // The next owner reads it again.
            return owned.abandon();
        }
        let offset = owned.settled.unwrap_or_default();
        self.ledger.faults.add(kind, 1);
        error!(source = %self.name, %partition, offset, reason, "a partition rests");
        let trouble = format!("{partition} rests at offset {offset}: {reason}");
        self.ledger.set_trouble(&partition, Some(trouble));
        self.watch.rests(place.clone(), offset);
        self.fetcher.unassign(&place.topic, place.partition);
        owned.rest(Instant::now());
    }

    fn on_revoke(&mut self, places: Vec<Place>) {
        info!(source = %self.name, partitions = %list(&places), "giving up");
        for place in &places {
            self.fetcher.unassign(&place.topic, place.partition);
            if let Some(owned) = self.partitions.get_mut(place) {
                owned.close();
            }
        }
        self.revoking = Some(Revoking { places, until: Instant::now() + self.spec.consume.revoke_wait() });
    }

    /// Commits and confirms what was to be given up, once nothing of it is on its way or its time is over.
    pub(super) fn finish_revoking(&mut self) {
        let Some(Revoking { places, until }) = &self.revoking else { return };
        let is_drained = |place: &Place| self.partitions.get(place).is_none_or(Owned::is_drained);
        let undrained = places.iter().filter(|place| !is_drained(place)).count();
        if undrained > 0 && Instant::now() < *until {
            return;
        }
        if undrained > 0 {
            warn!(source = %self.name, partitions = undrained,
                "receipts did not come in time for a rebalance; the next owner reads their events again");
        }
        let commits = self.commits(|place| places.contains(place));
        if !commits.is_empty() {
            self.ask(Ask::Commit { commits, lost: self.lost });
        }
        self.ask(Ask::Revoked);
        let places = self.revoking.take().map(|revoking| revoking.places).unwrap_or_default();
        places.iter().for_each(|place| self.forget(place));
    }

    fn on_lost(&mut self, places: &[Place]) {
        warn!(source = %self.name, partitions = %list(places),
            "lost to the group: what is on its way will be read again by somebody");
        for place in places {
            self.fetcher.unassign(&place.topic, place.partition);
            if let Some(owned) = self.partitions.get(place) {
                owned.gate.close();
            }
            self.forget(place);
        }
        self.ledger.faults.add("partitions lost to the group", places.len() as u64);
        // A commit that was asked for before is left out.
        self.lost += 1;
        self.is_committing = false;
        if let Some(revoking) = &mut self.revoking {
            revoking.places.retain(|place| !places.contains(place));
        }
        if self.revoking.as_ref().is_some_and(|revoking| revoking.places.is_empty()) {
            self.revoking = None;
        }
    }

    fn forget(&mut self, place: &Place) {
        self.partitions.remove(place);
        self.ledger.set_trouble(&name(place), None);
        self.watch.forget(place);
    }

    fn on_group_failed(&mut self, error: ClusterError, again_in: Option<Duration>) {
        self.ledger.faults.add("refusals by the group", 1);
        let group = &self.spec.consume.consumer_group;
        let Some(pause) = again_in else {
            let message = format!("consumer group {group} refuses this member for good");
            self.fault = Some(SourceError::new(message, error));
            return;
        };
        error!(source = %self.name, group, error = %chain(&error), again_in = ?pause, "the group refuses this member");
        let trouble = format!("consumer group {group} refuses this member, trying on: {}", chain(&error));
        self.ledger.set_trouble("group", Some(trouble));
    }
}

/// `topic-3`, as Kafka's own tools write it.
pub(super) fn name(place: &Place) -> String {
    format!("{}-{}", place.topic, place.partition)
}

fn list(places: &[Place]) -> String {
    places.iter().map(name).collect::<Vec<_>>().join(", ")
}
