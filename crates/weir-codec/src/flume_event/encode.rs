//! [`encode`]: events to bodies that are Flume's events.

use std::ops::Range;
use std::sync::Arc;

use thiserror::Error;
use weir_event::{Column, EventBatch, HeaderName, Span, TextColumn, names};

use crate::record_batch::parts::{Parts, Row, Scratch};
use crate::record_batch::varint::length_bytes;
use crate::record_batch::writer::append;

/// Nothing larger fits into a record batch, which is where these bodies go.
const BYTES_MAX: usize = i32::MAX as usize;

/// The events do not fit into a record batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error(
    "{events} events take {bytes} bytes with their headers inside, more than the 2 GiB of a record batch: split them"
)]
pub struct TooLarge {
    /// Number of events.
    pub events: usize,
    /// Size of all bodies to be written.
    pub bytes: usize,
}

/// The same events, each body with all headers inside as Flume writes it. Of the columns only `key` and `timestamp` stay:
/// they are fields of a record.
///
/// Copies every event once, into one new arena; allocates nothing per event.
///
/// # Errors
/// [`TooLarge`]; nothing was written.
pub fn encode(batch: &EventBatch) -> Result<EventBatch, TooLarge> {
    let mut scratch = Scratch::default();
    let parts = Parts::new(batch, |_| true, &mut scratch);
    let mut rows = vec![Row { bytes: 0, headers: 0 }; batch.len()];
    let bytes = measure(batch, &parts, &mut rows);
    if bytes > BYTES_MAX {
        return Err(TooLarge { events: batch.len(), bytes });
    }
    let mut arena = Vec::new();
    append(&mut arena, bytes, |writer| {
        let source = batch.body_arena();
        for (index, (span, row)) in batch.body_spans().iter().zip(&rows).enumerate() {
            // A map without entries has no block of them.
            if row.headers > 0 {
                writer.length(row.headers);
                parts.write_headers(index, writer);
            }
            let end_of_map = 0;
            writer.byte(end_of_map);
            let body = span.of(source).unwrap_or_default();
            writer.length(body.len());
            writer.bytes(body);
        }
        debug_assert_eq!(writer.written(), bytes, "both passes agree");
    });
    let mut start = 0;
    let spans = rows.iter().map(|row| {
        let span = Span::new(start, row.bytes);
        start += row.bytes;
        span
    });
    let bodies = TextColumn { spans: Arc::new(spans.collect()), arena: arena.into() };
    let is_field = |name: &HeaderName| *name == names::KEY || *name == names::TIMESTAMP;
    let columns = batch.columns().iter().filter(|(name, _)| is_field(name));
    let columns = columns.map(|(name, column)| (name.clone(), window(column, batch.rows()))).collect();
    let encoded = EventBatch::new(bodies, columns, batch.arrival_ms());
    Ok(match batch.origin() {
        Some(origin) => encoded.with_origin(origin.clone()),
        None => encoded,
    })
}

/// Fills `rows`, returns the size of all bodies to be written.
fn measure(batch: &EventBatch, parts: &Parts<'_>, rows: &mut [Row]) -> usize {
    parts.measure_headers(rows);
    let arena = batch.body_arena();
    let mut total: usize = 0;
    for (row, span) in rows.iter_mut().zip(batch.body_spans()) {
        let body_bytes = span.of(arena).unwrap_or_default().len();
        let end_of_map_bytes = 1;
        let count_bytes = if row.headers > 0 { length_bytes(row.headers) } else { 0 };
        row.bytes += count_bytes + end_of_map_bytes + length_bytes(body_bytes) + body_bytes;
        total = total.saturating_add(row.bytes);
    }
    total
}

/// The rows `rows` of a column as a column of their own; shared where that is all of them.
pub(super) fn window(column: &Column, rows: Range<usize>) -> Column {
    match column {
        Column::I64(values) if rows.len() < values.len() => Column::I64(Arc::new(values[rows].to_vec())),
        Column::Text(text) if rows.len() < text.spans.len() => {
            Column::Text(TextColumn { arena: text.arena.clone(), spans: Arc::new(text.spans[rows].to_vec()) })
        }
        whole => whole.clone(),
    }
}
