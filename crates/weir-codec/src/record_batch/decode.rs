//! [`Decoder`]: a record batch to events.
//!
//! Values, keys and headers become spans into the batch as stored, or into one arena it is decompressed into; no byte
//! of an event is copied otherwise.

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;
use weir_event::{ABSENT_I64, ArenaPool, ChannelId, Column, EventBatch, Origin, Span, TextColumn, names};

use super::codecs::{DecompressError, Decompressor};
use super::columns::Columns;
use super::rows::Rows;
use super::{BatchHeader, Compression, HEADER_BYTES, HeaderError, crc_is_valid};

/// The shortest record: length, attributes, two deltas, two lengths and a count of one byte each.
const RECORD_BYTES_MIN: usize = 7;
/// Spans count in 32 bits, and their largest length means absent.
const ARENA_BYTES_MAX: usize = u32::MAX as usize - 1;

/// What a [`Decoder`] checks and refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecoderOptions {
    /// Whether to check the CRC; off where the reader of the bytes has done so.
    pub verify_crc: bool,
    /// Largest size of the records of a batch after decompression, bytes; also limits, on its own, the memory of the
    /// spans and header columns of a batch. Capped at 4 GiB.
    pub decompressed_bytes_max: usize,
    /// Largest ratio of the records' size after decompression to that before. Never applied below 64 KiB: so small a
    /// batch is harmless at any ratio.
    pub decompression_ratio_max: usize,
    /// Most header columns of a batch.
    pub columns_max: usize,
}

/// Below this size no ratio is too large.
const RATIO_FREE_BYTES: usize = 64 << 10;

impl Default for DecoderOptions {
    fn default() -> Self {
        Self {
            verify_crc: true,
            // 64 times Kafka's default limit on a compressed batch.
            decompressed_bytes_max: 64 << 20,
            // Zstd's own end is a block of 128 KiB in 4 bytes, and a batch of one repeated line comes near it. Gzip
            // ends at 1032, LZ4 at 255. So this refuses nothing genuine.
            decompression_ratio_max: 32 << 10,
            columns_max: 256,
        }
    }
}

impl DecoderOptions {
    /// For bytes of our own whose checksum was verified: what was taken must come back, so limits against foreign bytes
    /// would turn into loss.
    #[must_use]
    pub const fn trusted() -> Self {
        Self {
            verify_crc: false,
            decompressed_bytes_max: usize::MAX,
            decompression_ratio_max: usize::MAX,
            columns_max: usize::MAX,
        }
    }
}

/// What a batch held.
#[derive(Clone, Debug)]
pub enum Decoded {
    /// Events; none at all if compaction removed every record.
    Events(EventBatch),
    /// A control batch: transaction markers, or the first batch of one of our segments. Not for consumers; their
    /// positions pass over it.
    Control(BatchHeader),
}

impl Decoded {
    /// The events; `None` for a control batch.
    #[must_use]
    pub fn into_events(self) -> Option<EventBatch> {
        match self {
            Self::Events(batch) => Some(batch),
            Self::Control(_) => None,
        }
    }
}

/// Why bytes could not be decoded as a record batch. All of them mean damage or a limit; trying again does not help.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum DecodeError {
    /// No header of a batch.
    #[error("no record batch")]
    Header(#[from] HeaderError),
    /// Not exactly one batch.
    #[error("{have} bytes where the header of the batch says {expected}")]
    Size {
        /// Bytes at hand.
        have: usize,
        /// Size by the header.
        expected: usize,
    },
    /// Bytes changed since the batch was written.
    #[error("batch at offset {base_offset} does not match its checksum")]
    Crc {
        /// Offset of its first record.
        base_offset: i64,
    },
    /// A compression id that Kafka has not defined.
    #[error("batch at offset {base_offset} has undefined compression {id}")]
    Compression {
        /// Offset of its first record.
        base_offset: i64,
        /// The id.
        id: i16,
    },
    /// Decompression failed.
    #[error("batch at offset {base_offset} does not decompress")]
    Decompress {
        /// Offset of its first record.
        base_offset: i64,
        /// Why.
        #[source]
        source: DecompressError,
    },
    /// More records promised than there is room or memory for.
    #[error("batch at offset {base_offset} promises {records} records in {bytes} bytes")]
    Count {
        /// Offset of the first record.
        base_offset: i64,
        /// Number promised.
        records: i32,
        /// Size of the records after decompression.
        bytes: usize,
    },
    /// A record is damaged.
    #[error("record {record} of the batch at offset {base_offset} is damaged")]
    Record {
        /// Offset of the first record of the batch.
        base_offset: i64,
        /// Number of the record, from 0.
        record: usize,
        /// What is wrong with it.
        #[source]
        fault: RecordFault,
    },
    /// Something follows the last record.
    #[error("{bytes} bytes follow the last record of the batch at offset {base_offset}")]
    Trailing {
        /// Offset of the first record.
        base_offset: i64,
        /// How many.
        bytes: usize,
    },
}

/// What is wrong with a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum RecordFault {
    /// A number that runs past the end or past 64 bits.
    #[error("a number is cut short or too long")]
    Number,
    /// A length that is negative or reaches past the end.
    #[error("a length reaches past the end")]
    Length,
    /// The record's fields end before or after the record does.
    #[error("its fields do not fill it")]
    Unfilled,
    /// Offsets must ascend, stay within the batch, and not be negative.
    #[error("its offset is negative, not after the one before, or outside the batch")]
    Offset,
    /// A header has no name.
    #[error("a header has no name")]
    HeaderName,
    /// More headers than allowed.
    #[error("more than {columns_max} header names, or their columns take too much memory: raise the limits")]
    Columns {
        /// The limit on names.
        columns_max: usize,
    },
}

