//! What was sent and is not answered: the client of a sink, and the task that waits for a delivery's receipts.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;
use weir_codec::record_batch::{Decoder, DecoderOptions, EncodedBatch};
use weir_engine::backoff::Backoff;
use weir_engine::clock::now_ms;
use weir_engine::delivery::{AckToken, DeliveryError};
use weir_engine::ledger::Reasons;
use weir_event::{ArenaPool, EventBatch};
use weir_kafka::{Cluster, ErrorCode, Producer, Receipt, SendError};

use super::super::encode::{BatchEncoder, Pieces};
use super::super::mend::{INVALID_TIMESTAMP, move_times};
use super::super::record::RecordSpec;
use crate::kafka::count_throttled;

/// Arenas for batches that have to be looked into: a batch of the default size of sources, with headers, and two of
/// them, one being split while another is encoded.
const DECODED_BYTES: usize = 1 << 20;
const DECODED_FREE_MAX: usize = 2;

/// Kafka's numbers for a batch that is larger than the topic or the broker allows, and for records it will not have.
const TOO_LARGE: [i16; 2] = [10, 18];
const INVALID: [i16; 2] = [INVALID_TIMESTAMP, 87];

/// Bytes sent and not answered, and whoever waits for there to be less.
#[derive(Debug, Default)]
pub(super) struct Flight {
    bytes: AtomicUsize,
    answered: Notify,
}

impl Flight {
    fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    fn take(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Relaxed);
        self.answered.notify_waiters();
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// Waits until less than `limit` is in flight; `false` if nothing at all was answered for `patience`.
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

/// A batch and where it goes.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) batch: EncodedBatch,
}

/// A batch on its way.
struct Sent {
    bytes: usize,
    receipt: Receipt,
}

/// A batch that its topic refuses until somebody sees to that.
struct Refused {
    outgoing: Outgoing,
    bytes: usize,
    /// What is wrong and what to do.
    message: String,
}

/// Keeps the lane from sending anything, and says why, until it is dropped.
struct Told {
    client: Arc<Client>,
    message: String,
}

impl Told {
    fn new(client: &Arc<Client>, message: Option<&str>) -> Self {
        let message = message.unwrap_or_default().to_owned();
        client.waiting.lock().push(message.clone());
        Self { client: client.clone(), message }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let mut waiting = self.client.waiting.lock();
        if let Some(at) = waiting.iter().position(|other| *other == self.message) {
            waiting.swap_remove(at);
        }
    }
}

/// What becomes of a batch that was refused.
enum Next {
    /// These instead, or nothing.
    Sent(VecDeque<Sent>),
    Wait(Box<Refused>),
}

/// The connected side of a sink, shared by its lane and the tasks that wait.
pub(super) struct Client {
    pub(super) cluster: Cluster,
    pub(super) producer: Producer,
    pub(super) flight: Flight,
    record: RecordSpec,
    /// Held for one batch, by the lane or by a task that splits: both run on the lane's thread.
    encoder: Mutex<BatchEncoder>,
    decoder: Mutex<Decoder>,
    /// Largest batch that is sent; less once a topic has refused that.
    batch_bytes_max: AtomicUsize,
    /// Why deliveries that are partly written wait, one message each. Held for a few words' work.
    waiting: Mutex<Vec<String>>,
    faults: Arc<Reasons>,
    /// Of the time that brokers made this client wait, milliseconds that were counted. Held for one look.
    throttled_ms: Mutex<u64>,
}

impl Client {
    pub(super) fn new(
        cluster: Cluster,
        producer: Producer,
        record: RecordSpec,
        encoder: BatchEncoder,
        batch_bytes_max: usize,
        faults: Arc<Reasons>,
    ) -> Self {
        // The bytes come from our own channel or our own encoder.
        let decoder = Decoder::new(ArenaPool::new(DECODED_BYTES, DECODED_FREE_MAX), DecoderOptions::trusted());
        Self {
            cluster,
            producer,
            flight: Flight::default(),
            record,
            encoder: Mutex::new(encoder),
            decoder: Mutex::new(decoder),
            batch_bytes_max: AtomicUsize::new(batch_bytes_max),
            waiting: Mutex::default(),
            faults,
            throttled_ms: Mutex::default(),
        }
    }

