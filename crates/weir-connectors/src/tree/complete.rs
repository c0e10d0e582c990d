//! When a directory of past time has everything that it is going to get.
//!
//! Per partition the newest time of its events is its *watermark*. When that is past the end of a stretch of time by the
//! delay of the option `complete_after`, files of that stretch are finished, and the store is told how far the partition
//! is; what it makes of it over all partitions and agents is its own affair ([`super::store::Store::passed`]).
//!
//! A time ahead of the arrival of its batch counts as that arrival: a device with a wrong clock must not close every
//! directory.

use std::time::Duration;

use weir_event::{ChannelId, EventBatch};

use super::buckets::BatchView;
use super::lane::TreeSink;
use super::store::{Store, StoreError};

/// How far a partition is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Watermark {
    /// The newest time of its events, as far as it counts.
    pub(super) ms: i64,
    /// Everything before is told to the store; the start of a stretch.
    passed_ms: i64,
}

impl Default for Watermark {
    fn default() -> Self {
        Self { ms: i64::MIN, passed_ms: i64::MIN }
    }
}

impl Watermark {
    /// Takes the first and the last event of a batch in: events of one partition are nearly in order, and the delay is for
    /// what is not.
    pub(super) fn note<F>(&mut self, buckets: &super::buckets::Buckets<F>, view: &BatchView<'_>, batch: &EventBatch) {
        for row in [0, batch.len().saturating_sub(1)] {
            self.ms = self.ms.max(buckets.ms(view, row).min(batch.arrival_ms()));
        }
    }

    /// Whether a file of a stretch that ends at `until_ms` comes after that was told.
    pub(super) fn is_late(self, until_ms: i64) -> bool {
        until_ms <= self.passed_ms
    }
}

impl<S: Store> TreeSink<S> {
    /// Finishes files of stretches that are over and tells the store, if the watermark of `channel` came past an end.
    pub(super) async fn tell_passed(&mut self, channel: ChannelId, after: Duration) -> Result<(), StoreError> {
        let Some(mut watermark) = self.watermark(channel.partition) else { return Ok(()) };
        if watermark.ms == i64::MIN {
            return Ok(());
        }
        let after_ms = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        let Some(start_ms) = self.buckets.stretch_start(watermark.ms.saturating_sub(after_ms)) else { return Ok(()) };
        if start_ms <= watermark.passed_ms {
            return Ok(());
        }
        let over = self.buckets.open_until(channel, start_ms);
        self.finish(&over, "complete").await?;
        self.store.passed(channel, start_ms).await?;
        watermark.passed_ms = start_ms;
        self.set_watermark(channel.partition, watermark);
        Ok(())
    }
}
