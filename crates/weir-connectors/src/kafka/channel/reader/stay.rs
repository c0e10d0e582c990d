//! [`Stay`]: a partition while it is here. No I/O, no clock.
//!
//! ```text
//!   committed   released      handed out        next      buffered        fetched      end (high watermark)
//!      v           v     [ out ][ acked ][ out ]  v  [ batch ] gap [ batch ]  v            v
//!   ---+-----------+------------------------------+--------------------------+------------+---> offsets
//! ```
//!
//! Offsets without events (transaction markers, what compaction removed) belong to the range before them, or move the
//! position at once while nothing is out.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

use weir_kafka::{Fetched, FetchedBatch};

/// What waits to be handed out.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// A batch, and when its events reached Weir as far as can be told.
    Batch(FetchedBatch, i64),
    /// Offsets that the topic does not have any more.
    Gone(Range<u64>),
}

/// Where a stay begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// Where to read on.
    pub(super) offset: u64,
    /// Whether the group has committed that offset.
    pub(super) is_committed: bool,
    /// The high watermark: what is below may have been delivered by an earlier owner.
    pub(super) end: u64,
}

/// What is to be handed out next: looked at, not yet taken.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) partition: u32,
    /// Of the stay it is of.
    pub(super) stay: u64,
    pub(super) from: u64,
    /// At least one.
    pub(super) entries: Vec<Entry>,
}

#[derive(Debug)]
pub(super) struct Stay {
    /// Counts stays of all partitions.
    pub(super) number: u64,
    /// Up to here everything was handed out.
    pub(super) next: u64,
    /// Up to here everything is delivered.
    pub(super) released: u64,
    pub(super) committed: Option<u64>,
    /// Up to here everything was fetched.
    pub(super) fetched: u64,
    /// The high watermark as last heard.
    pub(super) end: u64,
    pub(super) repeats_below: u64,
    /// Whether it is about to be taken away.
    pub(super) is_leaving: bool,
    /// Which run of all partitions was its last.
    pub(super) last_run: u64,
    /// Whether it is not fetched for what is buffered.
    pub(super) is_paused: bool,
    /// When to fetch again after a fault; until then it is not read.
    pub(super) rests_until: Option<Instant>,
    buffer: VecDeque<Entry>,
    buffered_bytes: usize,
    /// End and arrival of what is handed out and not released.
    out: VecDeque<(u64, i64)>,
}

impl Entry {
    fn bytes(&self) -> usize {
        match self {
            Self::Batch(batch, _) => batch.bytes.len(),
            Self::Gone(_) => 0,
        }
    }

    /// One past its last offset.
    pub(super) fn end(&self) -> u64 {
        match self {
            Self::Batch(batch, _) => end_of(batch),
            Self::Gone(range) => range.end,
        }
    }

    fn is_plain(&self) -> bool {
        matches!(self, Self::Batch(batch, _) if is_plain(batch))
    }
}

/// One past the last offset of a batch.
pub(super) fn end_of(batch: &FetchedBatch) -> u64 {
    let last = batch.header.base_offset + i64::from(batch.header.last_offset_delta.max(0));
    u64::try_from(last).unwrap_or_default() + 1
}

/// Whether a batch can go to another topic as it is: no part of a transaction, times of its own, no record missing.
/// Brokers refuse others.
pub(super) fn is_plain(batch: &FetchedBatch) -> bool {
    const COMPRESSION: i16 = 7;
    let header = &batch.header;
    header.attributes & !COMPRESSION == 0 && header.record_count == header.last_offset_delta + 1
}

impl Stay {
    pub(super) fn new(number: u64, start: Start) -> Self {
        Self {
            number,
            next: start.offset,
            released: start.offset,
            committed: start.is_committed.then_some(start.offset),
            fetched: start.offset,
            end: start.end.max(start.offset),
            repeats_below: start.end,
            is_leaving: false,
            last_run: 0,
            is_paused: false,
            rests_until: None,
            buffer: VecDeque::new(),
            buffered_bytes: 0,
            out: VecDeque::new(),
        }
    }

    /// Takes in what was fetched; how many bytes that is.
    pub(super) fn push(&mut self, fetched: Fetched, now_ms: i64) -> usize {
        let mut bytes = 0;
        for batch in fetched.batches {
            bytes += batch.bytes.len();
            // The same each time the batch is read, so that what is named by it is named the same again.
            let newest = batch.header.max_timestamp;
            self.buffer.push_back(Entry::Batch(batch, if newest < 0 { now_ms } else { newest }));
        }
        self.buffered_bytes += bytes;
        self.fetched = u64::try_from(fetched.next_offset).unwrap_or(self.fetched);
        self.end = u64::try_from(fetched.high_watermark).unwrap_or_default().max(self.fetched);
        self.pass_gap();
        bytes
    }

