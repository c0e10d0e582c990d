//! The consumer protocol (KIP-848): the coordinator divides; heartbeats say what a member has, answers what it should.
//!
//! ```text
//!   heartbeat (epoch 0: join) --> assignment --> give up what is gone --> heartbeat: what is left --> new epoch,
//!      ^                                                                                               what is new
//!      '---- fenced: everything lost, epoch 0 <----'
//! ```
//!
//! The coordinator gives a partition to nobody before its last owner has said that it gave it up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use super::coordinator::Membership;
use super::keeper::{Command, Keeper, Stop, code_of, is_final, wait_for_leave};
use super::{Assignor, GroupEvent, Place};
use crate::{ClusterError, ConnectionError, ErrorClass, ErrorCode};

/// Epochs that join, that leave, and that leave for a while (static members).
const JOIN: i32 = 0;
const LEAVE: i32 = -1;
const LEAVE_STATIC: i32 = -2;
/// Session timeouts for which a static member waits until its name is free: one, and another for the broker's may be
/// longer.
const INSTANCE_PATIENCE: u32 = 2;

/// What a membership by this protocol consists of besides the rest of the keeper.
#[derive(Default)]
pub(super) struct Consumer {
    /// What this member is to have, by topic id, and has not been brought about yet.
    target: Option<Vec<(u128, Vec<i32>)>>,
    /// Ids of the topics it has partitions of. A topic deleted and made anew has another.
    ids: BTreeMap<Arc<str>, u128>,
    /// What the coordinator knows to be the topics and partitions of this member; `None` if it has to be told everything.
    told: Option<(Vec<String>, BTreeSet<Place>)>,
    /// Between heartbeats, as the coordinator wants it.
    interval: Option<Duration>,
}

/// How keeping such a membership ends.
pub(super) enum Outcome {
    Stop(Stop),
    /// Before it began: the broker has no such protocol, or not for this group.
    Unsupported(ClusterError),
}

impl From<Stop> for Outcome {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl Keeper {
    pub(super) async fn keep_consumer(&mut self, commands: &mut mpsc::Receiver<Command>) -> Outcome {
        let id = URL_SAFE_NO_PAD.encode(fastrand::u128(..).to_be_bytes());
        self.set_membership(Membership { id, generation: JOIN, consumer: true, ..self.membership.clone() });
        loop {
            if let Err(outcome) = self.beat_consumer(commands).await {
                return outcome;
            }
            if let Err(stop) = self.reconcile(commands).await {
                return stop.into();
            }
            if let Err(stop) = self.wait_for_beat(commands).await {
                return stop.into();
            }
        }
    }

    /// Leaves; a static member says that it will be back.
    pub(super) async fn leave_consumers(&self) -> Result<(), ClusterError> {
        let epoch = if self.options.instance.is_some() { LEAVE_STATIC } else { LEAVE };
        let request = self.request().with_member_epoch(epoch);
        self.coordinator.consumer_heartbeat(request).await.map(drop)
    }

    /// A heartbeat that says nothing new.
    fn request(&self) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest::default()
            .with_member_id(StrBytes::from_string(self.membership.id.clone()))
            .with_member_epoch(self.membership.generation)
    }

    /// The next heartbeat: what changed since the last, or everything.
    fn heartbeat(&self) -> ConsumerGroupHeartbeatRequest {
        let names = || self.topics.iter().map(|topic| TopicName(StrBytes::from_string(topic.clone()))).collect();
        let mut request = self.request();
        match &self.consumer.told {
            None => {
                let timeout = i32::try_from(self.options.rebalance_timeout.as_millis()).unwrap_or(i32::MAX);
                request = request
                    .with_rebalance_timeout_ms(timeout)
                    .with_subscribed_topic_names(Some(names()))
                    .with_server_assignor(Some(StrBytes::from_static_str(match self.options.assignor {
                        Assignor::CooperativeSticky => "uniform",
                        Assignor::Range => "range",
                    })))
                    .with_topic_partitions(Some(self.owned_by_id()));
            }
            Some((topics, owned)) => {
                if *topics != self.topics {
                    request = request.with_subscribed_topic_names(Some(names()));
                }
                if *owned != self.owned {
                    request = request.with_topic_partitions(Some(self.owned_by_id()));
                }
            }
        }
        request
    }

    fn owned_by_id(&self) -> Vec<TopicPartitions> {
        let ids = self.consumer.ids.iter().map(|(topic, id)| {
            let owned = self.owned.iter().filter(|place| place.topic == *topic).map(|place| place.partition);
            TopicPartitions::default().with_topic_id(Uuid::from_u128(*id)).with_partitions(owned.collect())
        });
        ids.filter(|topic| !topic.partitions.is_empty()).collect()
    }

