//! The reading side: stored batches to events.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use tokio::sync::Notify;
use tracing::error;
use weir_codec::record_batch::{Decoded, Decoder, DecoderOptions};
use weir_event::{ArenaPool, ChannelId, EventBatch};
use weir_log::{Group, Log, ReadChunk as LogChunk, Reader, StoredBatch as LogBatch};

use crate::channel::{Backlog, ChannelError, Cursor, Form, Position, ReadChunk, ReadLimit};
use crate::stored::StoredBatch;

/// Arenas for decompressed batches: a batch of the default size of sources with headers, and as many as are in flight.
const DECODED_BYTES: usize = 1 << 20;
const DECODED_FREE_MAX: usize = 4;

/// One group's reader of the log.
pub(super) struct FileCursor {
    name: String,
    id: ChannelId,
    log: Log,
    group: Group,
    reader: Reader,
    decoder: Decoder,
    /// End of the log when this run began.
    end_at_open: u64,
    wakeup: Arc<Notify>,
    /// Arrival of what was read and not released, by end offset: the age of the backlog without reading it again.
    arrivals: VecDeque<(u64, i64)>,
}

impl FileCursor {
    pub(super) fn new(name: &str, id: ChannelId, log: Log, group: Group, wakeup: Arc<Notify>) -> Self {
        let reader = group.reader(group.position());
        // The reader of the log has checked the CRC; a batch is as large as the source that sealed it allows.
        let options = DecoderOptions::trusted();
        let decoder = Decoder::new(ArenaPool::new(DECODED_BYTES, DECODED_FREE_MAX), options);
        let name = name.to_owned();
        let end_at_open = log.durable_end();
        Self { name, id, log, group, reader, decoder, end_at_open, wakeup, arrivals: VecDeque::new() }
    }

    fn failure(&self, message: String, source: impl std::error::Error + Send + Sync + 'static) -> ChannelError {
        ChannelError { channel: self.name.clone(), message, source: Some(Box::new(source)) }
    }

    /// Takes the part of `stored` that lies in `wanted`, and accounts for every offset from `wanted.start` on. Batches
    /// stay as they are if that is asked for and each is wanted whole.
    fn take(&mut self, stored: LogChunk, wanted: Range<u64>, form: Form) -> Result<Option<ReadChunk>, ChannelError> {
        let inside = |range: &Range<u64>| range.start.max(wanted.start)..range.end.min(wanted.end);
        let (gone, holes): (Vec<_>, Vec<_>) = stored.lost.into_iter().partition(|lost| lost.was_durable);
        let mut lost: Vec<_> = gone.iter().map(|lost| inside(&lost.offsets)).collect();
        let holes: Vec<_> = holes.iter().map(|hole| inside(&hole.offsets)).filter(|hole| !hole.is_empty()).collect();
        let mut found: Vec<_> = lost.iter().chain(&holes).cloned().collect();
        let is_whole = |batch: &LogBatch| batch.range() == inside(&batch.range());
        let stays = form == Form::Stored && stored.batches.iter().all(is_whole);
        let (mut batches, mut kept) = (Vec::with_capacity(stored.batches.len()), Vec::new());
        for batch in stored.batches {
            let range = inside(&batch.range());
            if range.is_empty() {
                continue;
            }
            found.push(range);
            if stays {
                let (arrival_ms, header) = (batch.arrival_ms(), batch.header);
                kept.push(StoredBatch { bytes: batch.bytes, header, channel: self.id, arrival_ms });
            } else {
                batches.push(self.events(&batch, &wanted)?);
            }
        }
        found.retain(|range| !range.is_empty());
        found.sort_by_key(|range| range.start);
        let mut end = wanted.start;
        for range in &found {
            if range.start > end {
                // Between two things that are there and of which nobody said anything: removed by hand.
                lost.push(end..range.start);
            }
            end = end.max(range.end);
        }
        lost.retain(|range| !range.is_empty());
        for range in &lost {
            error!(channel = %self.name, first = range.start, end = range.end, "events in the log are damaged and cannot be delivered");
        }
        if end == wanted.start {
            return Ok(None);
        }
        let unsynced = holes.iter().map(|hole| hole.end - hole.start).sum();
        Ok(Some(ReadChunk { partition: 0, range: wanted.start..end, batches, stored: kept, lost, unsynced }))
    }

