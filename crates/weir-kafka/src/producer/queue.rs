//! [`Queue`]: the batches of one partition, and what becomes of them. No I/O, no clock of its own.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use weir_codec::record_batch::EncodedBatch;

use super::session::{Identity, Number, Session, stamp};
use crate::{ErrorClass, ErrorCode};

/// Sends of a batch that a broker calls corrupt before it is taken at its word: the damage may be underway.
const CORRUPT_ATTEMPTS_MAX: u32 = 3;
/// After so long without a batch a broker may have forgotten the producer: by default it does after a day, and no operator
/// we know of has set less than some hours.
const REMEMBERED: Duration = Duration::from_secs(3_600);

/// A batch on its way. `T` is what goes back to its sender.
#[derive(Debug)]
pub(super) struct Entry<T> {
    pub(super) batch: EncodedBatch,
    pub(super) sender: T,
    key: u64,
    number: Option<Number>,
    state: State,
    attempts: u32,
    /// Whether some attempt may have been written without our knowing.
    perhaps_written: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Never sent, or certainly not written.
    Waiting,
    InFlight,
    /// Sent, and nobody knows whether it was written.
    Unknown,
}

/// Why sequence numbers start anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Renewal {
    NextEpoch,
    FreshId,
}

/// What a queue wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Want {
    /// Nothing to send, or nothing that may be sent before an answer comes.
    Nothing,
    /// A producer id other than this one.
    Identity { not: Option<i64> },
    /// A pause until then.
    Pause(Instant),
    /// To send the batch `Queue::take` gives.
    Send,
}

/// What came of a batch that was in flight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Appended {
        base_offset: i64,
    },
    Refused(ErrorCode),
    /// The connection ended before the answer.
    Lost,
}

/// What follows from a verdict.
#[derive(Debug)]
pub(super) enum Outcome<T> {
    /// Done: tell the sender. `None` for the offset of a repeat whose first copy had been written.
    Done { entry: Entry<T>, base_offset: Option<i64> },
    /// Refused for good: give it back.
    Refused { entry: Entry<T>, code: ErrorCode },
    /// Stays; to be sent again. Whether the leader may have moved.
    Again { refresh: bool },
}

/// The batches of one partition, oldest first.
///
/// Invariant: unless the queue drains, those in flight come first and have ascending, contiguous sequences.
#[derive(Debug)]
pub(super) struct Queue<T> {
    entries: VecDeque<Entry<T>>,
    in_flight: usize,
    in_flight_max: usize,
    idempotent: bool,
    session: Option<Session>,
    /// Whether the partition's log knows the numbers of the session. A broker without them takes any number for the first,
    /// also that of a second batch whose first was refused in passing; so the first batch goes alone.
    known: bool,
    /// When the last batch left.
    idle_since: Option<Instant>,
    /// The last producer id, if the broker does not want it any more.
    spent_id: Option<i64>,
    /// Sequences start anew as soon as the fate of every batch is known.
    renewal: Option<Renewal>,
    /// Nothing is sent until nothing is in flight.
    draining: bool,
    pause_until: Option<Instant>,
    failures: u32,
    next_key: u64,
}

