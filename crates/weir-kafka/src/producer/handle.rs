//! [`Producer`]: what callers hold.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use weir_codec::record_batch::EncodedBatch;

use super::driver::Driver;
use super::{Acks, ProducerOptions};
use crate::{Cluster, ErrorCode};

/// Batches handed to the driver and not yet taken up by it; the bound on bytes is the one that counts.
const COMMANDS_MAX: usize = 1024;

/// Sends ready-made batches to the leaders of their partitions. Cloning shares it.
///
/// Its driver ends when the last clone is gone; what was not acknowledged by then resolves to [`SendError::Closed`].
#[derive(Clone)]
pub struct Producer {
    commands: mpsc::Sender<Command>,
    room: Arc<Semaphore>,
    room_bytes: usize,
    shared: Arc<Shared>,
}

/// A batch on its way to the driver.
pub(super) struct Command {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) batch: EncodedBatch,
    pub(super) sender: Sender,
}

/// The way back to the sender of a batch.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) receipt: oneshot::Sender<Result<Appended, SendError>>,
    /// Room for the bytes of the batch, given back with the verdict.
    pub(super) _room: OwnedSemaphorePermit,
}

/// What driver and handles share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) counters: Counters,
    /// Bytes queued per leader, as of the driver's last round.
    pub(super) loads: Mutex<HashMap<i32, usize>>,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) requests: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) records: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) attempts_failed: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) repeats: AtomicU64,
    pub(super) throttled_ms: AtomicU64,
}

/// What a producer has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ProducerStatistics {
    /// Requests sent.
    pub requests: u64,
    /// Batches written.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Attempts of a batch that failed and were or will be repeated.
    pub attempts_failed: u64,
    /// Batches handed back.
    pub refused: u64,
    /// Batches the broker had already when they were sent again.
    pub repeats: u64,
    /// For how long brokers asked this client to be silent: their quotas.
    pub throttled: Duration,
}

/// A batch is in the log, at the durability of [`Acks`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// Offset of its first record; `None` if the broker had it from an earlier attempt and no longer says where.
    pub base_offset: Option<i64>,
}

/// Why a batch is not in the log.
#[derive(Error)]
pub enum SendError {
    /// The broker refuses it, and would again.
    #[error("{topic}-{partition} refused a batch of {} bytes: {code}", batch.as_bytes().len())]
    Refused {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// Why: [`ErrorCode::MESSAGE_TOO_LARGE`] asks for smaller batches.
        code: ErrorCode,
        /// The batch, to be split, sent elsewhere or set aside.
        batch: EncodedBatch,
    },
    /// The producer ended first; whether the batch was written is unknown.
    #[error("the producer was closed before the batch was acknowledged")]
    Closed,
}

impl fmt::Debug for SendError {
    /// The batch by its size: events do not belong into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SendError({self})")
    }
}

/// Resolves when a batch is in the log or refused. Dropping it changes nothing for the batch.
#[derive(Debug)]
#[must_use = "a batch counts as written only when its receipt says so"]
pub struct Receipt {
    verdict: oneshot::Receiver<Result<Appended, SendError>>,
}

impl Future for Receipt {
    type Output = Result<Appended, SendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.verdict).poll(context).map(|verdict| verdict.unwrap_or(Err(SendError::Closed)))
    }
}

impl Producer {
    /// Starts a producer on the current tokio runtime. Connects when there is something to send.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn new(cluster: &Cluster, mut options: ProducerOptions) -> Self {
        options.idempotent &= options.acks == Acks::All;
        let connection_max = cluster.options().connection.in_flight_requests_max;
        options.requests_in_flight_max = options.requests_in_flight_max.clamp(1, 5).min(connection_max.max(1));
        // Permits are counted in 32 bits.
        let room_bytes = options.in_flight_bytes_max.clamp(1, u32::MAX as usize);
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let shared = Arc::<Shared>::default();
        tokio::spawn(Driver::new(cluster.clone(), options, shared.clone()).run(inbox));
        Self { commands, room: Arc::new(Semaphore::new(room_bytes)), room_bytes, shared }
    }

    /// Takes a batch for a partition; waits while too many bytes are in flight. Batches of one partition are written in
    /// the order in which their `send` completes.
    ///
    /// Dropping the future before it completes drops the batch unsent.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the runtime of the producer is gone.
    pub async fn send(&self, topic: &str, partition: i32, mut batch: EncodedBatch) -> Result<Receipt, SendError> {
        // The bound on memory counts batches by their size, so they may not hold more; and a buffer that its maker gets
        // back at once is in the cache, and needs no fresh pages, when the next batch goes into it.
        batch.shrink();
        let bytes = batch.as_bytes().len().min(self.room_bytes) as u32;
        let room = self.room.clone().acquire_many_owned(bytes).await.expect("the semaphore is never closed");
        let (receipt, verdict) = oneshot::channel();
        let sender = Sender { receipt, _room: room };
        let command = Command { topic: Arc::from(topic), partition, batch, sender };
        self.commands.send(command).await.map_err(|_| SendError::Closed)?;
        Ok(Receipt { verdict })
    }

    /// Bytes waiting for or in flight to each leader, by broker id, as of the driver's last round: the basis for
    /// spreading batches so that no leader falls behind.
    #[must_use]
    pub fn leader_loads(&self) -> HashMap<i32, usize> {
        self.shared.loads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What this producer has done so far.
    #[must_use]
    pub fn statistics(&self) -> ProducerStatistics {
        let counters = &self.shared.counters;
        ProducerStatistics {
            requests: counters.requests.load(Relaxed),
            batches: counters.batches.load(Relaxed),
            records: counters.records.load(Relaxed),
            bytes: counters.bytes.load(Relaxed),
            attempts_failed: counters.attempts_failed.load(Relaxed),
            refused: counters.refused.load(Relaxed),
            repeats: counters.repeats.load(Relaxed),
            throttled: Duration::from_millis(counters.throttled_ms.load(Relaxed)),
        }
    }
}
