//! Readers: batches as they were written, in order, without a copy.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use weir_codec::record_batch::BatchHeader;
use weir_event::Arena;

use crate::disk::{Access, DiskFile};
use crate::errors::ReadError;
use crate::format::SEGMENT_HEADER_BYTES;
use crate::report::LostRange;
use crate::scan::{Chunk, Extent, Place};
use crate::shared::{Located, SegmentView, Shared};

/// One batch of the log, checked against its CRC.
#[derive(Clone, Debug)]
pub struct StoredBatch {
    /// The whole batch, as it can go to a Kafka broker. Several batches share one buffer, which is reused once the last
    /// of them is dropped.
    pub bytes: Bytes,
    /// Its header.
    pub header: BatchHeader,
}

impl StoredBatch {
    /// Offsets of its records.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        let first = self.header.base_offset as u64;
        first..first + self.header.record_count as u64
    }

    /// When its records reached Weir, milliseconds since 1970 UTC; in whole seconds.
    #[must_use]
    pub fn arrival_ms(&self) -> i64 {
        i64::from(self.header.base_sequence as u32) * 1000
    }
}

/// What one read found.
#[derive(Clone, Debug, Default)]
pub struct ReadChunk {
    /// Batches, in order.
    pub batches: Vec<StoredBatch>,
    /// Records that are gone, before or behind the batches; a reader tells each range once and goes on behind it.
    pub lost: Vec<LostRange>,
}

impl ReadChunk {
    /// Whether there was nothing durable to read yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.lost.is_empty()
    }
}

/// Reads a log from an offset on. Knows nothing of positions: releasing is the group's.
pub struct Reader {
    shared: Arc<Shared>,
    next: u64,
    open: Option<OpenSegment>,
}

struct OpenSegment {
    view: Arc<SegmentView>,
    file: Arc<dyn DiskFile>,
    place: Place,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, from: u64) -> Self {
        Self { shared, next: from, open: None }
    }

    /// Offset of the next record to be returned, or sought.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        self.next
    }

    /// Goes on at `offset`. If it lies inside a batch, the whole batch is returned; if what is there was released and
    /// deleted, reading goes on at the oldest retained record.
    pub fn seek(&mut self, offset: u64) {
        self.next = offset;
        self.open = None;
    }

    /// Returns the next batches, up to about `bytes_max` bytes of them (1 to 4 MiB is a good size) but at least one; empty
    /// if nothing durable is there yet. Blocks for one `pread`, which a page cache usually answers.
    ///
    /// # Errors
    /// [`ReadError::Io`] if the device does not answer; the reader stays where it is.
    pub fn read(&mut self, bytes_max: usize) -> Result<ReadChunk, ReadError> {
        let mut out = ReadChunk::default();
        while out.is_empty() {
            let Some(located) = self.shared.locate(self.next) else { break };
            self.next = self.next.max(located.view.base);
            let Some(open) = self.enter(&located)? else { continue };
            let (file, place) = (open.file.clone(), open.place);
            let extent = Extent { file: &*file, limit: located.bytes, epoch: located.view.epoch, end: located.end };
            let mut arena = self.shared.read_pool.take();
            let chunk = extent
                .step(place, bytes_max, arena.buffer())
                .map_err(|source| self.io_error(&located, place.at, source))?;
            self.take_over(&located, &extent, Step { from: place, chunk, arena }, &mut out)
                .map_err(|source| self.io_error(&located, place.at, source))?;
        }
        Ok(out)
    }

    fn io_error(&self, located: &Located, at: u64, source: io::Error) -> ReadError {
        ReadError::Io { path: located.view.path.clone(), at, offsets: self.next..located.end, source }
    }

    /// Opens the segment that was located, unless it is open already. `None` if it was deleted meanwhile.
    fn enter(&mut self, located: &Located) -> Result<Option<&OpenSegment>, ReadError> {
        if !self.open.as_ref().is_some_and(|open| Arc::ptr_eq(&open.view, &located.view)) {
            let view = located.view.clone();
            let file = match self.shared.disk.open(&view.path, Access::Read) {
                Ok(file) => file,
                // Either every group has passed it, and it is gone from the list too; or somebody took it away.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let again = self.shared.locate(self.next);
                    if again.is_some_and(|again| Arc::ptr_eq(&again.view, &view)) {
                        return Err(self.io_error(located, 0, error));
                    }
                    return Ok(None);
                }
                Err(error) => return Err(self.io_error(located, 0, error)),
            };
            let (expected, at) = view.boundary_before(self.next).unwrap_or((view.base, SEGMENT_HEADER_BYTES));
            self.open = Some(OpenSegment { view, file, place: Place { at, expected } });
        }
        Ok(self.open.as_ref())
    }

    /// Whether damage in front of `next` hit something that had been durable for certain.
    fn was_durable(
        &self,
        located: &Located,
        extent: &Extent<'_>,
        next: Place,
        offsets: &Range<u64>,
    ) -> io::Result<bool> {
        let is_known = || {
            let state = self.shared.state.lock();
            let covers = |known: &&LostRange| known.offsets.start <= offsets.start && known.offsets.end >= offsets.end;
            state.lost.iter().find(covers).is_some_and(|known| known.was_durable)
        };
        Ok(located.is_synced || is_known() || extent.is_synced_before(next)?)
    }

    /// Tells a loss, unless it lies before what was asked for.
    fn lose(&self, located: &Located, offsets: Range<u64>, was_durable: bool, out: &mut ReadChunk) {
        let offsets = offsets.start.max(self.next)..offsets.end;
        if !offsets.is_empty() {
            let range = LostRange { offsets, was_durable };
            self.shared.note_lost(&range, &located.view);
            out.lost.push(range);
        }
    }

    /// Turns what the walk found into batches and losses, and moves on.
    fn take_over(&mut self, located: &Located, extent: &Extent<'_>, step: Step, out: &mut ReadChunk) -> io::Result<()> {
        let Step { from, chunk, arena } = step;
        if let Some(damage) = &chunk.damage {
            let was_durable = self.was_durable(located, extent, chunk.next, &damage.offsets)?;
            self.lose(located, damage.offsets.clone(), was_durable, out);
        }
        let mut reached = chunk.next.expected;
        if chunk.is_last && reached < located.end {
            // Nothing valid follows in this segment, yet it holds more: the rest of it is gone.
            self.lose(located, reached..located.end, true, out);
            reached = located.end;
        }
        if !chunk.batches.is_empty() {
            let buffer = arena.freeze();
            for (range, header) in &chunk.batches {
                let batch = StoredBatch { bytes: buffer.slice(range.clone()), header: *header };
                located.view.remember(batch.range().start, from.at + range.start as u64);
                if batch.range().end > self.next {
                    out.batches.push(batch);
                }
            }
        }
        self.next = self.next.max(reached);
        if let Some(open) = &mut self.open {
            open.place = Place { at: chunk.next.at, expected: reached };
        }
        Ok(())
    }
}

/// One step of the walk, and the buffer it read into.
struct Step {
    from: Place,
    chunk: Chunk,
    arena: Arena,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Reader").field("next", &self.next).finish_non_exhaustive()
    }
}
