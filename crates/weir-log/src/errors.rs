//! Errors, one enum per operation.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use weir_codec::record_batch::EncodedBatch;

use crate::report::ReadOnlyReason;

/// What runs when the fate of an appended batch is known. On the writer thread: it must not block, and must not close
/// the log. If the log goes away without knowing, it runs with [`AppendFailure::Closed`].
pub type Completion = Box<dyn FnOnce(Result<(), AppendFailure>) + Send>;

/// Why a batch that was taken is not durable. It may be on disk all the same, and then is read: unknown, not absent.
#[derive(Clone, Debug, Error)]
pub enum AppendFailure {
    /// The disk failed, and a new segment did too.
    #[error("the log went read-only before the batch was durable: {reason}")]
    ReadOnly {
        /// Why.
        reason: ReadOnlyReason,
    },
    /// The log was closed or dropped before.
    #[error("the log was closed before the batch was durable")]
    Closed,
}

/// Why a batch was not taken. The batch and its completion come back in every case; nothing was written.
#[derive(Error)]
pub enum AppendError {
    /// Back-pressure, not a fault. [`crate::Log::wait_for_room`] tells when it is over.
    #[error(
        "the log is full ({used_bytes} of {capacity_bytes} bytes retained, {queued_bytes} queued); its groups must catch up"
    )]
    Full {
        /// The batch.
        batch: EncodedBatch,
        /// Its completion, not run.
        done: Completion,
        /// Bytes of retained batches on disk.
        used_bytes: u64,
        /// Bytes of batches in memory.
        queued_bytes: u64,
        /// The configured bound.
        capacity_bytes: u64,
    },
    /// The disk is full or failed.
    #[error("the log is read-only: {reason}")]
    ReadOnly {
        /// The batch.
        batch: EncodedBatch,
        /// Its completion, not run.
        done: Completion,
        /// Why, and how it ends.
        reason: ReadOnlyReason,
    },
    /// Larger than the log takes.
    #[error("a batch of {bytes} bytes, the log takes {bytes_max}; split it or raise batch_bytes_max")]
    TooLarge {
        /// The batch.
        batch: EncodedBatch,
        /// Its completion, not run.
        done: Completion,
        /// Its size.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// Not a batch of events: no records, a control batch, or offsets that are not 0, 1, 2...
    #[error("not a batch a log can number ({why})")]
    Unfit {
        /// The batch.
        batch: EncodedBatch,
        /// Its completion, not run.
        done: Completion,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The log is closed.
    #[error("the log is closed")]
    Closed {
        /// The batch.
        batch: EncodedBatch,
        /// Its completion, not run.
        done: Completion,
    },
}

impl AppendError {
    /// The batch and its completion, for another try.
    #[must_use]
    pub fn into_parts(self) -> (EncodedBatch, Completion) {
        match self {
            Self::Full { batch, done, .. }
            | Self::ReadOnly { batch, done, .. }
            | Self::TooLarge { batch, done, .. }
            | Self::Unfit { batch, done, .. }
            | Self::Closed { batch, done } => (batch, done),
        }
    }
}

impl std::fmt::Debug for AppendError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "AppendError({self})")
    }
}

/// Why a log cannot be opened. Damage never is a reason: it is reported, and the log opens.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process, or another handle of this one, has it.
    #[error("the log {} is in use by process {holder}; stop it first", dir.display())]
    Locked {
        /// Directory of the log.
        dir: PathBuf,
        /// Process id of the owner, as its lock file says.
        holder: String,
    },
    /// A whole file says that a newer Weir wrote it. Nothing in the directory was changed.
    #[error(
        "{} is of format version {found}, this weir reads up to {known}: written by a newer Weir; run that version, or move the folder away",
        path.display()
    )]
    Version {
        /// The first such file that was found.
        path: PathBuf,
        /// The version in it.
        found: u16,
        /// The newest version this code reads.
        known: u16,
    },
    /// Settings that contradict each other.
    #[error("options of the log {}: {detail}", dir.display())]
    Options {
        /// Directory of the log.
        dir: PathBuf,
        /// What is wrong with which.
        detail: String,
    },
    /// The file system refused something that opening cannot do without.
    #[error("{action} {}; check the disk and its permissions", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// The refusal.
        #[source]
        source: io::Error,
    },
    /// The writer thread could not be started.
    #[error("start the writer thread of the log {}", dir.display())]
    Thread {
        /// Directory of the log.
        dir: PathBuf,
        /// The refusal.
        #[source]
        source: io::Error,
    },
}

impl OpenError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// Why a file that is there cannot be taken into account: what opening and the tools have in common.
#[derive(Debug)]
pub(crate) enum Refusal {
    Io { action: &'static str, path: PathBuf, source: io::Error },
    Version { path: PathBuf, found: u16, known: u16 },
}

impl Refusal {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

impl From<Refusal> for OpenError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Io { action, path, source } => Self::Io { action, path, source },
            Refusal::Version { path, found, known } => Self::Version { path, found, known },
        }
    }
}

/// Why a read returned nothing. Damage is no error: see [`crate::ReadChunk::lost`].
#[derive(Debug, Error)]
pub enum ReadError {
    /// The device does not answer. The reader stays where it is: try again, or seek past the segment to give it up.
    #[error("read {} at byte {at} (offsets {} to {})", path.display(), offsets.start, offsets.end)]
    Io {
        /// The segment.
        path: PathBuf,
        /// Where in it.
        at: u64,
        /// What is left of it, from the reader on.
        offsets: Range<u64>,
        /// The refusal.
        #[source]
        source: io::Error,
    },
}

/// Why a group was not opened or dropped.
#[derive(Debug, Error)]
pub enum GroupError {
    /// The name cannot be a file name.
    #[error("group name {name:?}: use 1 to 100 letters, digits, '-', '_' or '.', not starting with '.'")]
    Name {
        /// As given.
        name: String,
    },
    /// There is no such group.
    #[error("there is no group {name:?}")]
    Unknown {
        /// As given.
        name: String,
    },
    /// Its position could not be made durable.
    #[error("keep the position of group {name:?} in {}", path.display())]
    Io {
        /// The group.
        name: String,
        /// Its position file.
        path: PathBuf,
        /// The refusal.
        #[source]
        source: io::Error,
    },
}

/// Why closing did not make everything durable. Receipts of what is missing have failed.
#[derive(Clone, Debug, Error)]
pub enum CloseError {
    /// Batches could not be written.
    #[error("{batches} batches could not be written before closing: {reason}")]
    Unwritten {
        /// How many.
        batches: usize,
        /// Why.
        reason: ReadOnlyReason,
    },
    /// Positions could not be written; the groups repeat what they released since.
    #[error("the positions of groups could not be written before closing, they will repeat records: {detail}")]
    Positions {
        /// The system's words.
        detail: String,
    },
    /// Called from a completion or wake function, on the thread that would do the work.
    #[error("close was called on the writer thread of the log itself")]
    OnWriterThread,
    /// The writer thread panicked earlier.
    #[error("the writer thread of the log died earlier: a fault of the program")]
    WriterDied,
}

/// A shared outcome of closing.
pub(crate) type Closed = Arc<Result<(), CloseError>>;
