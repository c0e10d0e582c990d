//! The classic protocol: members join in rounds, and one of them divides.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::JoinGroupResponse;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::assign::{Members, assign};
use super::coordinator::{Coordinator, Membership};
use super::keeper::{Command, Keeper, Stop, code_of, is_final, wait_for_leave};
use super::protocol::{Subscription, decode_assignment, encode_assignment};
use super::{Assignor, GroupEvent, Place};
use crate::{Cluster, ClusterError, ErrorClass, ErrorCode};

/// What came of a rebalance or a heartbeat.
enum Next {
    /// Stay.
    Stay,
    /// Join again.
    Join,
}

impl Keeper {
    pub(super) async fn keep_classic(&mut self, commands: &mut mpsc::Receiver<Command>) -> Stop {
        let mut next = Next::Join;
        loop {
            let step = match next {
                Next::Join => self.rebalance(commands).await,
                Next::Stay => self.beat(commands).await,
            };
            next = match step {
                Ok(next) => next,
                Err(stop) => return stop,
            };
        }
    }

    /// Joins, divides if this member leads, and takes over the result.
    async fn rebalance(&mut self, commands: &mut mpsc::Receiver<Command>) -> Result<Next, Stop> {
        if self.options.assignor == Assignor::Range && !self.owned.is_empty() {
            let all = self.owned.clone();
            self.revoke(all, commands).await?;
        }
        let mut id = self.membership.id.clone();
        let mut other_topics = None;
        let subscription = Subscription {
            topics: self.topics.clone(),
            owned: self.owned.clone(),
            generation: self.membership.generation,
        };
        // The owner may want to leave while the others take their time to join.
        let joining = join(&self.cluster, &self.coordinator, &mut id, subscription);
        let joined = tokio::select! {
            joined = self.while_joining(joining) => Ok(joined),
            stop = wait_for_leave(commands, &mut other_topics) => Err(stop),
        };
        self.set_membership(Membership { id, ..self.membership.clone() });
        let (joined, last_contact) = joined?;
        self.last_contact = last_contact;
        let next = match joined {
            None => {
                self.lose().await?;
                self.coordinator.forget().await;
                Next::Join
            }
            Some(Err(error)) => self.recover(error).await?,
            Some(Ok(Joined { membership, divided, assigned })) => {
                self.failures = 0;
                self.last_contact = Instant::now();
                self.set_membership(Membership { losses: self.membership.losses, ..membership });
                self.divided = divided;
                self.take_over(assigned, commands).await?
            }
        };
        let Some(topics) = other_topics else { return Ok(next) };
        self.topics = topics;
        Ok(Next::Join)
    }

    /// Waits for a join as long as this member may be sure of its partitions, which it keeps meanwhile; `None` when it no
    /// longer is. Others may take longer to join than a session lasts, so heartbeats go on beside; with it, when the last of
    /// them was sent that was answered.
    async fn while_joining<T>(&self, joining: impl Future<Output = T>) -> (Option<T>, Instant) {
        let mut contact = self.last_contact;
        if self.owned.is_empty() {
            return (Some(joining.await), contact);
        }
        tokio::pin!(joining);
        // Over a connection of its own: brokers answer one request of a connection after the other.
        let beside = Coordinator::new(self.cluster.clone(), self.options.clone());
        loop {
            let beat = async {
                tokio::time::sleep(self.options.heartbeat_interval).await;
                let sent = Instant::now();
                (sent, beside.heartbeat(&self.membership).await)
            };
            tokio::select! {
                joined = &mut joining => return (Some(joined), contact),
                () = tokio::time::sleep_until(contact + self.options.session_timeout) => return (None, contact),
                (sent, heard) = beat => match heard.map_err(|error| code_of(&error)) {
                    // The round has ended, and its answer is on the way.
                    Ok(()) | Err(Some(ErrorCode::REBALANCE_IN_PROGRESS | ErrorCode::ILLEGAL_GENERATION)) => contact = sent,
                    Err(Some(ErrorCode::UNKNOWN_MEMBER_ID)) => return (None, contact),
                    Err(_) => beside.forget().await,
                },
            }
        }
    }

    /// A heartbeat while the owner gives up partitions.
    pub(super) async fn beat_while_revoking(&mut self) -> Result<(), Stop> {
        let sent = Instant::now();
        match self.in_session(self.coordinator.heartbeat(&self.membership)).await {
            Some(Ok(())) => self.last_contact = sent,
            // Dealt with when this member joins again, which is next.
            Some(Err(error)) if code_of(&error) == Some(ErrorCode::REBALANCE_IN_PROGRESS) => self.last_contact = sent,
            Some(Err(error)) if error.class() != ErrorClass::Fatal => self.coordinator.forget().await,
            // Others have all of it by now.
            Some(Err(_)) => self.lose().await?,
            None => {
                self.lose().await?;
                self.coordinator.forget().await;
            }
        }
        Ok(())
    }

    async fn take_over(
        &mut self,
        assigned: BTreeSet<Place>,
        commands: &mut mpsc::Receiver<Command>,
    ) -> Result<Next, Stop> {
        let gone: BTreeSet<Place> = self.owned.difference(&assigned).cloned().collect();
        let new: Vec<Place> = assigned.difference(&self.owned).cloned().collect();
        let moved = !gone.is_empty();
        if moved {
            let losses = self.membership.losses;
            self.revoke(gone, commands).await?;
            if self.membership.losses != losses {
                return Ok(Next::Join);
            }
        }
        if !new.is_empty() {
            self.owned.extend(new.iter().cloned());
            self.tell(GroupEvent::Assigned(new)).await?;
        }
        // What was given up now can be given to others only in another round.
        Ok(if moved { Next::Join } else { Next::Stay })
    }

