//! Channels: where events wait between sources and sinks.
//!
//! A channel is append / read / release of positions; there is no transaction. `memory` and `file` live here; a channel
//! on another engine (Kafka) implements the same two traits in its connector folder.
//!
//! | crash here | memory | file |
//! |---|---|---|
//! | before `append` returned | the source still owns the batch | the same |
//! | after `append`, before the receipt | lost | lost: never acknowledged (durability `interval`: receipt comes first) |
//! | after the receipt, before delivery | lost | read again after restart |
//! | after delivery, before `release` is durable | lost | delivered again (a sink that names its output by positions drops it) |
//!
//! Tests: `channel/memory.rs`, `channel/file/tests.rs`, `conformance` of weir-testkit, and the kill -9 test of weir.

mod file;
mod memory;
mod memory_type;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Notify;
use weir_event::{ChannelId, EventBatch};

use crate::receipt::ReceiptTicket;
use crate::stored::StoredBatch;

pub use file::file_channel_type;
pub use memory::{MemoryChannel, MemoryLimits};
pub use memory_type::memory_channel_type;

/// Where batches are appended. Shared by all lanes of all sources that feed it.
pub trait Channel: Send + Sync {
    /// Name in the configuration.
    fn name(&self) -> &str;

    /// Whether what has a receipt survives a crash of this process.
    fn is_durable(&self) -> bool;

    /// Whether other agents append to it and read from it too. An agent that stops then leaves what its sinks have not
    /// begun, and its books do not cover the channel.
    fn is_shared(&self) -> bool {
        false
    }

    /// Takes `batch` and completes `ticket` when it is durable, from any thread, maybe before this returns.
    /// Never waits for a disk or a peer. The batch is only referenced: on error nothing was taken.
    ///
    /// # Errors
    /// [`AppendError`]; the ticket comes back in it.
    fn try_append(&self, batch: &EventBatch, ticket: ReceiptTicket) -> Result<(), AppendError>;

    /// Blocks the calling thread until an append may succeed (`true`) or `timeout` passed.
    fn wait_for_room(&self, timeout: Duration) -> bool;

    /// Opens the cursor of `group`. Called once per group and start.
    ///
    /// # Errors
    /// [`ChannelError`] if the position of the group cannot be read or made durable.
    fn cursor(&self, group: &str) -> Result<Box<dyn Cursor>, ChannelError>;

    /// How full the channel is.
    fn usage(&self) -> ChannelUsage;

    /// Ends the channel: everything taken is made durable, positions too. Idempotent.
    ///
    /// # Errors
    /// [`ChannelError`] if something taken could not be kept.
    fn close(&self) -> Result<(), ChannelError>;
}

/// The reading side of a channel for one sink group: owned by the engine, used by one thread at a time.
pub trait Cursor: Send {
    /// The partitions of the channel, their ids and how far each is released.
    fn positions(&self) -> Vec<Position>;

    /// Events of `partition` below this offset may have been delivered before: by an earlier run, or by an earlier owner
    /// of the partition.
    fn repeats_below(&self, partition: u32) -> u64;

    /// Partitions that were taken away from this reader since the last call (a rebalance of a shared channel): what is
    /// out of them is somebody else's to deliver, and its acknowledgement moves nothing here any more.
    fn taken_away(&mut self) -> Vec<u32> {
        Vec::new()
    }

    /// Partitions that are about to be taken away and of which something is out: sinks should finish and acknowledge it.
    fn leaving(&self) -> Vec<u32> {
        Vec::new()
    }

    /// Reads on: whole batches, at most `limit` but at least one if there is any; `None` if there is nothing now.
    /// Does not wait; see [`Cursor::wakeup`].
    ///
    /// # Errors
    /// [`ChannelError`]; the cursor has not moved.
    fn read(&mut self, limit: ReadLimit) -> Result<Option<ReadChunk>, ChannelError>;

    /// The same, of partitions for which `is_wanted` holds only. A channel of several partitions has its own; this one is
    /// for those of one.
    ///
    /// # Errors
    /// As [`Cursor::read`].
    fn read_of(
        &mut self,
        limit: ReadLimit,
        is_wanted: &mut dyn FnMut(u32) -> bool,
    ) -> Result<Option<ReadChunk>, ChannelError> {
        if self.positions().iter().any(|position| is_wanted(position.channel.partition)) {
            self.read(limit)
        } else {
            Ok(None)
        }
    }

    /// Reads `range` of `partition` again, for a second delivery. May return less than the range, from its start;
    /// the remainder of a range that is not there any more is reported in [`ReadChunk::lost`]. Everything of the group
    /// waits meanwhile, so what takes more than a second is to be an error: it is asked for again.
    ///
    /// # Errors
    /// [`ChannelError`]: the range is asked for again later, other partitions go on.
    fn read_again(&mut self, partition: u32, range: Range<u64>, limit: ReadLimit) -> Result<ReadChunk, ChannelError>;

