//! Blocks: framed lines ready to send, with fields that are overwritten in place.

use std::ops::Range;

use weir_codec::synth::TimeText;

use super::lines::{ConnectionLines, LineStamp, line_stamp};
use super::options::{Framing, LineTime, StampOptions};
use crate::stamp::{self, Check, SEQUENCE_DIGITS, Stamp, TIME_DIGITS};

/// One write of this size costs the same per byte as larger ones and still fits a core's second-level cache.
const BLOCK_BYTES: usize = 256 << 10;
/// 12 blocks, 3 MiB: more than the 2 MiB window of zstd's default level, so that the repetition of the blocks does
/// not flatter a compressor downstream.
const BLOCKS: usize = 12;
/// All synthetic blocks of a run together; many connections get smaller ones.
const BLOCKS_BYTES_TOTAL: usize = 96 << 20;
/// No field to overwrite.
const NONE: u32 = u32::MAX;

/// How lines become frames.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockForm {
    /// `None` for datagrams.
    pub(super) framing: Option<Framing>,
    pub(super) line_time: LineTime,
    pub(super) stamp: Option<StampOptions>,
    /// The producer that the stamps name.
    pub(super) producer: u16,
    /// Connections of the run.
    pub(super) connections: usize,
}

/// A line in a block; positions count from the start of the block.
#[derive(Clone, Copy, Debug)]
struct LineAt {
    /// Behind the last byte of the frame; it starts where the one before ends.
    end: u32,
    /// The space in front of the stamp, or [`NONE`].
    stamp: u32,
    /// The timestamp of the line, or [`NONE`].
    time: u32,
    time_is_modern: bool,
}

/// A stretch of frames.
#[derive(Debug)]
pub(super) struct Block {
    bytes: Vec<u8>,
    lines: Vec<LineAt>,
}

/// Makes the blocks of one connection; at least one, each with at least one line.
pub(super) fn make_blocks(mut lines: ConnectionLines, form: &BlockForm) -> Vec<Block> {
    let all = (BLOCKS_BYTES_TOTAL / form.connections).min(BLOCKS * BLOCK_BYTES);
    // Four at least, so that many connections do not each repeat a single one.
    let block_bytes = (all / 4).clamp(16 << 10, BLOCK_BYTES);
    let mut blocks = Vec::new();
    let mut line = Vec::new();
    let mut bytes_made = 0;
    let mut ended = false;
    while !ended && (lines.is_finite() || bytes_made < all) {
        let mut block = Block { bytes: Vec::with_capacity(block_bytes), lines: Vec::new() };
        while block.bytes.len() < block_bytes {
            line.clear();
            let Some(message_start) = lines.append_next(&mut line) else {
                ended = true;
                break;
            };
            let before = block.bytes.len();
            block.push(&mut line, message_start, form);
            // A block is one write: the last line must not make it longer, unless it is the only one.
            if block.bytes.len() > block_bytes && before > 0 && !lines.is_finite() {
                block.bytes.truncate(before);
                block.lines.pop();
                break;
            }
        }
        bytes_made += block.bytes.len();
        if !block.lines.is_empty() {
            blocks.push(block);
        }
    }
    blocks
}

impl Block {
    fn push(&mut self, line: &mut Vec<u8>, message_start: usize, form: &BlockForm) {
        let stamp_in_line = form.stamp.map(|options| {
            let at = line.len();
            let check = options.check.then(|| Check::of(&line[message_start..]));
            Stamp { producer: form.producer, sequence: 0, time_ms: 0, check }.write(line);
            at
        });
        if form.framing == Some(Framing::OctetCounted) {
            self.bytes.extend_from_slice(line.len().to_string().as_bytes());
            self.bytes.push(b' ');
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(line);
        if form.framing == Some(Framing::Newline) {
            self.bytes.push(b'\n');
        }
        let (time, time_is_modern) = match line_stamp(line) {
            Some(LineStamp::Modern { at }) if form.line_time == LineTime::Now => ((start + at) as u32, true),
            Some(LineStamp::Old { at }) if form.line_time == LineTime::Now => ((start + at) as u32, false),
            _ => (NONE, false),
        };
        let stamp = stamp_in_line.map_or(NONE, |at| (start + at) as u32);
        self.lines.push(LineAt { end: self.bytes.len() as u32, stamp, time, time_is_modern });
    }

    /// Number of lines.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Where the frame of line `index` starts; for the number of lines, the end of the block.
    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.lines[before].end as usize)
    }

    /// The frames of `lines`.
    pub(super) fn frames(&self, lines: Range<usize>) -> &[u8] {
        &self.bytes[self.start(lines.start)..self.start(lines.end)]
    }

    /// How many frames of `lines`, from their start, lie within the first `bytes` bytes of them.
    pub(super) fn whole_frames(&self, lines: Range<usize>, bytes: usize) -> usize {
        let end = (self.start(lines.start) + bytes) as u32;
        self.lines[lines].partition_point(|line| line.end <= end)
    }

    /// Writes times and sequence numbers, from `sequence` on, into `lines`. About 8 ns a line; nothing at all where
    /// there is nothing to overwrite.
    pub(super) fn refresh(&mut self, lines: Range<usize>, sequence: u64, time_ms: u64, clock: &mut TimeText) {
        let mut digits = [b'0'; SEQUENCE_DIGITS];
        stamp::write_decimal(&mut digits, sequence);
        let mut sent = [b'0'; TIME_DIGITS];
        stamp::write_decimal(&mut sent, time_ms);
        let old = *clock.rfc3164(time_ms as i64);
        let modern = *clock.rfc5424_millis(time_ms as i64);
        for line in &self.lines[lines] {
            if line.stamp != NONE {
                let at = line.stamp as usize + stamp::sequence_at();
                self.bytes[at..at + SEQUENCE_DIGITS].copy_from_slice(&digits);
                let at = line.stamp as usize + stamp::time_at();
                self.bytes[at..at + TIME_DIGITS].copy_from_slice(&sent);
                count_up(&mut digits);
            }
            if line.time != NONE {
                let at = line.time as usize;
                match line.time_is_modern {
                    // Up to the milliseconds; finer digits and the zone stay.
                    true => self.bytes[at..at + 23].copy_from_slice(&modern[..23]),
                    false => self.bytes[at..at + 15].copy_from_slice(&old),
                }
            }
        }
    }
}

/// Adds one to a decimal number; wraps at the end.
fn count_up(digits: &mut [u8; SEQUENCE_DIGITS]) {
    for digit in digits.iter_mut().rev() {
        if *digit != b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
}