    /// Says that the topic does not have the offsets up to `up_to` any more.
    pub(super) fn push_gone(&mut self, up_to: u64) {
        self.buffer.push_back(Entry::Gone(self.fetched..up_to));
        self.fetched = up_to;
        self.end = self.end.max(up_to);
    }

    /// Whether there is something to hand out.
    pub(super) fn has_run(&self) -> bool {
        !self.is_leaving && self.rests_until.is_none() && !self.buffer.is_empty()
    }

    /// What to hand out next: at most `bytes_max`, at least one entry, all of one kind: `plain` tells batches apart
    /// that can go on as they are.
    pub(super) fn run(&self, partition: u32, bytes_max: usize, plain: bool) -> Option<Run> {
        if !self.has_run() {
            return None;
        }
        let first = self.buffer.front()?;
        let kind = |entry: &Entry| (matches!(entry, Entry::Gone(_)), plain && entry.is_plain());
        let mut bytes = 0;
        let alike = self.buffer.iter().take_while(|entry| {
            bytes += entry.bytes();
            kind(entry) == kind(first) && bytes <= bytes_max
        });
        let count = alike.count().max(1);
        let entries = self.buffer.iter().take(count).cloned().collect();
        Some(Run { partition, stay: self.number, from: self.next, entries })
    }

    /// Takes the first `count` entries out, to be handed out: the end of their range, and their bytes.
    pub(super) fn take(&mut self, count: usize) -> (u64, usize) {
        let taken: Vec<Entry> = self.buffer.drain(..count.min(self.buffer.len())).collect();
        let bytes = taken.iter().map(Entry::bytes).sum();
        self.buffered_bytes -= bytes;
        let end = if self.buffer.is_empty() { self.fetched } else { taken.last().map_or(self.next, Entry::end) };
        let arrival = taken.iter().find_map(|entry| match entry {
            Entry::Batch(batch, arrival) => Some(oldest_ms(batch, *arrival)),
            Entry::Gone(_) => None,
        });
        self.out.extend(arrival.map(|arrival| (end, arrival)));
        self.next = end;
        (end, bytes)
    }

    /// Everything below `up_to` is delivered.
    pub(super) fn release(&mut self, up_to: u64) {
        self.released = self.released.max(up_to.min(self.next));
        while self.out.front().is_some_and(|(end, _)| *end <= self.released) {
            self.out.pop_front();
        }
        self.pass_gap();
    }

    /// With nothing out and nothing to hand out, the position moves over offsets that hold no event.
    fn pass_gap(&mut self) {
        if self.released == self.next && self.buffer.is_empty() {
            self.next = self.fetched;
            self.released = self.fetched;
        }
    }

    /// Forgets what was not handed out; how many bytes that was.
    pub(super) fn drop_buffer(&mut self) -> usize {
        self.buffer.clear();
        self.fetched = self.next;
        std::mem::take(&mut self.buffered_bytes)
    }

    /// Bytes that were fetched and not handed out.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.buffered_bytes
    }

    /// Whether something is handed out and not released.
    pub(super) fn is_anything_out(&self) -> bool {
        self.released < self.next
    }

    /// The position, if it is not committed.
    pub(super) fn uncommitted(&self) -> Option<u64> {
        (self.committed != Some(self.released)).then_some(self.released)
    }

    /// Arrival of the oldest event that is here and not released.
    pub(super) fn oldest_arrival_ms(&self) -> Option<i64> {
        let buffered = || match self.buffer.front()? {
            Entry::Batch(batch, arrival) => Some(oldest_ms(batch, *arrival)),
            Entry::Gone(_) => None,
        };
        self.out.front().map(|(_, arrival)| *arrival).or_else(buffered)
    }
}

