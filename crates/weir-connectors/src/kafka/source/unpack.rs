//! From a fetched record batch to events with their headers.

use std::sync::Arc;

use bytes::Bytes;
use weir_codec::record_batch::{DecodeError, Decoder, DecoderOptions};
use weir_engine::clock::now_ms;
use weir_event::{ABSENT_I64, ArenaPool, ChannelId, Column, EventBatch, HeaderName, Offsets, Span, TextColumn};

use super::config::SetHeaders;
use crate::kafka::record::RecordSpec;

/// Header names are Flume's.
const TOPIC: HeaderName = HeaderName::from_static("topic");
const PARTITION: HeaderName = HeaderName::from_static("partition");
const OFFSET: HeaderName = HeaderName::from_static("offset");

/// Arenas for decompressed batches that a lane keeps for the next ones. Batches of Kafka's default size (16 KiB to 1 MiB)
/// fit after decompression; larger ones are allocated.
const ARENA_BYTES: usize = 1 << 20;
const ARENAS_KEPT: usize = 8;

/// Unpacks batches of any partition; one per lane.
pub(super) struct Unpacker {
    decoder: Decoder,
    records: RecordSpec,
    set: SetHeaders,
}

/// Where a batch is from.
pub(super) struct From<'a> {
    pub(super) topic: &'a Arc<str>,
    pub(super) partition: i32,
    /// Records below it are left out.
    pub(super) wanted: i64,
}

impl Unpacker {
    pub(super) fn new(records: RecordSpec, set: SetHeaders, batch_bytes_max: usize) -> Self {
        let options = DecoderOptions { decompressed_bytes_max: batch_bytes_max, ..DecoderOptions::default() };
        Self { decoder: Decoder::new(ArenaPool::new(ARENA_BYTES, ARENAS_KEPT), options), records, set }
    }

    /// The events of a batch, with the offset of the record behind each as its origin; empty if all are below the wanted
    /// offset. Costs the decoding; a number per event for the header `offset`.
    pub(super) fn unpack(&mut self, stored: &Bytes, from: &From<'_>) -> Result<EventBatch, DecodeError> {
        // Only inside this source: the channel gives the events an origin of its own.
        let place = ChannelId { log: 0, partition: u32::try_from(from.partition).unwrap_or_default() };
        let decoded = self.decoder.decode(stored.clone(), Some(place), now_ms())?;
        let Some(batch) = decoded.into_events() else {
            return Ok(EventBatch::from_bodies::<&[u8]>(&[], now_ms()));
        };
        let first = first_wanted(&batch, from.wanted);
        let batch = if first > 0 { batch.slice(first..batch.len()) } else { batch };
        if batch.is_empty() {
            return Ok(batch);
        }
        Ok(self.set_headers(self.records.received(batch), from))
    }

    fn set_headers(&self, mut batch: EventBatch, from: &From<'_>) -> EventBatch {
        if self.set.topic {
            set_where_absent(&mut batch, TOPIC, Bytes::copy_from_slice(from.topic.as_bytes()));
        }
        if self.set.partition {
            set_where_absent(&mut batch, PARTITION, Bytes::from(from.partition.to_string()));
        }
        if self.set.offset {
            set_offsets(&mut batch);
        }
        batch
    }
}

/// The offset of the record behind event `row`.
pub(super) fn offset_of(batch: &EventBatch, row: usize) -> i64 {
    let offset = batch.origin().and_then(|origin| origin.offset(row));
    offset.and_then(|offset| i64::try_from(offset).ok()).unwrap_or_default()
}

/// Number of the first event at `wanted` or behind. Offsets ascend.
fn first_wanted(batch: &EventBatch, wanted: i64) -> usize {
    let (mut below, mut end) = (0, batch.len());
    while below < end {
        let middle = below + (end - below) / 2;
        if offset_of(batch, middle) < wanted {
            below = middle + 1;
        } else {
            end = middle;
        }
    }
    below
}

/// Gives a header to the events that do not bring one of that name, as Flume's source does.
fn set_where_absent(batch: &mut EventBatch, name: HeaderName, value: Bytes) {
    let Some(column) = batch.column(name.as_str()).cloned() else {
        batch.set_constant(name, value);
        return;
    };
    fill(batch, name, &column, |_| value.clone());
}

fn set_offsets(batch: &mut EventBatch) {
    if let Some(column) = batch.column(OFFSET.as_str()).cloned() {
        let offsets: Vec<i64> = (0..batch.len()).map(|row| offset_of(batch, row)).collect();
        fill(batch, OFFSET, &column, |row| Bytes::from(offsets[row].to_string()));
        return;
    }
    let numbers = match batch.origin().map(|origin| &origin.offsets) {
        Some(Offsets::Contiguous { first }) => {
            let first = i64::try_from(*first).unwrap_or(ABSENT_I64);
            (0..batch.len() as i64).map(|row| first + row).collect()
        }
        _ => (0..batch.len()).map(|row| offset_of(batch, row)).collect(),
    };
    batch.set_i64(OFFSET, numbers);
}

/// Fills the gaps of a column that came with the records. Rare: somebody upstream sets the header on some events only.
fn fill(batch: &mut EventBatch, name: HeaderName, column: &Column, value: impl Fn(usize) -> Bytes) {
    let rows = 0..batch.len();
    if rows.clone().all(|row| batch.value(column, row).is_some()) {
        return;
    }
    let (mut arena, mut spans) = (Vec::new(), Vec::with_capacity(rows.len()));
    for row in rows {
        let start = arena.len();
        match batch.value(column, row) {
            Some(present) => arena.extend_from_slice(&present),
            None => arena.extend_from_slice(&value(row)),
        }
        spans.push(Span::new(start, arena.len() - start));
    }
    batch.set_text(name, TextColumn { arena: arena.into(), spans: Arc::new(spans) });
}
