//! [`Columns`]: the headers of records, gathered into columns by a schema that learns.
//!
//! Record headers come as name and value with each record, yet records of one origin have the same names in the same
//! order. So the name at each place of the previous record is expected at that place again, length and all, and
//! comparing it is one comparison of a few bytes. Where it fails the name is looked up, then expected here.

use std::sync::Arc;

use bytes::Bytes;
use weir_event::{Column, HeaderName, Span, TextColumn, names};

use super::decode::RecordFault;
use super::varint::{length_bytes, read_length};
use super::writer::append;

/// Names kept from batch to batch; a batch with more teaches the next one nothing.
const NAMES_KEPT_MAX: usize = 64;
/// A name and its length are compared as one number up to this size.
const SHORT_BYTES: usize = 16;
/// Slot of the header `key`, which is the key of a record.
const KEY: usize = 0;
/// Slot of record headers called `timestamp`, which give way to the timestamp of the record.
const TIMESTAMP: usize = 1;

/// One header.
struct Slot {
    name: HeaderName,
    /// The name as it stands in a record: length, then bytes.
    rendered: Vec<u8>,
    /// The first [`SHORT_BYTES`] of it as a number, and which bits count.
    short: u128,
    short_mask: u128,
    /// One per row up to the last row that has the header. Allocated when a batch has the first.
    spans: Vec<Span>,
    /// The first row of the batch that has the header.
    first_row: usize,
}

impl Slot {
    fn new(name: HeaderName, bytes: &[u8]) -> Self {
        let mut rendered = Vec::new();
        append(&mut rendered, length_bytes(bytes.len()) + bytes.len(), |writer| {
            writer.length(bytes.len());
            writer.bytes(bytes);
        });
        let mut short = [0; SHORT_BYTES];
        let count = rendered.len().min(SHORT_BYTES);
        short[..count].copy_from_slice(&rendered[..count]);
        // 8 bits a byte; a full number has no bits to drop, and a shift by its width is not defined.
        let short_mask = if count == SHORT_BYTES { u128::MAX } else { (1 << (8 * count)) - 1 };
        Self { name, rendered, short: u128::from_le_bytes(short), short_mask, spans: Vec::new(), first_row: 0 }
    }

    /// Whether `bytes` at `at` start with the name of this slot, length included.
    #[inline(always)]
    fn is_at(&self, bytes: &[u8], at: usize) -> bool {
        let Some(rest) = bytes.get(at..) else {
            return false;
        };
        match rest.first_chunk::<SHORT_BYTES>() {
            Some(chunk) if self.rendered.len() <= SHORT_BYTES => {
                u128::from_le_bytes(*chunk) & self.short_mask == self.short
            }
            _ => rest.starts_with(&self.rendered),
        }
    }
}

/// The columns of the batch that is being decoded, and what is known about the next.
pub(crate) struct Columns {
    slots: Vec<Slot>,
    /// The slot expected at each place of a record.
    expected: Vec<usize>,
    rows_max: usize,
    columns_left: usize,
    columns_max: usize,
    column_bytes_left: usize,
}

impl Columns {
    pub(crate) fn new(columns_max: usize) -> Self {
        let mut columns = Self {
            slots: Vec::new(),
            expected: Vec::new(),
            rows_max: 0,
            columns_left: 0,
            columns_max,
            column_bytes_left: 0,
        };
        columns.forget();
        columns
    }

    fn forget(&mut self) {
        self.expected.clear();
        self.slots.clear();
        for name in [names::KEY, names::TIMESTAMP] {
            let slot = Slot::new(name.clone(), name.as_str().as_bytes());
            self.slots.push(slot);
        }
    }

    /// Starts a batch of `rows_max` rows whose columns may take `column_bytes_max` of memory. Whatever a batch that
    /// ended in an error left behind is dropped.
    pub(crate) fn start(&mut self, rows_max: usize, column_bytes_max: usize) {
        if self.slots.len() > NAMES_KEPT_MAX {
            self.forget();
        }
        self.slots.iter_mut().for_each(|slot| slot.spans = Vec::new());
        self.rows_max = rows_max;
        self.columns_left = self.columns_max;
        self.column_bytes_left = column_bytes_max;
    }

    /// Sets the key of `row`.
    #[inline(always)]
    pub(super) fn set_key(&mut self, row: usize, value: Span) -> Result<(), RecordFault> {
        self.set(KEY, row, value)
    }

    /// Reads the `count` headers of `row` from `bytes`, whose end is the end of the record. A null value counts as `null`;
    /// without that it is a fault.
    #[inline(always)]
    pub(crate) fn read(
        &mut self,
        bytes: &[u8],
        at: &mut usize,
        row: usize,
        count: usize,
        null: Option<Span>,
    ) -> Result<(), RecordFault> {
        for place in 0..count {
            let slot = match self.expected.get(place) {
                Some(slot) if self.slots[*slot].is_at(bytes, *at) => {
                    *at += self.slots[*slot].rendered.len();
                    *slot
                }
                _ => self.find(bytes, at, place)?,
            };
            let value = read_bytes(bytes, at)?.or(null).ok_or(RecordFault::Length)?;
            self.set(slot, row, value)?;
        }
        Ok(())
    }

