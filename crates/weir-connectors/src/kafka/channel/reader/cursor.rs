//! [`KafkaCursor`]: from the buffer to the group.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;
use tracing::error;
use weir_codec::record_batch::{DecodeError, Decoded, Decoder, DecoderOptions, HeaderSelection, crc_is_valid};
use weir_engine::channel::{Backlog, ChannelError, Cursor, Form, Position, ReadChunk, ReadLimit};
use weir_engine::stored::StoredBatch;
use weir_event::{ArenaPool, ChannelId, EventBatch};
use weir_kafka::FetchedBatch;

use super::again::{Again, Found};
use super::intake::{FAULT_PAUSE, about};
use super::shared::Shared;
use super::stay::{Entry, Run, is_plain};
use crate::kafka::channel::health::Troubles;
use crate::kafka::record::{Format, RecordSpec};

/// Arenas for decompressed batches: a batch of the default size of sources with headers, and as many as are in flight.
const DECODED_BYTES: usize = 1 << 20;
const DECODED_FREE_MAX: usize = 4;

/// One group's reader of the topic.
pub(super) struct KafkaCursor {
    pub(super) channel: String,
    pub(super) topic: String,
    pub(super) log: u64,
    pub(super) record: RecordSpec,
    pub(super) shared: Arc<Shared>,
    pub(super) troubles: Arc<Troubles>,
    pub(super) again: Again,
    pub(super) decoder: Decoder,
    /// High watermarks at the begin of stays, also of those that are over.
    pub(super) repeats_below: BTreeMap<u32, u64>,
}

/// What a run became: as much of it as is whole.
#[derive(Default)]
struct Readout {
    batches: Vec<EventBatch>,
    stored: Vec<StoredBatch>,
    lost: Vec<Range<u64>>,
    /// Entries dealt with.
    count: usize,
    /// What stopped it: the offset and why.
    fault: Option<(i64, DecodeError)>,
}

/// A decoder for batches of others: they are checked, and their size is bounded.
pub(super) fn decoder() -> Decoder {
    // As many header columns as the limit on memory allows: what one agent wrote another must be able to read.
    let options = DecoderOptions { columns_max: usize::MAX, ..DecoderOptions::default() };
    Decoder::new(ArenaPool::new(DECODED_BYTES, DECODED_FREE_MAX), options)
}

impl KafkaCursor {
    /// Reads as much of `entries` as is whole, from offset `from` on.
    fn read_out(&mut self, entries: &[Entry], from: u64, partition: u32, stored: bool) -> Readout {
        let mut out = Readout::default();
        for entry in entries {
            let (batch, arrival_ms) = match entry {
                Entry::Gone(range) => {
                    out.lost.push(range.clone());
                    out.count += 1;
                    continue;
                }
                Entry::Batch(batch, arrival_ms) => (batch, *arrival_ms),
            };
            let base_offset = batch.header.base_offset;
            let is_whole = u64::try_from(base_offset).is_ok_and(|base| base >= from);
            let stays = stored && is_whole && is_plain(batch);
            if !(if stays { out.batches.is_empty() } else { out.stored.is_empty() }) {
                // One form or the other.
                return out;
            }
            let read = if stays {
                self.stored(batch, partition, arrival_ms).map(|stored| out.stored.push(stored))
            } else {
                let events = self.events(batch, partition, arrival_ms, from..u64::MAX);
                events.map(|events| out.batches.extend(events))
            };
            if let Err(fault) = read {
                out.fault = Some((base_offset, fault));
                return out;
            }
            out.count += 1;
        }
        out
    }

    fn stored(&self, batch: &FetchedBatch, partition: u32, arrival_ms: i64) -> Result<StoredBatch, DecodeError> {
        if !crc_is_valid(&batch.bytes) {
            return Err(DecodeError::Crc { base_offset: batch.header.base_offset });
        }
        let channel = ChannelId { log: self.log, partition };
        Ok(StoredBatch { bytes: batch.bytes.clone(), header: batch.header, channel, arrival_ms })
    }

