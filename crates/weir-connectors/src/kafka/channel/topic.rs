//! [`KafkaChannel`]: both sides, and the thread they share.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use weir_engine::channel::{AppendError, Channel, ChannelError, ChannelUsage, Cursor};
use weir_engine::receipt::ReceiptTicket;
use weir_engine::source::StartError;
use weir_event::EventBatch;

use super::config::Spec;
use super::health::Troubles;
use super::reach::{Ready, reach};
use super::reader::{self, Membership, Opening};
use super::writer::{self, Room, Writer};
use crate::io_thread::IoThread;

/// How long the end of the channel waits for what is in flight, and for each group to commit and leave. Sources have
/// waited for their receipts before, and sinks have finished, so this is for a last round trip.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A topic as a channel.
pub(super) struct KafkaChannel {
    name: String,
    spec: Spec,
    /// After how long without an answer brokers count as gone.
    patience: Duration,
    /// `None` until the topic is known.
    ready: watch::Receiver<Option<Ready>>,
    room: Arc<Room>,
    troubles: Arc<Troubles>,
    writer: Writer,
    /// Of groups that were opened here; empty once the channel is closed.
    memberships: Mutex<Vec<Membership>>,
    /// Last, so that what it runs ends when nothing else is left.
    io: IoThread,
}

impl KafkaChannel {
    /// Begins to look for the brokers; waits for nothing.
    pub(super) fn open(name: &str, spec: &Spec) -> Result<Self, StartError> {
        let options = spec.connection.cluster_options(&format!("channel {name}"))?;
        let patience = options.connection.request_timeout;
        let thread = format!("{}-io", name.chars().take(12).collect::<String>());
        let io = IoThread::start(&thread)
            .map_err(|error| StartError::new(format!("channel {name}: no thread for its client"), error))?;
        let (found, ready) = watch::channel(None);
        let (room, troubles) = (Room::new(spec.produce.in_flight_bytes), Arc::<Troubles>::default());
        io.spawn(reach(name.to_owned(), options, spec.topic.clone(), troubles.clone(), found));
        let (mut known, door) = (ready.clone(), room.clone());
        io.spawn(async move {
            if known.wait_for(Option::is_some).await.is_ok() {
                door.open();
            }
        });
        let opening = writer::Opening {
            channel: name,
            topic: &spec.topic,
            produce: spec.produce.clone(),
            record: spec.record.clone(),
            request_timeout: patience,
            room: room.clone(),
            troubles: troubles.clone(),
        };
        let writer = Writer::start(&io, opening);
        let (name, spec, memberships) = (name.to_owned(), spec.clone(), Mutex::default());
        Ok(Self { name, spec, patience, ready, room, troubles, writer, memberships, io })
    }

    /// The cluster and the topic; waits for them.
    fn ready(&self) -> Result<Ready, ChannelError> {
        let (mut ready, patience) = (self.ready.clone(), self.spec.start_timeout);
        let waited = self.io.wait_for(async move {
            let found = tokio::time::timeout(patience, ready.wait_for(Option::is_some)).await;
            found.ok().and_then(Result::ok).and_then(|found| found.clone())
        });
        waited.flatten().ok_or_else(|| {
            let known = self.troubles.list().join("; ");
            let why = if known.is_empty() { "they have not answered".to_owned() } else { known };
            let brokers = self.spec.connection.brokers();
            self.error(
                format!(
                    "topic {} of {brokers} was not there within {patience:?} (start_timeout): {why}",
                    self.spec.topic
                ),
                None,
            )
        })
    }

    fn error(&self, message: String, source: Option<weir_kafka::ClusterError>) -> ChannelError {
        ChannelError { channel: self.name.clone(), message, source: source.map(Into::into) }
    }
}

impl Channel for KafkaChannel {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn try_append(&self, batch: &EventBatch, ticket: ReceiptTicket) -> Result<(), AppendError> {
        let ready = self.ready.borrow().clone();
        self.writer.try_append(ready, batch, ticket)
    }

    fn wait_for_room(&self, timeout: Duration) -> bool {
        self.room.wait(timeout)
    }

    fn cursor(&self, group: &str) -> Result<Box<dyn Cursor>, ChannelError> {
        let ready = self.ready()?;
        let opening = Opening {
            channel: &self.name,
            group,
            read: &self.spec.read,
            record: &self.spec.record,
            troubles: &self.troubles,
        };
        let (cursor, membership) = reader::open(&self.io, &ready, &opening).map_err(|error| {
            let group = self.spec.read.consumer_group(group);
            self.error(
                format!("positions of consumer group {group} in topic {} cannot be read", self.spec.topic),
                Some(error),
            )
        })?;
        self.memberships.lock().push(membership);
        Ok(cursor)
    }

    fn usage(&self) -> ChannelUsage {
        let mut degraded = self.troubles.list();
        if let Some(stuck) = self.room.stuck_for().filter(|stuck| *stuck > self.patience) {
            degraded.push(format!(
                "brokers have acknowledged nothing for {} s; {} bytes wait for them",
                stuck.as_secs(),
                self.room.bytes()
            ));
        }
        ChannelUsage {
            bytes: self.room.bytes() as u64,
            capacity_bytes: self.room.limit_bytes() as u64,
            events_share: 0.0,
            durability_mode: self.spec.produce.durability_mode(),
            appended: self.writer.appended(),
            syncs: 0,
            degraded,
        }
    }

    fn close(&self) -> Result<(), ChannelError> {
        self.room.close();
        let is_empty = self.room.wait_until_empty(CLOSE_TIMEOUT);
        let memberships = std::mem::take(&mut *self.memberships.lock());
        let mut faults = Vec::new();
        if !is_empty {
            let bytes = self.room.bytes();
            faults.push(format!(
                "brokers have not acknowledged {bytes} bytes; their sources were not told that they are kept"
            ));
        }
        let ends = self.io.wait_for(async move {
            let mut faults = Vec::new();
            for membership in memberships {
                match tokio::time::timeout(CLOSE_TIMEOUT, membership.close()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(fault)) => faults.push(fault),
                    Err(_) => faults.push(
                        "a group did not commit and leave in time; what was delivered last is delivered again"
                            .to_owned(),
                    ),
                }
            }
            faults
        });
        faults.extend(ends.unwrap_or_default());
        if faults.is_empty() { Ok(()) } else { Err(self.error(faults.join("; "), None)) }
    }
}
