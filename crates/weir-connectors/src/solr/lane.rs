//! The lane of the sink: deliveries to documents, and the limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::timeout;
use weir_engine::delivery::{AckToken, Delivery, DeliveryError};
use weir_engine::sink::{FlushReason, Sink};
use weir_event::EventBatch;
use weir_solr::{Client, DocumentsBuilder, Encoding, Indexer, Submission};

use super::config::SolrSinkSpec;

/// After so long without any answer a delivery goes back to the channel and the group's state says why: longer than an
/// election usually takes, short enough that a stop is not held up.
const PATIENCE: Duration = Duration::from_secs(5);

/// The one lane of the sink.
pub(super) struct SolrSink {
    name: String,
    spec: SolrSinkSpec,
    client: Client,
    /// From the first delivery on: made inside the lane's runtime, which its tasks run on.
    indexer: Option<Indexer>,
    held: Arc<Held>,
}

/// Bytes of deliveries that are not answered, and whoever waits for there to be less.
#[derive(Debug, Default)]
struct Held {
    bytes: AtomicUsize,
    answered: Notify,
}

impl Held {
    /// Waits until less than `limit` is held; `false` if nothing at all was answered for `patience`.
    async fn is_below(&self, limit: usize, patience: Duration) -> bool {
        loop {
            // Registered before looking, so that an answer in between is not slept through.
            let answered = self.answered.notified();
            if self.bytes.load(Ordering::Relaxed) < limit {
                return true;
            }
            if timeout(patience, answered).await.is_err() {
                return false;
            }
        }
    }
}

/// A delivery that waits for Solr.
struct Waiting {
    /// Documents of one collection, and for each the batch and row it was made of.
    parts: Vec<(Submission, Vec<(u32, u32)>)>,
    batches: Vec<EventBatch>,
    ack: AckToken,
    bytes: usize,
    held: Arc<Held>,
}

impl SolrSink {
    /// A lane that has not spoken with Solr yet.
    pub(super) fn new(name: &str, spec: SolrSinkSpec, client: Client) -> Self {
        Self { name: name.to_owned(), spec, client, indexer: None, held: Arc::default() }
    }

    fn indexer(&mut self) -> Indexer {
        let make = || Indexer::new(self.client.clone(), self.spec.indexer.clone());
        self.indexer.get_or_insert_with(make).clone()
    }

    fn no_room(&self, indexer: &Indexer) -> DeliveryError {
        let mut reason = indexer.troubles().join("; ");
        if reason.is_empty() {
            reason = "it is slow".to_owned();
        }
        let message = format!(
            "Solr has acknowledged nothing for {} s, {} bytes wait for it ({reason}); events stay in the channel",
            PATIENCE.as_secs(),
            self.held.bytes.load(Ordering::Relaxed)
        );
        DeliveryError::Retry { message, after: None, source: None }
    }
}

#[async_trait(?Send)]
impl Sink for SolrSink {
    async fn deliver(&mut self, delivery: Delivery) -> Result<(), DeliveryError> {
        let indexer = self.indexer();
        if !self.held.is_below(self.spec.in_flight_bytes, PATIENCE).await {
            return Err(self.no_room(&indexer));
        }
        let Delivery { batches, mut ack, .. } = delivery;
        let mut builder = DocumentsBuilder::new(Encoding::Json);
        let mut rows = Vec::new();
        for (number, batch) in batches.iter().enumerate() {
            let mapping = self.spec.mapping.bind(batch);
            for row in 0..batch.len() {
                match mapping.id(row) {
                    Ok(id) => {
                        mapping.write(row, &id, &mut builder);
                        rows.push((number as u32, row as u32));
                    }
                    Err(unfit) => ack.reject(batch, &[row], &unfit.reason),
                }
            }
        }
        if builder.is_empty() {
            ack.ack();
            return Ok(());
        }
        let documents = builder.finish();
        let held: usize = batches.iter().map(EventBatch::memory_bytes).sum();
        let bytes = held.max(documents.bytes());
        let submitted = indexer.submit(&self.spec.collection, documents).await;
        let submission = submitted.map_err(|error| {
            let message = format!("sink {}: collection {} is not to be had", self.name, self.spec.collection);
            DeliveryError::retry(message, error)
        })?;
        self.held.bytes.fetch_add(bytes, Ordering::Relaxed);
        let parts = vec![(submission, rows)];
        tokio::spawn(settle(Waiting { parts, batches, ack, bytes, held: self.held.clone() }));
        Ok(())
    }

    async fn flush(&mut self, reason: FlushReason) -> Result<(), DeliveryError> {
        match reason {
            // Everything is on its way.
            FlushReason::Timer | FlushReason::Pressure => {}
            // What is not answered soon is delivered again by the next owner.
            FlushReason::Handover => {
                self.held.is_below(1, PATIENCE).await;
            }
            // Bounded by the engine.
            FlushReason::Shutdown => while !self.held.is_below(1, PATIENCE).await {},
        }
        Ok(())
    }
}

/// Waits for the documents of a delivery and answers for it.
async fn settle(waiting: Waiting) {
    let Waiting { parts, batches, mut ack, bytes, held } = waiting;
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
    held.bytes.fetch_sub(bytes, Ordering::Relaxed);
    held.answered.notify_waiters();
}