/// Makes event batches of record batches. One per thread: it keeps the decompression contexts, and the header names it
/// has met.
///
/// | record | event |
/// |---|---|
/// | value | body; a null is an empty body, not told apart |
/// | key | header `key`; absent if null |
/// | timestamp | header `timestamp`, a number; absent if -1, no column if all are |
/// | record headers | text columns; a null value is an empty text, the last of equal names counts |
///
/// Record headers that are themselves called `key` or `timestamp` count for records without the field of that name.
/// A batch whose timestamps the broker gave (log append time) has its largest one for all events.
///
/// Allocates the spans and columns that it returns, never more than the limits say, and per event nothing.
pub struct Decoder {
    options: DecoderOptions,
    pool: ArenaPool,
    decompressor: Decompressor,
    columns: Columns,
}

impl Decoder {
    /// A decoder that decompresses into arenas of `pool`: best as large as the batches to come.
    #[must_use]
    pub fn new(pool: ArenaPool, options: DecoderOptions) -> Self {
        Self { options, pool, decompressor: Decompressor::default(), columns: Columns::new(options.columns_max) }
    }

    /// Decodes the one batch that `stored` is. With `channel` the result has an origin: the offsets in the batch.
    ///
    /// Uncompressed, the result's arena is `stored` itself, and keeps alive all the memory behind it.
    ///
    /// # Errors
    /// [`DecodeError`]; the decoder can go on with another batch.
    pub fn decode(
        &mut self,
        stored: Bytes,
        channel: Option<ChannelId>,
        arrival_ms: i64,
    ) -> Result<Decoded, DecodeError> {
        let header = BatchHeader::parse(&stored)?;
        let base_offset = header.base_offset;
        if header.total_bytes() != stored.len() {
            return Err(DecodeError::Size { have: stored.len(), expected: header.total_bytes() });
        }
        if self.options.verify_crc && !crc_is_valid(&stored) {
            return Err(DecodeError::Crc { base_offset });
        }
        if header.is_control() {
            return Ok(Decoded::Control(header));
        }
        let (arena, start) = match header.compression() {
            Some(Compression::None) => (stored, HEADER_BYTES),
            Some(compression) => {
                let arena = self
                    .decompress(compression, &stored[HEADER_BYTES..])
                    .map_err(|source| DecodeError::Decompress { base_offset, source })?;
                (arena, 0)
            }
            None => {
                return Err(DecodeError::Compression { base_offset, id: header.attributes & 7 });
            }
        };
        self.events(&header, arena, start, channel, arrival_ms).map(Decoded::Events)
    }

    fn decompress(&mut self, compression: Compression, records: &[u8]) -> Result<Bytes, DecompressError> {
        let by_ratio = records.len().saturating_mul(self.options.decompression_ratio_max).max(RATIO_FREE_BYTES);
        let bytes_max = self.options.decompressed_bytes_max.min(by_ratio).min(ARENA_BYTES_MAX);
        let mut arena = self.pool.take();
        self.decompressor.decompress(compression, records, arena.buffer(), bytes_max)?;
        Ok(arena.freeze())
    }

    /// Reads the records in `arena` from `start` on.
    fn events(
        &mut self,
        header: &BatchHeader,
        arena: Bytes,
        start: usize,
        channel: Option<ChannelId>,
        arrival_ms: i64,
    ) -> Result<EventBatch, DecodeError> {
        let base_offset = header.base_offset;
        let bytes = arena.len() - start;
        let count = usize::try_from(header.record_count).unwrap_or_default();
        // Bodies and timestamps take 16 bytes of memory per record, header columns what is left of the limit.
        let fixed_bytes = count.saturating_mul(size_of::<Span>() + size_of::<i64>());
        let column_bytes_max = self.options.decompressed_bytes_max.checked_sub(fixed_bytes);
        let (Some(column_bytes_max), true) = (column_bytes_max, count <= bytes / RECORD_BYTES_MIN) else {
            return Err(DecodeError::Count { base_offset, records: header.record_count, bytes });
        };
        self.columns.start(count, column_bytes_max);
        let mut rows = Rows::new(header, count);
        let mut at = start;
        for record in 0..count {
            rows.read(&arena, &mut at, record, &mut self.columns).map_err(|fault| DecodeError::Record {
                base_offset,
                record,
                fault,
            })?;
        }
        if at != arena.len() {
            return Err(DecodeError::Trailing { base_offset, bytes: arena.len() - at });
        }
        rows.fill_timestamps(&self.columns.take_timestamps(), &arena);
        let mut columns = self.columns.finish(&arena, count);
        if rows.timestamps.iter().any(|timestamp| *timestamp != ABSENT_I64) {
            columns.push((names::TIMESTAMP, Column::I64(Arc::new(rows.timestamps))));
        }
        let bodies = TextColumn { arena, spans: Arc::new(rows.bodies) };
        let batch = EventBatch::new(bodies, columns, arrival_ms);
        let Some(channel) = channel else {
            return Ok(batch);
        };
        // Brokers and our log start at 0; making a position of a negative offset would invent one.
        let base = u64::try_from(base_offset).map_err(|_| DecodeError::Record {
            base_offset,
            record: 0,
            fault: RecordFault::Offset,
        })?;
        Ok(batch.with_origin(Origin { channel, offsets: rows.offsets.finish(base) }))
    }
}
