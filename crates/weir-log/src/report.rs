//! What the log tells about itself: plain values.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

/// Records that are gone: damaged on disk, or in a segment that is missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LostRange {
    /// Their offsets.
    pub offsets: Range<u64>,
    /// Whether they had been durable for certain. `false`: a hole in the last group of batches before a crash, as a power loss
    /// leaves it. Then no receipt had been given for them and the senders repeat them; or, far less likely, they were synced
    /// and damaged later. Nothing on the disk can tell.
    pub was_durable: bool,
}

/// A stretch of a segment that is not what was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DamagedBytes {
    /// The segment.
    pub path: PathBuf,
    /// The bytes, as positions in the file.
    pub bytes: Range<u64>,
    /// The records that were in them; empty if only the segment's own header was hit.
    pub offsets: Range<u64>,
}

/// What opening a log found and did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OpenReport {
    /// Id of the log.
    pub id: u64,
    /// Epoch of this opening. Not durable if the log opened read-only because writing failed; then nothing is written under it.
    pub epoch: u32,
    /// Oldest retained offset.
    pub start_offset: u64,
    /// One past the last record; the next append gets it.
    pub end_offset: u64,
    /// Segments found.
    pub segments: usize,
    /// Whether the log was closed in order before.
    pub was_closed: bool,
    /// Bytes read and checked: the last segment's.
    pub scanned_bytes: u64,
    /// Bytes of writes that a crash cut off. Normal after a crash; no receipt had been given for them.
    pub torn_bytes: u64,
    /// Damage found in the last segment, or in the header of any. Older segments are checked when they are read.
    pub damaged: Vec<DamagedBytes>,
    /// Records that are gone, as far as the last segment, positions and a clean close tell.
    pub lost: Vec<LostRange>,
    /// The meta file was missing or damaged; id and epoch come from the segments.
    pub meta_rebuilt: bool,
    /// Groups whose position file was damaged and which start again from an older position or the oldest retained offset: they repeat.
    pub positions_reset: Vec<String>,
    /// Files moved to `quarantine/`, which are no part of this log any more: of another log, or superseded and damaged.
    pub set_aside: Vec<PathBuf>,
}

/// Why a log does not take appends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReadOnlyReason {
    /// No space. What was queued waits; appends work again by themselves when there is space for a whole segment.
    DiskFull {
        /// What was tried, where, and the system's words.
        detail: String,
    },
    /// Writing failed, and so did writing to a new segment. Ends when the log is opened again.
    WriteFailed {
        /// What was tried, where, and the system's words.
        detail: String,
    },
}

impl std::fmt::Display for ReadOnlyReason {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DiskFull { detail } => write!(out, "the disk is full ({detail}); free space and it goes on"),
            Self::WriteFailed { detail } => write!(out, "writing failed ({detail}); repair the disk and open again"),
        }
    }
}

/// Whether a log takes appends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Health {
    /// It does.
    Healthy,
    /// It does not; readers go on.
    ReadOnly {
        /// Why.
        reason: ReadOnlyReason,
    },
}

/// A look at a log. Taken under one lock, so its values fit each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogStatus {
    /// Whether appends are taken.
    pub health: Health,
    /// Oldest retained offset.
    pub start_offset: u64,
    /// One past the last durable record.
    pub durable_end: u64,
    /// Offset the next append gets.
    pub next_offset: u64,
    /// Segments on disk.
    pub segments: usize,
    /// Bytes of batches in retained segments. Compare with the capacity.
    pub used_bytes: u64,
    /// The configured bound of `used_bytes`.
    pub capacity_bytes: u64,
    /// Bytes of batches in memory: queued, or written but not synced.
    pub queued_bytes: u64,
    /// Syncs of data since open.
    pub sync_count: u64,
    /// How long the last of them took.
    pub last_sync: Duration,
    /// How long all of them took together.
    pub sync_time: Duration,
    /// Segments given up after a failed write or sync since open.
    pub poisoned_segments: u64,
    /// Records that were acknowledged before their sync (mode interval) and then could not be written.
    pub dropped_unsynced_records: u64,
    /// Damaged or missing records met since open, each range once.
    pub lost: Vec<LostRange>,
    /// Bytes cut off the last segment at open.
    pub torn_bytes: u64,
    /// About when the oldest retained record arrived, seconds since 1970 UTC; `None` if nothing is retained.
    pub oldest_arrival_s: Option<u32>,
    /// The position files cannot be written: a crash now would repeat more, and space is not freed.
    pub positions_failing: Option<String>,
}

/// A look at a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupStatus {
    /// Its name.
    pub name: String,
    /// Everything below it was released.
    pub position: u64,
    /// The position on disk: where the group goes on after a crash.
    pub durable_position: u64,
    /// Records it still has to read or release.
    pub lag: u64,
}
