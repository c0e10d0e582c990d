//! Consumer groups: members share partitions, and offsets are kept by the cluster. By the classic protocol:
//!
//! ```text
//!   find coordinator --> join --> [leader: assign] --> sync --> heartbeats --> rebalance: join again ...
//!                         ^                             |
//!                         '---- partitions given up <---'   (cooperative: only those that move stop)
//! ```
//!
//! By the consumer protocol (KIP-848) there are only heartbeats: each says what the member has, and the answer what it
//! should have.
//!
//! A task of its own keeps the membership: heartbeats go on however long the owner of the [`GroupMember`] works on what
//! it fetched, and only the answer to [`GroupEvent::Revoke`] is waited for, for a rebalance timeout at most.

mod assign;
mod classic;
mod consumer;
mod coordinator;
mod keeper;
mod member;
mod offsets;
mod options;
mod protocol;

pub use member::{GroupEvent, GroupMember};
pub use offsets::{Commit, Committed};
pub use options::{Assignor, GroupOptions, GroupProtocol};
pub use protocol::Place;

#[cfg(test)]
mod consumer_tests;
#[cfg(test)]
mod tests;