    /// Everything of `partition` below `up_to` is delivered and may be forgotten. Monotone, idempotent.
    fn release(&mut self, partition: u32, up_to: u64);

    /// Notified when there may be something new to read.
    fn wakeup(&self) -> Arc<Notify>;

    /// Events appended (durable) and not yet released.
    fn backlog(&self) -> Backlog;
}

/// How much to read at once. Both are bounds, not goals: a shallow channel gives small reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimit {
    /// Most bytes of stored batches.
    pub bytes_max: usize,
    /// What the reader asks for; a channel gives events where it has nothing else.
    pub form: Form,
}

impl ReadLimit {
    /// At most `bytes_max` bytes, as events.
    #[must_use]
    pub const fn events(bytes_max: usize) -> Self {
        Self { bytes_max, form: Form::Events }
    }
}

/// In which form batches are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Decoded.
    #[default]
    Events,
    /// As they are at rest, where that can be: for a destination that keeps the same form.
    Stored,
}

/// A partition of a channel as a group sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The partition.
    pub channel: ChannelId,
    /// Everything below is released.
    pub released: u64,
    /// One past the last event that is durable now.
    pub end: u64,
}

/// What a read returned: batches of one partition with ascending positions.
#[derive(Debug)]
pub struct ReadChunk {
    /// The partition.
    pub partition: u32,
    /// Offsets covered by the batches, gaps included.
    pub range: Range<u64>,
    /// The batches; each carries its origin.
    pub batches: Vec<EventBatch>,
    /// The batches as they are at rest: instead of `batches`, never beside them, and only if asked for.
    pub stored: Vec<StoredBatch>,
    /// Offset ranges inside or before `range` that were damaged and cannot be delivered.
    pub lost: Vec<Range<u64>>,
    /// Offsets that hold nothing: a power loss took them before they were durable, and no receipt was given for them.
    pub unsynced: u64,
}

impl ReadChunk {
    /// Number of events in the batches.
    #[must_use]
    pub fn events(&self) -> u64 {
        crate::delivery::count(&self.batches, &self.stored)
    }
}

/// What waits in a channel for one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Events not yet released.
    pub events: u64,
    /// Their bytes as stored, estimated from whole segments where the channel is on disk.
    pub bytes: u64,
    /// When the oldest of them reached Weir, milliseconds since 1970 UTC.
    pub oldest_arrival_ms: Option<i64>,
}

/// How full a channel is, and its troubles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelUsage {
    /// Bytes held: in memory, or on disk.
    pub bytes: u64,
    /// Most bytes it may hold.
    pub capacity_bytes: u64,
    /// Share of the limit of events in use, where there is one; 0.0 to 1.0.
    pub events_share: f64,
    /// What a receipt of this channel means: `always`, `group`, `interval`, or `none` for a channel in memory.
    pub durability_mode: &'static str,
    /// Events appended since start, whose receipt came.
    pub appended: u64,
    /// Syncs since start; 0 for a channel without a disk.
    pub syncs: u64,
    /// Why the channel is not well, for people; empty if it is.
    pub degraded: Vec<String>,
}

impl ChannelUsage {
    /// Share of the capacity in use, 0.0 to 1.0 (more for a moment when single batches are large).
    #[must_use]
    pub fn fill(&self) -> f64 {
        let of_bytes = if self.capacity_bytes == 0 { 0.0 } else { self.bytes as f64 / self.capacity_bytes as f64 };
        of_bytes.max(self.events_share)
    }
}

/// Why a batch was not taken.
#[derive(Error)]
pub enum AppendError {
    /// Back-pressure, not a fault: wait for room and try again.
    #[error("channel is full")]
    Full(ReceiptTicket),
    /// It will never fit: larger than the channel's limit for one batch.
    #[error("a batch of {bytes} bytes is over the limit of {bytes_max} of the channel")]
    TooLarge {
        /// Back to the caller.
        ticket: ReceiptTicket,
        /// Size of the batch.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The channel was closed.
    #[error("channel is closed")]
    Closed(ReceiptTicket),
}

impl AppendError {
    /// The ticket of the append that did not happen.
    #[must_use]
    pub fn into_ticket(self) -> ReceiptTicket {
        match self {
            Self::Full(ticket) | Self::TooLarge { ticket, .. } | Self::Closed(ticket) => ticket,
        }
    }
}

/// Shows the variant; the tickets have nothing to show.
impl std::fmt::Debug for AppendError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// A fault of a channel.
#[derive(Debug, Error)]
#[error("channel {channel}: {message}")]
pub struct ChannelError {
    /// Name of the channel.
    pub channel: String,
    /// What happened, where, and what to do.
    pub message: String,
    /// The cause below.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}
