//! What follows the fixed fields of a record: its key and its headers, prepared once per batch.
//!
//! Everything equal in all records (name lengths, names, constant values) is rendered once, and neighbours of it are
//! joined; per record it is one copy.

use std::ops::Range;

use weir_event::{ABSENT_I64, Column, EventBatch, HeaderName, Span, names};

use super::varint::length_bytes;
use super::writer::Writer;

/// Widths of a copy of constant width: what most names with their lengths, and most host names, fit into.
const PREFIX_COPY_BYTES: usize = 32;
const VALUE_COPY_BYTES: usize = 16;

/// What the first pass of an encoder finds out about a record.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// Size without its length field.
    pub(crate) bytes: usize,
    /// Number of headers.
    pub(crate) headers: usize,
}

/// Memory that is kept from batch to batch.
#[derive(Default)]
pub(crate) struct Scratch {
    rendered: Vec<u8>,
    /// Empty; kept for its capacity.
    headers: Vec<Header<'static>>,
}

/// The key and the selected headers of one batch.
pub(crate) struct Parts<'a> {
    key: Option<Values<'a>>,
    headers: Vec<Header<'a>>,
    /// Lengths, names and constants as they stand in records, and room for the last short copy.
    rendered: Vec<u8>,
}

/// Bytes that are the same in every record, then a value that is not.
struct Header<'a> {
    /// Into the rendered bytes.
    prefix: Range<usize>,
    /// Headers completed by the prefix alone.
    constants: usize,
    /// `None`: only constants here.
    value: Option<Values<'a>>,
    /// Where the name of the value's header starts in the prefix: left out where the value is absent.
    name_start: usize,
}

/// A column's values for the rows of the batch.
enum Values<'a> {
    Constant(&'a [u8]),
    I64(&'a [i64]),
    Text { arena: &'a [u8], spans: &'a [Span] },
}

impl<'a> Values<'a> {
    fn new(column: &'a Column, rows: Range<usize>) -> Self {
        match column {
            Column::Constant(value) => Self::Constant(value),
            Column::I64(values) => Self::I64(&values[rows]),
            Column::Text(text) => Self::Text { arena: &text.arena, spans: &text.spans[rows] },
        }
    }

    /// Calls `found` with each row and the length of its value, `None` if absent. The choice of the kind stays outside
    /// the loop.
    #[inline(always)]
    fn for_each_len(&self, rows: &mut [Row], mut found: impl FnMut(&mut Row, Option<usize>)) {
        match self {
            Self::Constant(value) => rows.iter_mut().for_each(|row| found(row, Some(value.len()))),
            Self::I64(values) => {
                for (row, value) in rows.iter_mut().zip(*values) {
                    found(row, (*value != ABSENT_I64).then(|| decimal_bytes(*value)));
                }
            }
            Self::Text { arena, spans } => {
                for (row, span) in rows.iter_mut().zip(*spans) {
                    let present = !span.is_absent() && span.end() <= arena.len();
                    found(row, present.then_some(span.len as usize));
                }
            }
        }
    }

    /// Writes length and value of a row after `before`; nothing at all, and `false`, if it is absent.
    #[inline(always)]
    fn write(&self, row: usize, writer: &mut Writer<'_>, before: impl FnOnce(&mut Writer<'_>)) -> bool {
        match self {
            Self::Constant(value) => {
                before(writer);
                writer.length(value.len());
                writer.bytes(value);
            }
            Self::I64(values) => {
                let value = values[row];
                if value == ABSENT_I64 {
                    return false;
                }
                before(writer);
                write_decimal(value, writer);
            }
            Self::Text { arena, spans } => {
                let span = spans[row];
                if span.is_absent() || span.end() > arena.len() {
                    return false;
                }
                before(writer);
                writer.length(span.len as usize);
                writer.short::<VALUE_COPY_BYTES>(arena, span.start as usize, span.len as usize);
            }
        }
        true
    }
}

