//! Files back to events: what [`Encoder`](crate::Encoder) wrote, and what Flume's HDFS sink writes in the same layouts.
//!
//! ```text
//!   lines     file -> unpacked(packing) -> lines(layout) -> body
//!   sequence  file -> header, then records or blocks     -> body, time
//!   avro      file -> header, then blocks                -> body, headers, time of a syslog record
//!   parquet   file -> footer, then pages of column body  -> body
//! ```
//!
//! | module | what |
//! |---|---|
//! | `input` | bytes with their position, and lengths that are checked |
//! | `codec` | [`Packing`]: what [`Codec`](crate::Codec) packs, unpacked up to a bound |
//! | `lines` | [`lines`]: text and JSON lines |
//! | `sequence` | [`sequence`]: SequenceFiles of version 6 |
//! | `avro`, `schema` | [`avro`]: Avro containers of records with a body |
//! | `parquet`, `footer`, `thrift` | [`parquet`]: the column of bodies, decoded here: the crate that writes would prove itself |
//!
//! Invariants
//! - events come in the order of the file, each once; those before a damage may have come before the error does
//! - no length of a file is believed: it is compared with [`Limits`] before memory is taken for it, and memory is taken as
//!   bytes arrive. At most five times `block_bytes_max` and a window of zstd (128 MiB); of files as the writers make them, a
//!   few MiB
//! - damage is an error that says where; no bytes make a reader panic
//!
//! It is *not* a reader of any Avro or Parquet: schemas without a body, named types used twice, pages of version 2 and codecs
//! that the writers do not have are errors that say so.

mod avro;
mod codec;
mod footer;
mod input;
mod lines;
mod parquet;
mod schema;
mod sequence;
#[cfg(test)]
mod tests;
mod thrift;

use std::io;

use thiserror::Error;

pub use avro::avro;
pub use codec::{Packing, unpacked};
pub use lines::{Lines, lines};
pub use parquet::parquet;
pub use sequence::sequence;

/// What a file may ask for before it counts as damaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Longest event that stands by itself, a line or a record, in bytes. 64 MiB: twice what sources take.
    pub event_bytes_max: usize,
    /// Largest block, packed or not, in bytes. 128 MiB: writers make blocks of 2 MiB and an event.
    pub block_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { event_bytes_max: 64 << 20, block_bytes_max: 128 << 20 }
    }
}

/// An event as a file holds it. What the layout has no place for, or the event did not have, is absent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoredEvent<'a> {
    /// The body.
    pub body: &'a [u8],
    /// The key of a SequenceFile, or the time of a syslog record in Avro: milliseconds since 1970.
    pub time_ms: Option<i64>,
    /// The map of headers in Avro: names and values.
    pub headers: &'a [(&'a [u8], &'a [u8])],
}

impl<'a> StoredEvent<'a> {
    fn of_body(body: &'a [u8]) -> Self {
        Self { body, time_ms: None, headers: &[] }
    }
}

/// A file could not be read to its end.
#[derive(Debug, Error)]
#[error("event {event}, at byte {at}: {reason}")]
pub struct ReadError {
    /// The number of the event that is missing, from 1: those before it were given.
    pub event: u64,
    /// Where the record, block, page or line begins that could not be read. Of packed lines: of what was unpacked.
    pub at: u64,
    reason: io::Error,
}

impl ReadError {
    /// Whether the content is wrong; else it could not be had.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self.reason.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
    }
}

/// How far a reader is.
#[derive(Default)]
struct Progress {
    /// Events given.
    events: u64,
    /// Where what is being read begins.
    at: u64,
}

impl Progress {
    fn failed(self, reason: io::Error) -> ReadError {
        ReadError { event: self.events + 1, at: self.at, reason }
    }
}

/// What is wrong with a content.
fn damage(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}
