//! LZ4 frames over the block functions of C lz4.
//!
//! Why C: on 5000 varied lines of 207 bytes per batch, with their headers, CPU seconds per million events were
//!
//! | | compress 64 KiB blocks | 256 KiB | 1 MiB | decompress |
//! |---|---|---|---|---|
//! | C lz4 1.10 | 0.39 | 0.34 | 0.34 | 0.060 |
//! | lz4_flex 0.14, frames, its unsafe code | 0.47 | 0.39 | 0.39 | 0.071 |
//! | lz4_flex 0.14, blocks with one table, its unsafe code | 0.35 | 0.37 | 0.37 | 0.082 |
//! | lz4_flex 0.14, frames, its safe code | 0.54 | 0.46 | 0.44 | 0.082 |
//!
//! Why not linked blocks, which compress better: Kafka's Java reader refuses them. They are read here, never written.
//!
//! ```text
//!   04 22 4d 18 | flags | block size | header checksum | { length u32 le, top bit = stored | block }... | 00 00 00 00
//! ```

use super::decompressor::Stop;

// Links the library that has the functions below; of its own declarations none gives the state to the caller.
use lz4_sys as _;

unsafe extern "C" {
    fn LZ4_sizeofState() -> i32;
    fn LZ4_compress_fast_extState(
        state: *mut u64,
        source: *const u8,
        out: *mut u8,
        source_bytes: i32,
        out_bytes: i32,
        acceleration: i32,
    ) -> i32;
    fn LZ4_decompress_safe(source: *const u8, out: *mut u8, source_bytes: i32, out_bytes: i32) -> i32;
    fn LZ4_decompress_safe_usingDict(
        source: *const u8,
        out: *mut u8,
        source_bytes: i32,
        out_bytes: i32,
        dictionary: *const u8,
        dictionary_bytes: i32,
    ) -> i32;
}

const MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();
/// Version 1, independent blocks, no checksums (the batch has one) and no content size.
const FLAGS: u8 = 0b0110_0000;
/// Blocks of at most 256 KiB: 15 % less CPU than 64 KiB, and a reader need not set aside more.
const BLOCK_SIZE: u8 = 5 << 4;
/// Second byte of the xxHash32 of the two bytes above.
const HEADER_CHECKSUM: u8 = 0xfb;
const BLOCK_BYTES: usize = 256 << 10;
/// In a block's length: stored as it is.
const STORED: u32 = 1 << 31;
const END_MARK: [u8; 4] = [0; 4];
/// How far back a match can reach, and so how much of the output a linked block needs before it.
const WINDOW_BYTES: usize = 64 << 10;

const FLAG_VERSION_MASK: u8 = 0b1100_0000;
const FLAG_VERSION: u8 = 0b0100_0000;
const FLAG_INDEPENDENT: u8 = 0b0010_0000;
const FLAG_BLOCK_CHECKSUM: u8 = 0b0001_0000;
const FLAG_CONTENT_SIZE: u8 = 0b0000_1000;
const FLAG_CONTENT_CHECKSUM: u8 = 0b0000_0100;
const FLAG_DICTIONARY: u8 = 0b0000_0001;

pub(super) struct Compressor {
    /// The library's hash table, in words so that it is aligned as the library wants.
    state: Vec<u64>,
}

impl Compressor {
    pub(super) fn new() -> Self {
        // SAFETY: a pure function without arguments.
        let bytes = unsafe { LZ4_sizeofState() };
        Self { state: vec![0; bytes.unsigned_abs() as usize / size_of::<u64>() + 1] }
    }

