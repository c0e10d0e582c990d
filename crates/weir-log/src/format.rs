//! What is in the files.
//!
//! A segment is a sequence of Kafka record batches, format v2, and nothing else, so that Kafka's own dump tool reads
//! a sealed one. It is named `<base offset, 20 digits>.log`; `<base offset>.<n>.log` if that name is taken (by a
//! segment that was poisoned before anything in it was good). Its first batch is the segment header: a control batch
//! without records (what Kafka calls an empty batch: last delta -1, count 0), whose fields mean:
//!
//! | field | CRC | segment header | data batch |
//! |---|---|---|---|
//! | base offset | no | base offset of the segment | offset of the first record |
//! | leader epoch | no | epoch of the log, all 32 bits | the same |
//! | attributes | yes | 0x20 (control) | the encoder's |
//! | last offset delta | yes | -1 | records - 1 |
//! | base timestamp | yes | created, ms since 1970 UTC | the encoder's |
//! | max timestamp | yes | id of the log | the encoder's |
//! | producer id | yes | base offset of the segment | offset of the first record |
//! | producer epoch | yes | low 14 bits of the epoch | the same, and bit 14: all before it in the segment was synced |
//! | base sequence | yes | format version (low 8 bits), ordinal of the segment in its epoch (high 24) | arrival, s since 1970 UTC, as u32 |
//! | records | yes | 0 | 1 or more |
//!
//! So offset, epoch and arrival of every batch are under its CRC (L12): a batch found where another was expected is
//! refused. All batches of a segment are of its header's epoch, since every open starts a new segment.
//!
//! Bit 14 tells a hole that a power loss tore into the last, unsynced group of batches from damage to something that had
//! been synced: behind damage there is a batch with the bit set, behind a torn hole there is none.
//!
//! Offsets inside a segment are contiguous. A segment ends where the next one starts: bytes behind that offset are
//! the tail of a poisoned segment, rewritten in the next one, and are never looked at. The active segment is
//! preallocated: behind its data are zeros, and zeros are not a batch (L11).

use weir_codec::record_batch::{BatchHeader, HEADER_BYTES, Stamp, crc_is_valid};

/// Format version of segments this code writes, and the only one it reads.
pub(crate) const VERSION: u8 = 1;
const VERSION_MASK: u32 = 0xff;
/// Bytes of the segment header: a batch header without records.
pub(crate) const SEGMENT_HEADER_BYTES: u64 = HEADER_BYTES as u64;
/// Largest batch the format allows. Bounds what a damaged length can make a reader allocate.
pub(crate) const BATCH_BYTES_CEILING: usize = 64 * 1024 * 1024;
/// Offsets stay below this, so that they fit Kafka's signed fields with room to add.
pub(crate) const OFFSET_CEILING: u64 = 1 << 62;

const CONTROL: i16 = 0x20;
const ORDINAL_BITS: u32 = 24;

/// The decoded header of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentHeader {
    pub(crate) log_id: u64,
    pub(crate) base: u64,
    pub(crate) epoch: u32,
    pub(crate) ordinal: u32,
    pub(crate) created_ms: i64,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let ordinal = self.ordinal & ((1 << ORDINAL_BITS) - 1);
        let mut header = BatchHeader {
            base_offset: self.base as i64,
            batch_length: (HEADER_BYTES - 12) as i32,
            partition_leader_epoch: self.epoch as i32,
            crc: 0,
            attributes: CONTROL,
            last_offset_delta: -1,
            base_timestamp: self.created_ms,
            max_timestamp: self.log_id as i64,
            producer_id: self.base as i64,
            producer_epoch: epoch_mark(self.epoch),
            base_sequence: (ordinal << 8 | u32::from(VERSION)) as i32,
            record_count: 0,
        };
        header.write(&mut bytes);
        // The CRC covers everything from the attributes (byte 21) on.
        header.crc = crc32c::crc32c(&bytes[21..]);
        header.write(&mut bytes);
        bytes
    }

    /// The version in the header at the start of a segment, if it is whole and newer than this code reads. Relies only on
    /// what all versions share: the first batch is 61 bytes, without records, and holds the version under its CRC.
    pub(crate) fn newer_version(bytes: &[u8]) -> Option<u8> {
        let bytes = bytes.get(..HEADER_BYTES)?;
        let header = BatchHeader::parse(bytes).ok()?;
        let version = (header.base_sequence as u32 & VERSION_MASK) as u8;
        let is_header =
            header.total_bytes() == HEADER_BYTES && header.attributes == CONTROL && header.record_count == 0;
        (is_header && version > VERSION && crc_is_valid(bytes)).then_some(version)
    }

    /// Reads the header at the start of a segment; `None` if it is damaged, of another version, or no header at all.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..HEADER_BYTES)?;
        let header = BatchHeader::parse(bytes).ok()?;
        let base = u64::try_from(header.producer_id).ok().filter(|base| *base < OFFSET_CEILING)?;
        let sequence = header.base_sequence as u32;
        let known = header.total_bytes() == HEADER_BYTES
            && header.attributes == CONTROL
            && header.record_count == 0
            && header.last_offset_delta == -1
            && header.base_offset == header.producer_id
            && sequence & VERSION_MASK == u32::from(VERSION)
            && crc_is_valid(bytes);
        let log_id = u64::try_from(header.max_timestamp).ok()?;
        // The upper bits of the epoch are not under the CRC; if they do not fit the bits which are, those count.
        let stored = header.partition_leader_epoch as u32;
        let epoch =
            if epoch_mark(stored) == header.producer_epoch { stored } else { u32::from(header.producer_epoch as u16) };
        known.then_some(Self { log_id, base, epoch, ordinal: sequence >> 8, created_ms: header.base_timestamp })
    }

    /// Whether this segment was created after `other`. Epochs are compared in full, ordinals within an epoch.
    pub(crate) fn is_newer_than(&self, other: &Self) -> bool {
        (self.epoch, self.ordinal) > (other.epoch, other.ordinal)
    }
}

