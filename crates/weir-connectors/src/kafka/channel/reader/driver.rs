//! [`Driver`]: the task that keeps a group's membership, fetches, and commits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, sleep_until, timeout};
use tracing::{debug, error, info, warn};
use weir_event::ChannelId;
use weir_kafka::{Cluster, ClusterError, Commit, ErrorClass, GroupEvent, GroupMember, GroupOptions, OffsetAt, Place};

use super::intake::{FAULT_PAUSE, Intake};
use super::shared::{Shared, State};
use super::starts::{Starts, Whereabouts};
use super::stay::{Start, Stay};
use crate::kafka::channel::health::Troubles;
use crate::kafka::consume::commit_text;

/// Pause before a membership that ended for good is begun anew: a person may have given the permission meanwhile.
const REJOIN_PAUSE: Duration = Duration::from_secs(10);

/// Ends the membership; the answer is what could not be done.
pub(super) struct Close(pub(super) oneshot::Sender<Result<(), String>>);

/// What a driver is made of.
pub(super) struct Driver {
    /// Name of the channel.
    pub(super) name: String,
    /// Of the channel; partitions make ids of it.
    pub(super) log: u64,
    pub(super) cluster: Cluster,
    pub(super) whereabouts: Whereabouts,
    /// Id of the topic that the partitions here are of.
    pub(super) topic_id: u128,
    /// Partitions that were begun anew because their positions were of an earlier topic, and where.
    pub(super) anew: BTreeMap<u32, u64>,
    pub(super) options: GroupOptions,
    pub(super) commit_interval: Duration,
    pub(super) revoke_wait: Duration,
    pub(super) shared: Arc<Shared>,
    pub(super) troubles: Arc<Troubles>,
    pub(super) member: GroupMember,
    pub(super) intake: Intake,
    pub(super) commands: mpsc::Receiver<Close>,
    /// Partitions that are this member's and wait for their positions.
    pub(super) pending: BTreeSet<u32>,
    pub(super) rejoin_at: Option<Instant>,
    /// Told to end while something else was waited for.
    pub(super) closing: Option<Close>,
}

