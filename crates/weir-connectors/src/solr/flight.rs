//! Deliveries that wait for Solr.

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

/// A delivery that waits for Solr.
pub(super) struct Waiting {
    /// Documents of one collection, and the event of each.
    pub(super) parts: Vec<(Submission, Vec<Row>)>,
    pub(super) batches: Vec<EventBatch>,
    pub(super) ack: AckToken,
    /// What it counts for among those held.
    pub(super) bytes: usize,
    pub(super) held: Arc<Held>,
}

impl Waiting {
    /// Waits for the documents and answers for the delivery.
    pub(super) async fn settle(self) {
        let Self { parts, batches, mut ack, bytes, held } = self;
        let mut verdict = Ok(());
        for (submission, rows) in parts {
            let report = submission.await;
            for (document, reason) in &report.rejected {
                if let Some((batch, row)) = rows.get(*document) {
                    ack.reject(&batches[*batch as usize], &[*row as usize], reason);
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
