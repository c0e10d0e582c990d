//! Finding batches in a segment: one walk, used by readers, by recovery and by the tools, so that all agree on what is damage.
//!
//! At each place exactly one batch may stand: offset, epoch and CRC must fit (see [`crate::format`]). If something
//! else stands there, the walk looks for the next place where a valid batch with a later offset starts, and reports the
//! bytes and the offsets between. If there is none, what is left is the tail; whether that is a torn write or damage is
//! for the caller to say, who knows whether more was written there.

use std::io;
use std::ops::Range;

use weir_codec::record_batch::{BatchHeader, HEADER_BYTES, crc_is_valid};

use crate::disk::{DiskFile, read_tolerant};
use crate::format::{BATCH_BYTES_CEILING, follows_sync, is_of_epoch};

/// What the walk reads at once, unless told otherwise. 1 MiB: a few batches, and far above the cost of a system call.
pub(crate) const WINDOW_BYTES: usize = 1 << 20;

/// The part of a segment that is walked.
#[derive(Clone, Copy)]
pub(crate) struct Extent<'a> {
    pub(crate) file: &'a dyn DiskFile,
    /// Bytes of the file that may be looked at.
    pub(crate) limit: u64,
    /// Epoch of the segment, unless its header is damaged.
    pub(crate) epoch: Option<u32>,
    /// Where the next segment starts: batches at or past this offset are not this segment's.
    pub(crate) end: u64,
}

/// A boundary between batches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// Byte position in the file.
    pub(crate) at: u64,
    /// Offset of the batch that has to stand there.
    pub(crate) expected: u64,
}

/// Bytes that are no batch, between batches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Damage {
    pub(crate) bytes: Range<u64>,
    /// Offsets that were in there; empty if the damage hit no batch.
    pub(crate) offsets: Range<u64>,
}

/// Outcome of one step of the walk.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Valid batches in order, as ranges of the buffer.
    pub(crate) batches: Vec<(Range<usize>, BatchHeader)>,
    /// Damage at the start of this step; then there are no batches.
    pub(crate) damage: Option<Damage>,
    /// Where the next step starts.
    pub(crate) next: Place,
    /// No valid batch follows `next`: from there to the limit is the tail.
    pub(crate) is_last: bool,
}

enum Found {
    Batch(BatchHeader),
    /// A batch may stand here; that many bytes are needed to tell.
    Partial(usize),
    Nothing,
}

