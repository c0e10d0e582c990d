//! Events to files and back: text, JSON lines, Hadoop SequenceFile, Avro, Parquet.
//!
//! ```text
//!   EventBatch -> Rows (once per batch) -> write(row, buffer): gathered, nothing allocated per event
//!                 buffer -> Encoder::block (once per some hundred KiB) -> bytes of the file, header first
//!                           Encoder::end -> what ends the file
//! ```
//!
//! | module | what |
//! |---|---|
//! | `format` | [`Format`]: which layout with which codec; what it costs |
//! | `rows` | [`Rows`]: the events of a batch in the form that a file gathers |
//! | `line` | text and JSON lines |
//! | `encoder` | [`Encoder`], [`FileState`]: gathered events to the bytes of a file |
//! | `codec` | [`Codec`]: gzip, snappy, lz4, zstd, bzip2, as Hadoop frames them |
//! | `sequence`, `avro`, `parquet` | the container formats |
//! | [`read`] | files back to events |
//!
//! Invariants
//! - one encoder serves any number of files: memory does not grow with their number, but for what is gathered
//! - a block stands for itself (all formats but Parquet): a file that ends after any of them is readable
//! - a header that is not UTF-8 where a format wants text has its wrong bytes replaced; bodies are never changed

mod avro;
mod codec;
mod encoder;
mod format;
mod line;
mod parquet;
pub mod read;
mod rows;
mod sequence;

pub use codec::Codec;
pub use encoder::{Encoder, FileState};
pub use format::{Format, FormatError, Layout, SequenceCompression, SequenceValue};
pub use rows::Rows;