impl<T> Queue<T> {
    pub(super) fn new(idempotent: bool, in_flight_max: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            in_flight: 0,
            in_flight_max,
            idempotent,
            session: None,
            known: false,
            idle_since: None,
            spent_id: None,
            renewal: None,
            draining: false,
            pause_until: None,
            failures: 0,
            next_key: 0,
        }
    }

    pub(super) fn push(&mut self, batch: EncodedBatch, sender: T) {
        let (key, number, state) = (self.next_key, None, State::Waiting);
        self.next_key += 1;
        self.entries.push_back(Entry { batch, sender, key, number, state, attempts: 0, perhaps_written: false });
    }

    pub(super) fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.batch.as_bytes().len()).sum()
    }

    pub(super) fn want(&mut self, now: Instant) -> Want {
        if self.entries.is_empty() {
            self.idle_since.get_or_insert(now);
        } else if self.idle_since.take().is_some_and(|since| now.duration_since(since) > REMEMBERED) {
            self.known = false;
        }
        if self.entries.is_empty() || self.draining && self.in_flight > 0 {
            return Want::Nothing;
        }
        if let Some(until) = self.pause_until {
            if now < until {
                return Want::Pause(until);
            }
            self.pause_until = None;
        }
        self.draining = false;
        if self.renewal.is_some() {
            if self.in_flight > 0 {
                return Want::Nothing;
            }
            if self.entries.iter().any(|entry| entry.state == State::Unknown) {
                // Those must be asked about under their old numbers, one after the other.
                return Want::Send;
            }
            self.renew();
        }
        let in_flight_max = if self.idempotent && !self.known { 1 } else { self.in_flight_max };
        if self.in_flight >= self.entries.len().min(in_flight_max) {
            return Want::Nothing;
        }
        if self.idempotent && self.session.is_none() {
            return Want::Identity { not: self.spent_id };
        }
        Want::Send
    }

    fn renew(&mut self) {
        let renewed = match self.renewal.take() {
            Some(Renewal::NextEpoch) => self.session.and_then(|session| session.renewed()),
            _ => None,
        };
        if renewed.is_none() {
            self.spent_id = self.session.map(|session| session.identity.id);
        }
        self.session = renewed;
        self.known = false;
        self.entries.iter_mut().for_each(|entry| entry.number = None);
    }

    /// Starts a session under a producer id that this partition has not used before.
    pub(super) fn identify(&mut self, identity: Identity) {
        if self.session.is_none() && self.spent_id != Some(identity.id) {
            self.session = Some(Session::new(identity));
            self.known = false;
        }
    }

    /// Size of the batch that `take` would give.
    pub(super) fn next_bytes(&self) -> usize {
        self.next_index().and_then(|index| self.entries.get(index)).map_or(0, |entry| entry.batch.as_bytes().len())
    }

    fn next_index(&self) -> Option<usize> {
        if self.renewal.is_some() {
            return self.entries.iter().position(|entry| entry.state == State::Unknown);
        }
        Some(self.in_flight).filter(|index| *index < self.entries.len())
    }

    /// Takes the next batch into flight, stamped. To be called after `want` said `Send`.
    pub(super) fn take(&mut self) -> Option<(u64, &[u8])> {
        let index = self.next_index()?;
        let entry = self.entries.get_mut(index)?;
        if entry.number.is_none() {
            entry.number = self.session.as_mut().map(|session| session.take(entry.batch.record_count()));
        }
        entry.batch.stamp(stamp(entry.number));
        entry.state = State::InFlight;
        entry.attempts += 1;
        self.in_flight += 1;
        Some((entry.key, entry.batch.as_bytes()))
    }

    /// Takes in what came of the batch `key`; `None` if it is none of those in flight.
    /// `pause` gives the time of the next attempt after so many failures in a row.
    pub(super) fn settle(
        &mut self,
        key: u64,
        verdict: Verdict,
        pause: impl FnOnce(u32) -> Instant,
    ) -> Option<Outcome<T>> {
        let index = self.entries.iter().position(|entry| entry.key == key && entry.state == State::InFlight)?;
        self.in_flight -= 1;
        let code = match verdict {
            Verdict::Appended { base_offset } => return self.done(index, Some(base_offset)),
            Verdict::Refused(ErrorCode::DUPLICATE_SEQUENCE) if self.idempotent => return self.done(index, None),
            Verdict::Refused(code) => code,
            Verdict::Lost => ErrorCode::NETWORK_EXCEPTION,
        };
        let entry = self.entries.get_mut(index)?;
        let given_up = code == ErrorCode::CORRUPT_MESSAGE && entry.attempts >= CORRUPT_ATTEMPTS_MAX;
        if code.class() == ErrorClass::RejectBatch || given_up {
            return self.refuse(index, code);
        }
        if code.class() == ErrorClass::Fatal {
            // The broker compared the numbers with its log, so this is about all attempts.
            entry.perhaps_written = false;
        } else {
            entry.perhaps_written |= !code.certainly_not_written();
        }
        entry.state = if entry.perhaps_written { State::Unknown } else { State::Waiting };
        if self.idempotent && code.class() == ErrorClass::Fatal {
            self.rebuild(index, code);
        }
        self.draining = true;
        self.failures += 1;
        self.pause_until = Some(pause(self.failures));
        Some(Outcome::Again { refresh: code.class() == ErrorClass::RefreshMetadata || verdict == Verdict::Lost })
    }

    /// Settles what the loss of producer state means.
    fn rebuild(&mut self, index: usize, code: ErrorCode) {
        let of_sequence = matches!(code, ErrorCode::OUT_OF_ORDER_SEQUENCE | ErrorCode::UNKNOWN_PRODUCER_ID);
        if of_sequence && index > 0 {
            // An echo of what happened to a batch before it, which is still here to be sent again.
            return;
        }
        let renewal = if of_sequence { Renewal::NextEpoch } else { Renewal::FreshId };
        if self.renewal != Some(Renewal::FreshId) {
            self.renewal = Some(renewal);
        }
    }

    fn done(&mut self, index: usize, base_offset: Option<i64>) -> Option<Outcome<T>> {
        self.failures = 0;
        let entry = self.entries.remove(index)?;
        self.known |=
            entry.number.is_some_and(|number| self.session.is_some_and(|session| session.identity == number.identity));
        Some(Outcome::Done { entry, base_offset })
    }

    fn refuse(&mut self, index: usize, code: ErrorCode) -> Option<Outcome<T>> {
        let entry = self.entries.remove(index)?;
        let followed = self.entries.iter().skip(index).any(|later| later.number.is_some());
        if let (Some(number), Some(session)) = (entry.number, &mut self.session) {
            if followed || entry.perhaps_written || number.identity != session.identity {
                // There is a gap now, or the number may stand in the log: used again it would pass for a repeat.
                self.renewal.get_or_insert(Renewal::NextEpoch);
                self.draining = true;
            } else {
                session.next_sequence = number.sequence;
            }
        }
        Some(Outcome::Refused { entry, code })
    }

    /// Takes out everything that is not in flight.
    pub(super) fn take_all(&mut self) -> Vec<Entry<T>> {
        let (stay, go): (Vec<_>, Vec<_>) = self.entries.drain(..).partition(|entry| entry.state == State::InFlight);
        self.entries = stay.into();
        if self.session.is_some() {
            self.renewal.get_or_insert(Renewal::NextEpoch);
        }
        go
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
