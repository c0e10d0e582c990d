//! The durable log: what the `file` channel stands on.
//!
//! A log is a directory of segments, each a sequence of Kafka record batches (`format.rs` has the layout). Batches
//! are appended at the end by one writer thread, which syncs for all appenders at once; reader groups read them in order
//! and release what they are done with; segments that every group has released are deleted. It is bytes and positions
//! only: **not** a queue with transactions, **not** replicated, and it knows nothing of events, pipelines or async.
//!
//! ```text
//!   append --> queue --> writer: write | write | write | fdatasync --> receipts, readers see it
//!                          |
//!   <dir>/segments/  00000000000000000000.log [ header | batch | batch ]          sealed: cut to its data
//!                    00000000000000004711.log [ header | batch | batch | 000... ] active: allocated in full
//!   <dir>/groups/<name>.pos   two slots: position of a group          <dir>/meta   two slots: id, epoch, clean end
//!   <dir>/quarantine/         copies of damaged segments              <dir>/lock   flock; holds the process id
//!   <dir>/reserve             space to give up when the disk is full
//! ```
//!
//! # What never happens
//! - A receipt before the sync that covers it (unless [`Durability::Interval`] was asked for).
//! - A reader seeing what is not durable.
//! - A second `fdatasync` on a descriptor on which one failed.
//! - A deleted segment whose release is not durable; an offset that is given out twice.
//! - "Empty" concluded from a missing file; an end concluded from damage in the middle.
//! - A log that does not open because its content is damaged, or that skips damage without telling.
//! - A clock deciding about order or deletion. `std::fs` outside [`RealDisk`].
//!
//! # Crash here, and this happens
//!
//! | crash | what is found | what is done | test |
//! |---|---|---|---|
//! | while making a segment | no header, or a header and nothing else | it goes; a new one is made first | `power_loss_at_every_operation_group` |
//! | after a write, before its sync | part of the batches, possibly with holes | valid ones are kept, holes told as never acknowledged, a torn tail cut off; no receipt was given | `power_loss_at_every_operation_group` |
//! | of the process only | everything, but in the page cache | written again and synced before it counts as durable | `recovered_data_is_made_durable_before_it_is_shown` |
//! | after a failed sync, while its batches go to a new segment | the old segment's tail, and a new one that starts before it | the new one's base ends the old one | `failed_sync_moves_on_to_a_new_segment` |
//! | while a position is written | one torn slot | the other slot: the group repeats at most what it released since | `power_loss_at_every_operation_group` |
//! | between position and deletion, or amid deletions | released segments, some missing | they go; what is missing below all positions is no loss | `random_crashes` |
//! | while recovering from any of these | any of these | the same again | `power_loss_at_every_operation_of_recovery` |
//! | in mode interval, before the timer | less than was acknowledged | as documented for that mode | `interval_loses_what_it_says` |
//!
//! | fault | reaction | test |
//! |---|---|---|
//! | write or sync fails | the segment ends at its last good sync, unacknowledged batches go to a new one (in the fallback directory if there is one); if that fails too, read-only | `one_io_error_anywhere`, `a_disk_that_keeps_failing_makes_the_log_read_only` |
//! | disk full | appends are refused, what was queued waits, positions are still written, goes on by itself when there is room for a segment | `full_disk_heals_by_itself`, `full_disk_at_any_operation` |
//! | damaged bytes, zeros, cut or swapped or missing segments | everything undamaged is delivered, exactly the rest is reported, the segment is kept in quarantine | `single_bit_flips`, `zeroed_ranges_and_truncations`, `swapped_segments`, `missing_segments` |
//! | a file of a newer format version | [`OpenError::Version`], and nothing is changed | `a_newer_version_is_refused_and_left_alone` |
//! | a batch in the wrong place | refused, though its CRC is right | `misdirected_write` |
//! | meta or position file gone or damaged | id and epoch from the segments; the group repeats from the oldest record | `meta_missing_or_damaged`, `position_missing_or_damaged` |
//! | a sector that cannot be read | its batches are damage like any other; if nothing can be read, [`ReadError::Io`] and the reader stays | `io_errors_from_anywhere_on` |
//!
//! That each sync is needed, and that the tests would notice a missing one, is shown by `every_sync_is_needed`.

mod clock;
mod core;
mod disk;
mod errors;
mod format;
mod group;
mod log;
mod options;
mod reader;
mod report;
mod scan;
mod shared;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod slots;
mod survey;
#[cfg(test)]
mod tests;
pub mod tools;
mod writer;

pub use clock::{Clock, SystemClock};
pub use disk::{Access, Disk, DiskFile, DiskLock, Entry, Locked, RealDisk, SyncSite};
pub use errors::{AppendError, AppendFailure, CloseError, Completion, GroupError, OpenError, ReadError};
pub use group::Group;
pub use log::Log;
pub use options::{Durability, LogOptions};
pub use reader::{ReadChunk, Reader, StoredBatch};

pub use report::{DamagedBytes, GroupStatus, Health, LogStatus, LostRange, OpenReport, ReadOnlyReason};
