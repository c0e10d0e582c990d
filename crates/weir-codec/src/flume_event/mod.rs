//! Flume's events as the values of records: what Flume's Kafka source and sink call `useFlumeEventFormat`, and its Kafka
//! channel `parseAsFlumeEvent`.
//!
//! Source of the layout: the Avro specification (binary encoding) and the record `AvroFlumeEvent` of Apache Flume. There is
//! no container, no schema id and no magic around it.
//!
//! ```text
//!   event   = headers, length long, body bytes
//!   headers = { count long, [ size long, if count is negative ], count times (name, value) }...  0
//!   name, value = length long, bytes        long = zigzag, seven bits a byte, least significant group first
//! ```
//!
//! That is how names and values stand in a record batch, too, so both share their readers and writers of headers.
//!
//! [`encode`] and [`decode`] go from batch to batch and touch nothing but bodies and headers: positions and arrival stay.
//! Whatever cannot be read as such an event is kept whole and marked, where Flume logs an error and loses it.
//!
//! | header | [`encode`] | [`decode`] |
//! |---|---|---|
//! | `key` | in the value, and kept as a column, for it is the key of the record | the column counts, then the value's |
//! | `timestamp` | in the value as decimal text, and kept as a column for the record | the value's counts if it is a number, then the column |
//! | any other | in the value only, numbers as decimal text | the value's counts, then the column |
//!
//! The order in which they count is that of Flume's Kafka source: it takes the headers of the value, sets `timestamp`,
//! `topic`, `partition` and `offset` only where they are missing, and always overwrites `key` where the record has one.
//!
//! Texts are taken and written as the bytes they are, though Avro wants UTF-8: Java readers replace what is none, a second
//! agent of ours still has the device's own bytes.

mod decode;
mod encode;

pub use decode::{Decoded, Limits, STATUS, decode};
pub use encode::{TooLarge, encode};

#[cfg(test)]
mod tests;
