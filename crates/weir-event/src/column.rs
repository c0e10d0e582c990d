//! Header columns.

use std::sync::Arc;

use bytes::Bytes;

/// In an `i64` column: this event does not have the header.
pub const ABSENT_I64: i64 = i64::MIN;

/// A stretch of an arena: start and length in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Number of bytes; `u32::MAX` marks [`Span::ABSENT`].
    pub len: u32,
}

impl Span {
    /// In a text column: this event does not have the header.
    pub const ABSENT: Self = Self { start: 0, len: u32::MAX };

    /// A span of `len` bytes at `start`. Arenas stay far below 4 GiB; a larger one is a fault of ours.
    ///
    /// # Panics
    /// If either number does not fit into 32 bits.
    #[must_use]
    #[inline]
    pub fn new(start: usize, len: usize) -> Self {
        assert!(start <= u32::MAX as usize && len < u32::MAX as usize, "arena larger than 4 GiB");
        Self { start: start as u32, len: len as u32 }
    }

    /// Whether this is [`Span::ABSENT`].
    #[must_use]
    #[inline]
    pub fn is_absent(self) -> bool {
        self.len == u32::MAX
    }

    /// First byte after the span.
    #[must_use]
    #[inline]
    pub fn end(self) -> usize {
        self.start as usize + self.len as usize
    }

    /// The bytes of the span in `arena`; `None` if absent or out of bounds.
    #[must_use]
    #[inline]
    pub fn of(self, arena: &[u8]) -> Option<&[u8]> {
        if self.is_absent() { None } else { arena.get(self.start as usize..self.end()) }
    }
}

/// A span per event in an arena of its own (often the arena of the bodies).
#[derive(Clone, Debug)]
pub struct TextColumn {
    /// Where the spans point.
    pub arena: Bytes,
    /// One per event of the unsliced batch.
    pub spans: Arc<Vec<Span>>,
}

/// The values of one header for all events of a batch.
#[derive(Clone, Debug)]
pub enum Column {
    /// The same for every event; costs nothing per event.
    Constant(Bytes),
    /// A number per event, [`ABSENT_I64`] where an event lacks it; decimal text where text is asked for.
    I64(Arc<Vec<i64>>),
    /// Text per event, [`Span::ABSENT`] where an event lacks it.
    Text(TextColumn),
}

impl Column {
    /// A constant column.
    #[must_use]
    pub fn constant(value: impl Into<Bytes>) -> Self {
        Self::Constant(value.into())
    }
}
