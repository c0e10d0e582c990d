//! Compressing the records of a batch.

use std::ops::RangeInclusive;

use thiserror::Error;

use super::super::Compression;
use super::{gzip, lz4, snappy, zstd};

/// A level that a compression does not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum InvalidLevel {
    /// This compression has none.
    #[error("{compression:?} takes no level: remove it")]
    NotSupported {
        /// The compression.
        compression: Compression,
    },
    /// It has others.
    #[error("level {level} of {compression:?} is not in {from}..={to}")]
    OutOfRange {
        /// The compression.
        compression: Compression,
        /// The level asked for.
        level: i32,
        /// Lowest level there is.
        from: i32,
        /// Highest level there is.
        to: i32,
    },
}

/// The library behind a compression refused to work; no known input makes it.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{compression:?} failed on {records_bytes} bytes of records: {detail}")]
pub(in crate::record_batch) struct CompressError {
    pub(in crate::record_batch) compression: Compression,
    pub(in crate::record_batch) records_bytes: usize,
    pub(in crate::record_batch) detail: &'static str,
}

/// One compression with its level and its reusable context.
pub(in crate::record_batch) struct Compressor(Context);

enum Context {
    None,
    Gzip(gzip::Compressor),
    Snappy(Box<snappy::Compressor>),
    Lz4(lz4::Compressor),
    Zstd(zstd::Compressor),
}

impl Compressor {
    /// Makes the context. `level` `None` means the default of the compression.
    pub(in crate::record_batch) fn new(compression: Compression, level: Option<i32>) -> Result<Self, InvalidLevel> {
        let within = |levels: RangeInclusive<i32>, default: i32| match level {
            None => Ok(default),
            Some(level) if levels.contains(&level) => Ok(level),
            Some(level) => {
                Err(InvalidLevel::OutOfRange { compression, level, from: *levels.start(), to: *levels.end() })
            }
        };
        let levelless = || match level {
            None => Ok(()),
            Some(_) => Err(InvalidLevel::NotSupported { compression }),
        };
        Ok(Self(match compression {
            Compression::None => levelless().map(|()| Context::None)?,
            Compression::Snappy => levelless().map(|()| Context::Snappy(Box::new(snappy::Compressor::new())))?,
            Compression::Lz4 => levelless().map(|()| Context::Lz4(lz4::Compressor::new()))?,
            Compression::Gzip => {
                let level = within(gzip::LEVELS, gzip::LEVEL_DEFAULT)?;
                Context::Gzip(gzip::Compressor::new(level.unsigned_abs()))
            }
            Compression::Zstd => Context::Zstd(zstd::Compressor::new(within(zstd::LEVELS, zstd::LEVEL_DEFAULT)?)),
        }))
    }

    /// Appends the compressed form of `records` to `out`.
    pub(in crate::record_batch) fn compress(&mut self, records: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        let (compression, result) = match &mut self.0 {
            Context::None => {
                out.extend_from_slice(records);
                return Ok(());
            }
            Context::Gzip(gzip) => (Compression::Gzip, gzip.compress(records, out)),
            Context::Snappy(snappy) => (Compression::Snappy, snappy.compress(records, out)),
            Context::Lz4(lz4) => {
                lz4.compress(records, out);
                return Ok(());
            }
            Context::Zstd(zstd) => (Compression::Zstd, zstd.compress(records, out)),
        };
        result.map_err(|detail| CompressError { compression, records_bytes: records.len(), detail })
    }
}