    /// The events of a batch whose offsets are in `wanted`.
    fn events(
        &mut self,
        batch: &FetchedBatch,
        partition: u32,
        arrival_ms: i64,
        wanted: Range<u64>,
    ) -> Result<Option<EventBatch>, DecodeError> {
        let channel = ChannelId { log: self.log, partition };
        let decoded = self.decoder.decode(batch.bytes.clone(), Some(channel), arrival_ms)?;
        let Some(events) = Decoded::into_events(decoded) else { return Ok(None) };
        let offset = |row: usize| events.origin().and_then(|origin| origin.offset(row)).unwrap_or(u64::MAX);
        let rows = events.len();
        // Offsets ascend, so what is wanted is in one piece.
        let inside = if rows > 0 && offset(0) >= wanted.start && offset(rows - 1) < wanted.end {
            0..rows
        } else {
            partition_point(rows, |row| offset(row) < wanted.start)..partition_point(rows, |row| {
                offset(row) < wanted.end
            })
        };
        if inside.is_empty() {
            return Ok(None);
        }
        let events = if inside.len() < rows { events.slice(inside) } else { events };
        Ok(Some(self.record.received(events)))
    }

    fn wants_stored(&self, form: Form) -> bool {
        form == Form::Stored && self.record.format == Format::Raw && self.record.headers == HeaderSelection::All
    }

    fn error(&self, message: String, source: Option<DecodeError>) -> ChannelError {
        ChannelError { channel: self.channel.clone(), message, source: source.map(Into::into) }
    }

    /// A batch that cannot be read stays first: it is fetched again, and other partitions go on.
    fn damaged(&self, run: &Run, (offset, fault): (i64, DecodeError)) -> ChannelError {
        let (topic, partition) = (&self.topic, run.partition);
        let message = format!(
            "topic {topic}, partition {partition}: the batch at offset {offset} is damaged, or larger than is decoded; the \
             partition waits. Another replica may have it whole; what is lost for good can be passed with \
             kafka-consumer-groups --reset-offsets"
        );
        error!(channel = %self.channel, topic = %topic, partition, offset, error = %fault, "a batch cannot be read; trying on");
        self.troubles.set(&about(partition), format!("{message}: {fault}"));
        self.shared.with(|state| state.rest(run, Instant::now() + FAULT_PAUSE));
        self.error(message, Some(fault))
    }
}

impl Cursor for KafkaCursor {
    fn positions(&self) -> Vec<Position> {
        self.shared.with(|state| state.positions())
    }

    fn repeats_below(&self, partition: u32) -> u64 {
        let now = self.shared.with(|state| state.stays.get(&partition).map(|stay| stay.repeats_below));
        now.or_else(|| self.repeats_below.get(&partition).copied()).unwrap_or_default()
    }

    fn taken_away(&mut self) -> Vec<u32> {
        let gone = self.shared.with(|state| state.take_taken_away());
        for partition in &gone {
            self.troubles.clear(&about_again(*partition));
        }
        gone
    }

    fn leaving(&self) -> Vec<u32> {
        self.shared.with(|state| state.leaving().collect())
    }

    fn read(&mut self, limit: ReadLimit) -> Result<Option<ReadChunk>, ChannelError> {
        self.read_of(limit, &mut |_| true)
    }

    fn read_of(
        &mut self,
        limit: ReadLimit,
        is_wanted: &mut dyn FnMut(u32) -> bool,
    ) -> Result<Option<ReadChunk>, ChannelError> {
        let stored = self.wants_stored(limit.form);
        loop {
            let Some(run) = self.shared.with(|state| state.next_run(limit.bytes_max, stored, is_wanted)) else {
                return Ok(None);
            };
            let out = self.read_out(&run.entries, run.from, run.partition, stored);
            if let (0, Some(fault)) = (out.count, out.fault) {
                return Err(self.damaged(&run, fault));
            }
            let partition = run.partition;
            let taken = self.shared.with(|state| {
                let end = state.take(&run, out.count)?;
                let repeats_below = state.stays.get(&partition).map_or(0, |stay| stay.repeats_below);
                Some((end, repeats_below))
            });
            // Room, perhaps.
            self.shared.driver.notify_one();
            // Taken away while it was decoded: somebody else has it.
            let Some((end, repeats_below)) = taken else { continue };
            self.repeats_below.insert(partition, repeats_below);
            let Readout { batches, stored, lost, .. } = out;
            return Ok(Some(ReadChunk { partition, range: run.from..end, batches, stored, lost, unsynced: 0 }));
        }
    }