    async fn beat_consumer(&mut self, commands: &mut mpsc::Receiver<Command>) -> Result<(), Outcome> {
        let mut other_topics = None;
        let told = (self.topics.clone(), self.owned.clone());
        let sent = Instant::now();
        // The owner may want to leave while the coordinator is silent.
        let answer = tokio::select! {
            answer = self.in_session(self.coordinator.consumer_heartbeat(self.heartbeat())) => answer,
            stop = wait_for_leave(commands, &mut other_topics) => return Err(stop.into()),
        };
        let outcome = match answer {
            Some(Ok(answer)) => {
                self.heard(answer, told, sent);
                Ok(())
            }
            Some(Err(error)) => self.recover_consumer(error).await,
            None => self.cut_off().await.map_err(Outcome::from),
        };
        if let Some(topics) = other_topics {
            self.topics = topics;
        }
        outcome
    }

    /// A heartbeat while the owner gives up partitions. Whatever has to be told waits until it has.
    pub(super) async fn beat_meanwhile(&mut self) -> Result<(), Stop> {
        let (told, sent) = (self.consumer.told.clone(), Instant::now());
        match (self.in_session(self.coordinator.consumer_heartbeat(self.request())).await, told) {
            (None, _) => self.cut_off().await?,
            (Some(Ok(answer)), Some(told)) => self.heard(answer, told, sent),
            (Some(Ok(answer)), None) => {
                self.heard(answer, (Vec::new(), BTreeSet::new()), sent);
                self.consumer.told = None;
            }
            (Some(Err(error)), _) if is_fenced(&error) => self.fenced().await?,
            // The next heartbeat deals with it.
            (Some(Err(_)), _) => self.consumer.told = None,
        }
        Ok(())
    }

    fn heard(&mut self, answer: ConsumerGroupHeartbeatResponse, told: (Vec<String>, BTreeSet<Place>), sent: Instant) {
        self.failures = 0;
        self.last_contact = sent;
        self.consumer.told = Some(told);
        let interval = u64::try_from(answer.heartbeat_interval_ms).ok().filter(|interval| *interval > 0);
        self.consumer.interval = interval.map(Duration::from_millis);
        if let Some(assignment) = answer.assignment {
            let topics = assignment.topic_partitions.into_iter();
            self.consumer.target = Some(topics.map(|part| (part.topic_id.as_u128(), part.partitions)).collect());
        }
        if answer.member_epoch != self.membership.generation {
            self.set_membership(Membership { generation: answer.member_epoch, ..self.membership.clone() });
        }
    }

    /// Brings about what the coordinator wants: first what is to be given up, then what is new.
    async fn reconcile(&mut self, commands: &mut mpsc::Receiver<Command>) -> Result<(), Stop> {
        while let Some(target) = self.consumer.target.take() {
            let wanted = self.resolve(&target).await;
            let held = &self.consumer.ids;
            let stays = |place: &&Place| wanted.get(*place).is_some_and(|id| held.get(&place.topic) == Some(id));
            let gone: BTreeSet<Place> = self.owned.iter().filter(|place| !stays(place)).cloned().collect();
            if !gone.is_empty() {
                let losses = self.membership.losses;
                self.revoke(gone, commands).await?;
                // While the owner took its time, another target may have come, or the membership ended.
                if self.consumer.target.is_some() || self.membership.losses != losses {
                    continue;
                }
            }
            let new: BTreeMap<Place, u128> =
                wanted.into_iter().filter(|(place, _)| !self.owned.contains(place)).collect();
            if !new.is_empty() {
                self.consumer.ids.extend(new.iter().map(|(place, id)| (place.topic.clone(), *id)));
                self.owned.extend(new.keys().cloned());
                self.tell(GroupEvent::Assigned(new.into_keys().collect())).await?;
            }
            if target.iter().any(|(id, _)| self.name_of(*id).is_none()) {
                // Metadata is behind: the rest comes with the next heartbeat.
                self.consumer.target = Some(target);
                break;
            }
        }
        Ok(())
    }

    fn name_of(&self, id: u128) -> Option<Arc<str>> {
        let held = self.consumer.ids.iter().find(|(_, held)| **held == id).map(|(topic, _)| topic.clone());
        held.or_else(|| self.cluster.topic_name(id))
    }

