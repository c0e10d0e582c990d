//! The ledger: counters that must add up.
//!
//! ```text
//!   source   received = accepted + rejected(reason)             at rest
//!   group    waiting at start + appended = delivered + dead-lettered + dropped(reason) + lost(damage) + waiting now
//! ```
//!
//! Each side is counted where it happens and by nobody else: a source counts what it framed, the channel what it
//! stored, the group what was acknowledged. A residue at rest is a fault of ours, and says so in `/health`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Largest latency kept apart, one hour; what is later counts as one hour.
const LATENCY_MS_MAX: u64 = 3_600_000;

/// Counters by reason. Reasons are few and fixed in code or configuration, so the map stays small.
#[derive(Debug, Default)]
pub struct Reasons {
    /// Guards the counts; taken once per batch and only if something was refused.
    counts: Mutex<BTreeMap<String, u64>>,
}

impl Reasons {
    /// Adds `events` under `reason`.
    pub fn add(&self, reason: &str, events: u64) {
        if events == 0 {
            return;
        }
        let mut counts = self.counts.lock();
        match counts.get_mut(reason) {
            Some(count) => *count += events,
            None => {
                counts.insert(reason.to_owned(), events);
            }
        }
    }

    /// All counts by reason.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<String, u64> {
        self.counts.lock().clone()
    }

    /// Sum over all reasons.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.lock().values().sum()
    }
}

/// A latency distribution, recorded once per batch.
#[derive(Debug)]
pub struct Latency {
    /// Guards the histogram; held for one record or one read.
    histogram: Mutex<Histogram<u64>>,
}

impl Default for Latency {
    fn default() -> Self {
        // 2 significant digits: 1 % is finer than anybody acts on, and the histogram stays at a few KiB.
        let histogram = Histogram::new_with_bounds(1, LATENCY_MS_MAX, 2).expect("the bounds are constants in range");
        Self { histogram: Mutex::new(histogram) }
    }
}

/// Quantiles of a latency in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyStatus {
    /// Events measured.
    pub count: u64,
    /// Half were faster.
    pub p50_ms: u64,
    /// 99 of 100 were faster.
    pub p99_ms: u64,
    /// 999 of 1000 were faster.
    pub p999_ms: u64,
    /// The slowest.
    pub max_ms: u64,
}

impl Latency {
    /// Records `events` that took `ms` (negative, from a clock ahead of ours, counts as 0).
    pub fn record(&self, ms: i64, events: u64) {
        let ms = u64::try_from(ms).unwrap_or(0).clamp(1, LATENCY_MS_MAX);
        self.histogram.lock().saturating_record_n(ms, events);
    }

    /// Quantiles so far.
    #[must_use]
    pub fn status(&self) -> LatencyStatus {
        let histogram = self.histogram.lock();
        LatencyStatus {
            count: histogram.len(),
            p50_ms: histogram.value_at_quantile(0.5),
            p99_ms: histogram.value_at_quantile(0.99),
            p999_ms: histogram.value_at_quantile(0.999),
            max_ms: histogram.max(),
        }
    }
}

/// What one source took in.
#[derive(Debug, Default)]
pub struct SourceLedger {
    /// Events the source framed.
    pub received: AtomicU64,
    /// Bytes of their bodies.
    pub received_bytes: AtomicU64,
    /// Events that every required channel took.
    pub accepted: AtomicU64,
    /// Accepted events whose receipt came: durable as their channels promise.
    pub durable: AtomicU64,
    /// Batches whose receipt is still to come.
    pub receipts_open: AtomicU64,
    /// Events that went no further, by reason.
    pub rejected: Reasons,
    /// Not events of ours: what the source saw go wrong before (kernel drops, broken connections), by kind.
    pub faults: Reasons,
    /// Event time to receipt.
    pub durable_latency: Latency,
    /// Events whose line was kept whole and flagged because it did not parse.
    pub flagged: AtomicU64,
    /// Connections open now, where the source has any.
    pub connections: AtomicU64,
}

/// What one sink group delivered.
#[derive(Debug, Default)]
pub struct SinkLedger {
    /// Events read from the channel for a first delivery.
    pub read: AtomicU64,
    /// Events read again.
    pub reread: AtomicU64,
    /// Events the destination holds.
    pub delivered: AtomicU64,
    /// Events in the dead letter channel.
    pub dead_lettered: AtomicU64,
    /// Events left out on purpose, by reason.
    pub dropped: Reasons,
    /// Events damaged in the channel.
    pub lost: AtomicU64,
    /// Deliveries that came back.
    pub retries: AtomicU64,
    /// Event time to acknowledgement by the sink.
    pub delivery_latency: Latency,
    /// The last failure, for people; cleared by a success.
    last_failure: Mutex<Option<String>>,
}

impl SinkLedger {
    pub(crate) fn read(&self, events: u64, repeated: bool) {
        if repeated { &self.reread } else { &self.read }.fetch_add(events, Relaxed);
    }

    pub(crate) fn damaged(&self, lost: u64, unsynced: u64) {
        self.lost.fetch_add(lost, Relaxed);
        self.dropped.add("never durable: power was lost first", unsynced);
    }

    pub(crate) fn settled(
        &self,
        delivered: u64,
        dead_lettered: u64,
        dropped: &[(&'static str, u64)],
        latency_ms: Option<i64>,
    ) {
        self.delivered.fetch_add(delivered, Relaxed);
        self.dead_lettered.fetch_add(dead_lettered, Relaxed);
        for (reason, events) in dropped {
            self.dropped.add(reason, *events);
        }
        if let (Some(latency_ms), true) = (latency_ms, delivered > 0) {
            self.delivery_latency.record(latency_ms, delivered);
        }
        *self.last_failure.lock() = None;
    }

    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    pub(crate) fn failed(&self, message: &str) {
        *self.last_failure.lock() = Some(message.to_owned());
    }

    /// Why the sink does not get on, if it does not.
    #[must_use]
    pub fn last_failure(&self) -> Option<String> {
        self.last_failure.lock().clone()
    }
}
