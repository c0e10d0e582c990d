//! [`Rows`]: the fields that every record has.

use weir_event::{ABSENT_I64, Offsets, Span};

use super::BatchHeader;
use super::columns::{Columns, parse_number, read_bytes};
use super::decode::RecordFault;
use super::varint::read_varint;

/// In the attributes of a batch: the broker gave the timestamps.
const LOG_APPEND_TIME: i16 = 1 << 3;
const NO_TIMESTAMP: i64 = -1;

/// The fixed fields of the records read so far.
pub(super) struct Rows {
    pub(super) bodies: Vec<Span>,
    /// [`ABSENT_I64`] where a record has none.
    pub(super) timestamps: Vec<i64>,
    pub(super) offsets: OffsetDeltas,
    base_timestamp: i64,
    /// The timestamp of every record, if the broker gave it.
    append_timestamp: Option<i64>,
    last_offset_delta: i64,
}

impl Rows {
    pub(super) fn new(header: &BatchHeader, count: usize) -> Self {
        let by_broker = header.attributes & LOG_APPEND_TIME != 0;
        Self {
            bodies: Vec::with_capacity(count),
            timestamps: Vec::with_capacity(count),
            offsets: OffsetDeltas::default(),
            base_timestamp: header.base_timestamp,
            append_timestamp: by_broker.then_some(header.max_timestamp),
            last_offset_delta: i64::from(header.last_offset_delta),
        }
    }

    /// Reads the record at `*at` and moves `*at` behind it.
    #[inline(always)]
    pub(super) fn read(
        &mut self,
        arena: &[u8],
        at: &mut usize,
        row: usize,
        columns: &mut Columns,
    ) -> Result<(), RecordFault> {
        let record = read_bytes(arena, at)?.ok_or(RecordFault::Length)?;
        // Up to the end of this record, so that no field reaches into the next.
        let bytes = &arena[..record.end()];
        // Behind the record's attributes, of which none is defined.
        let mut inside = record.start as usize + 1;
        let timestamp_delta = read_varint(bytes, &mut inside).ok_or(RecordFault::Number)?;
        let offset_delta = read_varint(bytes, &mut inside).ok_or(RecordFault::Number)?;
        if offset_delta > self.last_offset_delta || !self.offsets.push(row, offset_delta) {
            return Err(RecordFault::Offset);
        }
        let key = read_bytes(bytes, &mut inside)?;
        let body = read_bytes(bytes, &mut inside)?.unwrap_or(Span { start: 0, len: 0 });
        if let Some(key) = key {
            columns.set_key(row, key)?;
        }
        let headers = read_varint(bytes, &mut inside).ok_or(RecordFault::Number)?;
        let headers = usize::try_from(headers).map_err(|_| RecordFault::Length)?;
        let null = Some(Span { start: 0, len: 0 });
        columns.read(bytes, &mut inside, row, headers, null)?;
        if inside != record.end() {
            return Err(RecordFault::Unfilled);
        }
        // Wraps as Kafka's own arithmetic does.
        let timestamp = self.append_timestamp.unwrap_or_else(|| self.base_timestamp.wrapping_add(timestamp_delta));
        self.timestamps.push(if timestamp == NO_TIMESTAMP { ABSENT_I64 } else { timestamp });
        self.bodies.push(body);
        Ok(())
    }

    /// Gives records without a timestamp what a header called `timestamp` says.
    pub(super) fn fill_timestamps(&mut self, declared: &[Span], arena: &[u8]) {
        for (timestamp, span) in self.timestamps.iter_mut().zip(declared) {
            if *timestamp == ABSENT_I64 {
                *timestamp = span.of(arena).and_then(parse_number).unwrap_or(ABSENT_I64);
            }
        }
    }
}

/// Offsets relative to the batch. Kept one by one only from the first gap on.
#[derive(Default)]
pub(super) struct OffsetDeltas {
    first: i64,
    last: i64,
    explicit: Vec<i64>,
}

impl OffsetDeltas {
    /// Adds that of `row`; whether it ascends, from 0 at the least.
    #[inline(always)]
    fn push(&mut self, row: usize, delta: i64) -> bool {
        if row == 0 {
            (self.first, self.last) = (delta, delta);
            return delta >= 0;
        }
        let ascends = delta > self.last;
        if !self.explicit.is_empty() {
            self.explicit.push(delta);
        } else if delta != self.last.wrapping_add(1) {
            self.explicit.extend((self.first..).take(row));
            self.explicit.push(delta);
        }
        self.last = delta;
        ascends
    }

    /// The offsets, relative to `base` no longer.
    pub(super) fn finish(self, base: u64) -> Offsets {
        // Cannot saturate: the base is below 2^63 and a delta below 2^31.
        let offset = |delta: i64| base.saturating_add(delta.unsigned_abs());
        if self.explicit.is_empty() {
            Offsets::Contiguous { first: offset(self.first) }
        } else {
            Offsets::Explicit(self.explicit.into_iter().map(offset).collect())
        }
    }
}
