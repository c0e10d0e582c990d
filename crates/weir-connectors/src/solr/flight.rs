//! Deliveries that wait for Solr.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use weir_engine::delivery::{AckToken, DeliveryError};
use weir_event::EventBatch;
use weir_solr::Submission;

/// Bytes of deliveries that are not answered, and whoever waits for there to be less.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: AtomicUsize,
    answered: Notify,
}

impl Held {
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn take(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.answered.notify_waiters();
    }

    /// Waits until less than `limit` is held; `false` if nothing at all was answered for `patience`.
    pub(super) async fn is_below(&self, limit: usize, patience: Duration) -> bool {
        loop {
            // Registered before looking, so that an answer in between is not slept through.
            let answered = self.answered.notified();
            if self.bytes() < limit {
                return true;
            }
            if timeout(patience, answered).await.is_err() {
                return false;
            }
        }
    }
}

/// The event of a document: number of the batch, row.
pub(super) type Row = (u32, u32);

/// Rows by the number of their batch, as the token takes them.
pub(super) fn by_batch(rows: &[Row]) -> BTreeMap<usize, Vec<usize>> {
    let mut batches: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (batch, row) in rows {
        batches.entry(*batch as usize).or_default().push(*row as usize);
    }
    for rows in batches.values_mut() {
        rows.sort_unstable();
    }
    batches
}

/// A delivery that waits for Solr.
pub(super) struct Waiting {
    /// Documents of one collection, and the event of each.
    pub(super) parts: Vec<(Submission, Vec<Row>)>,
    pub(super) batches: Vec<EventBatch>,
    pub(super) ack: AckToken,
    /// Why it comes again whatever becomes of these documents: others of it could not be submitted.
    pub(super) verdict: Result<(), DeliveryError>,
    /// What it counts for among those held.
    pub(super) bytes: usize,
    pub(super) held: Arc<Held>,
}

impl Waiting {
    /// Waits for the documents and answers for the delivery.
    pub(super) async fn settle(self) {
        let Self { parts, batches, mut ack, mut verdict, bytes, held } = self;
        for (submission, rows) in parts {
            let report = submission.await;
            // Together where the words are the same: each call makes a batch.
            let mut rejected: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
            for (document, reason) in &report.rejected {
                rejected.entry(reason).or_default().extend(rows.get(*document));
            }
            for (reason, rows) in rejected {
                for (batch, rows) in by_batch(&rows) {
                    ack.reject(&batches[batch], &rows, reason);
                }
            }
            if let Some(handed_back) = report.handed_back {
                verdict = Err(match handed_back.is_permanent {
                    true => DeliveryError::Fatal { message: handed_back.message, source: None },
                    false => DeliveryError::Retry { message: handed_back.message, after: None, source: None },
                });
            }
        }
        match verdict {
            Ok(()) => ack.ack(),
            Err(error) => ack.nack(&error),
        }
        held.take(bytes);
    }
}