    /// The partitions of `target` whose topics are known, with the ids of these.
    async fn resolve(&self, target: &[(u128, Vec<i32>)]) -> BTreeMap<Place, u128> {
        if target.iter().any(|(id, _)| self.name_of(*id).is_none()) {
            let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
            if let Err(error) = self.cluster.refresh(&topics).await {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "no names for the topics assigned; trying on"
                );
            }
        }
        let mut places = BTreeMap::new();
        for (id, partitions) in target {
            let Some(topic) = self.name_of(*id) else { continue };
            places.extend(
                partitions.iter().map(|partition| (Place { topic: topic.clone(), partition: *partition }, *id)),
            );
        }
        places
    }

    /// Waits until there is something to say, or it is time to say that there is nothing.
    async fn wait_for_beat(&mut self, commands: &mut mpsc::Receiver<Command>) -> Result<(), Stop> {
        let known = |told: &(Vec<String>, BTreeSet<Place>)| told.0 == self.topics && told.1 == self.owned;
        if !self.consumer.told.as_ref().is_some_and(known) {
            return Ok(());
        }
        let ours = self.options.heartbeat_interval;
        let pause = self.consumer.interval.map_or(ours, |theirs| theirs.min(ours));
        let deadline = Instant::now() + pause;
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    None => return Err(Stop::Dropped),
                    Some(Command::Leave(done)) => return Err(Stop::Leave(done)),
                    // Late, after the deadline.
                    Some(Command::Revoked) => {}
                    Some(Command::Topics(topics)) => {
                        self.topics = topics;
                        return Ok(());
                    }
                },
                () = tokio::time::sleep_until(deadline) => return Ok(()),
            }
        }
    }

    /// What to do after a failed heartbeat.
    async fn recover_consumer(&mut self, error: ClusterError) -> Result<(), Outcome> {
        let joining = self.membership.generation == JOIN;
        if joining && is_unsupported(&error) {
            return Err(Outcome::Unsupported(error));
        }
        self.failures += 1;
        // The answer may have been lost behind the deed.
        self.consumer.told = None;
        let silence = self.last_contact.elapsed();
        let taken = code_of(&error) == Some(ErrorCode::UNRELEASED_INSTANCE_ID)
            && silence < self.options.session_timeout * INSTANCE_PATIENCE;
        if !taken && is_final(&error) {
            self.lose().await?;
            return Err(Stop::Failed(error).into());
        }
        let fenced = is_fenced(&error) || error.class() == ErrorClass::Fatal && !taken;
        if fenced || silence > self.options.session_timeout && !self.owned.is_empty() {
            self.fenced().await?;
        }
        if self.failures == 1 {
            tracing::warn!(
                group = self.options.group,
                error = &error as &dyn std::error::Error,
                "a heartbeat failed; trying on"
            );
        }
        if error.class() == ErrorClass::RefreshMetadata {
            self.coordinator.forget().await;
        }
        tokio::time::sleep(self.cluster.options().pause(self.failures)).await;
        Ok(())
    }

    /// The coordinator has been silent for a session timeout: others may have what this member had.
    async fn cut_off(&mut self) -> Result<(), Stop> {
        self.failures += 1;
        let (group, silent_for) = (&self.options.group, self.last_contact.elapsed());
        tracing::warn!(group, ?silent_for, "the group's coordinator is silent; giving up the partitions and trying on");
        self.coordinator.forget().await;
        self.fenced().await
    }

    /// Everything is lost; join again under the same id.
    async fn fenced(&mut self) -> Result<(), Stop> {
        self.lose().await?;
        self.consumer = Consumer::default();
        self.set_membership(Membership { generation: JOIN, ..self.membership.clone() });
        Ok(())
    }
}

/// Whether the coordinator has given this member's partitions away, or never knew it.
fn is_fenced(error: &ClusterError) -> bool {
    matches!(
        code_of(error),
        Some(ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_MEMBER_EPOCH | ErrorCode::GROUP_ID_NOT_FOUND)
    )
}

/// Whether the classic protocol may do better: the broker has no other, or the group's members are such that it cannot be
/// changed over.
fn is_unsupported(error: &ClusterError) -> bool {
    match error {
        ClusterError::Connection(ConnectionError::Unsupported { .. }) => true,
        error => matches!(
            code_of(error),
            Some(
                ErrorCode::UNSUPPORTED_VERSION
                    | ErrorCode::GROUP_ID_NOT_FOUND
                    | ErrorCode::INCONSISTENT_PROTOCOL
                    | ErrorCode::UNSUPPORTED_ASSIGNOR
            )
        ),
    }
}
