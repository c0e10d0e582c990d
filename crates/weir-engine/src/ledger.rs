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
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::status::PartitionStatus;

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
    /// How far it is in each partition of what it reads, where that has partitions. Replaced as a whole.
    partitions: Mutex<Vec<SourcePartition>>,
    /// Why it works less than it should, by subject; empty if nothing is wrong.
    troubles: Mutex<BTreeMap<String, String>>,
}

/// How far a source is in one partition of what it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePartition {
    /// The topic, or what else the partition belongs to.
    pub topic: Arc<str>,
    /// Number of the partition.
    pub partition: u32,
    /// Everything below is in the channels, as durably as they promise.
    pub position: u64,
    /// Events there are at and behind the position.
    pub lag_events: u64,
    /// Time of the oldest of them, milliseconds since 1970 UTC, as far as it is known.
    pub oldest_ms: Option<i64>,
}

impl SourceLedger {
    /// Says how far the source is now; replaces what was said before.
    pub fn set_partitions(&self, partitions: Vec<SourcePartition>) {
        *self.partitions.lock() = partitions;
    }

    /// How far the source is, seen at `now_ms`.
    #[must_use]
    pub fn partitions(&self, now_ms: i64) -> Vec<PartitionStatus> {
        let status = |partition: &SourcePartition| PartitionStatus {
            topic: partition.topic.to_string(),
            partition: partition.partition,
            position: partition.position,
            lag_events: partition.lag_events,
            // Nothing waits: no lag, however old the last event was.
            lag_seconds: match partition.oldest_ms {
                Some(oldest_ms) if partition.lag_events > 0 => now_ms.saturating_sub(oldest_ms).max(0) as f64 / 1e3,
                _ => 0.0,
            },
        };
        self.partitions.lock().iter().map(status).collect()
    }

    /// Says why the source works less than it should because of `subject`, or with `None` that it does no more; health
    /// shows it.
    pub fn set_trouble(&self, subject: &str, reason: Option<String>) {
        let mut troubles = self.troubles.lock();
        match reason {
            Some(reason) => troubles.insert(subject.to_owned(), reason),
            None => troubles.remove(subject),
        };
    }

    /// Why the source works less than it should.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        self.troubles.lock().values().cloned().collect()
    }
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
    /// Not events: what the sinks alone see go wrong on the way to the destination (a transport that failed, a server that
    /// was left out), by kind.
    pub faults: Arc<Reasons>,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a source that is behind, then has caught up; a trouble that comes and goes.
    /// Guarantees: the lag in seconds is the age of what waits, and none if nothing waits.
    #[test]
    fn lag_is_the_age_of_what_waits() {
        let ledger = SourceLedger::default();
        let mut partition =
            SourcePartition { topic: "t".into(), partition: 3, position: 10, lag_events: 5, oldest_ms: Some(1_000) };
        ledger.set_partitions(vec![partition.clone()]);
        assert_eq!(ledger.partitions(3_500)[0].lag_seconds, 2.5);
        assert_eq!(ledger.partitions(0)[0].lag_seconds, 0.0, "a clock ahead of ours");
        partition.lag_events = 0;
        ledger.set_partitions(vec![partition]);
        assert_eq!(ledger.partitions(3_500)[0].lag_seconds, 0.0);
        ledger.set_trouble("t-3", Some("rests".to_owned()));
        assert_eq!(ledger.troubles(), ["rests"]);
        ledger.set_trouble("t-3", None);
        assert!(ledger.troubles().is_empty());
    }
}
