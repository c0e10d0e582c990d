//! What a partition's bytes consist of.

use std::collections::HashSet;
use std::fmt;

use bytes::Bytes;
use kafka_protocol::messages::fetch_response::AbortedTransaction;
use weir_codec::record_batch::{BatchHeader, HEADER_BYTES, HeaderError};

/// In the attributes of a batch: part of a transaction.
const TRANSACTIONAL: i16 = 1 << 4;
/// Type of the control record that ends an aborted transaction.
const ABORT: i16 = 0;

/// A record batch as the broker stores it. The CRC has not been checked: the decoder does that.
#[derive(Clone)]
pub struct FetchedBatch {
    /// The header of the batch.
    pub header: BatchHeader,
    /// The whole batch, a slice of the broker's answer: as long as it lives, so does the memory of the answer.
    pub bytes: Bytes,
}

impl fmt::Debug for FetchedBatch {
    /// Without the bytes: events do not belong into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchedBatch").field("header", &self.header).finish_non_exhaustive()
    }
}

/// The batches of an answer, and where the next fetch goes on.
#[derive(Debug)]
pub(super) struct Split {
    pub(super) batches: Vec<FetchedBatch>,
    pub(super) next_offset: i64,
    /// Leader epochs of the whole batches, of whatever kind, each with the offset of its first batch.
    pub(super) epochs: Vec<(i32, i64)>,
}

/// Cuts `records` into whole batches from `offset` on. Control batches are left out, and with `aborted` the batches of
/// aborted transactions too. A broker cuts off the last batch where its limit is; that part is fetched again.
pub(super) fn split(
    mut records: Bytes,
    offset: i64,
    aborted: Option<Vec<AbortedTransaction>>,
) -> Result<Split, HeaderError> {
    let mut filter = aborted.map(Aborted::new);
    let mut out = Split { batches: Vec::new(), next_offset: offset, epochs: Vec::new() };
    while records.len() >= HEADER_BYTES {
        let header = BatchHeader::parse(&records)?;
        if header.total_bytes() > records.len() {
            break;
        }
        let bytes = records.split_to(header.total_bytes());
        let last_offset = header.base_offset + i64::from(header.last_offset_delta.max(0));
        if last_offset < offset {
            continue;
        }
        out.next_offset = last_offset + 1;
        if out.epochs.last().is_none_or(|(epoch, _)| *epoch < header.partition_leader_epoch) {
            out.epochs.push((header.partition_leader_epoch, header.base_offset));
        }
        let hidden = filter.as_mut().is_some_and(|filter| filter.hides(&header, last_offset, &bytes));
        if !header.is_control() && !hidden && header.record_count > 0 {
            out.batches.push(FetchedBatch { header, bytes });
        }
    }
    Ok(out)
}

/// Follows transactions through the batches of an answer.
struct Aborted {
    /// Latest first, so that the next is at the end.
    coming: Vec<AbortedTransaction>,
    open: HashSet<i64>,
}

impl Aborted {
    fn new(mut coming: Vec<AbortedTransaction>) -> Self {
        coming.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
        Self { coming, open: HashSet::new() }
    }

    fn hides(&mut self, header: &BatchHeader, last_offset: i64, bytes: &[u8]) -> bool {
        while let Some(transaction) = self.coming.pop_if(|next| next.first_offset <= last_offset) {
            self.open.insert(transaction.producer_id.0);
        }
        if header.is_control() {
            if control_type(&bytes[HEADER_BYTES..]) == Some(ABORT) {
                self.open.remove(&header.producer_id);
            }
            return true;
        }
        header.attributes & TRANSACTIONAL != 0 && self.open.contains(&header.producer_id)
    }
}

/// The type of the control record that `records` starts with: the second number of its key.
fn control_type(records: &[u8]) -> Option<i16> {
    let mut rest = records;
    // Length of the record; its attributes; timestamp and offset relative to the batch; length of the key.
    skip_varint(&mut rest)?;
    rest = rest.get(1..)?;
    skip_varint(&mut rest)?;
    skip_varint(&mut rest)?;
    skip_varint(&mut rest)?;
    let number = rest.get(2..4)?;
    Some(i16::from_be_bytes([number[0], number[1]]))
}

