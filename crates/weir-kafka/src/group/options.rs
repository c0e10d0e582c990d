//! [`GroupOptions`].

use std::time::Duration;

/// How the leader of a group divides partitions, and whether those that stay go on during a rebalance.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Assignor {
    /// Evenly, moving as few as possible; only partitions that move stop. The protocol name, messages and rules of
    /// Kafka's `CooperativeStickyAssignor`.
    #[default]
    CooperativeSticky,
    /// Contiguous ranges of each topic; everything stops for a rebalance. Kafka's `RangeAssignor`.
    Range,
}

/// Which group, and how to be a member of it.
#[derive(Clone, Debug)]
pub struct GroupOptions {
    /// Name of the group.
    pub group: String,
    /// Topics to share.
    pub topics: Vec<String>,
    /// A name that outlives restarts (static membership): partitions are kept for it for the session timeout. Two members
    /// must not use the same.
    pub instance: Option<String>,
    /// Silence after which the coordinator gives a member's partitions away.
    pub session_timeout: Duration,
    /// How long members may take to give up partitions.
    pub rebalance_timeout: Duration,
    /// Pause between heartbeats; a third of the session timeout at most.
    pub heartbeat_interval: Duration,
    /// How partitions are divided. All members need the same.
    pub assignor: Assignor,
}

impl GroupOptions {
    /// The defaults, for `group` and `topics`.
    #[must_use]
    pub fn new<T: Into<String>>(group: impl Into<String>, topics: impl IntoIterator<Item = T>) -> Self {
        Self {
            group: group.into(),
            topics: topics.into_iter().map(Into::into).collect(),
            instance: None,
            session_timeout: Duration::from_secs(45),
            rebalance_timeout: Duration::from_secs(60),
            heartbeat_interval: Duration::from_secs(3),
            assignor: Assignor::default(),
        }
    }
}
