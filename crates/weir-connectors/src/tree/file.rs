//! One file in progress.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_event::Origin;
use weir_format::{FileState, Rows};

use super::name::{Finished, InProgress};

/// Room for the line that completes a block, in bytes; a longer one makes the buffer grow for the moment.
const LINE_ROOM: usize = 8 << 10;

/// When a file is finished. `None`: not for this reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RollLimits {
    /// Bytes of lines, before compression; the line that reaches it is the last.
    pub(crate) bytes: Option<u64>,
    /// Events.
    pub(crate) events: Option<u64>,
    /// Time since its first event.
    pub(crate) time: Option<Duration>,
    /// Time since its last event.
    pub(crate) idle: Option<Duration>,
}

/// How files are filled and called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FileStyle {
    /// First part of the names.
    pub(crate) prefix: String,
    /// Last part of the names of finished files.
    pub(crate) suffix: String,
    /// Bytes of lines that are gathered before they are written.
    pub(crate) block_bytes: usize,
    /// Which bytes count towards the limit of a file.
    pub(crate) counts: Counts,
    /// When files are finished.
    pub(crate) limits: RollLimits,
}

/// Which bytes count towards the limit of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Counts {
    /// Those of lines, before compression: the line that reaches the limit is the last.
    Lines,
    /// Those that are stored: a file is over the limit by a block at most.
    Stored,
}

/// What is gathered of a file.
pub(super) struct Gathered<'a> {
    pub(super) state: &'a mut FileState,
    pub(super) bytes: &'a [u8],
    pub(super) events: u64,
}

/// A file that is written, as far as it does not matter where: lines in memory, and what waits for it.
pub(crate) struct OpenFile<F> {
    directory: Arc<Path>,
    name: InProgress,
    /// What the store knows it by.
    pub(super) handle: F,
    /// What its format has to remember of it.
    state: FileState,
    /// What is gathered of events and not stored yet, and how many there are of them.
    buffer: Vec<u8>,
    gathered: u64,
    line_bytes: u64,
    events: u64,
    /// Offset of the last event taken.
    last: u64,
    /// Bytes stored that are whole blocks, and the offset of the last event in them.
    stored_bytes: u64,
    stored_last: Option<u64>,
    opened_at: Instant,
    written_at: Instant,
    /// Since when it holds events that were not synced.
    unsynced_since: Option<Instant>,
    /// Grows with each use among all files of the lane: the smallest is the least recently written.
    pub(super) used: u64,
    /// Deliveries with events in this file that wait for it, each once after the mark.
    waiting: Vec<u64>,
    /// So many of `waiting` have all their events stored.
    stored_waiting: usize,
}

impl<F> OpenFile<F> {
    /// An empty file that the store has just created.
    pub(super) fn new(
        style: &FileStyle,
        directory: &Arc<Path>,
        name: InProgress,
        handle: F,
        state: FileState,
        now: Instant,
    ) -> Self {
        Self {
            directory: directory.clone(),
            name,
            handle,
            state,
            gathered: 0,
            buffer: Vec::with_capacity(style.block_bytes + LINE_ROOM),
            line_bytes: 0,
            events: 0,
            last: name.first,
            stored_bytes: 0,
            stored_last: None,
            opened_at: now,
            written_at: now,
            unsynced_since: None,
            used: 0,
            waiting: Vec::new(),
            stored_waiting: 0,
        }
    }

    /// The channel its events come from.
    pub(super) fn partition(&self) -> u32 {
        self.name.channel.partition
    }

