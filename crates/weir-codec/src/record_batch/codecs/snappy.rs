//! Snappy in the stream format of snappy-java: a header, then blocks with their compressed length before them.
//!
//! ```text
//!   82 'SNAPPY' 00 | version i32 = 1 | compatible version i32 = 1 | { length i32 | block }...
//! ```
//!
//! Some clients put one bare block into a batch, without the stream around it. Such are read, never written.

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::decompressor::Stop;

const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
const HEADER_BYTES: usize = 16;
/// Snappy itself works on 64 KiB at a time, so larger blocks gain nothing and smaller ones lose matches.
const BLOCK_BYTES: usize = 64 << 10;

pub(super) struct Compressor {
    snap: Encoder,
    /// Room for one compressed block: the library wants an initialised slice.
    block: Vec<u8>,
}

impl Compressor {
    pub(super) fn new() -> Self {
        Self { snap: Encoder::new(), block: vec![0; max_compress_len(BLOCK_BYTES)] }
    }

    pub(super) fn compress(&mut self, records: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        out.reserve(HEADER_BYTES + records.len() / 2);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&1_i32.to_be_bytes());
        out.extend_from_slice(&1_i32.to_be_bytes());
        for chunk in records.chunks(BLOCK_BYTES) {
            let bytes = self.snap.compress(chunk, &mut self.block).map_err(|_| "a block did not fit its room")?;
            out.extend_from_slice(&(bytes as u32).to_be_bytes());
            out.extend_from_slice(&self.block[..bytes]);
        }
        Ok(())
    }
}

#[derive(Default)]
pub(super) struct Decompressor(Decoder);

impl Decompressor {
    pub(super) fn decompress(&mut self, source: &[u8], out: &mut Vec<u8>, bytes_max: usize) -> Result<(), Stop> {
        if !source.starts_with(&MAGIC) {
            return self.block(source, out, bytes_max);
        }
        let mut rest = source.get(HEADER_BYTES..).ok_or(Stop::Malformed("the stream header is cut short"))?;
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk().ok_or(Stop::Malformed("a block length is cut short"))?;
            let (block, after) = after
                .split_at_checked(u32::from_be_bytes(*length) as usize)
                .ok_or(Stop::Malformed("a block is cut short"))?;
            self.block(block, out, bytes_max)?;
            rest = after;
        }
        Ok(())
    }

    fn block(&mut self, block: &[u8], out: &mut Vec<u8>, bytes_max: usize) -> Result<(), Stop> {
        let bytes = decompress_len(block).map_err(|_| Stop::Malformed("a block without its size"))?;
        let before = out.len();
        if bytes > bytes_max.saturating_sub(before) {
            return Err(Stop::TooLarge);
        }
        // The shortest block of a size is a run of copies, 3 bytes for 64: a larger promise is a lie, and refused
        // before memory is set aside for it.
        if bytes / 64 > block.len() {
            return Err(Stop::Malformed("a block promises more than it can hold"));
        }
        out.resize(before + bytes, 0);
        self.0.decompress(block, &mut out[before..]).map_err(|_| Stop::Malformed("a block is damaged"))?;
        Ok(())
    }
}
