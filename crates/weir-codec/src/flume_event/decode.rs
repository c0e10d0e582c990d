//! [`decode`]: bodies that are Flume's events to events.
//!
//! Names repeat from event to event, so headers become columns by the schema that learns of
//! [`crate::record_batch`]: nothing is looked up per event.

use std::sync::Arc;

use bytes::Bytes;
use weir_event::{ABSENT_I64, Column, EventBatch, HeaderName, Span, TextColumn, names};

use super::encode::window;
use crate::record_batch::RecordFault;
use crate::record_batch::columns::{Columns, parse_number, read_bytes};
use crate::record_batch::varint::read_varint;

/// The header of events that could not be read as Flume's; its value is [`INVALID`].
pub const STATUS: HeaderName = HeaderName::from_static("weir.flume_event");
/// The only value of the header [`STATUS`].
const INVALID: &[u8] = b"invalid";

/// What the headers of a batch may take. An event that would need more counts as invalid: it is kept, with its headers
/// inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Most header names in a batch.
    pub columns_max: usize,
    /// Most memory of the header columns of a batch, bytes: 8 for each event and name.
    pub column_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // As those of record headers, and 32 names of a quarter of a million events.
        Self { columns_max: 256, column_bytes_max: 64 << 20 }
    }
}

/// What became of a batch.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// As many events as before, in the same order.
    pub batch: EventBatch,
    /// How many of them were not Flume's, or beyond the limits: they have their body as it was, and the header [`STATUS`].
    pub invalid: usize,
}

/// The events whose bodies are Flume's events, with the headers of these. Bodies and headers are spans of the same arena;
/// no byte is copied, unless a header is in the values of some events and, as anything but text of that arena, in a column
/// for others.
///
/// An event must fill its body exactly. Of equal names in one event the last counts. Allocates the columns and spans that
/// it returns, never more than the limits and a small multiple of the input, and nothing per event.
#[must_use]
pub fn decode(batch: &EventBatch, limits: Limits) -> Decoded {
    let arena = batch.body_arena();
    let mut columns = Columns::new(limits.columns_max);
    columns.start(batch.len(), limits.column_bytes_max);
    let mut bodies = Vec::with_capacity(batch.len());
    let mut invalid = Vec::new();
    for (row, value) in batch.body_spans().iter().enumerate() {
        bodies.push(match read_event(arena, *value, row, &mut columns) {
            Ok(body) => body,
            Err(_) => {
                columns.undo(row);
                invalid.push(row);
                *value
            }
        });
    }
    let outer = batch.columns().iter().map(|(name, column)| (name.clone(), window(column, batch.rows())));
    let bodies = TextColumn { arena: arena.clone(), spans: Arc::new(bodies) };
    let mut decoded = EventBatch::new(bodies, outer.collect(), batch.arrival_ms());
    if let Some(origin) = batch.origin() {
        decoded = decoded.with_origin(origin.clone());
    }
    set_timestamps(&mut decoded, &columns.take_timestamps());
    for (name, column) in columns.finish(arena, batch.len()) {
        set_header(&mut decoded, name, column);
    }
    if !invalid.is_empty() {
        set_header(&mut decoded, STATUS, marks(&invalid, batch.len()));
    }
    Decoded { batch: decoded, invalid: invalid.len() }
}

/// Reads the event that fills `value`, which is row `row`; returns its body.
#[inline(always)]
fn read_event(arena: &[u8], value: Span, row: usize, columns: &mut Columns) -> Result<Span, RecordFault> {
    // Up to the end of this event, so that no length reaches into the next.
    let bytes = arena.get(..value.end()).ok_or(RecordFault::Length)?;
    let mut at = value.start as usize;
    loop {
        let count = read_varint(bytes, &mut at).ok_or(RecordFault::Number)?;
        match count {
            0 => break,
            // The size that follows is for readers who skip.
            ..0 => _ = read_varint(bytes, &mut at).ok_or(RecordFault::Number)?,
            _ => {}
        }
        // Entries end with the bytes, however many were promised.
        let count = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        columns.read(bytes, &mut at, row, count, None)?;
    }
    let body = read_bytes(bytes, &mut at)?.ok_or(RecordFault::Length)?;
    if at == bytes.len() { Ok(body) } else { Err(RecordFault::Unfilled) }
}

/// Gives events the number that their value's header `timestamp` says.
fn set_timestamps(batch: &mut EventBatch, declared: &[Span]) {
    if declared.is_empty() {
        return;
    }
    let (arena, of_records) = (batch.body_arena(), batch.timestamps());
    let timestamp = |row: usize| {
        let number = declared.get(row).and_then(|span| span.of(arena)).and_then(parse_number);
        number.or_else(|| of_records.get(row)).unwrap_or(ABSENT_I64)
    };
    let timestamps: Vec<i64> = (0..batch.len()).map(timestamp).collect();
    batch.set_i64(names::TIMESTAMP, timestamps);
}

/// Sets what the values say about a header. A column of that name counts for events without the header; of `key` it is the
/// other way round.
fn set_header(batch: &mut EventBatch, name: HeaderName, inner: Column) {
    let text = match batch.column(name.as_str()) {
        None => None,
        Some(outer) if name == names::KEY && is_full(outer) => return,
        Some(outer) if name == names::KEY => Some(overlay(batch, outer, &inner)),
        Some(_) if is_full(&inner) => None,
        Some(outer) => Some(overlay(batch, &inner, outer)),
    };
    match (text, inner) {
        (Some(text), _) | (None, Column::Text(text)) => batch.set_text(name, text),
        _ => unreachable!("what the values say is text"),
    }
}

/// Whether every event has the header.
fn is_full(column: &Column) -> bool {
    match column {
        Column::Constant(_) => true,
        Column::I64(values) => values.iter().all(|value| *value != ABSENT_I64),
        Column::Text(text) => text.spans.iter().all(|span| !span.is_absent()),
    }
}

/// For each event the value of `first`, or else that of `second`. Both are columns for the rows of `batch`.
fn overlay(batch: &EventBatch, first: &Column, second: &Column) -> TextColumn {
    if let (Column::Text(first), Column::Text(second)) = (first, second)
        && first.arena.as_ptr_range() == second.arena.as_ptr_range()
    {
        let pairs = first.spans.iter().zip(second.spans.iter());
        let spans = pairs.map(|(first, second)| if first.is_absent() { *second } else { *first }).collect();
        return TextColumn { arena: first.arena.clone(), spans: Arc::new(spans) };
    }
    let mut arena = Vec::new();
    let mut constant = None;
    let mut add = |column: &Column, row: usize| {
        if let (Column::Constant(_), Some(span)) = (column, constant) {
            return Some(span);
        }
        let value = batch.value(column, row)?;
        let span = Span::new(arena.len(), value.len());
        arena.extend_from_slice(&value);
        if matches!(column, Column::Constant(_)) {
            constant = Some(span);
        }
        Some(span)
    };
    let rows = 0..batch.len();
    let spans: Vec<Span> =
        rows.map(|row| add(first, row).or_else(|| add(second, row)).unwrap_or(Span::ABSENT)).collect();
    TextColumn { arena: arena.into(), spans: Arc::new(spans) }
}

/// The column of [`STATUS`].
fn marks(invalid: &[usize], rows: usize) -> Column {
    let mut spans = vec![Span::ABSENT; rows];
    invalid.iter().for_each(|row| spans[*row] = Span::new(0, INVALID.len()));
    Column::Text(TextColumn { arena: Bytes::from_static(INVALID), spans: Arc::new(spans) })
}