    pub(super) fn compress(&mut self, records: &[u8], out: &mut Vec<u8>) {
        // No block takes more than its stored form, a length before each, and 11 bytes around them.
        out.reserve(records.len() + 4 * records.len().div_ceil(BLOCK_BYTES) + 11 + block_bound(BLOCK_BYTES));
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[FLAGS, BLOCK_SIZE, HEADER_CHECKSUM]);
        for block in records.chunks(BLOCK_BYTES) {
            self.block(block, out);
        }
        out.extend_from_slice(&END_MARK);
    }

    fn block(&mut self, block: &[u8], out: &mut Vec<u8>) {
        let length_at = out.len();
        out.extend_from_slice(&[0; 4]);
        // With room for the worst case the library leaves out its checks for room.
        out.reserve(block_bound(block.len()));
        let room = out.spare_capacity_mut();
        let room_bytes = room.len().min(i32::MAX as usize);
        // SAFETY: `state` has LZ4_sizeofState bytes, aligned to 8; source and room are valid for the lengths given,
        // which fit an i32: the source is at most BLOCK_BYTES; they do not overlap, for one is borrowed mutably.
        let written = unsafe {
            LZ4_compress_fast_extState(
                self.state.as_mut_ptr(),
                block.as_ptr(),
                room.as_mut_ptr().cast(),
                block.len() as i32,
                room_bytes as i32,
                1,
            )
        };
        let written = usize::try_from(written).unwrap_or_default();
        let length = if (1..block.len()).contains(&written) {
            // SAFETY: the library wrote `written` bytes of the spare capacity, which has at least as many.
            unsafe { out.set_len(length_at + 4 + written) };
            written as u32
        } else {
            out.extend_from_slice(block);
            block.len() as u32 | STORED
        };
        out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    }
}

/// The library's bound on the compressed size of a block.
const fn block_bound(block_bytes: usize) -> usize {
    block_bytes + block_bytes / 255 + 16
}

/// Reads all frames of `source`.
pub(super) fn decompress(source: &[u8], out: &mut Vec<u8>, bytes_max: usize) -> Result<(), Stop> {
    let mut rest = source;
    while !rest.is_empty() {
        let (frame, blocks) = Frame::parse(rest)?;
        rest = frame.decompress(blocks, out, bytes_max)?;
    }
    Ok(())
}

/// A block of a frame.
struct Block<'a> {
    /// Whether it is not compressed.
    stored: bool,
    bytes: &'a [u8],
    /// What follows it.
    after: &'a [u8],
}

/// What the header of a frame says.
struct Frame {
    flags: u8,
    block_bytes_max: usize,
}

impl Frame {
    /// Returns the frame and what follows its header.
    fn parse(source: &[u8]) -> Result<(Self, &[u8]), Stop> {
        let short = Stop::Malformed("the frame header is cut short");
        let rest = source.strip_prefix(&MAGIC).ok_or(Stop::Malformed("no frame magic"))?;
        let (&[flags, block_size], rest) = rest.split_first_chunk().ok_or(short)?;
        if flags & FLAG_VERSION_MASK != FLAG_VERSION || flags & FLAG_DICTIONARY != 0 {
            return Err(Stop::Malformed("a frame version or dictionary that is not supported"));
        }
        let id = block_size >> 4 & 7;
        if id < 4 {
            return Err(Stop::Malformed("an undefined block size"));
        }
        let size_bytes = if flags & FLAG_CONTENT_SIZE != 0 { 8 } else { 0 };
        let blocks = rest.get(size_bytes + 1..).ok_or(short)?;
        Ok((Self { flags, block_bytes_max: 1 << (8 + 2 * id) }, blocks))
    }

