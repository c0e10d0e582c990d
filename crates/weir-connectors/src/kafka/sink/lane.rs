//! The lane of the sink: deliveries to record batches, and the limits.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use weir_codec::record_batch::{Compression, EncodedBatch, Recompressor};
use weir_engine::delivery::{AckToken, Delivery, DeliveryError};
use weir_engine::ledger::Reasons;
use weir_engine::sink::{FlushReason, Sink, SinkContext};
use weir_engine::stored::StoredBatch;
use weir_event::EventBatch;
use weir_kafka::{Cluster, ClusterError, ClusterOptions, ErrorClass, ErrorCode, Producer, Topic};

use super::super::partition::{Partitioner, Spread};
use super::config::KafkaSinkSpec;
use super::flight::{Client, Outgoing};
use super::topics::ByTopic;

/// After so long without any answer a delivery goes back to the channel and the group's state says that brokers do not
/// answer: longer than an election usually takes, short enough that a stop is not held up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Attributes of a batch other than its compression: times by the broker, transactions, control batches.
const SPECIAL: i16 = !7;

/// The one lane of the sink.
pub(super) struct KafkaSink {
    name: String,
    spec: KafkaSinkSpec,
    options: ClusterOptions,
    faults: Arc<Reasons>,
    /// Once a broker has answered.
    client: Option<Arc<Client>>,
    spreads: HashMap<Arc<str>, Spread>,
    recompressor: Recompressor,
}

impl KafkaSink {
    /// A lane that has not spoken with a broker yet.
    pub(super) fn new(context: &SinkContext, spec: KafkaSinkSpec, options: ClusterOptions) -> Self {
        let (recompressor, spreads) = (spec.recompressor(), HashMap::new());
        let (name, faults) = (context.name.clone(), context.faults.clone());
        Self { name, spec, options, faults, client: None, spreads, recompressor }
    }

    async fn client(&mut self) -> Result<Arc<Client>, DeliveryError> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let connected = Cluster::connect(self.options.clone()).await;
        let cluster = connected.map_err(|error| failure(format!("no connection to {}", self.spec.brokers()), error))?;
        tracing::info!(sink = %self.name, brokers = cluster.brokers().len(), "connected to Kafka");
        let request_timeout = self.options.connection.request_timeout;
        let producer = Producer::new(&cluster, self.spec.producer_options(request_timeout));
        let (record, encoder) = (self.spec.record.clone(), self.spec.encoder());
        let batch_bytes_max = self.spec.produce.record_batch_bytes_max;
        let faults = self.faults.clone();
        let client = Arc::new(Client::new(cluster, producer, record, encoder, batch_bytes_max, faults));
        Ok(self.client.insert(client).clone())
    }

    /// The topic as it is now, which must have the fixed partition if there is one.
    async fn topic(&self, client: &Client, name: &str) -> Result<Arc<Topic>, DeliveryError> {
        let found = client.cluster.topic(name).await.map_err(|error| match &error {
            ClusterError::Refused { code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, .. } => failure(
                format!(
                    "topic {name} does not exist: create it, with as many partitions as will ever read it in parallel"
                ),
                error,
            ),
            _ => failure(format!("topic {name} is not known"), error),
        })?;
        match &self.spec.produce.partitioner {
            Partitioner::Fixed(partition) if *partition as usize >= found.partitions.len() => {
                let message = format!(
                    "topic {name} has {} partitions, none is {partition}: change `partition`",
                    found.partitions.len()
                );
                Err(DeliveryError::Fatal { message, source: None })
            }
            _ => Ok(found),
        }
    }

    /// Adds the record batches of events.
    async fn add_events(
        &mut self,
        client: &Client,
        batch: &EventBatch,
        ack: &mut AckToken,
        out: &mut Vec<Outgoing>,
    ) -> Result<(), DeliveryError> {
        let ByTopic { parts, nowhere } = self.spec.topics.divide(batch);
        ack.reject(batch, &nowhere, "its headers name no topic of topics_allowed");
        for (name, events) in parts {
            let topic = self.topic(client, &name).await?;
            let loads = client.producer.leader_loads();
            let spread = self.spreads.entry(topic.name.clone()).or_default();
            let placement = spread.place(&self.spec.produce.partitioner, &events, &topic, &loads);
            ack.reject(&events, &placement.nowhere, "its header names no partition of the topic");
            for (partition, rows) in placement.parts {
                let part = rows.map_or_else(|| events.clone(), |rows| events.select(&rows));
                for batch in client.encode(&part, client.batch_bytes_max(), ack)? {
                    out.push(Outgoing { topic: topic.name.clone(), partition, batch });
                }
            }
        }
        Ok(())
    }

    /// Adds a batch as it is at rest, if it can go like that; as events otherwise.
    async fn add_stored(
        &mut self,
        client: &Client,
        stored: &StoredBatch,
        ack: &mut AckToken,
        out: &mut Vec<Outgoing>,
    ) -> Result<(), DeliveryError> {
        let only = self.spec.topics.only().map(str::to_owned);
        let as_it_is = only.and_then(|topic| Some((topic, self.as_it_is(stored, client.batch_bytes_max())?)));
        let Some((topic, batch)) = as_it_is else {
            let events = stored.decode(&mut client.decoder());
            let events =
                events.map_err(|error| DeliveryError::retry("a batch of the channel cannot be decoded", error))?;
            return self.add_events(client, &events, ack, out).await;
        };
        let topic = self.topic(client, &topic).await?;
        let loads = client.producer.leader_loads();
        let spread = self.spreads.entry(topic.name.clone()).or_default();
        let bytes = batch.as_bytes().len();
        let partition = spread.choose(&self.spec.produce.partitioner, &topic, &loads, bytes);
        out.push(Outgoing { topic: topic.name.clone(), partition, batch });
        Ok(())
    }

    /// The batch as it is at rest, compressed now if it is not and should be; `None` if it has to be looked into.
    fn as_it_is(&mut self, stored: &StoredBatch, bytes_max: usize) -> Option<EncodedBatch> {
        let header = &stored.header;
        if header.attributes & SPECIAL != 0 || header.last_offset_delta != header.record_count - 1 {
            return None;
        }
        let (compression, wanted) = (header.compression()?, self.spec.produce.compression);
        let batch = if wanted.map_or(compression != Compression::None, |wanted| wanted == compression) {
            EncodedBatch::from_bytes(stored.bytes.to_vec()).ok()
        } else if compression == Compression::None {
            self.recompressor.recompress(&stored.bytes, Vec::new()).ok()
        } else {
            None
        };
        batch.filter(|batch| batch.as_bytes().len() <= bytes_max)
    }
}

