//! The outlet: a lane's way from its source into the channels.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use thiserror::Error;
use weir_event::EventBatch;

use crate::channel::{AppendError, Channel};
use crate::clock::now_ms;
use crate::interceptor::Interceptor;
use crate::ledger::SourceLedger;
use crate::receipt::Receipt;
use crate::selector::{Routed, Selector};
use crate::stop::StopSignal;

/// How often a lane that waits for room looks whether it is told to give up: a person who stops an agent should not
/// notice, and five wake-ups a second cost nothing.
const ROOM_POLL: Duration = Duration::from_millis(200);

/// Takes batches of one lane through its interceptors and selector into its channels. One per lane, on its thread.
pub struct Outlet {
    interceptors: Vec<Box<dyn Interceptor>>,
    selector: Selector,
    ledger: Arc<SourceLedger>,
    stop: StopSignal,
}

/// Why a batch went no further.
#[derive(Debug, Error)]
pub enum SendError {
    /// The agent stops and a required channel had no room until the deadline.
    #[error("channel {channel} had no room before the shutdown deadline; {events} events given up")]
    Stopped {
        /// The channel.
        channel: String,
        /// Events of the batch that were not taken.
        events: u64,
    },
    /// A required channel refused the batch for good.
    #[error("channel {channel} refused {events} events: {reason}")]
    Refused {
        /// The channel.
        channel: String,
        /// Events of the batch that were not taken.
        events: u64,
        /// What the channel said.
        reason: String,
    },
}

impl SendError {
    /// What the ledger counts it under.
    fn reason(&self) -> String {
        match self {
            Self::Stopped { channel, .. } => format!("channel {channel} full until the shutdown deadline"),
            Self::Refused { channel, reason, .. } => format!("channel {channel}: {reason}"),
        }
    }
}

impl Outlet {
    /// An outlet over its parts.
    #[must_use]
    pub fn new(
        interceptors: Vec<Box<dyn Interceptor>>,
        selector: Selector,
        ledger: Arc<SourceLedger>,
        stop: StopSignal,
    ) -> Self {
        Self { interceptors, selector, ledger, stop }
    }

    /// Counters of the source.
    #[must_use]
    pub fn ledger(&self) -> &Arc<SourceLedger> {
        &self.ledger
    }

    /// Counts events that the source itself refused, with the reason people will read.
    pub fn reject(&self, reason: &str, events: u64) {
        self.ledger.received.fetch_add(events, Relaxed);
        self.ledger.rejected.add(reason, events);
    }

    /// Sends a batch on its way and returns the receipt. Blocks the lane's thread while a required channel is full:
    /// that is the back-pressure. Optional channels never block.
    ///
    /// # Errors
    /// [`SendError`]; the events that no channel took are counted as rejected.
    pub fn send(&mut self, batch: EventBatch) -> Result<Receipt, SendError> {
        let events = batch.len() as u64;
        self.ledger.received.fetch_add(events, Relaxed);
        self.ledger.received_bytes.fetch_add(batch.body_bytes() as u64, Relaxed);
        let batch = self.intercept(batch);
        let oldest_ms = oldest_ms(&batch);
        let parts = self.selector.route(batch);
        let receipt = self.receipt(&parts, oldest_ms);
        let mut outcome = Ok(());
        for routed in parts {
            let events = routed.batch.len() as u64;
            if routed.required.is_empty() && routed.optional.is_empty() {
                self.ledger.rejected.add("no route", events);
                continue;
            }
            let mut taken = Ok(());
            for channel in &routed.required {
                taken = taken.and_then(|()| self.append(&**channel, &routed.batch, &receipt));
            }
            match taken {
                Ok(()) => self.ledger.accepted.fetch_add(events, Relaxed),
                Err(error) => {
                    // The whole part counts as rejected, also what a first channel or a first half took: at worst an
                    // event is delivered that the source was told to send again, never the other way round.
                    self.ledger.rejected.add(&error.reason(), events);
                    outcome = Err(error);
                    continue;
                }
            };
            for channel in &routed.optional {
                self.append_optional(&**channel, &routed.batch);
            }
        }
        receipt.arm();
        outcome.map(|()| receipt)
    }

    fn intercept(&mut self, mut batch: EventBatch) -> EventBatch {
        for interceptor in &mut self.interceptors {
            let before = batch.len();
            batch = interceptor.intercept(batch);
            if batch.len() < before {
                let reason = format!("interceptor {}", interceptor.name());
                self.ledger.rejected.add(&reason, (before - batch.len()) as u64);
            }
        }
        batch
    }

    /// A receipt that, when settled, counts the batch as durable and records how old its oldest event then was.
    fn receipt(&self, parts: &[Routed], oldest_ms: i64) -> Receipt {
        let ledger = self.ledger.clone();
        let events = parts.iter().filter(|part| !part.required.is_empty()).map(|part| part.batch.len() as u64).sum();
        ledger.receipts_open.fetch_add(1, Relaxed);
        Receipt::new(move |outcome| {
            match outcome {
                Ok(()) if events > 0 => {
                    ledger.durable.fetch_add(events, Relaxed);
                    ledger.durable_latency.record(now_ms().saturating_sub(oldest_ms), events);
                }
                Ok(()) => {}
                Err(_) => ledger.faults.add("not durable", events),
            }
            ledger.receipts_open.fetch_sub(1, Relaxed);
        })
    }

    /// Appends to a required channel, waiting for room; a batch over the channel's limit goes in halves.
    fn append(&self, channel: &dyn Channel, batch: &EventBatch, receipt: &Receipt) -> Result<(), SendError> {
        let events = batch.len() as u64;
        let mut ticket = receipt.ticket();
        loop {
            ticket = match channel.try_append(batch, ticket) {
                Ok(()) => return Ok(()),
                Err(AppendError::Full(ticket)) => ticket,
                Err(AppendError::TooLarge { ticket, .. }) if batch.len() > 1 => {
                    let middle = batch.len() / 2;
                    let first = self.append(channel, &batch.slice(0..middle), receipt);
                    let second = self.append(channel, &batch.slice(middle..batch.len()), receipt);
                    ticket.complete(Ok(()));
                    return first.and(second);
                }
                Err(error) => {
                    // The ticket goes with the error: the receipt fails, as nobody keeps these events.
                    let reason = error.to_string();
                    return Err(SendError::Refused { channel: channel.name().into(), events, reason });
                }
            };
            while !channel.wait_for_room(ROOM_POLL) {
                if self.stop.is_past_deadline() {
                    return Err(SendError::Stopped { channel: channel.name().into(), events });
                }
            }
        }
    }

    fn append_optional(&self, channel: &dyn Channel, batch: &EventBatch) {
        let receipt = Receipt::new(|_| {});
        if let Err(error) = channel.try_append(batch, receipt.ticket()) {
            // Not a rejection: the required channels have the events. The miss is visible all the same.
            let kind = format!("optional channel {} missed events: {error}", channel.name());
            self.ledger.faults.add(&kind, batch.len() as u64);
            let (AppendError::Full(ticket) | AppendError::Closed(ticket) | AppendError::TooLarge { ticket, .. }) =
                error;
            ticket.cancel();
        }
        receipt.arm();
    }
}

/// The time of the oldest event of a batch, its arrival if no event has a timestamp: what freshness is measured from.
pub(crate) fn oldest_ms(batch: &EventBatch) -> i64 {
    let timestamps = batch.timestamps();
    if timestamps.is_absent() {
        return batch.arrival_ms();
    }
    (0..batch.len()).filter_map(|row| timestamps.get(row)).min().unwrap_or(batch.arrival_ms())
}