    /// The slot of the name at `*at`, which is expected at `place` from now on.
    #[cold]
    fn find(&mut self, bytes: &[u8], at: &mut usize, place: usize) -> Result<usize, RecordFault> {
        let span = read_bytes(bytes, at)?.ok_or(RecordFault::HeaderName)?;
        let name = span.of(bytes).unwrap_or_default();
        let known = self.slots.iter().position(|slot| slot.rendered.ends_with(name) && slot.name_bytes() == name);
        let slot = match known {
            Some(slot) => slot,
            // Names met in this batch and those kept from the ones before.
            None if self.slots.len() >= self.columns_max.saturating_add(NAMES_KEPT_MAX) => {
                return Err(RecordFault::Columns { columns_max: self.columns_max });
            }
            None => {
                self.slots.push(Slot::new(HeaderName::new(&String::from_utf8_lossy(name)), name));
                self.slots.len() - 1
            }
        };
        if let Some(expected) = self.expected.get_mut(place) {
            *expected = slot;
        } else if self.expected.len() < self.columns_max {
            // Places are met in order, so this one is next. Further ones than there may be columns repeat names.
            self.expected.push(slot);
        }
        Ok(slot)
    }

    #[inline(always)]
    fn set(&mut self, slot: usize, row: usize, value: Span) -> Result<(), RecordFault> {
        let spans = &mut self.slots[slot].spans;
        if spans.len() == row && row < spans.capacity() {
            spans.push(value);
            return Ok(());
        }
        self.set_elsewhere(slot, row, value)
    }

    /// The first value of a column in a batch, one after a gap, or a second one for the same row.
    #[cold]
    fn set_elsewhere(&mut self, slot: usize, row: usize, value: Span) -> Result<(), RecordFault> {
        let Slot { spans, first_row, .. } = &mut self.slots[slot];
        if spans.capacity() == 0 {
            let bytes = self.rows_max * size_of::<Span>();
            let left = self.column_bytes_left.checked_sub(bytes).filter(|_| self.columns_left > 0);
            self.column_bytes_left = left.ok_or(RecordFault::Columns { columns_max: self.columns_max })?;
            self.columns_left -= 1;
            *first_row = row;
            spans.reserve_exact(self.rows_max);
        }
        if let Some(earlier) = spans.get_mut(row) {
            // As with a map of headers, the last one counts; but the key of the record comes before any header.
            if slot != KEY {
                *earlier = value;
            }
            return Ok(());
        }
        spans.resize(row, Span::ABSENT);
        spans.push(value);
        Ok(())
    }

    /// Takes back what was set for `row`, the last one.
    #[cold]
    pub(crate) fn undo(&mut self, row: usize) {
        for slot in self.slots.iter_mut().filter(|slot| slot.spans.len() > row) {
            slot.spans.truncate(row);
            if slot.first_row == row {
                slot.spans = Vec::new();
                self.columns_left += 1;
                self.column_bytes_left += self.rows_max * size_of::<Span>();
            }
        }
    }

    /// Takes what headers called `timestamp` say, one span per row up to the last row that has one; else they become no
    /// column at all.
    pub(crate) fn take_timestamps(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.slots[TIMESTAMP].spans)
    }

    /// Ends the batch of `rows` rows: its columns over `arena`.
    pub(crate) fn finish(&mut self, arena: &Bytes, rows: usize) -> Vec<(HeaderName, Column)> {
        let used = self.slots.iter().filter(|slot| slot.spans.capacity() > 0).count();
        // One more for the timestamps, which the caller adds.
        let mut columns = Vec::with_capacity(used + 1);
        for slot in &mut self.slots {
            if slot.spans.capacity() > 0 {
                let mut spans = std::mem::take(&mut slot.spans);
                spans.resize(rows, Span::ABSENT);
                let text = TextColumn { arena: arena.clone(), spans: Arc::new(spans) };
                columns.push((slot.name.clone(), Column::Text(text)));
            }
        }
        columns
    }
}

impl Slot {
    /// The name as it came, which need not be UTF-8.
    fn name_bytes(&self) -> &[u8] {
        let mut at = 0;
        let length = read_length(&self.rendered, &mut at).flatten().unwrap_or_default();
        self.rendered.get(at..at + length).unwrap_or_default()
    }
}

/// Reads a length and skips that many bytes; `None` for a null.
#[inline(always)]
pub(crate) fn read_bytes(bytes: &[u8], at: &mut usize) -> Result<Option<Span>, RecordFault> {
    let Some(length) = read_length(bytes, at).ok_or(RecordFault::Length)? else {
        return Ok(None);
    };
    if length > bytes.len() - *at {
        return Err(RecordFault::Length);
    }
    // An arena is smaller than 4 GiB: the decoder's limit on it is capped.
    let span = Span { start: *at as u32, len: length as u32 };
    *at += length;
    Ok(Some(span))
}

/// A number in decimal text.
pub(crate) fn parse_number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}
