//! What goes between the driver, its helpers and the lanes.

use std::sync::Arc;
use std::time::Duration;

use weir_engine::receipt::Receipt;
use weir_kafka::{ClusterError, Commit, FetchedBatch, GroupEvent, Place};

use super::credit::Credit;
use super::gate::Gate;

/// Batches of a partition for the lane that owns it.
pub(super) struct Work {
    pub(super) place: Place,
    pub(super) gate: Arc<Gate>,
    pub(super) epoch: u64,
    /// Records below this offset are left out.
    pub(super) wanted: i64,
    /// None if only the position moves: markers, aborted records, records that retention took.
    pub(super) batches: Vec<(FetchedBatch, Credit)>,
    /// Where the partition goes on behind them.
    pub(super) next_offset: i64,
}

/// What came of a piece of work that a lane had begun.
pub(super) struct Report {
    pub(super) place: Place,
    pub(super) epoch: u64,
    pub(super) outcome: Outcome,
}

pub(super) enum Outcome {
    /// On its way into the channels.
    Sent(Open),
    /// It cannot be passed on now.
    Failed(Failure),
    /// Given up because the agent stops.
    Dropped,
}

/// A piece of work whose receipt is open.
pub(super) struct Open {
    /// The position of the partition once it is settled.
    pub(super) next_offset: i64,
    /// `None` if there is nothing to wait for.
    pub(super) receipt: Option<Receipt>,
    /// Dropped with it.
    pub(super) _credit: Option<Credit>,
}

/// Why a partition rests.
pub(super) struct Failure {
    /// What the ledger counts it under.
    pub(super) kind: &'static str,
    /// What happened, with its cause.
    pub(super) reason: String,
}

/// Where to go on in a partition.
pub(super) struct Located {
    pub(super) place: Place,
    pub(super) epoch: u64,
    pub(super) offset: i64,
    /// Whether the group has it as its committed offset.
    pub(super) is_committed: bool,
    /// Id of the topic; 0 where brokers have none.
    pub(super) topic: u128,
    /// What the group has committed instead, of an earlier topic of the same name.
    pub(super) void: Option<i64>,
}

/// Everything the driver is told.
pub(super) enum Event {
    Report(Report),
    /// Never [`GroupEvent::Failed`].
    Group(GroupEvent),
    /// The membership ended; it is tried again after the pause, or never.
    GroupFailed {
        error: ClusterError,
        again_in: Option<Duration>,
    },
    Committed {
        commits: Vec<Commit>,
        result: Result<(), ClusterError>,
    },
    Located(Vec<Located>),
    /// Positions could not be had, with the reason, or can be had again.
    LocatingFailed(Option<String>),
    /// The topics to read, and those of the list that do not exist.
    Topics {
        names: Vec<String>,
        missing: Vec<String>,
    },
    /// Topics could not be looked for.
    TopicsFailed(String),
    /// Ends of partitions that are not fetched now.
    Ends(Vec<(Place, i64)>),
}
