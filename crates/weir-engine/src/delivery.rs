//! Deliveries: what the engine hands to a sink, and the token by which the sink answers.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use weir_event::{EventBatch, HeaderName};

use crate::group::Group;
use crate::lane_account::LaneAccount;
use crate::stored::StoredBatch;

/// Header of a dead letter: the sink that refused the event.
pub const DEAD_LETTER_SINK: HeaderName = HeaderName::from_static("weir.dead_letter.sink");
/// Header of a dead letter: why it was refused.
pub const DEAD_LETTER_REASON: HeaderName = HeaderName::from_static("weir.dead_letter.reason");

/// Batches for a sink, in order, of one partition, and the token that answers for all of them.
#[derive(Debug)]
pub struct Delivery {
    /// At least one batch, unless everything in the range was lost to damage.
    pub batches: Vec<EventBatch>,
    /// The batches as they are at rest: instead of `batches`, and only for a sink that asked for that form.
    pub stored: Vec<StoredBatch>,
    /// Events below this offset may have been delivered before, by an earlier run or an earlier owner of the partition.
    pub repeats_below: u64,
    /// Answers for the whole delivery.
    pub ack: AckToken,
}

impl Delivery {
    /// Number of events.
    #[must_use]
    pub fn events(&self) -> u64 {
        count(&self.batches, &self.stored)
    }
}

/// Number of events in batches of either form.
pub(crate) fn count(batches: &[EventBatch], stored: &[StoredBatch]) -> u64 {
    let decoded: u64 = batches.iter().map(|batch| batch.len() as u64).sum();
    decoded + stored.iter().map(StoredBatch::events).sum::<u64>()
}

/// The answer to one delivery. Dropping it without [`AckToken::ack`] is a nack: the delivery comes again.
///
/// May be kept, sent to other threads, and answered in any order; the engine moves the group's position over the
/// contiguous prefix of what was acknowledged.
#[must_use = "dropping a token sends the delivery again"]
#[derive(Debug)]
pub struct AckToken {
    claim: Option<Claim>,
}

/// What a token stands for.
#[derive(Debug)]
struct Claim {
    group: Arc<Group>,
    lane: Arc<LaneAccount>,
    contents: Contents,
    rejected: Vec<EventBatch>,
    dropped: Vec<(&'static str, u64)>,
}

/// What a delivery holds, as positions and counts.
#[derive(Clone, Debug)]
pub(crate) struct Contents {
    pub(crate) partition: u32,
    /// Counts how often the partition was taken away: an answer for an earlier stay moves nothing.
    pub(crate) stay: u64,
    pub(crate) range: Range<u64>,
    pub(crate) events: u64,
    /// Events in the range that were damaged; counted when the delivery is acknowledged, not each time it is read.
    pub(crate) lost: u64,
    /// Offsets in the range that were never durable; counted likewise.
    pub(crate) unsynced: u64,
    pub(crate) oldest_ms: Option<i64>,
}

impl AckToken {
    pub(crate) fn new(group: Arc<Group>, lane: Arc<LaneAccount>, contents: Contents) -> Self {
        Self { claim: Some(Claim { group, lane, contents, rejected: Vec::new(), dropped: Vec::new() }) }
    }

    /// The partition of the delivery.
    #[must_use]
    pub fn partition(&self) -> u32 {
        self.claim.as_ref().map_or(0, |claim| claim.contents.partition)
    }

    /// The offsets of the delivery.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.claim.as_ref().map_or(0..0, |claim| claim.contents.range.clone())
    }

    /// Marks events that the destination refuses for good; they go to the dead letter channel when the token is
    /// acknowledged. Without a dead letter channel the acknowledgement becomes a nack, so that nothing is lost.
    ///
    /// # Panics
    /// If a row is out of range.
    pub fn reject(&mut self, batch: &EventBatch, rows: &[usize], reason: &str) {
        if let (Some(claim), false) = (&mut self.claim, rows.is_empty()) {
            let mut refused = batch.select(rows);
            refused.set_constant(DEAD_LETTER_SINK, claim.group.sink_names());
            refused.set_constant(DEAD_LETTER_REASON, reason.to_owned());
            claim.rejected.push(refused);
        }
    }

    /// Counts events that the sink left out on purpose (a filter, a repeat it had already written).
    pub fn count_dropped(&mut self, reason: &'static str, events: u64) {
        if let (Some(claim), true) = (&mut self.claim, events > 0) {
            claim.dropped.push((reason, events));
        }
    }

    /// The destination holds every event of the delivery that was not rejected, as durably as the sink promises.
    pub fn ack(mut self) {
        if let Some(claim) = self.claim.take() {
            claim.settle();
        }
    }

    /// The delivery failed: it comes again after a back-off. The same as dropping the token, with a reason.
    pub fn nack(mut self, error: &DeliveryError) {
        if let Some(claim) = self.claim.take() {
            claim.nacked(Some(error));
        }
    }
}

impl Claim {
    fn settle(mut self) {
        let rejected = std::mem::take(&mut self.rejected);
        if rejected.is_empty() {
            self.acked(0);
            return;
        }
        let group = self.group.clone();
        // The claim waits in the completion until the dead letters are as durable as their channel makes them.
        group.dead_letter(rejected, move |outcome| match outcome {
            Ok(events) => self.acked(events),
            Err(error) => self.nacked(Some(&error)),
        });
    }

    fn acked(self, dead_lettered: u64) {
        let dropped: u64 = self.dropped.iter().map(|(_, events)| events).sum();
        let delivered = self.contents.events.saturating_sub(dead_lettered + dropped);
        self.lane.settled(self.contents.events);
        self.group.acked(&self.contents, delivered, dead_lettered, &self.dropped);
    }

    fn nacked(self, error: Option<&DeliveryError>) {
        // The lane's count first: whoever is woken by the group sees it.
        self.lane.nacked(error);
        self.group.nacked(&self.contents, error);
    }
}

impl Drop for AckToken {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            claim.nacked(None);
        }
    }
}

/// Why a delivery or a flush failed, in terms of what the engine does next.
#[derive(Debug, Error)]
pub enum DeliveryError {
    /// The destination may take it later: the delivery comes again after a jittered back-off, or after `after` if the
    /// destination named a time.
    #[error("{message}")]
    Retry {
        /// What happened, where, and what to do.
        message: String,
        /// When the destination asked to be tried again.
        after: Option<Duration>,
        /// The cause below.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The sink cannot go on without a person: it is tried again at the longest back-off, and health says why.
    #[error("{message}")]
    Fatal {
        /// What happened, where, and what to do.
        message: String,
        /// The cause below.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl DeliveryError {
    /// A retryable failure with its cause.
    pub fn retry(message: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Retry { message: message.into(), after: None, source: Some(source.into()) }
    }

    /// The message and its causes in one line.
    #[must_use]
    pub fn chain(&self) -> String {
        crate::chain(self)
    }
}
