//! [`Encoder`]: events to a record batch.
//!
//! Two passes: the first works column by column and finds the size of every record, for each starts with its length;
//! the second writes row by row. Nothing is written twice or moved, and nothing is looked up by name per event.

use thiserror::Error;
use weir_event::{ABSENT_I64, EventBatch, HeaderName, names};

use super::codecs::{CompressError, Compressor, InvalidLevel};
use super::parts::{Parts, Row, Scratch};
use super::varint::{length_bytes, varint_bytes};
use super::writer::{Writer, append};
use super::{BatchHeader, Compression, EncodedBatch, HEADER_BYTES};

/// The timestamp of a record, and of a batch, that has none.
const NO_TIMESTAMP: i64 = -1;
/// A batch says its length in an i32, which does not count the first 12 bytes.
pub(super) const BATCH_BYTES_MAX: usize = i32::MAX as usize;

/// Which headers become record headers. `key` and `timestamp` are fields of a record of their own: always written,
/// never record headers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum HeaderSelection {
    /// None of them.
    None,
    /// Those with one of these names, in the order of the batch's columns.
    List(Vec<String>),
    /// Every one.
    #[default]
    All,
}

impl HeaderSelection {
    fn has(&self, name: &HeaderName) -> bool {
        let is_field = *name == names::KEY || *name == names::TIMESTAMP;
        let is_selected = match self {
            Self::None => false,
            Self::List(names) => names.iter().any(|listed| name == listed.as_str()),
            Self::All => true,
        };
        is_selected && !is_field
    }
}

/// How an [`Encoder`] works.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EncoderOptions {
    /// Compression of the records.
    pub compression: Compression,
    /// Gzip 0 to 9 (default 6), zstd -131072 to 22 (default 3); the others have none.
    pub level: Option<i32>,
    /// The record headers.
    pub headers: HeaderSelection,
}

/// Why a batch could not be encoded.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum EncodeError {
    /// A record batch has at least one record.
    #[error("no events to encode")]
    Empty,
    /// A record batch is smaller than 2 GiB.
    #[error("{events} events need {bytes} bytes, more than the 2 GiB of a record batch: split them")]
    TooLarge {
        /// Number of events.
        events: usize,
        /// Size of the batch before compression.
        bytes: usize,
    },
    /// The library behind the compression failed.
    #[error("{compression:?} failed on {records_bytes} bytes of records: {detail}")]
    Compress {
        /// The compression.
        compression: Compression,
        /// Size of its input.
        records_bytes: usize,
        /// What it said.
        detail: &'static str,
    },
}

impl From<CompressError> for EncodeError {
    fn from(error: CompressError) -> Self {
        let CompressError { compression, records_bytes, detail } = error;
        Self::Compress { compression, records_bytes, detail }
    }
}

/// Makes record batches of event batches. One per thread: it keeps the compression context and its scratch memory, so
/// that encoding allocates only where a batch is larger than all before it.
///
/// | event | record |
/// |---|---|
/// | body | value |
/// | header `key` | key; null if absent |
/// | header `timestamp` | timestamp; -1 if absent, or text that is no number |
/// | other headers, by [`HeaderSelection`] | record headers, numbers as decimal text |
pub struct Encoder {
    options: EncoderOptions,
    compressor: Compressor,
    scratch: Scratch,
    rows: Vec<Row>,
    /// Timestamps that had to be read from text.
    timestamps: Vec<i64>,
    /// Records before compression.
    records: Vec<u8>,
}

/// The timestamps of a batch, ready for the records.
struct Times<'a> {
    /// One per row, [`ABSENT_I64`] where there is none; `None` if no row has one.
    values: Option<&'a [i64]>,
    base: i64,
    max: i64,
}

impl<'a> Times<'a> {
    fn new(values: Option<&'a [i64]>) -> Self {
        let present = || values.unwrap_or_default().iter().copied().filter(|value| *value != ABSENT_I64);
        Self { values, base: present().next().unwrap_or(NO_TIMESTAMP), max: present().max().unwrap_or(NO_TIMESTAMP) }
    }

    /// Wraps as Kafka's own arithmetic does, so that any i64 comes back.
    #[inline]
    fn delta(&self, row: usize) -> i64 {
        let Some(values) = self.values else {
            return NO_TIMESTAMP.wrapping_sub(self.base);
        };
        let value = if values[row] == ABSENT_I64 { NO_TIMESTAMP } else { values[row] };
        value.wrapping_sub(self.base)
    }
}

impl Encoder {
    /// An encoder, with the context of its compression.
    ///
    /// # Errors
    /// If the compression does not have the level.
    pub fn new(options: EncoderOptions) -> Result<Self, InvalidLevel> {
        Ok(Self {
            compressor: Compressor::new(options.compression, options.level)?,
            options,
            scratch: Scratch::default(),
            rows: Vec::new(),
            timestamps: Vec::new(),
            records: Vec::new(),
        })
    }

