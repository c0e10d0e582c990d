//! Gzip, by flate2.

use std::ops::RangeInclusive;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::decompressor::{Stop, grow};

pub(super) const LEVELS: RangeInclusive<i32> = 0..=9;
/// As zlib's, and so Kafka's.
pub(super) const LEVEL_DEFAULT: i32 = 6;

/// 32 KiB, the largest of the format: what every reader must cope with.
const WINDOW_BITS: u8 = 15;
/// Growth of an output whose size is not known.
const STEP_BYTES: usize = 64 << 10;

pub(super) struct Compressor(Compress);

impl Compressor {
    pub(super) fn new(level: u32) -> Self {
        Self(Compress::new_gzip(Compression::new(level), WINDOW_BITS))
    }

    pub(super) fn compress(&mut self, records: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        self.0.reset();
        // Stored blocks cost 5 bytes per 16 KiB at worst, header and trailer 18.
        out.reserve(records.len() + records.len() / 1024 + 64);
        loop {
            let rest = &records[self.0.total_in() as usize..];
            let before = self.0.total_out();
            match self.0.compress_vec(rest, out, FlushCompress::Finish) {
                Ok(Status::StreamEnd) => return Ok(()),
                Ok(_) if self.0.total_out() == before && out.len() < out.capacity() => {
                    return Err("the compressor stopped before the end");
                }
                Ok(_) => out.reserve(STEP_BYTES),
                Err(_) => return Err("the compressor refused its input"),
            }
        }
    }
}

pub(super) struct Decompressor(Decompress);

impl Decompressor {
    pub(super) fn new() -> Self {
        Self(Decompress::new_gzip(WINDOW_BITS))
    }

    /// Reads all members of `source`.
    pub(super) fn decompress(&mut self, source: &[u8], out: &mut Vec<u8>, bytes_max: usize) -> Result<(), Stop> {
        // The last four bytes are the size of the content. A hint only: they may lie, so the limit caps them.
        if let Some(size) = source.last_chunk::<4>() {
            out.reserve_exact((u32::from_le_bytes(*size) as usize).min(bytes_max));
        }
        let mut rest = source;
        while !rest.is_empty() {
            self.0.reset(true);
            rest = self.member(rest, out, bytes_max)?;
        }
        Ok(())
    }

    /// Reads one member; returns what follows it.
    fn member<'a>(&mut self, source: &'a [u8], out: &mut Vec<u8>, bytes_max: usize) -> Result<&'a [u8], Stop> {
        loop {
            grow(out, STEP_BYTES, bytes_max)?;
            let (consumed, produced) = (self.0.total_in(), out.len());
            let rest = source.get(consumed as usize..).unwrap_or_default();
            let status = self
                .0
                .decompress_vec(rest, out, FlushDecompress::None)
                .map_err(|_| Stop::Malformed("not a gzip stream, or its checksum is wrong"))?;
            if status == Status::StreamEnd {
                return Ok(source.get(self.0.total_in() as usize..).unwrap_or_default());
            }
            if self.0.total_in() == consumed && out.len() == produced {
                return Err(Stop::Malformed("the gzip stream ends early"));
            }
        }
    }
}
