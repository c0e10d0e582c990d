//! The 61 bytes before the records, and batches whose header is stamped late.

use thiserror::Error;

use super::crc::combine;

/// Length of the header of a record batch.
pub const HEADER_BYTES: usize = 61;
/// Bytes before the field that `batch_length` counts from: base offset and the length itself.
const BEFORE_LENGTH: usize = 12;
/// First byte under the CRC.
const CRC_FROM: usize = 21;
const MAGIC: i8 = 2;

/// Compression of the records of a batch: the low three bits of its attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy in the framing of snappy-java.
    Snappy,
    /// LZ4 frame.
    Lz4,
    /// Zstandard frame.
    Zstd,
}

impl Compression {
    /// The id in the attributes of a batch.
    #[must_use]
    pub const fn id(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The compression of `attributes`; `None` for an id that Kafka has not defined.
    #[must_use]
    pub const fn from_attributes(attributes: i16) -> Option<Self> {
        match attributes & 7 {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// The decoded header of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Bytes after this field: total size minus 12.
    pub batch_length: i32,
    /// Not under the CRC; a broker overwrites it.
    pub partition_leader_epoch: i32,
    /// CRC32C of everything from the attributes on.
    pub crc: u32,
    /// Compression, timestamp type, transactional and control bits.
    pub attributes: i16,
    /// Offset of the last record minus `base_offset`.
    pub last_offset_delta: i32,
    /// Timestamp that record timestamps are relative to, milliseconds.
    pub base_timestamp: i64,
    /// Largest timestamp of the batch, milliseconds.
    pub max_timestamp: i64,
    /// -1 without an idempotent producer.
    pub producer_id: i64,
    /// -1 without an idempotent producer.
    pub producer_epoch: i16,
    /// -1 without an idempotent producer.
    pub base_sequence: i32,
    /// Number of records.
    pub record_count: i32,
}

/// Why bytes are not the header of a v2 batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum HeaderError {
    /// Fewer than [`HEADER_BYTES`] bytes.
    #[error("{have} bytes where a batch header needs {HEADER_BYTES}")]
    Short {
        /// Bytes at hand.
        have: usize,
    },
    /// Not format v2.
    #[error("magic {magic} where 2 was expected")]
    Magic {
        /// The byte found.
        magic: i8,
    },
    /// A length that cannot hold the header, or a negative count.
    #[error("impossible length {length} or count {count}")]
    Impossible {
        /// `batch_length` as found.
        length: i32,
        /// `record_count` as found.
        count: i32,
    },
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    if let Some(slice) = bytes.get(at..at + N) {
        out.copy_from_slice(slice);
    }
    out
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`. Checks its form, not its CRC: see [`crc_is_valid`].
    ///
    /// # Errors
    /// [`HeaderError`] if this is not the start of a v2 batch. Zeros never are.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        if bytes.len() < HEADER_BYTES {
            return Err(HeaderError::Short { have: bytes.len() });
        }
        let magic = i8::from_be_bytes(array(bytes, 16));
        if magic != MAGIC {
            return Err(HeaderError::Magic { magic });
        }
        let header = Self {
            base_offset: i64::from_be_bytes(array(bytes, 0)),
            batch_length: i32::from_be_bytes(array(bytes, 8)),
            partition_leader_epoch: i32::from_be_bytes(array(bytes, 12)),
            crc: u32::from_be_bytes(array(bytes, 17)),
            attributes: i16::from_be_bytes(array(bytes, 21)),
            last_offset_delta: i32::from_be_bytes(array(bytes, 23)),
            base_timestamp: i64::from_be_bytes(array(bytes, 27)),
            max_timestamp: i64::from_be_bytes(array(bytes, 35)),
            producer_id: i64::from_be_bytes(array(bytes, 43)),
            producer_epoch: i16::from_be_bytes(array(bytes, 51)),
            base_sequence: i32::from_be_bytes(array(bytes, 53)),
            record_count: i32::from_be_bytes(array(bytes, 57)),
        };
        let shortest = (HEADER_BYTES - BEFORE_LENGTH) as i32;
        if header.batch_length < shortest || header.record_count < 0 {
            return Err(HeaderError::Impossible { length: header.batch_length, count: header.record_count });
        }
        Ok(header)
    }

    /// Writes the header, CRC field included as given, over the first [`HEADER_BYTES`] of `out`.
    ///
    /// # Panics
    /// If `out` is shorter than that.
    pub fn write(&self, out: &mut [u8]) {
        out[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        out[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        out[12..16].copy_from_slice(&self.partition_leader_epoch.to_be_bytes());
        out[16] = MAGIC as u8;
        out[17..21].copy_from_slice(&self.crc.to_be_bytes());
        out[21..23].copy_from_slice(&self.attributes.to_be_bytes());
        out[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        out[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        out[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        out[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        out[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        out[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        out[57..61].copy_from_slice(&self.record_count.to_be_bytes());
    }

    /// Size of the whole batch in bytes.
    #[must_use]
    pub const fn total_bytes(&self) -> usize {
        // `parse` refuses negative lengths.
        self.batch_length as usize + BEFORE_LENGTH
    }

    /// Compression of the records; `None` for an undefined id.
    #[must_use]
    pub const fn compression(&self) -> Option<Compression> {
        Compression::from_attributes(self.attributes)
    }

    /// Whether this is a control batch (transaction markers; the segment header of our log).
    #[must_use]
    pub const fn is_control(&self) -> bool {
        self.attributes & 0x20 != 0
    }
}

/// Whether the CRC of the batch that fills `batch` exactly is right. 30 GB/s on a current core.
#[must_use]
pub fn crc_is_valid(batch: &[u8]) -> bool {
    batch.len() >= HEADER_BYTES && u32::from_be_bytes(array(batch, 17)) == crc32c::crc32c(&batch[CRC_FROM..])
}

/// What is written into the header of a ready-made batch when its place is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Leader epoch, not under the CRC.
    pub partition_leader_epoch: i32,
    /// Producer id, under the CRC.
    pub producer_id: i64,
    /// Producer epoch, under the CRC.
    pub producer_epoch: i16,
    /// Sequence of the first record, under the CRC.
    pub base_sequence: i32,
}

/// A finished record batch whose offset and producer fields can still be stamped in constant time.
///
/// The encoder runs on many threads at once, offsets are given out by one; so the CRC of the records is kept and
/// combined with that of the stamped header, instead of being computed twice.
pub struct EncodedBatch {
    bytes: Vec<u8>,
    records_crc: u32,
    record_count: u32,
}

/// Shows counts, not events: batches end up in errors, and errors in logs.
impl std::fmt::Debug for EncodedBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EncodedBatch({} records, {} bytes)", self.record_count, self.bytes.len())
    }
}

impl EncodedBatch {
    /// Finishes a batch: `bytes` is [`HEADER_BYTES`] of room followed by the (compressed) records.
    /// `header` gives everything but length and CRC, which are computed here.
    ///
    /// # Panics
    /// If `bytes` is shorter than a header or larger than 2 GiB, or `record_count` is negative.
    #[must_use]
    pub fn finish(mut bytes: Vec<u8>, header: BatchHeader) -> Self {
        let length = i32::try_from(bytes.len() - BEFORE_LENGTH).expect("a batch is far below 2 GiB");
        let records_crc = crc32c::crc32c(&bytes[HEADER_BYTES..]);
        BatchHeader { batch_length: length, ..header }.write(&mut bytes);
        let record_count = u32::try_from(header.record_count).expect("a count is not negative");
        let mut batch = Self { bytes, records_crc, record_count };
        batch.write_crc();
        batch
    }

    /// Takes over a complete batch that came from elsewhere (a segment, a broker), to stamp it anew.
    ///
    /// # Errors
    /// [`HeaderError`] if `bytes` does not start with a batch header or holds anything but exactly one batch.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, HeaderError> {
        let header = BatchHeader::parse(&bytes)?;
        if header.total_bytes() != bytes.len() {
            return Err(HeaderError::Impossible { length: header.batch_length, count: header.record_count });
        }
        let records_crc = crc32c::crc32c(&bytes[HEADER_BYTES..]);
        Ok(Self { bytes, records_crc, record_count: header.record_count as u32 })
    }

    /// Writes `stamp` into the header and brings the CRC up to date, without reading the records again.
    pub fn stamp(&mut self, stamp: Stamp) {
        self.bytes[0..8].copy_from_slice(&stamp.base_offset.to_be_bytes());
        self.bytes[12..16].copy_from_slice(&stamp.partition_leader_epoch.to_be_bytes());
        self.bytes[43..51].copy_from_slice(&stamp.producer_id.to_be_bytes());
        self.bytes[51..53].copy_from_slice(&stamp.producer_epoch.to_be_bytes());
        self.bytes[53..57].copy_from_slice(&stamp.base_sequence.to_be_bytes());
        self.write_crc();
    }

    fn write_crc(&mut self) {
        let head = crc32c::crc32c(&self.bytes[CRC_FROM..HEADER_BYTES]);
        let crc = combine(head, self.records_crc, self.bytes.len() - HEADER_BYTES);
        self.bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    }

    /// Number of records.
    #[must_use]
    pub fn record_count(&self) -> u32 {
        self.record_count
    }

    /// The whole batch.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives back the memory behind the batch if that is more than a quarter of it: a compressed batch has the capacity
    /// that the worst compression would have needed. Copies the batch then.
    pub fn shrink(&mut self) {
        if self.bytes.capacity() - self.bytes.len() > self.bytes.len() / 4 {
            self.bytes.shrink_to_fit();
        }
    }

    /// Gives the buffer back, for reuse.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(count: i32) -> BatchHeader {
        BatchHeader {
            base_offset: 0,
            batch_length: 0,
            partition_leader_epoch: -1,
            crc: 0,
            attributes: 0,
            last_offset_delta: count - 1,
            base_timestamp: 5,
            max_timestamp: 9,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: count,
        }
    }

    /// Scenario: a batch with room for the worst compression behind it, and one with hardly any.
    /// Guarantees: the first gives its room back, the second is left where it is; both are what they were.
    #[test]
    fn shrinking_gives_room_back() {
        let finished = |capacity| {
            let mut bytes = Vec::with_capacity(capacity);
            bytes.resize(HEADER_BYTES + 1000, 7);
            EncodedBatch::finish(bytes, header(3))
        };
        for (capacity, left) in [(1 << 20, HEADER_BYTES + 1000), (1200, 1200)] {
            let mut batch = finished(capacity);
            let before = batch.as_bytes().to_vec();
            batch.shrink();
            assert_eq!(batch.as_bytes(), before);
            assert_eq!(batch.into_bytes().capacity(), left);
        }
    }

    /// Scenario: a finished batch is stamped twice.
    /// Guarantees: its CRC is right each time and the stamp is what was asked for.
    #[test]
    fn stamping_keeps_the_crc_right() {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes.extend_from_slice(b"some records, or what passes for them");
        let mut batch = EncodedBatch::finish(bytes, header(3));
        assert!(crc_is_valid(batch.as_bytes()));
        for base_offset in [0, 1 << 40] {
            let stamp = Stamp {
                base_offset,
                partition_leader_epoch: 4,
                producer_id: base_offset,
                producer_epoch: 4,
                base_sequence: 77,
            };
            batch.stamp(stamp);
            assert!(crc_is_valid(batch.as_bytes()));
            let parsed = BatchHeader::parse(batch.as_bytes()).expect("a header");
            assert_eq!((parsed.base_offset, parsed.producer_id, parsed.base_sequence), (base_offset, base_offset, 77));
            assert_eq!(parsed.total_bytes(), batch.as_bytes().len());
        }
        let copy = EncodedBatch::from_bytes(batch.as_bytes().to_vec()).expect("one batch");
        assert_eq!(copy.record_count(), 3);
    }

    /// Scenario: the header parser meets zeros, short input and impossible lengths.
    /// Guarantees: a preallocated, never written stretch of a segment is not a batch.
    #[test]
    fn zeros_are_not_a_batch() {
        assert_eq!(BatchHeader::parse(&[0; 200]), Err(HeaderError::Magic { magic: 0 }));
        assert_eq!(BatchHeader::parse(&[2; 60]), Err(HeaderError::Short { have: 60 }));
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[16] = 2;
        assert!(matches!(BatchHeader::parse(&bytes), Err(HeaderError::Impossible { .. })));
        assert!(!crc_is_valid(&[0; HEADER_BYTES]));
    }
}
