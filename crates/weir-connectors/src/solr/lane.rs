//! The lane of the sink: deliveries to documents, and the limits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use weir_engine::delivery::{AckToken, Delivery, DeliveryError};
use weir_engine::ledger::Reasons;
use weir_engine::sink::{FlushReason, Sink, SinkContext};
use weir_event::EventBatch;
use weir_solr::{Client, DocumentsBuilder, ErrorClass, Faults, Indexer, RequestError, id_hash};

use super::config::SolrSinkSpec;
use super::flight::{Held, Row, Waiting, by_batch};
use super::mapping::{LeftOut, Mapping};
use super::upkeep::{NotMade, Upkeep};

/// After so long without any answer a delivery goes back to the channel and the group's state says why: longer than an
/// election usually takes, short enough that a stop is not held up.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time between two warnings about what documents lack.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

const NO_ID: &str = "it lacks a header that ids are made of: mind the option id";

/// The one lane of the sink.
pub(super) struct SolrSink {
    name: String,
    spec: SolrSinkSpec,
    mapping: Mapping,
    client: Client,
    upkeep: Option<Upkeep>,
    /// From the first delivery on: made inside the lane's runtime, which its tasks run on.
    indexer: Option<Indexer>,
    held: Arc<Held>,
    faults: Arc<Reasons>,
    /// Since the last warning, and when that was.
    left_out: LeftOut,
    warned: Option<Instant>,
}

/// Documents for one collection, and the event of each.
struct Part {
    collection: String,
    builder: DocumentsBuilder,
    rows: Vec<Row>,
}

impl SolrSink {
    /// A lane that has not spoken with Solr yet.
    pub(super) fn new(context: &SinkContext, mut spec: SolrSinkSpec, client: Client) -> Self {
        let counted = context.faults.clone();
        spec.indexer.faults = Faults::new(move |kind| counted.add(kind, 1));
        let mapping = Mapping::new(spec.mapping.clone());
        let upkeep = spec
            .create
            .clone()
            .map(|create| Upkeep::new(client.clone(), create, spec.places.clone(), context.faults.clone()));
        let (held, left_out, warned) = Default::default();
        let (name, faults) = (context.name.clone(), context.faults.clone());
        Self { name, spec, mapping, client, upkeep, indexer: None, held, faults, left_out, warned }
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
            "Solr has answered nothing for {} s, {} bytes of events wait for it ({reason}); further ones stay in the channel",
            PATIENCE.as_secs(),
            self.held.bytes()
        );
        DeliveryError::Retry { message, after: None, source: None }
    }

    /// Adds the documents of a batch, and counts what has none.
    fn write(&mut self, number: u32, batch: &EventBatch, parts: &mut Vec<Part>, ack: &mut AckToken) {
        let conditions: Vec<_> = self.spec.conditions.iter().map(|condition| condition.bind(batch)).collect();
        let mapping = self.mapping.bind(batch);
        let newest = self.upkeep.as_ref().and_then(Upkeep::newest);
        let mut places = self.spec.places.bind(batch, Timestamp::now(), newest);
        let mut unselected = vec![0_u64; conditions.len()];
        let (mut unsampled, mut too_old) = (0, 0);
        // Together where the reason is the same: each call of the token makes a batch.
        let mut rejected: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut left_out = LeftOut::default();
        for row in 0..batch.len() {
            if let Some(unmet) = conditions.iter().position(|condition| !condition.is_met(row)) {
                unselected[unmet] += 1;
                continue;
            }
            let Some(id) = mapping.id(row) else {
                rejected.entry(NO_ID.to_owned()).or_default().push(row);
                continue;
            };
            if self.spec.sample > 1 && u64::from(id_hash(id.as_bytes())) % self.spec.sample != 0 {
                unsampled += 1;
                continue;
            }
            let Some(collection) = places.of(row) else {
                too_old += 1;
                continue;
            };
            let part = part_of(parts, collection, &self.mapping);
            match mapping.write(row, &id, &mut part.builder) {
                Ok(of_it) => {
                    left_out += of_it;
                    part.rows.push((number, row as u32));
                }
                Err(reason) => rejected.entry(reason).or_default().push(row),
            }
        }
        for (reason, rows) in rejected {
            ack.reject(batch, &rows, &reason);
        }
        self.faults.add("values left out", left_out.values);
        self.faults.add("headers left out", left_out.headers);
        self.left_out += left_out;
        for (condition, events) in conditions.iter().zip(unselected) {
            ack.count_dropped(condition.condition.reason, events);
        }
        ack.count_dropped("not selected: sample", unsampled);
        ack.count_dropped("older than retention", too_old);
    }

    /// Sees to it that a collection is there: makes it if it may be made.
    async fn prepare(&mut self, collection: &str) -> Result<(), NotMade> {
        let indexer = self.indexer();
        match (indexer.find(collection).await, &mut self.upkeep) {
            (Err(RequestError::NoCollection { .. }), Some(upkeep)) => {
                upkeep.make(collection).await?;
                Ok(indexer.find(collection).await?)
            }
            (outcome, _) => Ok(outcome?),
        }
    }

    /// All collections before any document: what is in one already would be sent again with those that cannot go.
    async fn prepare_all(
        &mut self,
        parts: Vec<Part>,
        batches: &[EventBatch],
        ack: &mut AckToken,
    ) -> Result<Vec<Part>, DeliveryError> {
        let mut ready = Vec::with_capacity(parts.len());
        for part in parts.into_iter().filter(|part| !part.builder.is_empty()) {
            match self.prepare(&part.collection).await {
                Ok(()) => ready.push(part),
                Err(NotMade::TooMany(reason)) => {
                    for (batch, rows) in by_batch(&part.rows) {
                        ack.reject(&batches[batch], &rows, &reason);
                    }
                }
                Err(NotMade::Failed(error)) => return Err(not_to_be_had(&part.collection, error)),
            }
        }
        Ok(ready)
    }

    /// What is done now and then, whatever comes of it.
    async fn keep_up(&mut self) {
        if let Some(upkeep) = self.upkeep.as_mut().filter(|upkeep| upkeep.is_due())
            && let Err(error) = upkeep.sweep(Timestamp::now()).await
        {
            tracing::warn!(sink = %self.name, error = %error.chain(), "collections by time were not looked after");
        }
        let LeftOut { values, headers } = self.left_out;
        let is_due = self.warned.is_none_or(|at| at.elapsed() >= WARNING_INTERVAL);
        if values + headers > 0 && is_due {
            tracing::warn!(
                sink = %self.name,
                values,
                headers,
                "left out: values that do not fit the type of their field, and headers whose field is another one's"
            );
            (self.left_out, self.warned) = (LeftOut::default(), Some(Instant::now()));
        }
    }
}

