//! [`Recompressor`]: compresses a stored batch without looking at its records.

use thiserror::Error;

use super::codecs::{CompressError, Compressor, InvalidLevel};
use super::encode::BATCH_BYTES_MAX;
use super::{BatchHeader, Compression, EncodedBatch, HEADER_BYTES, HeaderError, crc_is_valid};

/// Why a stored batch could not be compressed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum RecompressError {
    /// No header of a batch.
    #[error("no record batch")]
    Header(#[from] HeaderError),
    /// Not exactly one batch.
    #[error("{have} bytes where the header of the batch says {expected}")]
    Size {
        /// Bytes at hand.
        have: usize,
        /// Size by the header.
        expected: usize,
    },
    /// Bytes changed since the batch was written. Compressed, they would get a checksum that is right again.
    #[error("batch at offset {base_offset} does not match its checksum")]
    Crc {
        /// Offset of its first record.
        base_offset: i64,
    },
    /// It is compressed already: send it as it is, or decode and encode it if it must be another compression.
    #[error("batch at offset {base_offset} is compressed already (compression {id}): send it as it is")]
    Compressed {
        /// Offset of its first record.
        base_offset: i64,
        /// The compression in its attributes.
        id: i16,
    },
    /// A control batch: not for sending, and never compressed.
    #[error("batch at offset {base_offset} is a control batch, which nobody sends")]
    Control {
        /// Offset of its first record.
        base_offset: i64,
    },
    /// The compressed form is larger than a record batch may be.
    #[error("batch at offset {base_offset} takes {bytes} bytes compressed, more than the 2 GiB of a record batch")]
    TooLarge {
        /// Offset of its first record.
        base_offset: i64,
        /// Size after compression.
        bytes: usize,
    },
    /// The library behind the compression failed.
    #[error("{compression:?} failed on {records_bytes} bytes of records: {detail}")]
    Compress {
        /// The compression.
        compression: Compression,
        /// Size of its input.
        records_bytes: usize,
        /// What it said.
        detail: &'static str,
    },
}

impl From<CompressError> for RecompressError {
    fn from(error: CompressError) -> Self {
        let CompressError { compression, records_bytes, detail } = error;
        Self::Compress { compression, records_bytes, detail }
    }
}

/// Compresses stored batches for sending. One per thread: it keeps the compression context.
///
/// Costs what the compression costs and two checksums; decoding and encoding the records, 70 ns an event, is left out.
pub struct Recompressor {
    compression: Compression,
    compressor: Compressor,
}

impl Recompressor {
    /// A recompressor with the context of its compression. `level` as in [`super::EncoderOptions`].
    ///
    /// # Errors
    /// If the compression does not have the level.
    pub fn new(compression: Compression, level: Option<i32>) -> Result<Self, InvalidLevel> {
        Ok(Self { compression, compressor: Compressor::new(compression, level)? })
    }

    /// Compresses the records of `stored`, which is one whole uncompressed batch, into `buffer`, whose content is
    /// discarded and whose capacity is reused. The header stays but for the compression, the length and the CRC:
    /// offsets, timestamps and producer as stored, see [`EncodedBatch::stamp`].
    ///
    /// # Errors
    /// [`RecompressError`]; `buffer` is lost then.
    pub fn recompress(&mut self, stored: &[u8], mut buffer: Vec<u8>) -> Result<EncodedBatch, RecompressError> {
        let header = BatchHeader::parse(stored)?;
        let base_offset = header.base_offset;
        if header.total_bytes() != stored.len() {
            return Err(RecompressError::Size { have: stored.len(), expected: header.total_bytes() });
        }
        if !crc_is_valid(stored) {
            return Err(RecompressError::Crc { base_offset });
        }
        if header.is_control() {
            return Err(RecompressError::Control { base_offset });
        }
        if header.compression() != Some(Compression::None) {
            return Err(RecompressError::Compressed { base_offset, id: header.attributes & 7 });
        }
        buffer.clear();
        buffer.resize(HEADER_BYTES, 0);
        self.compressor.compress(&stored[HEADER_BYTES..], &mut buffer)?;
        if buffer.len() > BATCH_BYTES_MAX {
            return Err(RecompressError::TooLarge { base_offset, bytes: buffer.len() });
        }
        let attributes = header.attributes | self.compression.id();
        Ok(EncodedBatch::finish(buffer, BatchHeader { attributes, ..header }))
    }
}
