//! From the lane to the producer, and what came of it back to the ticket.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc;
use tracing::{error, warn};
use weir_codec::record_batch::EncodedBatch;
use weir_engine::clock::now_ms;
use weir_engine::receipt::{Receipt, ReceiptFailure, ReceiptTicket};
use weir_kafka::{Cluster, ErrorCode, Producer, ProducerOptions, SendError};

use super::room::{Held, Room};
use crate::kafka::channel::health::Troubles;
use crate::kafka::mend::{INVALID_TIMESTAMP, halves, without_refused_times};

/// What troubles of writing are filed under.
const ABOUT: &str = "writing";

/// A receipt of the pieces of an append: `ticket` completes with the last of them.
pub(super) fn receipt_of(ticket: ReceiptTicket) -> Arc<Receipt> {
    Arc::new(Receipt::new(move |outcome| ticket.complete(outcome.clone())))
}

/// A record batch on its way.
pub(super) struct Piece {
    pub(super) partition: i32,
    pub(super) batch: EncodedBatch,
    /// Of the append it is a piece of, for pieces it may have to be cut into.
    pub(super) append: Arc<Receipt>,
    pub(super) ticket: ReceiptTicket,
    pub(super) held: Held,
}

/// What lanes and the tasks of the IoThread have in common.
pub(super) struct Sending {
    pub(super) channel: String,
    pub(super) topic: String,
    pub(super) options: ProducerOptions,
    pub(super) room: Arc<Room>,
    pub(super) troubles: Arc<Troubles>,
    pub(super) appended: AtomicU64,
    /// Size of record batches that the topic takes, as far as is known.
    pub(super) batch_bytes_max: AtomicUsize,
    /// Made for the first batch: an agent that only reads has none.
    pub(super) producer: OnceLock<Producer>,
    pub(super) pieces: mpsc::UnboundedSender<(Cluster, Piece)>,
}

impl Sending {
    /// Hands pieces to the producer in their order, until the channel is gone.
    pub(super) async fn feed(self: Arc<Self>, mut pieces: mpsc::UnboundedReceiver<(Cluster, Piece)>) {
        while let Some((cluster, piece)) = pieces.recv().await {
            let producer = self.producer.get_or_init(|| Producer::new(&cluster, self.options.clone()));
            let Piece { partition, batch, append, ticket, held } = piece;
            let (events, bytes) = (u64::from(batch.record_count()), batch.as_bytes().len());
            match producer.send(&self.topic, partition, batch).await {
                Ok(receipt) => {
                    let sent = Sent { cluster, events, bytes, append, held };
                    tokio::spawn(self.clone().settle(receipt, sent, ticket));
                }
                Err(failure) => ticket.complete(Err(self.failure(failure.to_string()))),
            }
        }
    }

    async fn settle(self: Arc<Self>, receipt: weir_kafka::Receipt, sent: Sent, ticket: ReceiptTicket) {
        let outcome = match receipt.await {
            Ok(_) => {
                self.appended.fetch_add(sent.events, Relaxed);
                self.troubles.clear(ABOUT);
                drop(sent);
                Ok(())
            }
            Err(SendError::Refused { partition, code, batch, .. }) => match self.mended(code, batch) {
                Some(Ok(batches)) if batches.is_empty() => Err(self.refused(partition, code, &sent)),
                Some(Ok(batches)) => {
                    self.send_again(partition, batches, sent);
                    Ok(())
                }
                Some(Err(reason)) => Err(reason),
                None => Err(self.refused(partition, code, &sent)),
            },
            // Whether the brokers have it is not known: the source may send it again.
            Err(SendError::Closed) => Err("the agent ended before brokers had answered".to_owned()),
        };
        ticket.complete(outcome.map_err(|reason| self.failure(reason)));
    }

    pub(super) fn failure(&self, reason: String) -> ReceiptFailure {
        ReceiptFailure { channel: self.channel.clone(), reason }
    }

    /// What to send instead of a refused batch, if there is anything.
    fn mended(&self, code: ErrorCode, batch: EncodedBatch) -> Option<Result<Vec<EncodedBatch>, String>> {
        let bytes = batch.as_bytes().len();
        let mended = if code == ErrorCode::MESSAGE_TOO_LARGE && batch.record_count() > 1 {
            let before = self.batch_bytes_max.fetch_min(bytes / 2, Relaxed);
            if before > bytes / 2 {
                warn!(channel = %self.channel, topic = %self.topic, bytes, "the topic takes no batches of this size; they are split from now on: raise its max.message.bytes or lower record_batch_bytes_max");
            }
            halves(batch)
        } else if code.code() == INVALID_TIMESTAMP {
            warn!(channel = %self.channel, topic = %self.topic, "brokers refuse the times of events; they go into header weir.timestamp");
            without_refused_times(batch, now_ms()).map(|batch| batch.into_iter().collect())
        } else {
            return None;
        };
        Some(mended.map_err(|fault| weir_engine::chain(&fault)))
    }

    fn send_again(&self, partition: i32, batches: Vec<EncodedBatch>, sent: Sent) {
        for batch in batches {
            self.pass_on(&sent.cluster, partition, batch, &sent.append);
        }
    }

    /// Gives a piece of an append to the task that sends.
    pub(super) fn pass_on(&self, cluster: &Cluster, partition: i32, batch: EncodedBatch, append: &Arc<Receipt>) {
        let held = self.room.hold(batch.as_bytes().len());
        let piece = Piece { partition, batch, append: append.clone(), ticket: append.ticket(), held };
        if let Err(unsent) = self.pieces.send((cluster.clone(), piece)) {
            unsent.0.1.ticket.complete(Err(self.failure("the channel is closed".to_owned())));
        }
    }

    /// Says what a refusal for good means.
    fn refused(&self, partition: i32, code: ErrorCode, sent: &Sent) -> String {
        let topic = &self.topic;
        let advice = match code {
            ErrorCode::MESSAGE_TOO_LARGE => "an event is larger than the topic takes: raise its max.message.bytes",
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => "the topic has no such partition: correct `partition`",
            _ => "see to it that this agent may write to the topic and that the topic takes such records",
        };
        let text = format!(
            "topic {topic}, partition {partition} refused {} events, {} bytes: {code}; {advice}",
            sent.events, sent.bytes
        );
        error!(channel = %self.channel, "{text}");
        self.troubles.set(ABOUT, text.clone());
        text
    }
}

/// What is kept of a piece while its batch is with the producer.
struct Sent {
    cluster: Cluster,
    events: u64,
    bytes: usize,
    append: Arc<Receipt>,
    /// Given back with the verdict.
    #[expect(dead_code, reason = "held for its drop")]
    held: Held,
}