/// The time of the first event of a batch, its arrival if that has none: about the oldest, without looking at the
/// others.
fn oldest_ms(batch: &FetchedBatch, arrival_ms: i64) -> i64 {
    if batch.header.base_timestamp < 0 { arrival_ms } else { batch.header.base_timestamp }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use weir_codec::record_batch::{BatchHeader, Encoder, EncoderOptions, HEADER_BYTES};
    use weir_event::EventBatch;

    use super::*;

    /// A batch of `count` records from `base` on.
    fn batch(base: i64, count: usize, attributes: i16) -> FetchedBatch {
        let events = EventBatch::from_bodies(&vec!["x"; count], 0);
        let mut encoder = Encoder::new(EncoderOptions::default()).expect("no level");
        let mut bytes = encoder.encode(&events, Vec::new()).expect("small").into_bytes();
        let header = BatchHeader::parse(&bytes).expect("a header");
        let header = BatchHeader { base_offset: base, attributes, ..header };
        header.write(&mut bytes[..HEADER_BYTES]);
        FetchedBatch { header, bytes: Bytes::from(bytes) }
    }

    fn fetched(batches: Vec<FetchedBatch>, next_offset: i64) -> Fetched {
        let (high_watermark, last_stable_offset, log_start_offset) = (100, 100, 0);
        let topic = "t".into();
        Fetched { topic, partition: 0, batches, next_offset, high_watermark, last_stable_offset, log_start_offset }
    }

    fn stay() -> Stay {
        Stay::new(1, Start { offset: 10, is_committed: false, end: 50 })
    }

    /// Scenario: batches with gaps between and behind them are read bit by bit and released.
    /// Guarantees: ranges join without a hole, gaps inside belong to what is before them, one at the end is passed when
    /// nothing is out, and only then; what is released is what is committed.
    #[test]
    fn ranges_cover_gaps() {
        let mut stay = stay();
        assert_eq!((stay.uncommitted(), stay.end, stay.repeats_below), (Some(10), 50, 50));
        let bytes = stay.push(fetched(vec![batch(10, 5, 0), batch(20, 5, 0)], 30), 7);
        let run = stay.run(3, 1, false).expect("a batch");
        assert_eq!(
            (run.partition, run.stay, run.from, run.entries.len()),
            (3, 1, 10, 1),
            "at least one, at most a limit"
        );
        assert_eq!(stay.take(1).0, 15, "the second batch is a range of its own");
        assert_eq!(stay.run(3, 1 << 20, false).map(|run| (run.from, run.entries.len())), Some((15, 1)));
        let (end, rest) = stay.take(1);
        assert_eq!((end, rest < bytes), (30, true), "the gap behind the last batch belongs to it");
        stay.push(fetched(vec![], 33), 7);
        assert_eq!((stay.next, stay.released), (30, 10), "a gap waits for what is out");
        assert_eq!(stay.oldest_arrival_ms(), Some(7));
        stay.release(15);
        assert_eq!((stay.next, stay.released, stay.is_anything_out()), (30, 15, true));
        stay.release(30);
        assert_eq!((stay.next, stay.released, stay.is_anything_out()), (33, 33, false));
        assert_eq!((stay.uncommitted(), stay.oldest_arrival_ms()), (Some(33), None));
        stay.push(fetched(vec![], 40), 7);
        assert_eq!(stay.released, 40, "markers alone are passed at once");
        stay.release(1_000);
        assert_eq!(stay.released, 40, "nothing is released that was not handed out");
    }

    /// Scenario: plain batches, one of a transaction and one that compaction thinned out, to a reader that wants stored
    /// ones; then offsets that retention took; then the buffer is dropped.
    /// Guarantees: runs are of one kind; what is gone is a run of its own; after the drop reading goes on where it was.
    #[test]
    fn runs_are_of_one_kind() {
        let mut stay = stay();
        let mut thin = batch(30, 5, 0);
        thin.header.last_offset_delta = 9;
        let kinds = vec![batch(10, 5, 0), batch(15, 5, 3), batch(20, 5, 16), thin];
        stay.push(fetched(kinds, 40), 7);
        stay.push_gone(45);
        let runs = [(10, 2), (20, 2), (40, 1)];
        for (from, count) in runs {
            let run = stay.run(0, 1 << 20, true).expect("more");
            assert_eq!((run.from, run.entries.len()), (from, count));
            stay.take(count);
        }
        assert_eq!((stay.next, stay.released), (45, 10));
        stay.push(fetched(vec![batch(45, 5, 0)], 50), 7);
        assert!(stay.drop_buffer() > 0);
        assert_eq!((stay.fetched, stay.run(0, 1, false).is_none()), (45, true));
        stay.push(fetched(vec![batch(45, 5, 0)], 50), 7);
        stay.is_leaving = true;
        assert!(stay.run(0, 1, false).is_none(), "nothing is begun of what is taken away");
    }
}