    /// Takes events `rows` until a block is gathered or the file is full; returns the first row that it did not take.
    /// Copies their lines.
    pub(super) fn append(
        &mut self,
        lines: &Rows<'_>,
        origin: &Origin,
        rows: Range<usize>,
        now: Instant,
        style: &FileStyle,
    ) -> usize {
        self.written_at = now;
        self.unsynced_since.get_or_insert(now);
        let events_max = style.limits.events.unwrap_or(u64::MAX);
        let bytes_max = match style.counts {
            Counts::Lines => style.limits.bytes.unwrap_or(u64::MAX),
            Counts::Stored => u64::MAX,
        };
        let mut row = rows.start;
        while row < rows.end && self.line_bytes < bytes_max && self.events < events_max {
            let before = self.buffer.len();
            lines.write(row, &mut self.buffer);
            self.line_bytes += (self.buffer.len() - before) as u64;
            self.events += 1;
            self.gathered += 1;
            self.last = origin.offset(row).unwrap_or(self.last);
            row += 1;
            if self.buffer.len() >= style.block_bytes {
                break;
            }
        }
        row
    }

    /// Bytes gathered and not stored.
    pub(super) fn gathered_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// What the store knows it by, and what is gathered and not stored.
    pub(super) fn gathered(&mut self) -> (&mut F, Gathered<'_>) {
        (&mut self.handle, Gathered { state: &mut self.state, bytes: &self.buffer, events: self.gathered })
    }

    /// Offsets of its first and its last event so far.
    pub(super) fn offsets(&self) -> (u64, u64) {
        (self.name.first, self.last)
    }

    /// The gathered lines are stored, as `bytes` bytes.
    pub(super) fn is_stored(&mut self, bytes: usize, block_bytes: usize) {
        self.stored_bytes += bytes as u64;
        self.stored_last = Some(self.last);
        self.stored_waiting = self.waiting.len();
        self.buffer.clear();
        self.gathered = 0;
        if self.buffer.capacity() > 2 * block_bytes {
            // One giant event must not fatten a file for good.
            self.buffer.shrink_to(block_bytes + LINE_ROOM);
        }
    }

    /// Whether it has reached a limit of size.
    pub(super) fn is_full(&self, style: &FileStyle) -> bool {
        let bytes = match style.counts {
            Counts::Lines => self.line_bytes,
            Counts::Stored => self.stored_bytes,
        };
        style.limits.bytes.is_some_and(|bytes_max| bytes >= bytes_max)
            || style.limits.events.is_some_and(|events_max| self.events >= events_max)
    }

    /// When it is to be finished if nothing is written any more.
    pub(super) fn due_at(&self, limits: RollLimits) -> Option<Instant> {
        let by_time = limits.time.map(|time| self.opened_at + time);
        let by_idle = limits.idle.map(|idle| self.written_at + idle);
        by_time.into_iter().chain(by_idle).min()
    }

    /// When what it holds is to be synced.
    pub(super) fn sync_due_at(&self, interval: Duration) -> Option<Instant> {
        self.unsynced_since.map(|since| since + interval)
    }

    /// Everything taken is stored and synced.
    pub(super) fn is_synced(&mut self) {
        self.unsynced_since = None;
    }

    /// Notes that delivery `id` waits for this file; whether it is news.
    pub(super) fn hold(&mut self, id: u64) -> bool {
        let is_news = self.waiting[self.stored_waiting..].last() != Some(&id);
        if is_news {
            self.waiting.push(id);
        }
        is_news
    }

    /// Whether everything taken is stored.
    pub(super) fn is_written_out(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The deliveries whose events are all written, synced or not; each is named once and then forgotten.
    pub(super) fn take_stored(&mut self) -> impl Iterator<Item = u64> + '_ {
        self.waiting.drain(..std::mem::take(&mut self.stored_waiting))
    }

    /// The name that it gets when it is finished.
    pub(super) fn final_path(&self, style: &FileStyle) -> PathBuf {
        let finished = Finished { channel: self.name.channel, offsets: self.name.first..=self.last };
        self.directory.join(finished.format(&style.prefix, &style.suffix))
    }

    /// Takes back what is not stored as a whole block; how many bytes are, `None` if nothing is left then.
    pub(super) fn cut_back(&mut self) -> Option<u64> {
        self.buffer.clear();
        self.last = self.stored_last?;
        Some(self.stored_bytes)
    }

    /// Events taken.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// The deliveries that still wait.
    pub(super) fn into_waiting(self) -> Vec<u64> {
        self.waiting
    }
}
