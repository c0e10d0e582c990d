//! Kafka's record batch, format v2 (magic 2): the form of a batch at rest and on the wire.
//!
//! Source of the layout: KIP-98 and the class `DefaultRecordBatch` of Apache Kafka.
//!
//! ```text
//!   0  base offset i64       8  length i32        12 leader epoch i32   16 magic i8      17 crc32c u32
//!   21 attributes i16        23 last delta i32    27 base time i64      35 max time i64
//!   43 producer id i64       51 producer epoch i16  53 base sequence i32  57 records i32   61 records ...
//!   the CRC covers byte 21 to the end; the first 21 bytes may be rewritten without touching it
//! ```
//!
//! [`Encoder`] and [`Decoder`] go between it and [`weir_event::EventBatch`]; [`EncodedBatch`] is a batch before its
//! place is known. Neither allocates per event. [`Recompressor`] compresses what is stored without decoding it.

mod codecs;
pub(crate) mod columns;
mod crc;
mod decode;
mod encode;
mod header;
pub(crate) mod parts;
mod recompress;
mod rows;
pub(crate) mod varint;
pub(crate) mod writer;

pub use codecs::{DecompressError, InvalidLevel};
pub use decode::{DecodeError, Decoded, Decoder, DecoderOptions, RecordFault};
pub use encode::{EncodeError, Encoder, EncoderOptions, HeaderSelection};
pub use header::{BatchHeader, Compression, EncodedBatch, HEADER_BYTES, HeaderError, Stamp, crc_is_valid};
pub use recompress::{RecompressError, Recompressor};

#[cfg(test)]
pub(crate) mod tests;
