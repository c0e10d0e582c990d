//! The footer of a Parquet file: where the bodies are.

use std::io;

use super::thrift::{BINARY, I32, I64, LIST, STRUCT, Thrift};
use super::{damage, input};

/// The column of bodies.
const COLUMN: &[u8] = b"body";
const BYTE_ARRAY: i64 = 6;
const REQUIRED: i64 = 0;

/// The bodies of a row group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Chunk {
    /// Where its first page begins.
    pub(super) begin: u64,
    /// All of its pages, packed.
    pub(super) bytes: i64,
    /// Number of the codec.
    pub(super) codec: i64,
    pub(super) rows: u64,
}

/// What a column says of itself.
#[derive(Default)]
struct Column {
    is_body: bool,
    kind: i64,
    codec: i64,
    rows: i64,
    bytes: i64,
    data_at: i64,
    dictionary_at: i64,
}

/// Where the bodies are, row group by row group.
pub(super) fn chunks(footer: &[u8]) -> io::Result<Vec<Chunk>> {
    let (mut chunks, mut rows, mut is_required) = (Vec::new(), 0, false);
    Thrift { rest: footer }.fields(&mut |footer, number, kind| {
        match (number, kind) {
            (2, LIST) => footer.items(STRUCT, &mut |footer| {
                is_required |= is_required_body(footer)?;
                Ok(())
            })?,
            (3, I64) => rows = footer.number()?,
            (4, LIST) => footer.items(STRUCT, &mut |footer| {
                chunks.push(chunk(footer)?);
                Ok(())
            })?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if !is_required {
        return Err(damage("the schema has no column body that every row has"));
    }
    let found = chunks.iter().try_fold(0_u64, |sum, chunk| sum.checked_add(chunk.rows));
    if found != u64::try_from(rows).ok() {
        return Err(damage(format!("the footer claims {rows} rows, and its row groups claim others")));
    }
    Ok(chunks)
}

/// Whether an element of the schema is the column of bodies.
fn is_required_body(footer: &mut Thrift<'_>) -> io::Result<bool> {
    let (mut name, mut kind, mut repetition) = (&[][..], 0, REQUIRED + 1);
    footer.fields(&mut |footer, number, field| {
        match (number, field) {
            (1, I32) => kind = footer.number()?,
            (3, I32) => repetition = footer.number()?,
            (4, BINARY) => name = footer.bytes()?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok((name, kind, repetition) == (COLUMN, BYTE_ARRAY, REQUIRED))
}

/// The bodies of a row group.
fn chunk(footer: &mut Thrift<'_>) -> io::Result<Chunk> {
    let (mut found, mut rows) = (None, 0);
    footer.fields(&mut |footer, number, kind| {
        match (number, kind) {
            (1, LIST) => footer.items(STRUCT, &mut |footer| {
                let column = column(footer)?;
                if column.is_body {
                    found = Some(column);
                }
                Ok(())
            })?,
            (3, I64) => rows = footer.number()?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let column = found.ok_or_else(|| damage("a row group has no column body"))?;
    let begin = match column.dictionary_at {
        1.. => column.dictionary_at.min(column.data_at),
        _ => column.data_at,
    };
    match (u64::try_from(begin), u64::try_from(rows)) {
        (Ok(begin), Ok(count)) if column.kind == BYTE_ARRAY && column.rows == rows => {
            Ok(Chunk { begin, bytes: column.bytes, codec: column.codec, rows: count })
        }
        _ => Err(damage("a row group says of its column body what cannot be")),
    }
}

fn column(footer: &mut Thrift<'_>) -> io::Result<Column> {
    let mut column = Column::default();
    footer.fields(&mut |footer, number, kind| {
        let is_described = (number, kind) == (3, STRUCT);
        if is_described {
            footer.fields(&mut |footer, number, kind| column.field(footer, number, kind))?;
        }
        Ok(is_described)
    })?;
    Ok(column)
}

impl Column {
    fn field(&mut self, footer: &mut Thrift<'_>, number: i64, kind: u8) -> io::Result<bool> {
        match (number, kind) {
            (1, I32) => self.kind = footer.number()?,
            (3, LIST) => {
                let (mut parts, mut last) = (0, &[][..]);
                footer.items(BINARY, &mut |footer| {
                    (parts, last) = (parts + 1, footer.bytes()?);
                    Ok(())
                })?;
                self.is_body = parts == 1 && last == COLUMN;
            }
            (4, I32) => self.codec = footer.number()?,
            (5, I64) => self.rows = footer.number()?,
            (7, I64) => self.bytes = footer.number()?,
            (9, I64) => self.data_at = footer.number()?,
            (11, I64) => self.dictionary_at = footer.number()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// What the header of a page says.
#[derive(Default, Debug)]
pub(super) struct Page {
    /// 0 data, 2 dictionary, 3 data of version 2.
    pub(super) kind: i64,
    pub(super) plain_bytes: i64,
    pub(super) packed_bytes: i64,
    pub(super) values: i64,
    pub(super) encoding: i64,
}

impl Page {
    /// Takes a header off the front of `bytes`.
    pub(super) fn take(bytes: &mut &[u8]) -> io::Result<Self> {
        let mut page = Self::default();
        let mut thrift = Thrift { rest: bytes };
        thrift.fields(&mut |thrift, number, kind| {
            match (number, kind) {
                (1, I32) => page.kind = thrift.number()?,
                (2, I32) => page.plain_bytes = thrift.number()?,
                (3, I32) => page.packed_bytes = thrift.number()?,
                // Of a data page and of a dictionary: both begin with the same two.
                (5 | 7, STRUCT) => thrift.fields(&mut |thrift, number, kind| {
                    match (number, kind) {
                        (1, I32) => page.values = thrift.number()?,
                        (2, I32) => page.encoding = thrift.number()?,
                        _ => return Ok(false),
                    }
                    Ok(true)
                })?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        *bytes = thrift.rest;
        Ok(page)
    }

    /// Takes what is packed behind the header off the front of `bytes`.
    pub(super) fn packed<'a>(&self, bytes: &mut &'a [u8]) -> io::Result<&'a [u8]> {
        let length = input::checked(self.packed_bytes, bytes.len(), "a page")?;
        input::split(bytes, length)
    }
}
