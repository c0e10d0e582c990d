//! [`GroupMember`]: what callers hold.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::coordinator::{Coordinator, Membership};
use super::keeper::{Command, Keeper};
use super::{Commit, Committed, GroupOptions, Place};
use crate::{Cluster, ClusterError};

/// Commands and events that wait; each is the consequence of something that takes a round trip.
const QUEUE_MAX: usize = 16;
/// Counted of a partition that was lost: no number of losses comes to it.
const LOST: u32 = u32::MAX;

/// What a member has to do.
#[derive(Debug)]
pub enum GroupEvent {
    /// These partitions are this member's now: read on from their committed offsets.
    Assigned(Vec<Place>),
    /// Give these up: stop reading, finish or drop what is in flight, commit, then call [`GroupMember::revoked`].
    Revoke(Vec<Place>),
    /// These are somebody else's already: stop reading, drop what is in flight; a commit would be refused.
    Lost(Vec<Place>),
    /// The membership ended, for a reason that stays (no permission, an instance name used twice, another assignor).
    Failed(ClusterError),
}

/// A membership in a consumer group. Dropping it ends the heartbeats without a word, so that the others wait for the
/// session timeout; [`GroupMember::leave`] does better.
pub struct GroupMember {
    commands: mpsc::Sender<Command>,
    events: mpsc::Receiver<(GroupEvent, u32)>,
    /// How often partitions had been lost when each of these was assigned, as far as the owner knows. A commit for it counts
    /// only while that is so: the keeper may have lost it and joined again, and the owner not have heard of it.
    stays: BTreeMap<Place, u32>,
    /// Apart from the keeper's, whose connection is held up while it joins.
    coordinator: Coordinator,
    membership: Arc<Mutex<Membership>>,
    keeper: JoinHandle<()>,
}

impl GroupMember {
    /// Starts joining, on the current tokio runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn join(cluster: &Cluster, options: GroupOptions) -> Self {
        let options = Arc::new(options);
        let (commands, inbox) = mpsc::channel(QUEUE_MAX);
        let (sender, events) = mpsc::channel(QUEUE_MAX);
        let membership = Arc::new(Mutex::new(Membership::none()));
        let keeper = Keeper::new(cluster.clone(), options.clone(), membership.clone(), sender);
        let keeper = tokio::spawn(keeper.run(inbox));
        let (coordinator, stays) = (Coordinator::new(cluster.clone(), options), BTreeMap::new());
        Self { commands, events, stays, coordinator, membership, keeper }
    }

    /// The next thing to do; waits for it. Cancellation safe. `None` after [`GroupEvent::Failed`].
    pub async fn next(&mut self) -> Option<GroupEvent> {
        let (event, losses) = self.events.recv().await?;
        let (places, losses) = match &event {
            GroupEvent::Assigned(places) => (&places[..], losses),
            GroupEvent::Lost(places) => (&places[..], LOST),
            GroupEvent::Revoke(_) | GroupEvent::Failed(_) => (&[][..], losses),
        };
        self.stays.extend(places.iter().map(|place| (place.clone(), losses)));
        Some(event)
    }

    /// Confirms the last [`GroupEvent::Revoke`].
    pub async fn revoked(&self) {
        // A keeper that has failed has said so in an event.
        let _ = self.commands.send(Command::Revoked).await;
    }

    /// Shares other topics from now on.
    pub async fn set_topics(&self, topics: Vec<String>) {
        let _ = self.commands.send(Command::Topics(topics)).await;
    }

    /// Commits offsets. Passing errors are retried for a request timeout.
    ///
    /// # Errors
    /// [`ClusterError`] of class `Fatal` if the membership is not valid now: during a rebalance the partitions may still
    /// be this member's, and events will tell. The same if any of the partitions was lost since [`GroupMember::next`] gave it
    /// out, whatever this member has been given since: others have gone on from where it was. Otherwise as the broker says.
    pub async fn commit(&self, commits: &[Commit]) -> Result<(), ClusterError> {
        let mut stays = commits.iter().filter_map(|commit| self.stays.get(&commit.place)).copied();
        let first = stays.next();
        // Of different stays one is over.
        let losses = if stays.all(|other| Some(other) == first) { first } else { Some(LOST) };
        self.coordinator.commit(&self.membership, losses, commits).await
    }

    /// The group's committed offsets of `places`.
    ///
    /// # Errors
    /// [`ClusterError`] after a request timeout of trying, or at once if retrying cannot help.
    pub async fn committed(&self, places: &[Place]) -> Result<Vec<Committed>, ClusterError> {
        self.coordinator.committed(&self.membership, places).await
    }

    /// Leaves the group, so that the others take over at once; a static member only stops, and keeps its partitions for
    /// the session timeout. What is to be committed must be before.
    pub async fn leave(mut self) {
        let (sender, left) = oneshot::channel();
        if self.commands.send(Command::Leave(sender)).await.is_ok() {
            // Events that nobody takes any more must not hold up the keeper.
            self.events.close();
            let _ = left.await;
        }
    }
}

impl Drop for GroupMember {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}
