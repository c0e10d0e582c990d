//! Sink groups: sinks of one group share a cursor; each group of a channel sees every event.
//!
//! The group hands out ranges, remembers which are out, and releases the contiguous prefix of those that came back
//! acknowledged. It keeps positions only, never events: what must be delivered again is read again.
//!
//! ```text
//!   released        outstanding ranges                 next read
//!      v   [ acked ][ out ][ acked ][ to retry ][ out ]    v
//!   ---+----------------------------------------------------+-----> offsets
//!      ^ moves when the first range is acked
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::warn;
use weir_event::EventBatch;

use crate::backoff::Backoff;
use crate::channel::{AppendError, Backlog, Channel, ChannelError, Cursor, Position, ReadChunk, ReadLimit};
use crate::clock::now_ms;
use crate::delivery::{AckToken, Contents, Delivery, DeliveryError};
use crate::lane_account::LaneAccount;
use crate::ledger::SinkLedger;
use crate::outlet::oldest_ms;
use crate::receipt::{Receipt, ReceiptFailure};
use crate::seat::{Homes, Seat};
use crate::stored::StoredBatch;

/// A sink group of a channel.
pub struct Group {
    name: String,
    channel: Arc<dyn Channel>,
    sinks: String,
    dead_letter: Option<Arc<dyn Channel>>,
    ledger: Arc<SinkLedger>,
    /// Guards cursor and ranges: held for one read (at most `ReadLimit` bytes) or a few map operations.
    state: Mutex<State>,
    wakeup: Arc<Notify>,
}

struct State {
    cursor: Box<dyn Cursor>,
    partitions: BTreeMap<u32, Partition>,
    homes: Homes,
    /// Ranges that came back, by partition and offset.
    retry: VecDeque<(u32, Range<u64>)>,
    /// Partitions whose ranges could not be read again: they wait, so that the others go on.
    aside: BTreeMap<u32, Aside>,
    /// Stays begun so far, of all partitions.
    stays: u64,
    backlog_at_start: u64,
}

/// A partition while this reader has it.
#[derive(Default)]
struct Partition {
    /// Tells this stay from an earlier one: the same offsets may be out twice.
    stay: u64,
    /// Ranges handed out and not released, by first offset.
    outstanding: BTreeMap<u64, Outstanding>,
}

/// How long the ranges of a partition wait before they are read again.
struct Aside {
    backoff: Backoff,
    until: Instant,
}

/// A range that a sink has or had.
#[derive(Clone, Copy)]
struct Outstanding {
    end: u64,
    bytes: u64,
    acked: bool,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "group {} of channel {}", self.name, self.channel.name())
    }
}

impl Group {
    /// Opens group `name` of `channel` for the sinks named in `sinks`.
    ///
    /// # Errors
    /// [`ChannelError`] if the cursor cannot be opened.
    pub fn open(
        name: &str,
        sinks: &[String],
        channel: Arc<dyn Channel>,
        dead_letter: Option<Arc<dyn Channel>>,
        ledger: Arc<SinkLedger>,
    ) -> Result<Arc<Self>, ChannelError> {
        let cursor = channel.cursor(name)?;
        let backlog_at_start = cursor.backlog().events;
        let state = State {
            cursor,
            partitions: BTreeMap::new(),
            homes: Homes::default(),
            retry: VecDeque::new(),
            aside: BTreeMap::new(),
            stays: 0,
            backlog_at_start,
        };
        Ok(Arc::new(Self {
            name: name.into(),
            channel,
            sinks: sinks.join(","),
            dead_letter,
            ledger,
            state: Mutex::new(state),
            wakeup: Arc::new(Notify::new()),
        }))
    }

    /// Name of the group.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The channel it reads.
    #[must_use]
    pub fn channel(&self) -> &Arc<dyn Channel> {
        &self.channel
    }

    /// Counters of the group.
    #[must_use]
    pub fn ledger(&self) -> &Arc<SinkLedger> {
        &self.ledger
    }