impl Extent<'_> {
    /// Whether `header` may be that of a batch of this segment, wherever it stands.
    fn plausible(&self, header: &BatchHeader) -> bool {
        header.base_offset >= 0
            && header.producer_id == header.base_offset
            && !header.is_control()
            && header.record_count > 0
            && header.last_offset_delta == header.record_count - 1
            && header.total_bytes() <= BATCH_BYTES_CEILING
            && (header.base_offset as u64) < self.end
            && self.epoch.is_none_or(|epoch| is_of_epoch(header, epoch))
    }

    fn probe(&self, bytes: &[u8], place: Place) -> Found {
        let left = self.limit.saturating_sub(place.at);
        if left < HEADER_BYTES as u64 {
            return Found::Nothing;
        }
        if bytes.len() < HEADER_BYTES {
            return Found::Partial(HEADER_BYTES);
        }
        let Ok(header) = BatchHeader::parse(bytes) else { return Found::Nothing };
        let bytes_needed = header.total_bytes();
        if header.base_offset as u64 != place.expected || !self.plausible(&header) || bytes_needed as u64 > left {
            return Found::Nothing;
        }
        match bytes.get(..bytes_needed) {
            None => Found::Partial(bytes_needed),
            Some(batch) if crc_is_valid(batch) => Found::Batch(header),
            Some(_) => Found::Nothing,
        }
    }

    /// Reads up to `bytes_max` bytes at `from` into `buffer` (replacing its content) and finds the batches in them. At
    /// least one batch, or damage, or `is_last`; so a batch larger than `bytes_max` is read whole.
    ///
    /// # Errors
    /// Nothing of the stretch could be read at all.
    pub(crate) fn step(&self, from: Place, bytes_max: usize, buffer: &mut Vec<u8>) -> io::Result<Chunk> {
        let mut extent = *self;
        let mut want = bytes_max.max(HEADER_BYTES);
        let mut looked_twice = false;
        loop {
            let left = extent.limit.saturating_sub(from.at);
            let reading = want.min(usize::try_from(left).unwrap_or(usize::MAX));
            read_tolerant(extent.file, buffer, reading, from.at)?;
            if buffer.len() < reading {
                // The file is shorter than it was said to be.
                extent.limit = from.at + buffer.len() as u64;
            }
            match extent.walk(from, buffer) {
                Walk::Batches(batches, next) => {
                    let is_last = next.at >= extent.limit || next.expected >= extent.end;
                    return Ok(Chunk { batches, damage: None, next, is_last });
                }
                Walk::Partial(bytes) => want = bytes,
                Walk::Nothing if from.expected >= extent.end => {
                    return Ok(Chunk { batches: Vec::new(), damage: None, next: from, is_last: true });
                }
                Walk::Nothing => {
                    let chunk = extent.skip(from)?;
                    // A running log may have written the batch that has to stand here between the two looks, and
                    // those behind it: what was written later was found, so what comes before it is there now.
                    if chunk.damage.is_none() || looked_twice {
                        return Ok(chunk);
                    }
                    looked_twice = true;
                }
            }
        }
    }

    fn walk(&self, from: Place, buffer: &[u8]) -> Walk {
        let (mut batches, mut cursor, mut place) = (Vec::new(), 0, from);
        while place.expected < self.end {
            match self.probe(&buffer[cursor..], place) {
                Found::Batch(header) => {
                    let bytes = header.total_bytes();
                    batches.push((cursor..cursor + bytes, header));
                    cursor += bytes;
                    place =
                        Place { at: place.at + bytes as u64, expected: place.expected + header.record_count as u64 };
                }
                Found::Partial(bytes) if batches.is_empty() => return Walk::Partial(bytes),
                Found::Partial(_) | Found::Nothing => break,
            }
        }
        if batches.is_empty() { Walk::Nothing } else { Walk::Batches(batches, place) }
    }

    /// Nothing valid stands at `from`: finds where the walk can go on.
    fn skip(&self, from: Place) -> io::Result<Chunk> {
        let chunk = |damage, next, is_last| Chunk { batches: Vec::new(), damage, next, is_last };
        Ok(match self.next_batch(from)? {
            Some(next) => {
                let damage = Damage { bytes: from.at..next.at, offsets: from.expected..next.expected };
                chunk(Some(damage), next, false)
            }
            None => chunk(None, from, true),
        })
    }

    /// Whether a batch at or behind `from` tells that everything before it had been synced.
    pub(crate) fn is_synced_before(&self, from: Place) -> io::Result<bool> {
        let (mut place, mut buffer) = (from, Vec::new());
        loop {
            let chunk = self.step(place, WINDOW_BYTES, &mut buffer)?;
            if chunk.batches.iter().any(|(_, header)| follows_sync(header)) {
                return Ok(true);
            }
            if chunk.is_last {
                return Ok(false);
            }
            place = chunk.next;
        }
    }

    /// The first place at or behind `from.at` where a valid batch of offset `from.expected` or later starts.
    fn next_batch(&self, from: Place) -> io::Result<Option<Place>> {
        let (mut window, mut at) = (Vec::new(), from.at);
        while at + HEADER_BYTES as u64 <= self.limit {
            let reading = WINDOW_BYTES.min(usize::try_from(self.limit - at).unwrap_or(usize::MAX));
            read_tolerant(self.file, &mut window, reading, at)?;
            if window.len() < HEADER_BYTES {
                return Ok(None);
            }
            let candidates = window.len() - HEADER_BYTES + 1;
            // Byte 16 of a batch is its magic, 2: skips zeros and most else without parsing.
            let magic = |index: &usize| window[index + 16] == 2;
            for index in (0..candidates).filter(magic) {
                let place = at + index as u64;
                if let Some(header) = self.batch_at(&window[index..], place, from.expected)?
                    && !self.contradicted(&header, place, from.expected)?
                {
                    return Ok(Some(Place { at: place, expected: header.base_offset as u64 }));
                }
            }
            at += candidates as u64;
        }
        Ok(None)
    }

    /// Whether a whole valid batch of offset `lowest` or later starts at `place`; `bytes` is what is at hand of it.
    fn batch_at(&self, bytes: &[u8], place: u64, lowest: u64) -> io::Result<Option<BatchHeader>> {
        let Ok(header) = BatchHeader::parse(bytes) else { return Ok(None) };
        let fits = self.plausible(&header)
            && header.base_offset as u64 >= lowest
            && place + header.total_bytes() as u64 <= self.limit;
        if !fits {
            return Ok(None);
        }
        if let Some(batch) = bytes.get(..header.total_bytes()) {
            return Ok(crc_is_valid(batch).then_some(header));
        }
        let mut batch = Vec::new();
        read_tolerant(self.file, &mut batch, header.total_bytes(), place)?;
        Ok((batch.len() == header.total_bytes() && crc_is_valid(&batch)).then_some(header))
    }

    /// Whether a valid batch right behind this one has an offset that should come before it: then this one was
    /// written to the wrong place, and believing it would cost everything that rightly stands behind it.
    fn contradicted(&self, header: &BatchHeader, place: u64, lowest: u64) -> io::Result<bool> {
        let behind = place + header.total_bytes() as u64;
        let mut bytes = Vec::new();
        read_tolerant(self.file, &mut bytes, HEADER_BYTES, behind)?;
        let end = header.base_offset as u64 + header.record_count as u64;
        let follower = self.batch_at(&bytes, behind, lowest)?;
        Ok(follower.is_some_and(|follower| (follower.base_offset as u64) < end))
    }
}

enum Walk {
    Batches(Vec<(Range<usize>, BatchHeader)>, Place),
    Partial(usize),
    Nothing,
}