fn not_to_be_had(collection: &str, error: RequestError) -> DeliveryError {
    let message = format!("collection {collection} is not to be had");
    match error.class() {
        ErrorClass::Denied => DeliveryError::Fatal { message, source: Some(error.into()) },
        _ => DeliveryError::Retry { message, after: error.retry_after(), source: Some(error.into()) },
    }
}

fn part_of<'a>(parts: &'a mut Vec<Part>, collection: &str, mapping: &Mapping) -> &'a mut Part {
    let at = parts.iter().position(|part| part.collection == collection).unwrap_or_else(|| {
        let builder = DocumentsBuilder::new(&mapping.encoding);
        parts.push(Part { collection: collection.to_owned(), builder, rows: Vec::new() });
        parts.len() - 1
    });
    &mut parts[at]
}

#[async_trait(?Send)]
impl Sink for SolrSink {
    async fn deliver(&mut self, delivery: Delivery) -> Result<(), DeliveryError> {
        let indexer = self.indexer();
        if !self.held.is_below(self.spec.in_flight_bytes, PATIENCE).await {
            return Err(self.no_room(&indexer));
        }
        self.keep_up().await;
        let Delivery { batches, mut ack, .. } = delivery;
        let mut parts = Vec::new();
        for (number, batch) in batches.iter().enumerate() {
            self.write(number as u32, batch, &mut parts, &mut ack);
        }
        let ready = self.prepare_all(parts, &batches, &mut ack).await?;
        let (mut submitted, mut written, mut verdict) = (Vec::with_capacity(ready.len()), 0, Ok(()));
        for Part { collection, mut builder, rows } in ready {
            let documents = builder.finish();
            let bytes = documents.bytes();
            match indexer.submit(&collection, documents).await {
                Ok(submission) => {
                    written += bytes;
                    submitted.push((submission, rows));
                }
                Err(error) => verdict = Err(not_to_be_had(&collection, error)),
            }
        }
        if submitted.is_empty() {
            verdict?;
            ack.ack();
            return Ok(());
        }
        // The events are kept for the dead letters among them.
        let bytes = batches.iter().map(EventBatch::memory_bytes).sum::<usize>().max(written);
        self.held.add(bytes);
        tokio::spawn(Waiting { parts: submitted, batches, ack, verdict, bytes, held: self.held.clone() }.settle());
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