    fn read_again(&mut self, partition: u32, range: Range<u64>, limit: ReadLimit) -> Result<ReadChunk, ChannelError> {
        let outcome = self.again(partition, range, limit);
        match &outcome {
            Ok(_) => self.troubles.clear(&about_again(partition)),
            Err(error) => self.troubles.set(&about_again(partition), weir_engine::chain(error)),
        };
        outcome
    }

    fn release(&mut self, partition: u32, up_to: u64) {
        let hurries = self.shared.with(|state| {
            state.release(partition, up_to);
            state.stays.get(&partition).is_some_and(|stay| stay.is_leaving)
        });
        if hurries {
            self.shared.driver.notify_one();
        }
    }

    fn wakeup(&self) -> Arc<Notify> {
        self.shared.lanes.clone()
    }

    fn backlog(&self) -> Backlog {
        self.shared.with(|state| state.backlog())
    }
}

impl KafkaCursor {
    /// Reads a range again, or as much of its beginning as one answer has.
    fn again(&mut self, partition: u32, range: Range<u64>, limit: ReadLimit) -> Result<ReadChunk, ChannelError> {
        let whole =
            ReadChunk { partition, range: range.clone(), batches: vec![], stored: vec![], lost: vec![], unsynced: 0 };
        let mut from = range.start;
        // What was only markers the first time is so again; the loop passes over it.
        while from < range.end {
            let (batches, to) = match self.again.read(partition, from) {
                Found::Batches(batches, to) => (batches, to),
                Found::Gone(to) => {
                    let end = to.min(range.end);
                    error!(channel = %self.channel, topic = %self.topic, partition, first = from, end, "events were deleted from the topic before they were delivered; raise its retention");
                    let lost = std::iter::once(from..end).collect();
                    return Ok(ReadChunk { range: range.start..end, lost, ..whole });
                }
                Found::Failed(reason) => {
                    let topic = &self.topic;
                    let message =
                        format!("topic {topic}, partition {partition}: offset {from} cannot be read again: {reason}");
                    return Err(self.error(message, None));
                }
            };
            let (mut out, mut bytes, mut end) = (Vec::new(), 0, to);
            for batch in &batches {
                let base = u64::try_from(batch.header.base_offset).unwrap_or_default();
                bytes += batch.bytes.len();
                if base >= range.end || !out.is_empty() && bytes > limit.bytes_max {
                    end = base;
                    break;
                }
                let newest = batch.header.max_timestamp;
                let arrival_ms = if newest < 0 { weir_engine::clock::now_ms() } else { newest };
                let events = self.events(batch, partition, arrival_ms, range.clone()).map_err(|fault| {
                    self.again.forget(partition);
                    let (topic, offset) = (&self.topic, batch.header.base_offset);
                    let message = format!(
                        "topic {topic}, partition {partition}: the batch at offset {offset} cannot be read again"
                    );
                    self.error(message, Some(fault))
                })?;
                out.extend(events);
            }
            let end = end.min(range.end);
            if !out.is_empty() {
                return Ok(ReadChunk { range: range.start..end, batches: out, ..whole });
            }
            from = end;
        }
        Ok(whole)
    }
}

/// What a partition whose ranges cannot be read again is filed under.
fn about_again(partition: u32) -> String {
    format!("{} again", about(partition))
}

/// The first of `rows` rows for which `is_before` does not hold any more.
fn partition_point(rows: usize, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, rows);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}