    /// Returns what follows the frame.
    fn decompress<'a>(&self, blocks: &'a [u8], out: &mut Vec<u8>, bytes_max: usize) -> Result<&'a [u8], Stop> {
        let frame_start = out.len();
        let mut rest = blocks;
        let room = self.content_bytes_max(blocks).min(bytes_max.saturating_sub(out.len()));
        out.reserve_exact(room);
        while let Some(Block { stored, bytes: block, after }) = self.next_block(rest)? {
            let left = bytes_max.saturating_sub(out.len());
            if stored && block.len() > left {
                return Err(Stop::TooLarge);
            } else if stored {
                out.extend_from_slice(block);
            } else {
                self.block(block, out, frame_start, left)?;
            }
            rest = after;
        }
        // The end mark, and the content checksum if there is one: not checked, see the module doc.
        let tail_bytes = if self.flags & FLAG_CONTENT_CHECKSUM != 0 { 8 } else { 4 };
        rest.get(tail_bytes..).ok_or(Stop::Malformed("the content checksum is cut short"))
    }

    /// The block at the start of `rest`; `None` at the end mark.
    fn next_block<'a>(&self, rest: &'a [u8]) -> Result<Option<Block<'a>>, Stop> {
        let short = Stop::Malformed("a block is cut short");
        let (length, after) = rest.split_first_chunk().ok_or(short)?;
        if *length == END_MARK {
            return Ok(None);
        }
        let length = u32::from_le_bytes(*length);
        let bytes = (length & !STORED) as usize;
        if bytes > self.block_bytes_max {
            return Err(Stop::Malformed("a block is longer than its frame allows"));
        }
        let (block, after) = after.split_at_checked(bytes).ok_or(short)?;
        let checksum_bytes = if self.flags & FLAG_BLOCK_CHECKSUM != 0 { 4 } else { 0 };
        let after = after.get(checksum_bytes..).ok_or(short)?;
        Ok(Some(Block { stored: length & STORED != 0, bytes: block, after }))
    }

    /// Upper bound of the content: blocks times their largest size, and 255 bytes for each of input at the most.
    fn content_bytes_max(&self, blocks: &[u8]) -> usize {
        let mut rest = blocks;
        let mut bytes: usize = 0;
        while let Ok(Some(Block { bytes: block, after, .. })) = self.next_block(rest) {
            bytes = bytes.saturating_add(self.block_bytes_max.min(block.len().saturating_mul(255)));
            rest = after;
        }
        bytes
    }

    fn block(&self, block: &[u8], out: &mut Vec<u8>, frame_start: usize, left: usize) -> Result<(), Stop> {
        let room_bytes = self.block_bytes_max.min(left);
        // No block expands more than 255 times, so that a short one cannot claim the room of a long one.
        out.reserve(room_bytes.min(block.len().saturating_mul(255)));
        let before = out.len();
        let window_bytes = (before - frame_start).min(WINDOW_BYTES);
        let room_bytes = room_bytes.min(out.capacity() - before);
        // SAFETY: `before` is the length, which is within the allocation.
        let room = unsafe { out.as_mut_ptr().add(before) };
        let source = block.as_ptr();
        let written = if self.flags & FLAG_INDEPENDENT != 0 || window_bytes == 0 {
            // SAFETY: source and room are valid for the lengths given, each at most 4 MiB; they do not overlap (the
            // room is part of a vector that is borrowed mutably); the function checks every bound itself.
            unsafe { LZ4_decompress_safe(source, room, block.len() as i32, room_bytes as i32) }
        } else {
            // SAFETY: as above; the dictionary is the initialised end of the vector, right before the room, which
            // the library allows and recognises as a continuation. Both pointers come from the vector itself, and
            // no reference into it is alive.
            unsafe {
                let window = room.sub(window_bytes);
                LZ4_decompress_safe_usingDict(
                    source,
                    room,
                    block.len() as i32,
                    room_bytes as i32,
                    window,
                    window_bytes as i32,
                )
            }
        };
        match usize::try_from(written) {
            Ok(written) if written <= room_bytes => {
                // SAFETY: the library wrote `written` bytes of the spare capacity, which has at least as many.
                unsafe { out.set_len(before + written) };
                Ok(())
            }
            _ if left < self.block_bytes_max => Err(Stop::TooLarge),
            _ => Err(Stop::Malformed("a block is damaged")),
        }
    }
}
