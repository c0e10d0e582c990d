//! Consumer groups by the classic protocol: members share partitions, and offsets are kept by the cluster.
//!
//! ```text
//!   find coordinator --> join --> [leader: assign] --> sync --> heartbeats --> rebalance: join again ...
//!                         ^                             |
//!                         '---- partitions given up <---'   (cooperative: only those that move stop)
//! ```
//!
//! A task of its own keeps the membership: heartbeats go on however long the owner of the [`GroupMember`] works on what
//! it fetched, and only the answer to [`GroupEvent::Revoke`] is waited for, for a rebalance timeout at most.

mod assign;
mod coordinator;
mod keeper;
mod member;
mod offsets;
mod options;
mod protocol;

pub use member::{GroupEvent, GroupMember};
pub use offsets::{Commit, Committed};
pub use options::{Assignor, GroupOptions};
pub use protocol::Place;

#[cfg(test)]
mod tests;