impl Driver {
    /// Runs until told to end, or until nobody can tell it any more.
    pub(super) async fn run(mut self) {
        let mut tick = tokio::time::interval(self.commit_interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shared = self.shared.clone();
        while self.closing.is_none() {
            tokio::select! {
                event = self.member.next(), if self.rejoin_at.is_none() => match event {
                    Some(event) => self.handle(event).await,
                    None => self.rejoin_at = Some(Instant::now() + REJOIN_PAUSE),
                },
                () = self.intake.step() => {}
                // Room or something to fetch anew: both are looked at when fetching goes on.
                () = shared.driver.notified() => self.intake.wake_rested(),
                _ = tick.tick() => self.tick().await,
                close = self.commands.recv() => match close {
                    Some(close) => self.closing = Some(close),
                    None => return,
                },
            }
            if !self.intake.astray.is_empty() {
                self.find_again().await;
            }
        }
        self.close().await;
    }

    async fn handle(&mut self, event: GroupEvent) {
        match event {
            GroupEvent::Assigned(places) => {
                self.pending.extend(partitions(&places));
                self.begin().await;
            }
            GroupEvent::Revoke(places) => self.give_up(partitions(&places).collect()).await,
            GroupEvent::Lost(places) => {
                let lost: Vec<u32> = partitions(&places).collect();
                warn!(channel = %self.name, group = %self.options.group, partitions = ?lost, "partitions were given to others; what is out of them is delivered again there");
                self.forget(&lost);
            }
            GroupEvent::Failed(failure) => {
                let text = weir_engine::chain(&failure);
                error!(channel = %self.name, group = %self.options.group, error = %text, "membership ended; trying again");
                self.troubles.set(&self.about(), format!("group {} cannot be joined: {text}", self.options.group));
                let all: Vec<u32> = self.shared.with(|state| state.stays.keys().copied().collect());
                self.forget(&all);
                self.pending.clear();
                self.rejoin_at = Some(Instant::now() + REJOIN_PAUSE);
            }
        }
    }

    async fn tick(&mut self) {
        if self.rejoin_at.is_some_and(|at| at <= Instant::now()) {
            self.rejoin_at = None;
            self.member = GroupMember::join(&self.cluster, self.options.clone());
        }
        self.follow_topic();
        if !self.pending.is_empty() {
            self.begin().await;
        }
        self.intake.wake_rested();
        let commits = self.shared.with(|state| self.commits(&state.stays.keys().copied().collect::<Vec<_>>(), state));
        self.commit(commits).await;
    }

    /// Finds the positions of new partitions and reads on there. What does not work now is tried with the next tick.
    async fn begin(&mut self) {
        let wanted: Vec<u32> = self.pending.iter().copied().collect();
        let found = self.intake.beside(timeout(self.patience(), self.whereabouts.starts(&self.cluster, &wanted))).await;
        let about = format!("{} positions", self.about());
        let Starts { topic, starts, void } = match found {
            Ok(Ok(starts)) => starts,
            Ok(Err(error)) => {
                let text = format!("positions of group {}: {}", self.options.group, weir_engine::chain(&error));
                self.troubles.set(&about, text);
                return;
            }
            Err(_) => {
                let text = format!("positions of group {} cannot be read: brokers do not answer", self.options.group);
                self.troubles.set(&about, text);
                return;
            }
        };
        self.troubles.clear(&about);
        self.troubles.clear(&self.about());
        if topic != self.topic_id && self.follow_topic() {
            // All of them begin anew, with the next tick.
            return;
        }
        self.tell_void(&void, &starts);
        for (partition, start) in starts {
            let channel = ChannelId { log: self.log, partition };
            self.shared.with(|state| {
                state.know(channel, start);
                state.begin(partition, start);
            });
            self.intake.assign(partition);
        }
        self.pending.clear();
        debug!(channel = %self.name, group = %self.options.group, partitions = ?wanted, "partitions are here");
    }

    /// Lets lanes finish what is out of `partitions`, for half the time there is; then commits and lets go.
    async fn give_up(&mut self, partitions: Vec<u32>) {
        let deadline = Instant::now() + self.revoke_wait;
        self.pending.retain(|partition| !partitions.contains(partition));
        partitions.iter().for_each(|partition| self.intake.unassign(*partition));
        self.shared.with(|state| {
            for partition in &partitions {
                let Some(stay) = state.stays.get_mut(partition) else { continue };
                stay.is_leaving = true;
                state.buffered_bytes -= stay.drop_buffer();
            }
        });
        let shared = self.shared.clone();
        while shared.with(|state| state.leaving().next().is_some()) && self.closing.is_none() {
            shared.lanes.notify_waiters();
            tokio::select! {
                () = shared.driver.notified() => {}
                () = self.intake.step() => {}
                () = sleep_until(deadline) => break,
                close = self.commands.recv() => self.closing = close,
            }
        }
        let (commits, left) = shared.with(|state| {
            let commits = self.commits(&partitions, state);
            let ended = partitions.iter().filter_map(|partition| state.end(*partition));
            (commits, ended.filter(Stay::is_anything_out).count())
        });
        shared.lanes.notify_waiters();
        if left > 0 {
            info!(channel = %self.name, group = %self.options.group, partitions = left, "partitions go with deliveries unanswered; their next owner repeats them");
        }
        self.commit(commits).await;
        self.member.revoked().await;
    }

    /// Lets go of partitions that are somebody else's.
    fn forget(&mut self, partitions: &[u32]) {
        for partition in partitions {
            self.pending.remove(partition);
            self.intake.unassign(*partition);
            self.shared.with(|state| state.end(*partition));
        }
        self.shared.lanes.notify_waiters();
    }

    /// What is to be committed of `partitions`.
    fn commits(&self, partitions: &[u32], state: &State) -> Vec<Commit> {
        let stays = partitions.iter().filter_map(|partition| Some((partition, state.stays.get(partition)?)));
        let commit = |(partition, stay): (&u32, &Stay)| {
            let offset = i64::try_from(stay.uncommitted()?).ok()?;
            let metadata = commit_text(&format!("weir channel {}", self.name), self.topic_id);
            Some(Commit { place: self.whereabouts.place(*partition), offset, metadata: Some(metadata) })
        };
        stays.filter_map(commit).collect()
    }

    /// Commits. What does not work now is tried with the next tick, if the partitions are still here.
    async fn commit(&mut self, commits: Vec<Commit>) {
        if commits.is_empty() {
            return;
        }
        let outcome = self.intake.beside(timeout(self.patience(), self.member.commit(&commits))).await;
        let about = format!("{} commits", self.about());
        let text = match outcome {
            Ok(Ok(())) => {
                self.troubles.clear(&about);
                let has_moved = |commit: &Commit| {
                    let anew = self.anew.get(&commit.place.partition.cast_unsigned());
                    anew.is_some_and(|begun| u64::try_from(commit.offset).is_ok_and(|offset| offset > *begun))
                };
                if commits.iter().any(has_moved) {
                    self.anew.clear();
                    self.troubles.clear(&self.about_topic());
                }
                self.shared.with(|state| {
                    for commit in &commits {
                        if let Some(stay) = state.stays.get_mut(&commit.place.partition.cast_unsigned()) {
                            stay.committed = u64::try_from(commit.offset).ok();
                        }
                    }
                });
                return;
            }
            // A rebalance is under way: what comes of it is told by events.
            Ok(Err(error)) if error.class() == ErrorClass::Fatal => {
                debug!(channel = %self.name, error = %weir_engine::chain(&error), "positions were not committed");
                return;
            }
            Ok(Err(error)) => weir_engine::chain(&error),
            Err(_) => "brokers do not answer".to_owned(),
        };
        let text = format!("positions of group {} cannot be committed: {text}", self.options.group);
        if self.troubles.set(&about, text.clone()) {
            warn!(channel = %self.name, "{text}; trying on");
        }
    }

    /// Goes on in partitions whose position the topic does not have.
    async fn find_again(&mut self) {
        // It may be another topic by now. Brokers that do not say so are asked again soon.
        let (cluster, topic) = (self.cluster.clone(), self.whereabouts.topic.clone());
        let patience = self.patience();
        if let Ok(Err(error)) = self.intake.beside(timeout(patience, cluster.refresh(&[&topic]))).await {
            debug!(channel = %self.name, error = %weir_engine::chain(&error), "whether the topic is still the same is not known");
        }
        if self.follow_topic() {
            self.intake.astray.clear();
            return self.begin().await;
        }
        for (partition, intact_to) in std::mem::take(&mut self.intake.astray) {
            match intact_to {
                Some(intact_to) => self.cut_back(partition, intact_to),
                None => self.go_on_inside(partition).await,
            }
            self.shared.lanes.notify_waiters();
        }
    }

    /// Begins all partitions anew if the topic is another one of the same name: positions in the old one mean nothing in it.
    fn follow_topic(&mut self) -> bool {
        let topic = self.whereabouts.topic_id(&self.cluster);
        if topic == 0 || topic == self.topic_id {
            return false;
        }
        self.topic_id = topic;
        let here: Vec<u32> = self.shared.with(|state| state.stays.keys().copied().collect());
        warn!(channel = %self.name, group = %self.options.group, topic = %self.whereabouts.topic, partitions = ?here, "the topic was deleted and made anew");
        self.forget(&here);
        self.pending.extend(here);
        true
    }

    /// Says that positions of an earlier topic were left aside.
    fn tell_void(&mut self, void: &[(u32, u64)], starts: &[(u32, Start)]) {
        if void.is_empty() {
            return;
        }
        let (group, topic) = (&self.options.group, &self.whereabouts.topic);
        let text = format!(
            "topic {topic} was deleted and made anew: positions of group {group} in {} partitions were of the earlier one; \
             the group began where `start` says",
            void.len()
        );
        warn!(channel = %self.name, positions = ?void, "{text}");
        let begun = starts.iter().filter(|(partition, _)| void.iter().any(|(other, _)| other == partition));
        self.anew = begun.map(|(partition, start)| (*partition, start.offset)).collect();
        self.troubles.set(&self.about_topic(), text);
    }

    /// What retention took is counted as lost, and reading goes on behind it.
    async fn go_on_inside(&mut self, partition: u32) {
        let at = self.shared.with(|state| state.stays.get(&partition).map(|stay| stay.fetched));
        let (first, end) = match self.intake.beside(self.whereabouts.bounds(&self.cluster, partition)).await {
            Ok(bounds) => bounds,
            Err(error) => {
                debug!(channel = %self.name, partition, error = %weir_engine::chain(&error), "where a partition begins is not known");
                let until = Some(std::time::Instant::now() + FAULT_PAUSE);
                self.shared.with(|state| {
                    state.stays.get_mut(&partition).into_iter().for_each(|stay| stay.rests_until = until);
                });
                return;
            }
        };
        let Some(at) = at else { return };
        if at > end {
            return self.cut_back(partition, end);
        }
        if at < first {
            let (group, topic) = (&self.options.group, &self.whereabouts.topic);
            error!(channel = %self.name, %group, %topic, partition, first = at, end = first, "events were deleted from the topic before they were delivered; raise its retention");
            self.shared.with(|state| {
                state.stays.get_mut(&partition).into_iter().for_each(|stay| stay.push_gone(first));
            });
        }
        self.intake.assign(partition);
    }

    /// Goes on where a log is intact.
    fn cut_back(&mut self, partition: u32, intact_to: u64) {
        let (group, topic) = (&self.options.group, &self.whereabouts.topic);
        error!(channel = %self.name, %group, %topic, partition, intact_to, "the topic lost events that were read (an unclean election); going on where it is intact");
        self.shared.with(|state| state.cut_back(partition, intact_to));
        self.intake.assign(partition);
    }

    /// Commits what is released and leaves, so that others take over at once.
    async fn close(self) {
        let commits = self.shared.with(|state| self.commits(&state.stays.keys().copied().collect::<Vec<_>>(), state));
        let outcome = match timeout(self.patience(), self.member.commit(&commits)).await {
            _ if commits.is_empty() => Ok(()),
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(weir_engine::chain(&error)),
            Err(_) => Err("brokers do not answer".to_owned()),
        };
        self.member.leave().await;
        let group = &self.options.group;
        let outcome = outcome.map_err(|text| format!("positions of group {group} were not committed: {text}"));
        if let Some(Close(done)) = self.closing {
            // Whoever asked may have waited long enough.
            let _ = done.send(outcome);
        }
    }

    /// How long one request may hold up what the group has to be told.
    fn patience(&self) -> Duration {
        self.options.rebalance_timeout / 4
    }

    /// What is said of a topic that was made anew is filed under.
    fn about_topic(&self) -> String {
        format!("{} topic", self.about())
    }

    /// What troubles of the group are filed under.
    fn about(&self) -> String {
        format!("group {}", self.options.group)
    }
}

fn partitions(places: &[Place]) -> impl Iterator<Item = u32> {
    places.iter().map(|place| place.partition.cast_unsigned())
}

impl Whereabouts {
    /// The first offset of a partition and the one behind its last.
    async fn bounds(&self, cluster: &Cluster, partition: u32) -> Result<(u64, u64), ClusterError> {
        let first = self.offsets(cluster, &[partition], OffsetAt::Earliest).await?;
        let end = self.offsets(cluster, &[partition], OffsetAt::Latest).await?;
        let of = |found: std::collections::HashMap<u32, u64>| found.get(&partition).copied().unwrap_or_default();
        Ok((of(first), of(end)))
    }
}