impl<'a> Parts<'a> {
    /// Prepares `batch`. Takes the memory of `scratch`; see [`Self::give_back`].
    pub(crate) fn new(batch: &'a EventBatch, selected: impl Fn(&HeaderName) -> bool, scratch: &mut Scratch) -> Self {
        let key = batch.column(names::KEY.as_str()).map(|column| Values::new(column, batch.rows()));
        let mut parts = Self {
            key,
            headers: std::mem::take(&mut scratch.headers),
            rendered: std::mem::take(&mut scratch.rendered),
        };
        parts.rendered.clear();
        let mut start = 0;
        let mut constants = 0;
        for (name, column) in batch.columns() {
            if !selected(name) {
                continue;
            }
            let name_start = parts.rendered.len();
            render(&mut parts.rendered, name.as_str().as_bytes());
            if let Column::Constant(value) = column {
                render(&mut parts.rendered, value);
                constants += 1;
                continue;
            }
            let value = Some(Values::new(column, batch.rows()));
            let prefix = start..parts.rendered.len();
            parts.headers.push(Header { prefix, constants, value, name_start });
            (start, constants) = (parts.rendered.len(), 0);
        }
        if constants > 0 {
            let end = parts.rendered.len();
            parts.headers.push(Header { prefix: start..end, constants, value: None, name_start: end });
        }
        parts.rendered.resize(parts.rendered.len() + PREFIX_COPY_BYTES, 0);
        parts
    }

    /// Returns the memory, for the next batch.
    pub(super) fn give_back(self, scratch: &mut Scratch) {
        scratch.rendered = self.rendered;
        let mut headers = self.headers;
        headers.clear();
        // Nothing is left to convert; the standard library keeps the allocation where the layout is the same.
        scratch.headers = headers.into_iter().map(|_| unreachable!("it was cleared")).collect();
    }

    /// Adds the size of the keys to `rows`.
    pub(super) fn measure_keys(&self, rows: &mut [Row]) {
        match &self.key {
            None => rows.iter_mut().for_each(|row| row.bytes += 1),
            Some(key) => {
                key.for_each_len(rows, |row, len| row.bytes += len.map_or(1, |len| length_bytes(len) + len));
            }
        }
    }

    /// Adds the size and the number of the headers to `rows`.
    pub(crate) fn measure_headers(&self, rows: &mut [Row]) {
        for header in &self.headers {
            let constant_bytes = header.name_start - header.prefix.start;
            let name_bytes = header.prefix.end - header.name_start;
            let Some(value) = &header.value else {
                for row in &mut *rows {
                    row.bytes += constant_bytes;
                    row.headers += header.constants;
                }
                continue;
            };
            value.for_each_len(rows, |row, len| {
                let own = len.map_or(0, |len| name_bytes + length_bytes(len) + len);
                row.bytes += constant_bytes + own;
                row.headers += header.constants + usize::from(len.is_some());
            });
        }
    }

    #[inline(always)]
    pub(super) fn write_key(&self, row: usize, writer: &mut Writer<'_>) {
        let written = self.key.as_ref().is_some_and(|key| key.write(row, writer, |_| {}));
        if !written {
            writer.varint(-1);
        }
    }

    #[inline(always)]
    pub(crate) fn write_headers(&self, row: usize, writer: &mut Writer<'_>) {
        for header in &self.headers {
            let Range { start, end } = header.prefix;
            let written = header.value.as_ref().is_some_and(|value| {
                value.write(row, writer, |writer| writer.short::<PREFIX_COPY_BYTES>(&self.rendered, start, end - start))
            });
            if !written {
                writer.bytes(&self.rendered[start..header.name_start]);
            }
        }
    }
}

/// Appends length and bytes as they stand in a record.
fn render(out: &mut Vec<u8>, bytes: &[u8]) {
    super::writer::append(out, length_bytes(bytes.len()) + bytes.len(), |writer| {
        writer.length(bytes.len());
        writer.bytes(bytes);
    });
}

/// Length of a number as decimal text.
#[inline]
fn decimal_bytes(value: i64) -> usize {
    match value {
        0..10 => 1,
        10..100 => 2,
        _ => usize::from(value < 0) + value.unsigned_abs().checked_ilog10().map_or(1, |log| log as usize + 1),
    }
}

/// Writes length and digits of a number.
#[inline(always)]
fn write_decimal(value: i64, writer: &mut Writer<'_>) {
    match value {
        0..10 => {
            writer.length(1);
            writer.byte(b'0' + value as u8);
        }
        10..100 => {
            writer.length(2);
            writer.byte(b'0' + (value / 10) as u8);
            writer.byte(b'0' + (value % 10) as u8);
        }
        _ => write_long_decimal(value, writer),
    }
}

#[inline(never)]
fn write_long_decimal(value: i64, writer: &mut Writer<'_>) {
    // The longest are the 19 digits and the sign of the smallest numbers.
    let mut text = [0; 20];
    let mut start = text.len();
    let mut rest = value.unsigned_abs();
    loop {
        start -= 1;
        text[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        start -= 1;
        text[start] = b'-';
    }
    let len = text.len() - start;
    writer.length(len);
    writer.short::<VALUE_COPY_BYTES>(&text, start, len);
}