/// The bits of an epoch that are under the CRC of every batch.
pub(crate) const fn epoch_mark(epoch: u32) -> i16 {
    (epoch & 0x3fff) as i16
}

/// Set in the producer epoch of a batch that was written right after a sync. The sign stays clear, as Kafka wants it.
const FOLLOWS_SYNC: i16 = 1 << 14;

/// Whether a batch is of a segment of `epoch`, as far as the bits under its CRC tell.
pub(crate) const fn is_of_epoch(header: &BatchHeader, epoch: u32) -> bool {
    header.producer_epoch & !FOLLOWS_SYNC == epoch_mark(epoch)
}

/// Whether everything before this batch in its segment was durable when it was written.
pub(crate) const fn follows_sync(header: &BatchHeader) -> bool {
    header.producer_epoch & FOLLOWS_SYNC != 0
}

/// What a data batch is stamped with.
pub(crate) fn data_stamp(base: u64, epoch: u32, arrival_s: u32, follows_sync: bool) -> Stamp {
    Stamp {
        base_offset: base as i64,
        partition_leader_epoch: epoch as i32,
        producer_id: base as i64,
        producer_epoch: epoch_mark(epoch) | if follows_sync { FOLLOWS_SYNC } else { 0 },
        base_sequence: arrival_s as i32,
    }
}

/// Milliseconds since 1970 as the whole seconds a batch stores; clamped to what 32 bits hold (until 2106).
pub(crate) fn arrival_seconds(arrival_ms: i64) -> u32 {
    u32::try_from(arrival_ms.div_euclid(1000).max(0)).unwrap_or(u32::MAX)
}

/// File name of a segment; `attempt` 0 is the plain one.
pub(crate) fn segment_name(base: u64, attempt: u32) -> String {
    if attempt == 0 { format!("{base:020}.log") } else { format!("{base:020}.{attempt}.log") }
}

/// The base offset in a segment's file name; `None` if the name is not one of a segment.
pub(crate) fn segment_base(name: &str) -> Option<u64> {
    let stem = name.strip_suffix(".log")?;
    let (digits, attempt) = stem.split_once('.').unwrap_or((stem, "0"));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits.len() != 20 || !all_digits(digits) || attempt.len() > 9 || !all_digits(attempt) {
        return None;
    }
    digits.parse().ok().filter(|base| *base < OFFSET_CEILING)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a segment header is written, read, and read again after each single bit of it was flipped.
    /// Guarantees: what comes back is what went in; a flip is noticed, except in the fields outside the CRC that carry no meaning of their own.
    #[test]
    fn header_round_trip_and_flips() {
        let header =
            SegmentHeader { log_id: 77 << 40, base: 123_456, epoch: 70_001, ordinal: 9, created_ms: 1_700_000_000_000 };
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Some(header));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Some(read) = SegmentHeader::decode(&flipped) {
                assert!((96..128).contains(&bit), "bit {bit} is under the CRC or checked");
                assert_eq!(
                    (read.base, read.log_id, epoch_mark(read.epoch)),
                    (header.base, header.log_id, epoch_mark(header.epoch))
                );
            }
        }
    }

    /// Scenario: names of segments, and names that look like them.
    /// Guarantees: names sort like offsets, and nothing else is taken for a segment.
    #[test]
    fn names() {
        assert_eq!(segment_base(&segment_name(42, 0)), Some(42));
        assert_eq!(segment_base(&segment_name(42, 3)), Some(42));
        assert!(segment_name(9, 0) < segment_name(10, 0));
        for wrong in [
            "1.log",
            "00000000000000000001.index",
            "0000000000000000000a.log",
            "99999999999999999999.log",
            ".log",
            "00000000000000000001.x.log",
        ] {
            assert_eq!(segment_base(wrong), None, "{wrong}");
        }
    }
}