    /// Encodes `batch` into `buffer`, whose content is discarded and whose capacity is reused
    /// (see [`EncodedBatch::into_bytes`]). Base offset 0, no leader epoch, no producer: see [`EncodedBatch::stamp`].
    ///
    /// # Errors
    /// [`EncodeError`]; `buffer` is lost then.
    pub fn encode(&mut self, batch: &EventBatch, mut buffer: Vec<u8>) -> Result<EncodedBatch, EncodeError> {
        if batch.is_empty() {
            return Err(EncodeError::Empty);
        }
        buffer.clear();
        buffer.resize(HEADER_BYTES, 0);
        let times = Times::new(timestamps(batch, &mut self.timestamps));
        let parts = Parts::new(batch, |name| self.options.headers.has(name), &mut self.scratch);
        let record_bytes = measure(batch, &times, &parts, &mut self.rows);
        let bytes = HEADER_BYTES.saturating_add(record_bytes);
        if bytes > BATCH_BYTES_MAX {
            parts.give_back(&mut self.scratch);
            return Err(EncodeError::TooLarge { events: batch.len(), bytes });
        }
        let compressed = self.options.compression != Compression::None;
        let out = if compressed { &mut self.records } else { &mut buffer };
        if compressed {
            out.clear();
        }
        append(out, record_bytes, |writer| {
            write_records(batch, &times, &parts, &self.rows, writer);
            debug_assert_eq!(writer.written(), record_bytes, "both passes agree");
        });
        parts.give_back(&mut self.scratch);
        if compressed {
            self.compressor.compress(&self.records, &mut buffer)?;
        }
        let header = header(batch.len(), &times, self.options.compression);
        Ok(EncodedBatch::finish(buffer, header))
    }
}

/// The `timestamp` column as numbers; `scratch` holds those that had to be read from text.
fn timestamps<'a>(batch: &'a EventBatch, scratch: &'a mut Vec<i64>) -> Option<&'a [i64]> {
    match batch.column(names::TIMESTAMP.as_str())? {
        weir_event::Column::I64(values) => Some(&values[batch.rows()]),
        _ => {
            let timestamps = batch.timestamps();
            scratch.clear();
            scratch.extend((0..batch.len()).map(|row| timestamps.get(row).unwrap_or(ABSENT_I64)));
            Some(scratch)
        }
    }
}

/// The first pass: fills `rows`, returns the size of all records in bytes.
fn measure(batch: &EventBatch, times: &Times<'_>, parts: &Parts<'_>, rows: &mut Vec<Row>) -> usize {
    let arena = batch.body_arena();
    rows.clear();
    rows.extend(batch.body_spans().iter().enumerate().map(|(row, span)| {
        let body_bytes = span.of(arena).unwrap_or_default().len();
        let attributes_bytes = 1;
        let deltas_bytes = varint_bytes(times.delta(row)) + varint_bytes(row as i64);
        Row { bytes: attributes_bytes + deltas_bytes + length_bytes(body_bytes) + body_bytes, headers: 0 }
    }));
    parts.measure_keys(rows);
    parts.measure_headers(rows);
    let mut total: usize = 0;
    for row in rows {
        row.bytes += length_bytes(row.headers);
        total = total.saturating_add(length_bytes(row.bytes) + row.bytes);
    }
    total
}

/// The second pass.
fn write_records(batch: &EventBatch, times: &Times<'_>, parts: &Parts<'_>, rows: &[Row], writer: &mut Writer<'_>) {
    let arena = batch.body_arena();
    for (index, (span, row)) in batch.body_spans().iter().zip(rows).enumerate() {
        writer.length(row.bytes);
        let attributes = 0;
        writer.byte(attributes);
        writer.varint(times.delta(index));
        writer.length(index);
        parts.write_key(index, writer);
        let body = span.of(arena).unwrap_or_default();
        writer.length(body.len());
        writer.bytes(body);
        writer.length(row.headers);
        parts.write_headers(index, writer);
    }
}

fn header(events: usize, times: &Times<'_>, compression: Compression) -> BatchHeader {
    // A record takes 7 bytes, so that a batch below 2 GiB has far fewer than 2^31 of them.
    let record_count = i32::try_from(events).expect("a batch within its size limit has fewer than 2^31 records");
    BatchHeader {
        base_offset: 0,
        batch_length: 0,
        partition_leader_epoch: -1,
        crc: 0,
        attributes: compression.id(),
        last_offset_delta: record_count - 1,
        base_timestamp: times.base,
        max_timestamp: times.max,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count,
    }
}