    /// The events of a stored batch. One whose CRC is right and that cannot be decoded is no damage: it is held, for a
    /// Weir that can.
    fn events(&mut self, stored: &LogBatch, wanted: &Range<u64>) -> Result<EventBatch, ChannelError> {
        let range = stored.range();
        let decoded = self.decoder.decode(stored.bytes.clone(), Some(self.id), stored.arrival_ms());
        let batch = match decoded.map(Decoded::into_events) {
            Ok(Some(batch)) => batch,
            Ok(None) => EventBatch::from_bodies::<&[u8]>(&[], stored.arrival_ms()),
            Err(error) => {
                let message = format!(
                    "the batch at offset {} is whole but cannot be decoded; it is held. Was it written by a newer version? \
                     weir log dump shows what lies behind it",
                    range.start
                );
                return Err(self.failure(message, error));
            }
        };
        let start = wanted.start.saturating_sub(range.start) as usize;
        let end = (wanted.end.min(range.end) - range.start) as usize;
        Ok(if batch.is_empty() || (start, end) == (0, batch.len()) { batch } else { batch.slice(start..end) })
    }

    /// Arrival of the oldest event that is not released, read from the log where it is not known yet.
    fn oldest_arrival_ms(&self, released: u64) -> Option<i64> {
        if let Some((_, arrival)) = self.arrivals.iter().find(|(end, _)| *end > released) {
            return Some(*arrival);
        }
        // One small read, and only while nothing was read since the last release.
        let chunk = self.group.reader(released).read(1).ok()?;
        chunk.batches.first().map(LogBatch::arrival_ms)
    }
}

impl Cursor for FileCursor {
    fn positions(&self) -> Vec<Position> {
        vec![Position { channel: self.id, released: self.group.position(), end: self.log.durable_end() }]
    }

    fn repeats_below(&self, _partition: u32) -> u64 {
        self.end_at_open
    }

    fn read(&mut self, limit: ReadLimit) -> Result<Option<ReadChunk>, ChannelError> {
        let from = self.reader.next_offset();
        if from >= self.log.durable_end() {
            return Ok(None);
        }
        let stored = self
            .reader
            .read(limit.bytes_max)
            .map_err(|error| self.failure(format!("log cannot be read at offset {from}"), error))?;
        if let Some(last) = stored.batches.last() {
            self.arrivals.push_back((last.range().end, last.arrival_ms()));
        }
        self.take(stored, from..u64::MAX, limit.form)
    }

    fn read_again(&mut self, partition: u32, range: Range<u64>, limit: ReadLimit) -> Result<ReadChunk, ChannelError> {
        let stored = self
            .group
            .reader(range.start)
            .read(limit.bytes_max)
            .map_err(|error| self.failure(format!("log cannot be read again at offset {}", range.start), error))?;
        let chunk = self.take(stored, range.clone(), limit.form)?;
        // Nothing of the range is left (a segment removed by hand): it is lost, and said so.
        Ok(chunk.unwrap_or_else(|| ReadChunk {
            partition,
            range: range.clone(),
            batches: Vec::new(),
            stored: Vec::new(),
            lost: vec![range],
            unsynced: 0,
        }))
    }

    fn release(&mut self, _partition: u32, up_to: u64) {
        self.group.release(up_to);
        while self.arrivals.front().is_some_and(|(end, _)| *end <= up_to) {
            self.arrivals.pop_front();
        }
    }

    fn wakeup(&self) -> Arc<Notify> {
        self.wakeup.clone()
    }

    fn backlog(&self) -> Backlog {
        let (released, end) = (self.group.position(), self.log.durable_end());
        let events = end.saturating_sub(released);
        if events == 0 {
            return Backlog::default();
        }
        let status = self.log.status();
        let retained = end.saturating_sub(self.log.start_offset()).max(1);
        let bytes = (status.used_bytes as f64 * events as f64 / retained as f64) as u64;
        Backlog { events, bytes, oldest_arrival_ms: self.oldest_arrival_ms(released) }
    }
}
