//! The log of a partition.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use weir_codec::record_batch::{BatchHeader, crc_is_valid};

/// Batches per producer that are remembered to tell repeats, as in Apache Kafka.
const REMEMBERED: usize = 5;

#[derive(Default)]
pub(super) struct Log {
    pub(super) leader: i32,
    pub(super) leader_epoch: i32,
    pub(super) batches: Vec<Bytes>,
    /// Retention took what was below.
    pub(super) start_offset: i64,
    pub(super) next_offset: i64,
    pub(super) batch_bytes_max: usize,
    /// Refuses every batch with this code.
    pub(super) refuses: Option<i16>,
    /// A replica that fetchers are sent to.
    pub(super) preferred_replica: Option<i32>,
    pub(super) producers: HashMap<i64, ProducerState>,
}

#[derive(Default)]
pub(super) struct ProducerState {
    epoch: i16,
    /// First sequence, sequence behind the last, base offset.
    recent: VecDeque<(i32, i32, i64)>,
}

impl Log {
    /// Appends a batch; its offset, or an error code.
    pub(super) fn append(&mut self, batch: &[u8]) -> Result<i64, i16> {
        let Ok(header) = BatchHeader::parse(batch) else { return Err(87) };
        if !crc_is_valid(batch) || header.total_bytes() != batch.len() {
            return Err(2);
        }
        if batch.len() > self.batch_bytes_max {
            return Err(10);
        }
        if header.producer_id >= 0
            && let Some(offset) = self.check_sequence(&header)?
        {
            return Ok(offset);
        }
        let offset = self.next_offset;
        let mut bytes = batch.to_vec();
        BatchHeader { base_offset: offset, partition_leader_epoch: self.leader_epoch, ..header }.write(&mut bytes);
        self.next_offset += i64::from(header.last_offset_delta) + 1;
        self.batches.push(Bytes::from(bytes));
        Ok(offset)
    }

    /// The offset of an earlier copy of a batch; `None` for the next batch in sequence.
    fn check_sequence(&mut self, header: &BatchHeader) -> Result<Option<i64>, i16> {
        let offset = self.next_offset;
        let (first, end) = (header.base_sequence, header.base_sequence + header.record_count);
        let state = self.producers.entry(header.producer_id).or_default();
        if header.producer_epoch < state.epoch {
            return Err(47);
        }
        if header.producer_epoch > state.epoch {
            if first != 0 {
                return Err(45);
            }
            *state = ProducerState { epoch: header.producer_epoch, recent: VecDeque::new() };
        }
        if let Some((_, _, offset)) = state.recent.iter().find(|known| (known.0, known.1) == (first, end)) {
            return Ok(Some(*offset));
        }
        if state.recent.back().is_some_and(|last| last.1 != first) {
            return Err(45);
        }
        state.recent.push_back((first, end, offset));
        if state.recent.len() > REMEMBERED {
            state.recent.pop_front();
        }
        Ok(None)
    }

    /// The offset of the first batch with a record of this time or a later one; -1 if there is none.
    pub(super) fn offset_at(&self, time_ms: i64) -> i64 {
        let headers = self.batches.iter().filter_map(|batch| BatchHeader::parse(batch).ok());
        let late = |header: &BatchHeader| header.max_timestamp >= time_ms && header.base_offset >= self.start_offset;
        headers.into_iter().find(late).map_or(-1, |header| header.base_offset)
    }

    /// Forgets what it knows of producers, as after an unclean election.
    pub(super) fn forget_producers(&mut self) {
        // A state with an impossible end makes any next sequence but 0 of a new epoch out of order.
        for state in self.producers.values_mut() {
            state.recent = VecDeque::from([(-2, -1, 0)]);
        }
    }

    /// Where epoch `last_epoch`, or the last one before it, ends here, if that is before `offset` or it is not the same.
    pub(super) fn diverges(&self, offset: i64, last_epoch: i32) -> Option<(i32, i64)> {
        let headers: Vec<BatchHeader> = self.batches.iter().flat_map(|batch| BatchHeader::parse(batch)).collect();
        let later = headers.iter().find(|header| header.partition_leader_epoch > last_epoch);
        let end = later.map_or(self.next_offset, |header| header.base_offset);
        let before = headers.iter().rev().find(|header| header.base_offset < end)?;
        let epoch =
            if later.is_none() && self.leader_epoch == last_epoch { last_epoch } else { before.partition_leader_epoch };
        (end < offset || epoch < last_epoch).then_some((epoch, end))
    }

    /// Loses everything from the batch at `offset` on, as with an unclean election.
    pub(super) fn truncate(&mut self, offset: i64) {
        self.batches.retain(|batch| BatchHeader::parse(batch).is_ok_and(|header| header.base_offset < offset));
        self.next_offset = self.next_offset.min(offset);
        self.leader_epoch += 1;
        self.producers.clear();
    }

    /// Whole batches from the one with `offset` on, one at least, up to `bytes_max`.
    pub(super) fn read(&self, offset: i64, bytes_max: usize) -> Result<Bytes, i16> {
        if offset > self.next_offset || offset < self.start_offset {
            return Err(1);
        }
        let mut out = Vec::new();
        for batch in &self.batches {
            let Ok(header) = BatchHeader::parse(batch) else { return Err(2) };
            if header.base_offset + i64::from(header.last_offset_delta) < offset {
                continue;
            }
            if !out.is_empty() && out.len() + batch.len() > bytes_max {
                break;
            }
            out.extend_from_slice(batch);
        }
        Ok(Bytes::from(out))
    }
}
