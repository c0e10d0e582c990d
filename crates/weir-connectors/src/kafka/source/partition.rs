//! One partition as the driver sees it: what was given to its lane, what is on its way, what is settled.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use weir_engine::ledger::SourcePartition;
use weir_engine::receipt::ReceiptFailure;
use weir_kafka::{Commit, Fetched, FetchedBatch, Place};

use super::credit::{Credit, Credits};
use super::gate::Gate;
use super::work::{Failure, Open, Work};
use crate::kafka::consume::commit_text;

/// Pauses before a partition is fetched again after a failure: doubled with each in a row. A damaged batch may be whole
/// on a replica that becomes leader, a channel's disk may be mended: soon enough, without a storm of messages.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// What is done with a partition now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Its position is being looked for.
    Locating,
    Reading,
    /// Nothing until then, because of a failure.
    Resting {
        until: Instant,
    },
    /// Something failed: what was sent before that is settled first, then it rests. So many pieces of work were begun.
    Failing {
        begun: u64,
    },
    /// It is being given up; so many pieces of work were begun.
    Closing {
        begun: u64,
    },
}

/// A partition of this member.
pub(super) struct Owned {
    pub(super) place: Place,
    pub(super) lane: usize,
    pub(super) gate: Arc<Gate>,
    /// Of the work given out now; what is reported of others is of the past.
    pub(super) epoch: u64,
    pub(super) phase: Phase,
    /// Id of the topic it is of; 0 before it is located, or where brokers have none.
    pub(super) topic: u128,
    /// Everything below is in the channels; `None` before it is located.
    pub(super) settled: Option<i64>,
    /// What the group knows of it.
    pub(super) committed: Option<i64>,
    /// Where the next batches begin.
    pub(super) next: i64,
    /// Reports that came in this epoch.
    reported: u64,
    open: VecDeque<Open>,
    /// Of batches given to the lane and not settled: the position behind each, its oldest and newest time.
    waiting: VecDeque<(i64, i64, i64)>,
    /// The offset behind the last record that may be read, as last heard.
    pub(super) end: i64,
    /// Time of the newest record that is settled.
    newest_settled_ms: Option<i64>,
    failures: u32,
    /// Of the phase `Failing`.
    failure: Option<Failure>,
}

impl Owned {
    pub(super) fn new(place: Place, lane: usize, epoch: u64) -> Self {
        Self {
            place,
            lane,
            gate: Arc::default(),
            epoch,
            phase: Phase::Locating,
            topic: 0,
            settled: None,
            committed: None,
            next: 0,
            reported: 0,
            open: VecDeque::new(),
            waiting: VecDeque::new(),
            end: 0,
            newest_settled_ms: None,
            failures: 0,
            failure: None,
        }
    }

    /// Begins to read at `offset`, with work of `epoch`.
    pub(super) fn begin(&mut self, offset: i64, epoch: u64) {
        self.epoch = epoch;
        self.gate.open(epoch);
        self.phase = Phase::Reading;
        self.settled = Some(offset);
        self.next = offset;
        self.end = self.end.max(offset);
        self.forget();
    }

    fn forget(&mut self) {
        self.reported = 0;
        self.open.clear();
        self.waiting.clear();
    }

    /// What was fetched as work for the lane.
    pub(super) fn work(&mut self, fetched: Fetched, credits: &Arc<Credits>, reads_committed: bool) -> Work {
        let wanted = self.next;
        self.next = fetched.next_offset;
        let is_known = reads_committed && fetched.last_stable_offset >= 0;
        self.end = if is_known { fetched.last_stable_offset } else { fetched.high_watermark };
        let behind = |batch: &FetchedBatch| batch.header.base_offset + i64::from(batch.header.last_offset_delta) + 1;
        let times = |batch: &FetchedBatch| (behind(batch), batch.header.base_timestamp, batch.header.max_timestamp);
        self.waiting.extend(fetched.batches.iter().map(times));
        let batches = fetched.batches.into_iter().map(|batch| {
            let credit = credits.take(batch.bytes.len());
            (batch, credit)
        });
        self.pass(wanted, batches.collect())
    }

