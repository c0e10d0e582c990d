//! [`EventBatch`]: the unit of everything.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::{ABSENT_I64, Column, HeaderName, Offsets, Origin, Span, TextColumn, names};

/// Events that travel together. Cloning and slicing count references and copy a handful of words per header column.
#[derive(Clone, Debug)]
pub struct EventBatch {
    bodies: TextColumn,
    columns: Vec<(HeaderName, Column)>,
    /// The window of rows of `bodies` and `columns` that this batch shows.
    rows: Range<usize>,
    arrival_ms: i64,
    origin: Option<Origin>,
}

impl EventBatch {
    /// A batch over ready-made columns. `arrival_ms` is when the events reached Weir (milliseconds since 1970 UTC).
    ///
    /// # Panics
    /// If a column has another number of rows than `bodies`: a fault of the caller.
    #[must_use]
    pub fn new(bodies: TextColumn, columns: Vec<(HeaderName, Column)>, arrival_ms: i64) -> Self {
        let rows = 0..bodies.spans.len();
        for (name, column) in &columns {
            let len = match column {
                Column::Constant(_) => rows.end,
                Column::I64(values) => values.len(),
                Column::Text(text) => text.spans.len(),
            };
            assert!(len == rows.end, "column {name} has {len} rows, the batch {}", rows.end);
        }
        Self { bodies, columns, rows, arrival_ms, origin: None }
    }

    /// A batch of plain bodies without headers; copies them. For tests and small tools.
    #[must_use]
    pub fn from_bodies<B: AsRef<[u8]>>(bodies: &[B], arrival_ms: i64) -> Self {
        let mut arena = Vec::new();
        let mut spans = Vec::with_capacity(bodies.len());
        for body in bodies {
            spans.push(Span::new(arena.len(), body.as_ref().len()));
            arena.extend_from_slice(body.as_ref());
        }
        Self::new(TextColumn { arena: arena.into(), spans: Arc::new(spans) }, Vec::new(), arrival_ms)
    }

    /// Number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// When the events reached Weir, milliseconds since 1970 UTC.
    #[must_use]
    pub fn arrival_ms(&self) -> i64 {
        self.arrival_ms
    }

    /// Positions of the events in the channel they were read from; `None` before any channel.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// The same batch with the positions it was read from.
    ///
    /// # Panics
    /// If explicit offsets are not one per event.
    #[must_use]
    pub fn with_origin(mut self, origin: Origin) -> Self {
        if let Offsets::Explicit(offsets) = &origin.offsets {
            assert!(offsets.len() == self.len(), "one offset per event");
        }
        self.origin = Some(origin);
        self
    }

    /// The arena that body spans point into.
    #[must_use]
    pub fn body_arena(&self) -> &Bytes {
        &self.bodies.arena
    }

    /// The body spans of this batch's events, into [`Self::body_arena`].
    #[must_use]
    pub fn body_spans(&self) -> &[Span] {
        &self.bodies.spans[self.rows.clone()]
    }

    /// The body of event `row`; empty if out of range.
    #[must_use]
    #[inline]
    pub fn body(&self, row: usize) -> &[u8] {
        self.body_spans().get(row).and_then(|span| span.of(&self.bodies.arena)).unwrap_or_default()
    }

