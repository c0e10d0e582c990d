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

/// How members and coordinator speak with each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum GroupProtocol {
    /// The consumer protocol where the broker has it (4.0 on) and lets this member in by it; else, and for static members,
    /// the classic one. Members of both kinds can be in one group as far as the broker's `group.consumer.migration.policy`
    /// goes; by default it does.
    #[default]
    Auto,
    /// Members join in rounds, and one of them divides. Brokers up to 4.x.
    Classic,
    /// The coordinator divides, and each member moves on by itself (KIP-848). Brokers from 4.0 on.
    Consumer,
}

impl GroupProtocol {
    /// A static member that was killed is let in again at once by the classic protocol only; by the other its name is taken
    /// until the session timeout is over.
    pub(super) const fn tries_consumer(self, options: &GroupOptions) -> bool {
        match self {
            Self::Auto => options.instance.is_none(),
            Self::Classic => false,
            Self::Consumer => true,
        }
    }
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
    /// Which protocol to join by.
    pub protocol: GroupProtocol,
    /// Silence after which the coordinator gives a member's partitions away. With the consumer protocol the broker has its
    /// own (`group.consumer.session.timeout.ms`, 45 s), and this is when the member gives up on the broker.
    pub session_timeout: Duration,
    /// How long members may take to give up partitions.
    pub rebalance_timeout: Duration,
    /// Pause between heartbeats; a third of the session timeout at most. With the consumer protocol, the broker's own where
    /// that is shorter.
    pub heartbeat_interval: Duration,
    /// How partitions are divided. All members need the same. With the consumer protocol the coordinator's assignor of the
    /// same kind, `uniform` or `range`.
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
            protocol: GroupProtocol::default(),
            session_timeout: Duration::from_secs(45),
            rebalance_timeout: Duration::from_secs(60),
            heartbeat_interval: Duration::from_secs(3),
            assignor: Assignor::default(),
        }
    }
}