    /// Work that moves the position to where the next batches begin, once all before it is settled.
    pub(super) fn pass(&self, wanted: i64, batches: Vec<(FetchedBatch, Credit)>) -> Work {
        let (place, gate) = (self.place.clone(), self.gate.clone());
        Work { place, gate, epoch: self.epoch, wanted, batches, next_offset: self.next }
    }

    /// Takes in a report of this epoch; what was sent is settled in its order.
    pub(super) fn report(&mut self, open: Option<Open>) {
        self.reported += 1;
        self.open.extend(open);
    }

    /// Settles what can be; whether anything was.
    pub(super) fn poll_settled(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ReceiptFailure>> {
        let mut moved = Poll::Pending;
        while let Some(front) = self.open.front_mut() {
            match front.receipt.as_mut().map(|receipt| Pin::new(receipt).poll(context)) {
                Some(Poll::Pending) => break,
                Some(Poll::Ready(Err(failure))) => return Poll::Ready(Err(failure)),
                Some(Poll::Ready(Ok(()))) | None => {}
            }
            let settled = front.next_offset;
            self.open.pop_front();
            self.settled = Some(settled);
            self.failures = 0;
            while let Some((_, _, newest_ms)) = self.waiting.pop_front_if(|(behind, _, _)| *behind <= settled) {
                self.newest_settled_ms = Some(newest_ms);
            }
            moved = Poll::Ready(Ok(()));
        }
        moved
    }

    /// Lets nothing more begin because of a failure; it rests once what was sent before is settled.
    pub(super) fn begin_failing(&mut self, failure: Failure) {
        if matches!(self.phase, Phase::Reading | Phase::Locating) {
            self.phase = Phase::Failing { begun: self.gate.close() };
            self.failure = Some(failure);
        }
    }

    /// Why it is to rest now, if it is.
    pub(super) fn has_failed(&mut self) -> Option<Failure> {
        match self.phase {
            Phase::Failing { begun } if self.reported >= begun && self.open.is_empty() => self.failure.take(),
            _ => None,
        }
    }

    /// Stops the work on it; it rests before it is read again from its last settled offset.
    pub(super) fn rest(&mut self, now: Instant) {
        self.gate.close();
        self.forget();
        // Reports of what was begun may still come, and are of the past.
        self.epoch = 0;
        let pause = PAUSE_MIN * (1 << self.failures.min(7));
        self.failures += 1;
        self.phase = Phase::Resting { until: now + pause.min(PAUSE_MAX) };
    }

    /// Begins to give it up: nothing more is begun.
    pub(super) fn close(&mut self) {
        if !matches!(self.phase, Phase::Closing { .. }) {
            self.phase = Phase::Closing { begun: self.gate.close() };
        }
    }

    /// Gives up what is on its way, too, after a failure while closing.
    pub(super) fn abandon(&mut self) {
        self.forget();
        self.epoch = 0;
        self.phase = Phase::Closing { begun: 0 };
    }

    /// Whether a partition that is given up has nothing on its way any more.
    pub(super) fn is_drained(&self) -> bool {
        match self.phase {
            Phase::Closing { begun } => self.reported >= begun && self.open.is_empty(),
            _ => false,
        }
    }

    /// The offset to commit, if there is something new to.
    pub(super) fn commit(&self, who: &str) -> Option<Commit> {
        let offset = self.settled.filter(|settled| self.committed != Some(*settled))?;
        Some(Commit { place: self.place.clone(), offset, metadata: Some(commit_text(who, self.topic)) })
    }

    /// How far it is, for people.
    pub(super) fn status(&self) -> SourcePartition {
        let position = self.settled.unwrap_or_default();
        let oldest_ms = self.waiting.front().map(|(_, oldest_ms, _)| *oldest_ms).or(self.newest_settled_ms);
        SourcePartition {
            topic: self.place.topic.clone(),
            partition: u32::try_from(self.place.partition).unwrap_or_default(),
            position: u64::try_from(position).unwrap_or_default(),
            lag_events: u64::try_from(self.end - position).unwrap_or_default(),
            oldest_ms: oldest_ms.filter(|ms| *ms >= 0),
        }
    }
}