    /// Waits for a heartbeat's time or a command, and acts.
    async fn beat(&mut self, commands: &mut mpsc::Receiver<Command>) -> Result<Next, Stop> {
        tokio::select! {
            command = commands.recv() => match command {
                None => Err(Stop::Dropped),
                Some(Command::Leave(done)) => Err(Stop::Leave(done)),
                // Late, after the deadline.
                Some(Command::Revoked) => Ok(Next::Stay),
                Some(Command::Topics(topics)) => {
                    self.topics = topics;
                    Ok(Next::Join)
                }
            },
            () = tokio::time::sleep(self.options.heartbeat_interval) => {
                let sent = Instant::now();
                match self.in_session(self.coordinator.heartbeat(&self.membership)).await {
                    None => {
                        self.lose().await?;
                        self.coordinator.forget().await;
                        Ok(Next::Join)
                    }
                    Some(Err(error)) => self.recover(error).await,
                    Some(Ok(())) => {
                        self.failures = 0;
                        self.last_contact = sent;
                        Ok(if self.topics_have_grown() { Next::Join } else { Next::Stay })
                    }
                }
            }
        }
    }

    /// Whether the topics this leader divided have other numbers of partitions by now, as far as anyone has heard.
    fn topics_have_grown(&self) -> bool {
        let count = |topic: &str| self.cluster.cached_topic(topic).map(|topic| topic.partitions.len() as i32);
        let grown = |(topic, divided): (&String, &i32)| count(topic).is_some_and(|count| count != *divided);
        self.divided.as_ref().is_some_and(|divided| divided.iter().any(grown))
    }

    /// What to do after a failed request.
    async fn recover(&mut self, error: ClusterError) -> Result<Next, Stop> {
        let code = code_of(&error);
        if code == Some(ErrorCode::REBALANCE_IN_PROGRESS) {
            return Ok(Next::Join);
        }
        if is_final(&error) {
            self.lose().await?;
            return Err(Stop::Failed(error));
        }
        if error.class() == ErrorClass::Fatal {
            self.lose().await?;
            // A member that the coordinator knows must not come by another id: the others would wait for the first.
            let known = code != Some(ErrorCode::UNKNOWN_MEMBER_ID);
            let id = if known { self.membership.id.clone() } else { String::new() };
            self.set_membership(Membership { id, generation: -1, ..self.membership.clone() });
            self.failures += 1;
            if self.failures > 1 {
                tokio::time::sleep(self.cluster.options().pause(self.failures)).await;
            }
            return Ok(Next::Join);
        }
        self.failures += 1;
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "the group's coordinator does not answer as it should"
        );
        if self.last_contact.elapsed() > self.options.session_timeout {
            self.lose().await?;
        }
        self.coordinator.forget().await;
        tokio::time::sleep(self.cluster.options().pause(self.failures)).await;
        // With partitions to lose, first see whether the membership still holds.
        Ok(if self.owned.is_empty() { Next::Join } else { Next::Stay })
    }
}

/// Joins, divides if this member leads, and waits for what it gets. `id` is kept up to date even if that fails.
async fn join(
    cluster: &Cluster,
    coordinator: &Coordinator,
    id: &mut String,
    subscription: Subscription,
) -> Result<Joined, ClusterError> {
    let joined = coordinator.join(id, subscription.encode()).await?;
    let membership = Membership { id: id.clone(), generation: joined.generation_id, ..Membership::none() };
    let (mut divided, mut assignments) = (None, Vec::new());
    if joined.leader == joined.member_id && !joined.skip_assignment {
        let members = members(&joined);
        let counts = partition_counts(cluster, &members).await?;
        let shares = assign(coordinator.options.assignor, &members, &counts);
        assignments = shares.iter().map(|(member, places)| (member.clone(), encode_assignment(places))).collect();
        divided = Some(counts);
    }
    let assignment = coordinator.sync(&membership, assignments).await?;
    let malformed = || ClusterError::Refused {
        what: "reading this member's assignment".to_owned(),
        code: ErrorCode::INCONSISTENT_PROTOCOL,
        detail: None,
    };
    let assigned = decode_assignment(assignment).ok_or_else(malformed)?;
    Ok(Joined { membership, divided, assigned })
}

/// A finished round.
struct Joined {
    membership: Membership,
    divided: Option<BTreeMap<String, i32>>,
    assigned: BTreeSet<Place>,
}

/// What the members told the coordinator; one that cannot be read wants nothing.
fn members(joined: &JoinGroupResponse) -> Members {
    let member = |member: &kafka_protocol::messages::join_group_response::JoinGroupResponseMember| {
        let subscription = Subscription::decode(member.metadata.clone()).unwrap_or_default();
        (member.member_id.to_string(), subscription)
    };
    joined.members.iter().map(member).collect()
}

/// How many partitions the topics have that anyone wants. One that does not exist has none.
async fn partition_counts(cluster: &Cluster, members: &Members) -> Result<BTreeMap<String, i32>, ClusterError> {
    let wanted: BTreeSet<&str> = members.values().flat_map(|member| &member.topics).map(String::as_str).collect();
    let names: Vec<&str> = wanted.into_iter().collect();
    cluster.refresh(&names).await?;
    let count = |name: &str| cluster.cached_topic(name).map(|topic| topic.partitions.len() as i32);
    Ok(names.into_iter().filter_map(|name| count(name).map(|count| (name.to_owned(), count))).collect())
}
