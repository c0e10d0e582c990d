//! The state machine that writes: one batch after the other, on one thread, with nothing of its own going on in between.
//!
//! [`Core::turn`] takes what is queued, writes it, syncs it when that is due, completes receipts, persists positions
//! and deletes segments. It has no thread, so tests step it through crashes and faults; [`crate::writer`] is the loop
//! around it.
//!
//! | file | what |
//! |---|---|
//! | `machine.rs` | the state, a turn, closing |
//! | `commit.rs` | write, sync, complete; what a failed write or sync leads to |
//! | `segment.rs` | making and sealing segments |
//! | `positions.rs` | persisting positions, deleting released segments, setting damaged ones aside |
//! | `claim.rs` | before opening: the version, the directories, the lock |
//! | `recover.rs` | opening |

mod claim;
mod commit;
mod machine;
mod positions;
mod recover;
mod segment;

pub(crate) use machine::Core;
pub(crate) use recover::open;
