//! [`Keeper`]: the task that keeps a membership.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::consumer::{Consumer, Outcome};
use super::coordinator::{Coordinator, Membership};
use super::{GroupEvent, GroupOptions, GroupProtocol, Place};
use crate::{Cluster, ClusterError, ErrorClass, ErrorCode};

/// What the owner of the membership wants.
pub(super) enum Command {
    Revoked,
    Topics(Vec<String>),
    Leave(oneshot::Sender<()>),
}

/// Why the keeper stops.
pub(super) enum Stop {
    /// The owner is gone.
    Dropped,
    Leave(oneshot::Sender<()>),
    Failed(ClusterError),
}

/// What both protocols share; `classic.rs` and `consumer.rs` have the rest.
pub(super) struct Keeper {
    pub(super) cluster: Cluster,
    pub(super) options: Arc<GroupOptions>,
    pub(super) coordinator: Coordinator,
    /// Who this member is, for commits by its owner.
    shared: Arc<Mutex<Membership>>,
    pub(super) membership: Membership,
    pub(super) topics: Vec<String>,
    pub(super) owned: BTreeSet<Place>,
    /// Of the topics, as this leader divided them; `None` if another leads, or nobody does.
    pub(super) divided: Option<BTreeMap<String, i32>>,
    /// Used while `membership` says so.
    pub(super) consumer: Consumer,
    /// When the last request was sent that the coordinator has answered: its clock began then or later.
    pub(super) last_contact: Instant,
    pub(super) failures: u32,
    /// Each with the losses before it.
    events: mpsc::Sender<(GroupEvent, u32)>,
}

impl Keeper {
    pub(super) fn new(
        cluster: Cluster,
        options: Arc<GroupOptions>,
        shared: Arc<Mutex<Membership>>,
        events: mpsc::Sender<(GroupEvent, u32)>,
    ) -> Self {
        Self {
            coordinator: Coordinator::new(cluster.clone(), options.clone()),
            cluster,
            shared,
            membership: Membership::none(),
            topics: options.topics.clone(),
            options,
            owned: BTreeSet::new(),
            divided: None,
            consumer: Consumer::default(),
            last_contact: Instant::now(),
            failures: 0,
            events,
        }
    }

    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        match self.keep(&mut commands).await {
            Stop::Dropped => {}
            Stop::Leave(done) => {
                self.leave().await;
                let _ = done.send(());
            }
            Stop::Failed(error) => {
                if self.options.instance.is_none() {
                    // Else the others wait a session timeout for it.
                    self.leave().await;
                }
                let _ = self.tell(GroupEvent::Failed(error)).await;
            }
        }
    }

    /// Says that this member is gone, or if it is static that it will be back. If the coordinator does not hear it, the
    /// session timeout says it.
    async fn leave(&self) {
        // Not behind a join that may be held back.
        self.coordinator.forget().await;
        let _ = match (self.membership.consumer, self.options.instance.is_some()) {
            _ if self.membership.id.is_empty() => Ok(()),
            (true, _) => self.leave_consumers().await,
            (false, false) => self.coordinator.leave(&self.membership).await,
            (false, true) => Ok(()),
        };
    }

    async fn keep(&mut self, commands: &mut mpsc::Receiver<Command>) -> Stop {
        if self.options.protocol.tries_consumer(&self.options) {
            match self.keep_consumer(commands).await {
                Outcome::Stop(stop) => return stop,
                Outcome::Unsupported(error) if self.options.protocol == GroupProtocol::Consumer => {
                    return Stop::Failed(error);
                }
                Outcome::Unsupported(error) => tracing::info!(
                    group = self.options.group,
                    reason = &error as &dyn std::error::Error,
                    "joining by the classic protocol: the newer one cannot be had here"
                ),
            }
            self.set_membership(Membership { losses: self.membership.losses, ..Membership::none() });
        }
        self.keep_classic(commands).await
    }

    /// Has the owner give up `places`, and stays in the group meanwhile.
    pub(super) async fn revoke(
        &mut self,
        places: BTreeSet<Place>,
        commands: &mut mpsc::Receiver<Command>,
    ) -> Result<(), Stop> {
        self.tell(GroupEvent::Revoke(places.iter().cloned().collect())).await?;
        let deadline = Instant::now() + self.options.rebalance_timeout;
        let mut beats = tokio::time::interval(self.options.heartbeat_interval);
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    None => return Err(Stop::Dropped),
                    Some(Command::Revoked) => break,
                    Some(Command::Topics(topics)) => self.topics = topics,
                    Some(Command::Leave(done)) => return Err(Stop::Leave(done)),
                },
                _ = beats.tick() => {
                    if self.membership.consumer {
                        self.beat_meanwhile().await?;
                    } else {
                        self.beat_while_revoking().await?;
                    }
                    if self.owned.is_disjoint(&places) {
                        // Lost, and told so.
                        return Ok(());
                    }
                }
                () = tokio::time::sleep_until(deadline) => {
                    self.owned = self.owned.difference(&places).cloned().collect();
                    return self.tell(GroupEvent::Lost(places.into_iter().collect())).await;
                }
            }
        }
        self.owned = self.owned.difference(&places).cloned().collect();
        Ok(())
    }

    /// Waits for `asked` as long as this member may be sure of its partitions; `None` when it no longer is: the coordinator,
    /// which has heard nothing either, gives them to others.
    pub(super) async fn in_session<T>(&self, asked: impl Future<Output = T>) -> Option<T> {
        if self.owned.is_empty() {
            return Some(asked.await);
        }
        tokio::time::timeout_at(self.last_contact + self.options.session_timeout, asked).await.ok()
    }

    /// Partitions were given to others: nothing that is in flight may be committed.
    pub(super) async fn lose(&mut self) -> Result<(), Stop> {
        self.set_membership(Membership { losses: self.membership.losses + 1, ..self.membership.clone() });
        let lost = std::mem::take(&mut self.owned);
        if lost.is_empty() { Ok(()) } else { self.tell(GroupEvent::Lost(lost.into_iter().collect())).await }
    }

    pub(super) async fn tell(&self, event: GroupEvent) -> Result<(), Stop> {
        self.events.send((event, self.membership.losses)).await.map_err(|_| Stop::Dropped)
    }

    pub(super) fn set_membership(&mut self, membership: Membership) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&membership);
        self.membership = membership;
    }
}

/// What the broker said, if it was the broker.
pub(super) fn code_of(error: &ClusterError) -> Option<ErrorCode> {
    match error {
        ClusterError::Refused { code, .. } => Some(*code),
        _ => None,
    }
}

/// Whether a membership ends by this: refused for good, or another member has this one's name.
pub(super) fn is_final(error: &ClusterError) -> bool {
    let named = [ErrorCode::FENCED_INSTANCE_ID, ErrorCode::UNRELEASED_INSTANCE_ID];
    error.class() == ErrorClass::RejectBatch || code_of(error).is_some_and(|code| named.contains(&code))
}

/// Takes commands while a request is under way that may be held back; completes when the owner wants to end.
pub(super) async fn wait_for_leave(
    commands: &mut mpsc::Receiver<Command>,
    other_topics: &mut Option<Vec<String>>,
) -> Stop {
    loop {
        match commands.recv().await {
            None => return Stop::Dropped,
            Some(Command::Leave(done)) => return Stop::Leave(done),
            Some(Command::Topics(topics)) => *other_topics = Some(topics),
            Some(Command::Revoked) => {}
        }
    }
}
