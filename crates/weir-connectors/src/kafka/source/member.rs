//! The task that holds the membership: commits and confirmations in order, and joining again after a refusal.
//!
//! Apart from the driver, so that a coordinator that does not answer holds up commits only, not reading.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use weir_kafka::{Cluster, ClusterError, Commit, GroupEvent, GroupMember, GroupOptions};

use super::work::Event;

/// FENCED_INSTANCE_ID: another member has taken the instance name. Joining again would only take it back, and so on.
const FENCED_INSTANCE: i16 = 82;
/// Pauses before joining again after the coordinator refused for a reason that stays until somebody mends it.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// What the driver wants.
pub(super) enum Ask {
    /// Commits, if the driver has heard of every loss: `lost` so far. What it has of before is others'.
    Commit {
        commits: Vec<Commit>,
        lost: u64,
    },
    Revoked,
    Topics(Vec<String>),
    Leave(oneshot::Sender<()>),
}

/// A task that keeps a membership.
pub(super) struct Keeping {
    pub(super) cluster: Cluster,
    pub(super) options: GroupOptions,
    pub(super) asks: mpsc::UnboundedReceiver<Ask>,
    pub(super) events: mpsc::UnboundedSender<Event>,
    /// Times that partitions were lost.
    pub(super) lost: u64,
}

/// How a membership ended.
enum End {
    /// The driver has left or is gone.
    Done,
    Failed(ClusterError),
}

impl Keeping {
    /// Runs until the driver leaves.
    pub(super) async fn run(mut self) {
        let mut pause = PAUSE_MIN;
        loop {
            let End::Failed(error) = self.membership(&mut pause).await else { return };
            let is_fenced = matches!(&error, ClusterError::Refused { code, .. } if code.code() == FENCED_INSTANCE);
            let again_in = (!is_fenced).then_some(pause);
            self.tell(Event::GroupFailed { error, again_in });
            if is_fenced || !self.wait(pause).await {
                return;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn membership(&mut self, pause: &mut Duration) -> End {
        let mut member = GroupMember::join(&self.cluster, self.options.clone());
        loop {
            tokio::select! {
                ask = self.asks.recv() => match ask {
                    None => return End::Done,
                    Some(Ask::Leave(done)) => {
                        member.leave().await;
                        // The driver waits no longer than it may.
                        let _ = done.send(());
                        return End::Done;
                    }
                    // The driver hears of the loss and asks again for what it has then.
                    Some(Ask::Commit { lost, .. }) if lost != self.lost => {}
                    Some(Ask::Commit { commits, .. }) => {
                        let result = member.commit(&commits).await;
                        self.tell(Event::Committed { commits, result });
                    }
                    Some(Ask::Revoked) => member.revoked().await,
                    Some(Ask::Topics(topics)) => {
                        self.options.topics.clone_from(&topics);
                        member.set_topics(topics).await;
                    }
                },
                event = member.next() => match event {
                    Some(GroupEvent::Failed(error)) => return End::Failed(error),
                    Some(event) => {
                        *pause = PAUSE_MIN;
                        self.lost += u64::from(matches!(event, GroupEvent::Lost(_)));
                        self.tell(Event::Group(event));
                    }
                    // Only after a failure, which ended this already.
                    None => return End::Done,
                },
            }
        }
    }

    /// Waits for the pause; false if the driver leaves meanwhile.
    async fn wait(&mut self, pause: Duration) -> bool {
        let until = tokio::time::Instant::now() + pause;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return true,
                ask = self.asks.recv() => match ask {
                    None => return false,
                    Some(Ask::Leave(done)) => {
                        let _ = done.send(());
                        return false;
                    }
                    Some(Ask::Topics(topics)) => self.options.topics = topics,
                    // Of a membership that is gone.
                    Some(Ask::Commit { .. } | Ask::Revoked) => {}
                },
            }
        }
    }

    fn tell(&self, event: Event) {
        // A driver that is gone needs no telling.
        let _ = self.events.send(event);
    }
}