    /// Why nothing more is to be sent until the refused part is in, if it is so.
    pub(super) fn refusal(&self) -> Option<String> {
        self.waiting.lock().first().cloned()
    }

    pub(super) fn batch_bytes_max(&self) -> usize {
        self.batch_bytes_max.load(Relaxed)
    }

    pub(super) fn decoder(&self) -> parking_lot::MutexGuard<'_, Decoder> {
        self.decoder.lock()
    }

    /// Encodes events in pieces that fit, and marks those that fit nowhere.
    pub(super) fn encode(
        &self,
        batch: &EventBatch,
        bytes_max: usize,
        ack: &mut AckToken,
    ) -> Result<Vec<EncodedBatch>, DeliveryError> {
        let mut pieces = Pieces::default();
        let encoded = self.encoder.lock().encode(batch, bytes_max, &mut pieces);
        encoded.map_err(|error| DeliveryError::retry("events could not be encoded", error))?;
        for (event, bytes) in &pieces.too_large {
            ack.reject(
                event,
                &[0],
                &format!("a record of {bytes} bytes is larger than the {bytes_max} that are sent at most"),
            );
        }
        Ok(pieces.encoded)
    }

    /// Sends batches in order; then waits for their receipts in a task of its own and answers for the delivery.
    pub(super) async fn send(self: &Arc<Self>, batches: Vec<Outgoing>, ack: AckToken) -> Result<(), DeliveryError> {
        let mut sent = VecDeque::with_capacity(batches.len());
        for outgoing in batches {
            sent.push_back(self.send_one(outgoing).await?);
        }
        tokio::spawn(self.clone().settle(sent, ack));
        Ok(())
    }

    async fn send_one(&self, outgoing: Outgoing) -> Result<Sent, DeliveryError> {
        let bytes = outgoing.batch.as_bytes().len();
        let sent = self.producer.send(&outgoing.topic, outgoing.partition, outgoing.batch).await;
        let receipt = sent.map_err(|error| DeliveryError::retry("the producer has ended", error))?;
        self.flight.add(bytes);
        Ok(Sent { bytes, receipt })
    }

    async fn settle(self: Arc<Self>, mut open: VecDeque<Sent>, mut ack: AckToken) {
        let mut backoff = Backoff::default();
        let mut is_written = false;
        let mut told = None;
        loop {
            let (refused, verdict) = self.wait_for(open, &mut is_written, &mut ack).await;
            count_throttled(&self.faults, self.producer.statistics().throttled, &mut self.throttled_ms.lock());
            let verdict = match (verdict, refused.first()) {
                (Ok(()), None) => return ack.ack(),
                // Nothing of it is anywhere: it may come again as a whole, when somebody has seen to the topic.
                (Ok(()), Some(refused)) if !is_written => {
                    Err(DeliveryError::Fatal { message: refused.message.clone(), source: None })
                }
                (verdict, _) => verdict,
            };
            if let Err(error) = verdict {
                self.flight.take(refused.iter().map(|refused| refused.bytes).sum());
                return ack.nack(&error);
            }
            // A part of it is written, and would be written again with every attempt: only what was refused is sent again.
            told.get_or_insert_with(|| Told::new(&self, refused.first().map(|refused| &*refused.message)));
            open = match self.send_later(refused, &mut backoff).await {
                Ok(sent) => sent,
                Err(error) => return ack.nack(&error),
            };
        }
    }

    /// Waits for the receipts of a delivery, also of what is sent instead of a batch; what its topics refuse until somebody
    /// sees to them.
    async fn wait_for(
        &self,
        mut open: VecDeque<Sent>,
        is_written: &mut bool,
        ack: &mut AckToken,
    ) -> (Vec<Refused>, Result<(), DeliveryError>) {
        let (mut waiting, mut verdict) = (Vec::new(), Ok(()));
        while let Some(Sent { bytes, receipt }) = open.pop_front() {
            let outcome = match receipt.await {
                Ok(_) => {
                    *is_written = true;
                    Ok(Next::Sent(VecDeque::new()))
                }
                Err(SendError::Refused { topic, partition, code, batch }) => {
                    self.refused(Outgoing { topic, partition, batch }, bytes, code, ack).await
                }
                Err(error @ SendError::Closed) => Err(DeliveryError::retry("batches were in flight", error)),
            };
            match outcome {
                // Its bytes are here for longer.
                Ok(Next::Wait(refused)) => {
                    waiting.push(*refused);
                    continue;
                }
                Ok(Next::Sent(parts)) => open.extend(parts),
                // The others are still waited for: what is in flight must not be sent again beside itself.
                Err(error) => verdict = verdict.and(Err(error)),
            }
            self.flight.take(bytes);
        }
        (waiting, verdict)
    }

    /// Sends refused batches again after a pause.
    async fn send_later(&self, refused: Vec<Refused>, backoff: &mut Backoff) -> Result<VecDeque<Sent>, DeliveryError> {
        let message = refused.first().map(|refused| &*refused.message).unwrap_or_default();
        let pause = backoff.next(&mut fastrand::Rng::new());
        tracing::warn!(
            batches = refused.len(),
            retry_in_ms = pause.as_millis() as u64,
            "{message}; the rest of the delivery is written, so only these are sent again"
        );
        tokio::time::sleep(pause).await;
        let mut sent = VecDeque::with_capacity(refused.len());
        let mut outcome = Ok(());
        for Refused { outgoing, bytes, .. } in refused {
            // What it weighs in flight is counted already.
            match self.producer.send(&outgoing.topic, outgoing.partition, outgoing.batch).await {
                Ok(receipt) => sent.push_back(Sent { bytes, receipt }),
                Err(error) => {
                    self.flight.take(bytes);
                    outcome = Err(DeliveryError::retry("the producer has ended", error));
                }
            }
        }
        outcome.map(|()| sent)
    }

    /// Deals with a batch that a broker will not have: smaller ones, none at all, or the same again later.
    async fn refused(
        &self,
        outgoing: Outgoing,
        bytes_in_flight: usize,
        code: ErrorCode,
        ack: &mut AckToken,
    ) -> Result<Next, DeliveryError> {
        let Outgoing { topic, partition, batch } = outgoing;
        let is_too_large = TOO_LARGE.contains(&code.code());
        if !is_too_large && !INVALID.contains(&code.code()) {
            let message = format!(
                "topic {topic} refuses what is sent to partition {partition}: {code}; see to the topic and to this agent's rights on it"
            );
            let outgoing = Outgoing { topic, partition, batch };
            return Ok(Next::Wait(Box::new(Refused { outgoing, bytes: bytes_in_flight, message })));
        }
        let bytes = batch.as_bytes().len();
        let mut events = self.events(batch)?;
        let mut parts = VecDeque::new();
        if code.code() == INVALID_TIMESTAMP && move_times(&mut events, now_ms()) {
            tracing::warn!(%topic, "brokers refuse the times of events; they go into header weir.timestamp");
            for batch in self.encode(&events, self.batch_bytes_max(), ack)? {
                parts.push_back(self.send_one(Outgoing { topic: topic.clone(), partition, batch }).await?);
            }
            return Ok(Next::Sent(parts));
        }
        if events.len() == 1 {
            ack.reject(&events, &[0], &format!("topic {topic} refuses a record batch of {bytes} bytes: {code}"));
            return Ok(Next::Sent(VecDeque::new()));
        }
        if is_too_large {
            // Half of what was too large is what the next ones have at most; the topic's true limit is not known.
            let known = self.batch_bytes_max.fetch_min((bytes / 2).max(1), Relaxed);
            if bytes / 2 < known {
                tracing::warn!(%topic, bytes, "the topic refuses batches of this size, smaller ones are sent: set record_batch_bytes_max below its max.message.bytes");
            }
        }
        let middle = events.len() / 2;
        for half in [events.slice(0..middle), events.slice(middle..events.len())] {
            for batch in self.encode(&half, self.batch_bytes_max(), ack)? {
                parts.push_back(self.send_one(Outgoing { topic: topic.clone(), partition, batch }).await?);
            }
        }
        Ok(Next::Sent(parts))
    }

    /// The events of a batch of ours, as the pipeline knows them.
    fn events(&self, batch: EncodedBatch) -> Result<EventBatch, DeliveryError> {
        let decoded = self.decoder.lock().decode(Bytes::from(batch.into_bytes()), None, 0);
        let decoded = decoded.map_err(|error| DeliveryError::retry("a refused batch cannot be decoded", error))?;
        let events = decoded.into_events().unwrap_or_else(|| EventBatch::from_bodies::<&[u8]>(&[], 0));
        Ok(self.record.received(events))
    }
}
