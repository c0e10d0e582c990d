//! Decompressing the records of a batch, within limits.

use thiserror::Error;

use super::super::Compression;
use super::{gzip, lz4, snappy, zstd};

/// Why records could not be decompressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum DecompressError {
    /// Not the form that the attributes of the batch promise.
    #[error("{compression:?} data is damaged: {detail}")]
    Malformed {
        /// The compression promised.
        compression: Compression,
        /// What is wrong.
        detail: &'static str,
    },
    /// More output than allowed. Nothing beyond the limit was allocated.
    #[error(
        "{compressed_bytes} bytes decompress to more than the {bytes_max} allowed: raise the limit if this is genuine"
    )]
    TooLarge {
        /// Size before decompression.
        compressed_bytes: usize,
        /// Limit on the size after it.
        bytes_max: usize,
    },
}

/// What stops one of the codecs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    Malformed(&'static str),
    TooLarge,
}

/// The context of each compression met so far; made when first needed.
#[derive(Default)]
pub(in crate::record_batch) struct Decompressor {
    gzip: Option<gzip::Decompressor>,
    snappy: snappy::Decompressor,
    zstd: Option<zstd::Decompressor>,
}

impl Decompressor {
    /// Appends the decompressed form of `source` to the empty `out`, which never grows past `bytes_max`
    /// (a capacity that it has already may be larger).
    pub(in crate::record_batch) fn decompress(
        &mut self,
        compression: Compression,
        source: &[u8],
        out: &mut Vec<u8>,
        bytes_max: usize,
    ) -> Result<(), DecompressError> {
        let result = match compression {
            Compression::None if source.len() <= bytes_max => {
                out.extend_from_slice(source);
                Ok(())
            }
            Compression::None => Err(Stop::TooLarge),
            Compression::Gzip => {
                self.gzip.get_or_insert_with(gzip::Decompressor::new).decompress(source, out, bytes_max)
            }
            Compression::Snappy => self.snappy.decompress(source, out, bytes_max),
            Compression::Lz4 => lz4::decompress(source, out, bytes_max),
            Compression::Zstd => {
                self.zstd.get_or_insert_with(zstd::Decompressor::new).decompress(source, out, bytes_max)
            }
        };
        let within = if out.len() > bytes_max { Err(Stop::TooLarge) } else { result };
        within.map_err(|stop| match stop {
            Stop::Malformed(detail) => DecompressError::Malformed { compression, detail },
            Stop::TooLarge => DecompressError::TooLarge { compressed_bytes: source.len(), bytes_max },
        })
    }
}

/// Makes sure that `out` has room for more, at least `step` bytes where the limit leaves that much.
/// Doubles, so that decompressing costs at most one copy on average.
pub(super) fn grow(out: &mut Vec<u8>, step: usize, bytes_max: usize) -> Result<(), Stop> {
    if out.len() < out.capacity() {
        return Ok(());
    }
    let left = bytes_max.saturating_sub(out.len());
    if left == 0 {
        return Err(Stop::TooLarge);
    }
    out.reserve_exact(step.max(out.len()).min(left));
    Ok(())
}
