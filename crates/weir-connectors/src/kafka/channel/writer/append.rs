//! [`Writer`]: what a lane does when it appends.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use weir_codec::record_batch::{Compression, EncodeError, EncodedBatch};
use weir_engine::channel::AppendError;
use weir_engine::receipt::ReceiptTicket;
use weir_event::EventBatch;
use weir_kafka::{Producer, ProducerOptions, Topic};

use super::room::{Entrance, Room};
use super::send::{Sending, receipt_of};
use crate::io_thread::IoThread;
use crate::kafka::channel::health::Troubles;
use crate::kafka::channel::reach::Ready;
use crate::kafka::encode::{BatchEncoder, Pieces};
use crate::kafka::partition::{Partitioner, Spread};
use crate::kafka::produce::ProduceSpec;
use crate::kafka::record::RecordSpec;

/// What troubles of a header that names partitions are filed under.
const ABOUT_HEADER: &str = "partition header";

/// Encodes on the threads of lanes, and sends.
pub(in super::super) struct Writer {
    produce: ProduceSpec,
    record: RecordSpec,
    /// One encoder per lane that is encoding now; their tables and buffers are reused.
    encoders: Mutex<Vec<BatchEncoder>>,
    /// What went to which partition.
    spread: Mutex<Spread>,
    sending: Arc<Sending>,
}

/// What a writer is made of.
pub(in super::super) struct Opening<'a> {
    pub(in super::super) channel: &'a str,
    pub(in super::super) topic: &'a str,
    pub(in super::super) produce: ProduceSpec,
    pub(in super::super) record: RecordSpec,
    pub(in super::super) request_timeout: Duration,
    pub(in super::super) room: Arc<Room>,
    pub(in super::super) troubles: Arc<Troubles>,
}

/// A batch cut by partition and size.
#[derive(Default)]
struct Cut {
    pieces: Vec<(i32, EncodedBatch)>,
    /// Size of an event that is larger than a batch may be.
    too_large: Option<usize>,
    /// Events whose header names no partition.
    nowhere: usize,
}

impl Writer {
    pub(in super::super) fn start(io: &IoThread, opening: Opening<'_>) -> Self {
        let Opening { channel, topic, produce, record, request_timeout, room, troubles } = opening;
        let (pieces, inbox) = mpsc::unbounded_channel();
        let sending = Arc::new(Sending {
            channel: channel.to_owned(),
            topic: topic.to_owned(),
            // The room is the bound; the producer never makes this side wait.
            options: ProducerOptions { in_flight_bytes_max: usize::MAX, ..produce.producer_options(request_timeout) },
            room,
            troubles,
            appended: AtomicU64::new(0),
            batch_bytes_max: AtomicUsize::new(produce.record_batch_bytes_max),
            producer: OnceLock::new(),
            pieces,
        });
        io.spawn(sending.clone().feed(inbox));
        Self { produce, record, encoders: Mutex::default(), spread: Mutex::default(), sending }
    }

    /// Events that brokers have.
    pub(in super::super) fn appended(&self) -> u64 {
        self.sending.appended.load(Relaxed)
    }

    pub(in super::super) fn try_append(
        &self,
        ready: Option<Ready>,
        batch: &EventBatch,
        ticket: ReceiptTicket,
    ) -> Result<(), AppendError> {
        if batch.is_empty() {
            ticket.complete(Ok(()));
            return Ok(());
        }
        let ready = match (self.sending.room.entrance(), ready) {
            (Entrance::Open, Some(ready)) => ready,
            (Entrance::Closed, _) => return Err(AppendError::Closed(ticket)),
            _ => return Err(AppendError::Full(ticket)),
        };
        // As last heard: partitions may be added.
        let topic = ready.cluster.cached_topic(&self.sending.topic).unwrap_or(ready.topic);
        let encoder = self.encoders.lock().pop();
        let mut encoder = encoder.unwrap_or_else(|| self.encoder());
        let cut = self.cut(batch, &topic, &mut encoder);
        self.encoders.lock().push(encoder);
        let cut = match cut {
            Ok(Cut { too_large: Some(bytes), .. }) => {
                return Err(AppendError::TooLarge { ticket, bytes, bytes_max: self.produce.record_batch_bytes_max });
            }
            Ok(cut) => Ok(cut),
            Err(fault) => Err(weir_engine::chain(&fault)),
        };
        let append = receipt_of(ticket);
        // Of what no piece stands for.
        let rest = append.ticket();
        let sent = cut.and_then(|cut| {
            for (partition, batch) in cut.pieces {
                self.sending.pass_on(&ready.cluster, partition, batch, &append);
            }
            self.told_nowhere(cut.nowhere, &topic)
        });
        rest.complete(sent.map_err(|reason| self.sending.failure(reason)));
        append.arm();
        Ok(())
    }

    fn encoder(&self) -> BatchEncoder {
        let compression = self.produce.compression.unwrap_or(Compression::Lz4);
        BatchEncoder::new(self.record.clone(), compression, self.produce.level)
            .expect("the level was checked with the configuration")
    }

    fn cut(&self, batch: &EventBatch, topic: &Topic, encoder: &mut BatchEncoder) -> Result<Cut, EncodeError> {
        let loads = self.sending.producer.get().map_or_else(HashMap::new, Producer::leader_loads);
        let placement = self.spread.lock().place(&self.produce.partitioner, batch, topic, &loads);
        let mut cut = Cut { nowhere: placement.nowhere.len(), ..Cut::default() };
        for (partition, rows) in placement.parts {
            let part = rows.map_or_else(|| batch.clone(), |rows| batch.select(&rows));
            let mut pieces = Pieces::default();
            encoder.encode(&part, self.sending.batch_bytes_max.load(Relaxed), &mut pieces)?;
            // The topic took no batch of this size, but perhaps it takes an event of it.
            for (event, _) in std::mem::take(&mut pieces.too_large) {
                encoder.encode(&event, self.produce.record_batch_bytes_max, &mut pieces)?;
            }
            cut.too_large = cut.too_large.max(pieces.too_large.iter().map(|(_, bytes)| *bytes).max());
            cut.pieces.extend(pieces.encoded.into_iter().map(|encoded| (partition, encoded)));
        }
        Ok(cut)
    }

    /// What there is to say about events whose header names no partition: nobody has them.
    fn told_nowhere(&self, events: usize, topic: &Topic) -> Result<(), String> {
        let Partitioner::Header(header) = &self.produce.partitioner else { return Ok(()) };
        if events == 0 {
            self.sending.troubles.clear(ABOUT_HEADER);
            return Ok(());
        }
        let (name, count) = (&topic.name, topic.partitions.len());
        let text = format!("header {header} of {events} events names no partition of topic {name}, which has {count}");
        self.sending.troubles.set(ABOUT_HEADER, text.clone());
        Err(text)
    }
}