    pub(crate) fn sink_names(&self) -> String {
        self.sinks.clone()
    }

    /// Events that waited when the group was opened.
    #[must_use]
    pub fn backlog_at_start(&self) -> u64 {
        self.state.lock().backlog_at_start
    }

    /// What waits now, events that are out for delivery included.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        self.state.lock().cursor.backlog()
    }

    /// Released and durable end of each partition.
    #[must_use]
    pub fn positions(&self) -> Vec<Position> {
        self.state.lock().cursor.positions()
    }

    /// Ranges that are out or wait for another try.
    #[must_use]
    pub fn is_anything_outstanding(&self) -> bool {
        self.state.lock().partitions.values().any(|partition| !partition.outstanding.is_empty())
    }

    /// Bytes of event bodies that sinks were given and have not answered for.
    #[must_use]
    pub fn outstanding_bytes(&self) -> u64 {
        let state = self.state.lock();
        let partitions = state.partitions.values();
        partitions.flat_map(|p| p.outstanding.values()).filter(|out| !out.acked).map(|out| out.bytes).sum()
    }

    /// Whether a lane should finish what it holds because partitions of its own are about to be taken away.
    pub(crate) fn is_in_a_hurry(&self, seat: Seat) -> bool {
        let mut state = self.state.lock();
        let leaving = state.cursor.leaving();
        leaving.into_iter().any(|partition| state.homes.is_for(partition, seat))
    }

    /// The two things a lane sleeps on: new events, and ranges that came back.
    pub(crate) fn wakeups(&self) -> (Arc<Notify>, Arc<Notify>) {
        (self.state.lock().cursor.wakeup(), self.wakeup.clone())
    }

    /// When a lane is to look again for ranges that came back, though nothing else happens; `None` if there are none.
    pub(crate) fn retry_at(&self, seat: Seat) -> Option<Instant> {
        let mut state = self.state.lock();
        let State { retry, aside, homes, .. } = &mut *state;
        let own = retry.iter().filter(|(partition, _)| homes.is_for(*partition, seat));
        let at = |(partition, _): &(u32, Range<u64>)| aside.get(partition).map(|aside| aside.until);
        own.map(|range| at(range).unwrap_or_else(Instant::now)).min()
    }

    /// The next delivery for a lane: first what must be tried again, then what is new; `None` if there is nothing now.
    ///
    /// # Errors
    /// [`ChannelError`] if the channel cannot be read; nothing moved. Of several partitions, one whose ranges cannot be
    /// read again waits instead, and says so in the ledger.
    pub fn next(self: &Arc<Self>, limit: ReadLimit, lane: &Arc<LaneAccount>) -> Result<Option<Delivery>, ChannelError> {
        let mut state = self.state.lock();
        state.forget_taken_away();
        let seat = lane.seat();
        let (chunk, repeated) = match self.next_again(&mut state, limit, seat)? {
            Some(chunk) => (chunk, true),
            None => match self.read_on(&mut state, limit, seat)? {
                Some(chunk) => {
                    let partition = state.partition(chunk.partition);
                    let bodies: usize = chunk.batches.iter().map(EventBatch::body_bytes).sum();
                    let stored: usize = chunk.stored.iter().map(|batch| batch.bytes.len()).sum();
                    let bytes = (bodies + stored) as u64;
                    let out = Outstanding { end: chunk.range.end, bytes, acked: false };
                    partition.outstanding.insert(chunk.range.start, out);
                    (chunk, false)
                }
                None => return Ok(None),
            },
        };
        let stay = state.partition(chunk.partition).stay;
        let repeats_below = state.cursor.repeats_below(chunk.partition);
        drop(state);
        let events = chunk.events();
        self.ledger.read(events, repeated);
        let contents = Contents {
            partition: chunk.partition,
            stay,
            range: chunk.range,
            events,
            lost: chunk.lost.iter().map(|range| range.end - range.start).sum(),
            unsynced: chunk.unsynced,
            oldest_ms: chunk.batches.iter().map(oldest_ms).chain(chunk.stored.iter().map(StoredBatch::oldest_ms)).min(),
        };
        let ack = AckToken::new(self.clone(), lane.clone(), contents);
        Ok(Some(Delivery { batches: chunk.batches, stored: chunk.stored, repeats_below, ack }))
    }

    /// What is new for a lane. Others are woken if something of theirs is among it.
    fn read_on(&self, state: &mut State, limit: ReadLimit, seat: Seat) -> Result<Option<ReadChunk>, ChannelError> {
        if seat.lanes < 2 {
            return state.cursor.read(limit);
        }
        let State { cursor, homes, .. } = state;
        let read = cursor.read_of(limit, &mut |partition| homes.is_for(partition, seat));
        if homes.take_news() {
            self.wakeup.notify_waiters();
        }
        read
    }

    /// The first range that came back and is due. One attempt at most is in vain, for an attempt takes its time and holds
    /// everybody up meanwhile.
    fn next_again(&self, state: &mut State, limit: ReadLimit, seat: Seat) -> Result<Option<ReadChunk>, ChannelError> {
        let now = Instant::now();
        let State { retry, aside, homes, .. } = &mut *state;
        let is_due = |(partition, _): &(u32, Range<u64>)| {
            homes.is_for(*partition, seat) && aside.get(partition).is_none_or(|at| at.until <= now)
        };
        let Some(at) = retry.iter().position(is_due) else { return Ok(None) };
        let (partition, range) = state.retry[at].clone();
        match state.cursor.read_again(partition, range.clone(), limit) {
            Ok(chunk) => {
                state.retry.remove(at);
                state.aside.remove(&partition);
                if chunk.range.end < range.end {
                    state.split(partition, &range, chunk.range.end);
                }
                Ok(Some(chunk))
            }
            // There are no others to go on with: the lane waits.
            Err(error) if state.cursor.positions().len() < 2 => Err(error),
            Err(error) => {
                let wait = state.set_aside(partition);
                let text = crate::chain(&error);
                let retry_in_ms = wait.as_millis() as u64;
                warn!(group = %self.name, partition, retry_in_ms, error = %text, "a range cannot be read again; the other partitions go on");
                self.ledger.failed(&text);
                Ok(None)
            }
        }
    }

    pub(crate) fn acked(
        &self,
        contents: &Contents,
        delivered: u64,
        dead_lettered: u64,
        dropped: &[(&'static str, u64)],
    ) {
        // Counted before the position moves: whoever sees an empty backlog sees the full count.
        self.ledger.damaged(contents.lost, contents.unsynced);
        let latency_ms = contents.oldest_ms.map(|oldest| now_ms().saturating_sub(oldest));
        self.ledger.settled(delivered, dead_lettered, dropped, latency_ms);
        self.state.lock().settle(contents);
        self.wakeup.notify_waiters();
    }

    pub(crate) fn nacked(&self, contents: &Contents, error: Option<&DeliveryError>) {
        if let Some(error) = error {
            self.ledger.failed(&error.chain());
        }
        self.state.lock().retry(contents);
        self.ledger.retried();
        self.wakeup.notify_waiters();
    }

    /// Appends refused events to the dead letter channel; `done` learns their number once they are durable there.
    pub(crate) fn dead_letter(
        &self,
        batches: Vec<EventBatch>,
        done: impl FnOnce(Result<u64, DeliveryError>) + Send + 'static,
    ) {
        let Some(channel) = self.dead_letter.clone() else {
            let message = format!(
                "sink {}: the destination refuses events for good and there is no dead letter channel; \
                 set dead_letter = \"CHANNEL\" on the sink",
                self.sinks
            );
            done(Err(DeliveryError::Fatal { message, source: None }));
            return;
        };
        let events = batches.iter().map(|batch| batch.len() as u64).sum();
        let name = channel.name().to_owned();
        let receipt = Receipt::new(move |outcome| {
            done(outcome.clone().map(|()| events).map_err(|failure| {
                DeliveryError::retry(format!("dead letter channel {name} did not keep refused events"), failure)
            }));
        });
        for batch in batches {
            append_in_parts(&*channel, &batch, &receipt);
        }
        receipt.arm();
    }
}

/// Appends without waiting, in halves if the channel's limit asks for it. What is not taken fails the receipt: the
/// delivery comes again.
fn append_in_parts(channel: &dyn Channel, batch: &EventBatch, receipt: &Receipt) {
    match channel.try_append(batch, receipt.ticket()) {
        Err(AppendError::TooLarge { ticket, .. }) if batch.len() > 1 => {
            let middle = batch.len() / 2;
            append_in_parts(channel, &batch.slice(0..middle), receipt);
            append_in_parts(channel, &batch.slice(middle..batch.len()), receipt);
            ticket.complete(Ok(()));
        }
        Ok(()) => {}
        Err(error) => {
            let reason = error.to_string();
            let failure = ReceiptFailure { channel: channel.name().into(), reason };
            error.into_ticket().complete(Err(failure));
        }
    }
}

impl State {
    /// The partition, whose stay begins now if it is not here yet.
    fn partition(&mut self, partition: u32) -> &mut Partition {
        self.partitions.entry(partition).or_insert_with(|| {
            self.stays += 1;
            Partition { stay: self.stays, outstanding: BTreeMap::new() }
        })
    }

    /// Ends the stays of partitions that are somebody else's now: nothing of them is out or waits any more.
    fn forget_taken_away(&mut self) {
        for partition in self.cursor.taken_away() {
            self.partitions.remove(&partition);
            self.aside.remove(&partition);
            self.homes.forget(partition);
            self.retry.retain(|(other, _)| *other != partition);
        }
    }

    /// Puts a range that came back where its offset belongs.
    fn retry(&mut self, contents: &Contents) {
        self.forget_taken_away();
        let Contents { partition, range, .. } = contents;
        if self.partitions.get(partition).is_none_or(|found| found.stay != contents.stay) {
            return;
        }
        self.put_back(*partition, range.clone());
    }

    fn put_back(&mut self, partition: u32, range: Range<u64>) {
        let at = self.retry.partition_point(|(p, r)| (*p, r.start) < (partition, range.start));
        self.retry.insert(at, (partition, range));
    }

    /// Lets the ranges of a partition wait; for how long.
    fn set_aside(&mut self, partition: u32) -> Duration {
        let now = Instant::now();
        let aside = self.aside.entry(partition).or_insert_with(|| Aside { backoff: Backoff::default(), until: now });
        let wait = aside.backoff.next(&mut fastrand::Rng::new());
        // From the end of the attempt, which may have been long.
        aside.until = now + wait;
        wait
    }

    /// A retried range was read again only in part: the rest waits as a range of its own.
    fn split(&mut self, partition: u32, range: &Range<u64>, at: u64) {
        if let Some(found) = self.partitions.get_mut(&partition) {
            let bytes = found.outstanding.get(&range.start).map_or(0, |out| out.bytes);
            found.outstanding.insert(range.start, Outstanding { end: at, bytes, acked: false });
            found.outstanding.insert(at, Outstanding { end: range.end, bytes: 0, acked: false });
        }
        self.put_back(partition, at..range.end);
    }

    fn settle(&mut self, contents: &Contents) {
        self.forget_taken_away();
        let Contents { partition, range, .. } = contents;
        let Some(found) = self.partitions.get_mut(partition).filter(|found| found.stay == contents.stay) else {
            return;
        };
        if let Some(out) = found.outstanding.get_mut(&range.start) {
            out.acked = true;
        }
        let mut released = None;
        while let Some(first) = found.outstanding.first_entry() {
            if !first.get().acked {
                break;
            }
            released = Some(first.remove().end);
        }
        if let Some(up_to) = released {
            self.cursor.release(*partition, up_to);
        }
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
