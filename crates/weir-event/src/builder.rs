//! [`BatchBuilder`]: how sources and decoders make batches.

use std::sync::Arc;

use bytes::Bytes;

use crate::{ABSENT_I64, Arena, Column, EventBatch, HeaderName, Span, TextColumn};

/// Names a column of a builder; valid for the builder that gave it, through all its batches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ColumnId(usize);

#[derive(Debug)]
enum Values {
    I64(Vec<i64>),
    Text(Vec<Span>),
}

/// Collects events into a batch: bytes go into the arena, spans and numbers into columns.
///
/// Declare columns once, then per event set the values it has and call [`BatchBuilder::push`]. A column in which no
/// event has a value is left out of the batch, so declaring rare headers costs nothing. [`BatchBuilder::seal`] leaves
/// the builder empty and ready, its vectors at the capacity the last batch needed.
#[derive(Debug)]
pub struct BatchBuilder {
    bodies: Vec<Span>,
    columns: Vec<(HeaderName, Values)>,
    rows_hint: usize,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchBuilder {
    /// A builder without columns.
    #[must_use]
    pub fn new() -> Self {
        Self { bodies: Vec::new(), columns: Vec::new(), rows_hint: 0 }
    }

    /// Declares a number column.
    pub fn i64_column(&mut self, name: HeaderName) -> ColumnId {
        self.columns.push((name, Values::I64(Vec::new())));
        ColumnId(self.columns.len() - 1)
    }

    /// Declares a text column.
    pub fn text_column(&mut self, name: HeaderName) -> ColumnId {
        self.columns.push((name, Values::Text(Vec::new())));
        ColumnId(self.columns.len() - 1)
    }

    /// Number of events so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bodies.len()
    }

    /// Whether there is no event yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bodies.is_empty()
    }

    /// Gives the event that the next `push` completes a number. The last call of several wins.
    #[inline]
    pub fn set_i64(&mut self, column: ColumnId, value: i64) {
        let row = self.bodies.len();
        if let Some((_, Values::I64(values))) = self.columns.get_mut(column.0) {
            if values.len() == row {
                values.push(value);
            } else {
                fill(values, row, ABSENT_I64, self.rows_hint);
                values.truncate(row);
                values.push(value);
            }
        }
    }

    /// Gives the event that the next `push` completes a text. The last call of several wins.
    #[inline]
    pub fn set_text(&mut self, column: ColumnId, value: Span) {
        let row = self.bodies.len();
        if let Some((_, Values::Text(values))) = self.columns.get_mut(column.0) {
            if values.len() == row {
                values.push(value);
            } else {
                fill(values, row, Span::ABSENT, self.rows_hint);
                values.truncate(row);
                values.push(value);
            }
        }
    }

    /// Completes an event.
    #[inline]
    pub fn push(&mut self, body: Span) {
        self.bodies.push(body);
    }

    /// Ends the batch. Spans point into `arena`.
    #[must_use]
    pub fn seal(&mut self, arena: Arena, arrival_ms: i64) -> EventBatch {
        self.seal_bytes(arena.freeze(), arrival_ms)
    }

    /// Ends the batch over bytes that are shared already.
    #[must_use]
    pub fn seal_bytes(&mut self, arena: Bytes, arrival_ms: i64) -> EventBatch {
        let rows = self.bodies.len();
        // A small batch now and then must not make the next large one grow from nothing.
        self.rows_hint = rows.max(self.rows_hint - self.rows_hint / 8);
        let room = self.rows_hint;
        let mut columns = Vec::with_capacity(self.columns.len());
        for (name, values) in &mut self.columns {
            let column = match values {
                Values::I64(values) if !values.is_empty() => {
                    let mut values = take(values, room);
                    values.resize(rows, ABSENT_I64);
                    Column::I64(Arc::new(values))
                }
                Values::Text(values) if !values.is_empty() => {
                    let mut spans = take(values, room);
                    spans.resize(rows, Span::ABSENT);
                    Column::Text(TextColumn { arena: arena.clone(), spans: Arc::new(spans) })
                }
                _ => continue,
            };
            columns.push((name.clone(), column));
        }
        let spans = take(&mut self.bodies, room);
        EventBatch::new(TextColumn { arena, spans: Arc::new(spans) }, columns, arrival_ms)
    }
}

fn fill<T: Copy>(values: &mut Vec<T>, rows: usize, absent: T, rows_hint: usize) {
    if values.len() < rows {
        values.reserve(rows_hint.max(rows + 1) - values.len());
        values.resize(rows, absent);
    }
}

/// The values of a finished batch. A mostly empty vector stays with the builder and its few values are copied, so that
/// small batches in a channel do not hold the room of large ones.
fn take<T: Copy>(values: &mut Vec<T>, room: usize) -> Vec<T> {
    if values.len() < values.capacity() / 4 {
        let few = values.as_slice().to_vec();
        values.clear();
        return few;
    }
    std::mem::replace(values, Vec::with_capacity(room))
}