#[async_trait(?Send)]
impl Sink for KafkaSink {
    async fn deliver(&mut self, delivery: Delivery) -> Result<(), DeliveryError> {
        let client = self.client().await?;
        if let Some(message) = client.refusal() {
            // Health says so, and what is not sent is not written twice.
            return Err(DeliveryError::Fatal { message, source: None });
        }
        if !client.flight.is_below(self.spec.produce.in_flight_bytes, PATIENCE).await {
            let message = format!(
                "brokers {} have acknowledged nothing for {} s, {} bytes wait for them; events stay in the channel",
                self.spec.brokers(),
                PATIENCE.as_secs(),
                client.flight.bytes()
            );
            return Err(DeliveryError::Retry { message, after: None, source: None });
        }
        let Delivery { batches, stored, mut ack, .. } = delivery;
        // Everything is ready before the first batch is sent: what fails here sends nothing, so nothing is there twice.
        let mut outgoing = Vec::with_capacity(batches.len() + stored.len());
        for batch in &stored {
            self.add_stored(&client, batch, &mut ack, &mut outgoing).await?;
        }
        for batch in &batches {
            self.add_events(&client, batch, &mut ack, &mut outgoing).await?;
        }
        client.send(outgoing, ack).await
    }

    async fn flush(&mut self, reason: FlushReason) -> Result<(), DeliveryError> {
        let Some(client) = &self.client else { return Ok(()) };
        match reason {
            // Everything is on its way.
            FlushReason::Timer | FlushReason::Pressure => {}
            // What is not answered soon is delivered again by the next owner.
            FlushReason::Handover => {
                client.flight.is_below(1, PATIENCE).await;
            }
            // Bounded by the engine.
            FlushReason::Shutdown => while !client.flight.is_below(1, PATIENCE).await {},
        }
        Ok(())
    }
}

/// What stays wrong until somebody sees to it, and what passes.
fn failure(message: String, error: ClusterError) -> DeliveryError {
    let is_permanent = error.class() == ErrorClass::RejectBatch;
    let source = Some(error.into());
    match is_permanent {
        true => DeliveryError::Fatal { message, source },
        false => DeliveryError::Retry { message, after: None, source },
    }
}