fn skip_varint(rest: &mut &[u8]) -> Option<()> {
    let end = rest.iter().position(|byte| *byte < 0x80)?;
    *rest = &rest[end + 1..];
    Some(())
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::ProducerId;
    use weir_codec::record_batch::EncodedBatch;

    use super::*;

    const CONTROL: i16 = 1 << 5;

    fn batch(base_offset: i64, count: i32, producer_id: i64, attributes: i16, records: &[u8]) -> Vec<u8> {
        let header = BatchHeader {
            base_offset,
            batch_length: 0,
            partition_leader_epoch: 0,
            crc: 0,
            attributes,
            last_offset_delta: count - 1,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id,
            producer_epoch: 0,
            base_sequence: 0,
            record_count: count,
        };
        let mut bytes = vec![0; HEADER_BYTES];
        bytes.extend_from_slice(records);
        EncodedBatch::finish(bytes, header).into_bytes()
    }

    fn marker(base_offset: i64, producer_id: i64, kind: i16) -> Vec<u8> {
        // Length, attributes, two deltas, a key of 4 bytes: version 0 and the type; no value to speak of.
        let record = [20, 0, 0, 0, 8, 0, 0, 0, kind as u8, 0, 0];
        batch(base_offset, 1, producer_id, TRANSACTIONAL | CONTROL, &record)
    }

    fn offsets(split: &Split) -> Vec<i64> {
        split.batches.iter().map(|batch| batch.header.base_offset).collect()
    }

    /// Scenario: a fetch from the middle of a batch, with a gap in the offsets and a cut-off batch at the end.
    /// Guarantees: the batch with the wanted offset comes whole; the next fetch starts behind the last whole batch.
    #[test]
    fn whole_batches_only() {
        let mut bytes = batch(0, 10, -1, 0, b"early");
        bytes.extend(batch(10, 10, -1, 0, b"one"));
        bytes.extend(batch(50, 5, -1, 0, b"two"));
        let whole = bytes.len();
        bytes.extend(batch(55, 5, -1, 0, b"three"));
        for cut in [whole, whole + 20, bytes.len() - 1] {
            let split = split(Bytes::copy_from_slice(&bytes[..cut]), 15, None).expect("batches");
            assert_eq!((offsets(&split), split.next_offset), (vec![10, 50], 55));
        }
        let nothing = split(Bytes::new(), 15, None).expect("no batch is fine");
        assert_eq!((nothing.next_offset, nothing.epochs), (15, Vec::new()));
    }

    /// Scenario: two producers' transactions interleave; one aborts, then commits another under the same id.
    /// Guarantees: only the aborted batches are left out, markers are never shown, and the position passes over both.
    #[test]
    fn aborted_transactions_are_left_out() {
        let mut bytes = batch(0, 2, 7, TRANSACTIONAL, b"aborted");
        bytes.extend(batch(2, 2, 8, TRANSACTIONAL, b"committed"));
        bytes.extend(batch(4, 2, -1, 0, b"plain"));
        bytes.extend(marker(6, 7, ABORT));
        bytes.extend(marker(7, 8, 1));
        bytes.extend(batch(8, 2, 7, TRANSACTIONAL, b"committed"));
        bytes.extend(marker(10, 7, 1));
        let aborted = AbortedTransaction::default().with_producer_id(ProducerId(7)).with_first_offset(0);
        let committed = split(Bytes::from(bytes.clone()), 0, Some(vec![aborted])).expect("batches");
        assert_eq!((offsets(&committed), committed.next_offset), (vec![2, 4, 8], 11));
        let everything = split(Bytes::from(bytes), 0, None).expect("batches");
        assert_eq!((offsets(&everything), everything.next_offset), (vec![0, 2, 4, 8], 11));
    }

    /// Scenario: bytes that are no batches.
    /// Guarantees: an error, not a skip.
    #[test]
    fn garbage_is_an_error() {
        assert!(split(Bytes::from(vec![0; 100]), 0, None).is_err());
    }
}
