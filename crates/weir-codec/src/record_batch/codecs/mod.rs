//! The compressions of record batches, each as Kafka's own client writes and reads it.
//!
//! | file | form | by |
//! |---|---|---|
//! | [`gzip`] | RFC 1952 | flate2 over zlib-rs |
//! | [`snappy`] | the stream of snappy-java; bare blocks are read, too | snap |
//! | [`lz4`] | LZ4 frame of independent blocks | the block functions of C lz4, framed here |
//! | [`zstd`] | one frame with its content size | C zstd |
//!
//! Contexts live as long as their owner; compressing and decompressing a batch allocates nothing but output.
//! The checksums inside frames are left to the libraries that check them anyway: the CRC of the batch covers the same
//! bytes.

mod compressor;
mod decompressor;
mod gzip;
mod lz4;
mod snappy;
mod zstd;

pub use compressor::InvalidLevel;
pub(super) use compressor::{CompressError, Compressor};
pub use decompressor::DecompressError;
pub(super) use decompressor::Decompressor;