    /// Sum of body lengths in bytes; one pass over the spans.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.body_spans().iter().map(|span| span.len as usize).sum()
    }

    /// Bytes of memory this batch keeps alive: its arenas whole, and its columns. What memory limits count.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let spans = self.bodies.spans.len() * size_of::<Span>();
        let columns: usize = self
            .columns
            .iter()
            .map(|(_, column)| match column {
                Column::Constant(value) => value.len(),
                Column::I64(values) => values.len() * size_of::<i64>(),
                Column::Text(text) => {
                    let own = if text.arena.as_ptr() == self.bodies.arena.as_ptr() { 0 } else { text.arena.len() };
                    text.spans.len() * size_of::<Span>() + own
                }
            })
            .sum();
        self.bodies.arena.len() + spans + columns
    }

    /// The header columns, in the order they were added. Rows of the unsliced batch; see [`Self::rows`].
    #[must_use]
    pub fn columns(&self) -> &[(HeaderName, Column)] {
        &self.columns
    }

    /// The window of column rows that this batch shows.
    #[must_use]
    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// The column named `name`.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|(n, _)| n == name).map(|(_, column)| column)
    }

    /// The value of header `name` of event `row`, as text; numbers are formatted.
    #[must_use]
    pub fn header(&self, row: usize, name: &str) -> Option<Cow<'_, [u8]>> {
        self.column(name).and_then(|column| self.value(column, row))
    }

    /// The value of `column` (one of [`Self::columns`]) for event `row`, as text.
    #[must_use]
    pub fn value<'a>(&self, column: &'a Column, row: usize) -> Option<Cow<'a, [u8]>> {
        if row >= self.len() {
            return None;
        }
        let row = self.rows.start + row;
        match column {
            Column::Constant(value) => Some(Cow::Borrowed(value)),
            Column::I64(values) => {
                let value = *values.get(row)?;
                (value != ABSENT_I64).then(|| Cow::Owned(value.to_string().into_bytes()))
            }
            Column::Text(text) => text.spans.get(row)?.of(&text.arena).map(Cow::Borrowed),
        }
    }

    /// The `timestamp` header of event `row` in milliseconds since 1970 UTC; text is read as a decimal number.
    #[must_use]
    pub fn timestamp_ms(&self, row: usize) -> Option<i64> {
        self.timestamps().get(row)
    }

    /// The `timestamp` header of all events: finds the column once, for loops.
    #[must_use]
    pub fn timestamps(&self) -> Numbers<'_> {
        self.numbers(names::TIMESTAMP.as_str())
    }

    /// A header of all events as numbers: finds the column once, for loops; allocates nothing per event. Text is read as
    /// a decimal number.
    #[must_use]
    pub fn numbers(&self, name: &str) -> Numbers<'_> {
        Numbers { batch: self, column: self.column(name) }
    }

    /// Events `range` of this batch; counts references, copies nothing.
    ///
    /// # Panics
    /// If `range` reaches past the end.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len(), "slice past the end of a batch");
        let origin = self.origin.as_ref().map(|origin| Origin {
            channel: origin.channel,
            offsets: match &origin.offsets {
                Offsets::Contiguous { first } => Offsets::Contiguous { first: first + range.start as u64 },
                Offsets::Explicit(offsets) => Offsets::Explicit(offsets[range.clone()].into()),
            },
        });
        Self { rows: self.rows.start + range.start..self.rows.start + range.end, origin, ..self.clone() }
    }

    /// The events whose row numbers are in `rows` (ascending); copies their spans, never their bytes.
    ///
    /// # Panics
    /// If a row is out of range.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let base = self.rows.start;
        assert!(rows.last().is_none_or(|last| *last < self.len()), "row past the end of a batch");
        let pick = |spans: &[Span]| Arc::new(rows.iter().map(|row| spans[base + row]).collect::<Vec<_>>());
        let columns = self
            .columns
            .iter()
            .map(|(name, column)| {
                let column = match column {
                    Column::Constant(value) => Column::Constant(value.clone()),
                    Column::I64(values) => Column::I64(Arc::new(rows.iter().map(|row| values[base + row]).collect())),
                    Column::Text(text) => {
                        Column::Text(TextColumn { arena: text.arena.clone(), spans: pick(&text.spans) })
                    }
                };
                (name.clone(), column)
            })
            .collect();
        let origin = self.origin.as_ref().map(|origin| Origin {
            channel: origin.channel,
            offsets: Offsets::Explicit(rows.iter().filter_map(|row| origin.offset(*row)).collect()),
        });
        Self {
            bodies: TextColumn { arena: self.bodies.arena.clone(), spans: pick(&self.bodies.spans) },
            columns,
            rows: 0..rows.len(),
            arrival_ms: self.arrival_ms,
            origin,
        }
    }

    /// Sets header `name` to one value for every event, replacing any column of that name.
    pub fn set_constant(&mut self, name: HeaderName, value: impl Into<Bytes>) {
        self.put(name, Column::Constant(value.into()));
    }

    /// Sets header `name` from one number per event ([`ABSENT_I64`] = absent), replacing any column of that name.
    ///
    /// # Panics
    /// If there is not one value per event.
    pub fn set_i64(&mut self, name: HeaderName, values: Vec<i64>) {
        assert!(values.len() == self.len(), "one value per event");
        self.unslice();
        self.put(name, Column::I64(Arc::new(values)));
    }

    /// Sets header `name` from one text per event, replacing any column of that name.
    ///
    /// # Panics
    /// If there is not one span per event.
    pub fn set_text(&mut self, name: HeaderName, text: TextColumn) {
        assert!(text.spans.len() == self.len(), "one span per event");
        self.unslice();
        self.put(name, Column::Text(text));
    }

    /// Removes header `name` from every event; whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.columns.len();
        self.columns.retain(|(n, _)| n != name);
        self.columns.len() < before
    }

    fn put(&mut self, name: HeaderName, column: Column) {
        match self.columns.iter_mut().find(|(n, _)| *n == name) {
            Some((_, old)) => *old = column,
            None => self.columns.push((name, column)),
        }
    }

    /// Makes the window of a sliced batch its whole, so that new columns line up with row 0.
    fn unslice(&mut self) {
        if self.rows != (0..self.bodies.spans.len()) {
            let origin = self.origin.take();
            let all: Vec<usize> = (0..self.len()).collect();
            *self = self.select(&all);
            self.origin = origin;
        }
    }
}

/// A header of a batch as numbers, see [`EventBatch::numbers`].
#[derive(Clone, Copy, Debug)]
pub struct Numbers<'a> {
    batch: &'a EventBatch,
    column: Option<&'a Column>,
}

impl Numbers<'_> {
    /// The number of event `row`.
    #[must_use]
    #[inline]
    pub fn get(&self, row: usize) -> Option<i64> {
        match self.column? {
            Column::I64(values) => {
                values.get(self.batch.rows.start + row).copied().filter(|value| *value != ABSENT_I64)
            }
            column => std::str::from_utf8(&self.batch.value(column, row)?).ok()?.trim().parse().ok(),
        }
    }

    /// Whether no event has one.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.column.is_none()
    }
}
