//! Where an event came from: positions in a channel.

use std::sync::Arc;

/// Which log (or topic partition) a position belongs to. Positions of different channels never compare.
///
/// `log` is drawn at random when a durable log is created, so that a log that was deleted and made anew is another
/// channel, and names derived from positions never collide with those of its predecessor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ChannelId {
    /// Identity of the log or topic.
    pub log: u64,
    /// Partition inside it; 0 where there is only one.
    pub partition: u32,
}

/// The offsets of the rows of a batch, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offsets {
    /// Row `i` has offset `first + i`.
    Contiguous {
        /// Offset of row 0.
        first: u64,
    },
    /// One per row, with gaps (a compacted topic, rows dropped after reading).
    Explicit(Arc<[u64]>),
}

/// The positions of a batch that was read from a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The channel.
    pub channel: ChannelId,
    /// Offset of each row.
    pub offsets: Offsets,
}

impl Origin {
    /// Offset of row `row`; `None` past the end of explicit offsets.
    #[must_use]
    pub fn offset(&self, row: usize) -> Option<u64> {
        match &self.offsets {
            Offsets::Contiguous { first } => Some(first + row as u64),
            Offsets::Explicit(offsets) => offsets.get(row).copied(),
        }
    }
}
