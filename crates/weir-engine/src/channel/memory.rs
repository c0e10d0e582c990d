//! Channel `memory`: fast, bounded, gone with the process.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;
use weir_event::{ChannelId, EventBatch, Offsets, Origin};

use super::{AppendError, Backlog, Channel, ChannelError, ChannelUsage, Cursor, Position, ReadChunk, ReadLimit};
use crate::receipt::ReceiptTicket;

/// Bounds of a memory channel.
#[derive(Clone, Copy, Debug)]
pub struct MemoryLimits {
    /// Most bytes of batches held, arenas counted whole.
    pub bytes_max: u64,
    /// Most events held.
    pub events_max: u64,
}

/// A queue of batches with a position per group. Events stay until every group released them.
pub struct MemoryChannel {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    id: ChannelId,
    limits: MemoryLimits,
    /// Guards the queue; held for moving references only.
    queue: Mutex<Queue>,
    room: Condvar,
    wakeup: Arc<Notify>,
}

#[derive(Default)]
struct Queue {
    /// Batches by first offset, contiguous.
    batches: VecDeque<EventBatch>,
    /// Offset of the first event of the first batch.
    start: u64,
    /// One past the last event.
    end: u64,
    bytes: u64,
    released: BTreeMap<String, u64>,
    closed: bool,
}

impl MemoryChannel {
    /// An empty channel. `log` identifies this run of it: positions of another run never compare equal.
    #[must_use]
    pub fn new(name: &str, limits: MemoryLimits, log: u64) -> Self {
        Self {
            shared: Arc::new(Shared {
                name: name.into(),
                id: ChannelId { log, partition: 0 },
                limits,
                queue: Mutex::default(),
                room: Condvar::new(),
                wakeup: Arc::new(Notify::new()),
            }),
        }
    }
}

impl Queue {
    fn has_room(&self, limits: MemoryLimits) -> bool {
        // An empty channel takes any one batch, or a batch larger than the capacity would wait for ever.
        self.batches.is_empty() || (self.bytes < limits.bytes_max && self.end - self.start < limits.events_max)
    }

    fn first_offset(batch: &EventBatch) -> u64 {
        batch.origin().and_then(|origin| origin.offset(0)).unwrap_or_default()
    }

    /// Forgets the batches that every group has passed; whether any went.
    fn forget_released(&mut self) -> bool {
        let Some(passed) = self.released.values().min().copied() else { return false };
        let before = self.batches.len();
        while let Some(first) = self.batches.front() {
            let end = self.start + first.len() as u64;
            if end > passed {
                break;
            }
            self.bytes -= first.memory_bytes() as u64;
            self.start = end;
            self.batches.pop_front();
        }
        self.batches.len() < before
    }

    /// Batches from the one that contains `from`, up to the limit.
    fn collect(&self, from: u64, to: u64, limit: ReadLimit) -> Vec<EventBatch> {
        let index = self.batches.partition_point(|batch| Self::first_offset(batch) + batch.len() as u64 <= from);
        let mut bytes = 0;
        let mut found = Vec::new();
        for batch in self.batches.iter().skip(index) {
            let first = Self::first_offset(batch);
            let size = batch.memory_bytes();
            if first >= to || (!found.is_empty() && bytes + size > limit.bytes_max) {
                break;
            }
            bytes += size;
            let start = from.saturating_sub(first) as usize;
            let end = (to - first).min(batch.len() as u64) as usize;
            found.push(if start == 0 && end == batch.len() { batch.clone() } else { batch.slice(start..end) });
        }
        found
    }
}

impl Channel for MemoryChannel {
    fn name(&self) -> &str {
        &self.shared.name
    }

    fn is_durable(&self) -> bool {
        false
    }

    fn try_append(&self, batch: &EventBatch, ticket: ReceiptTicket) -> Result<(), AppendError> {
        let shared = &self.shared;
        let mut queue = shared.queue.lock();
        if queue.closed {
            return Err(AppendError::Closed(ticket));
        }
        if batch.is_empty() {
            // Nothing to read would mean nothing to release, and the room it took would never come back.
            drop(queue);
            ticket.complete(Ok(()));
            return Ok(());
        }
        if !queue.has_room(shared.limits) {
            return Err(AppendError::Full(ticket));
        }
        let origin = Origin { channel: shared.id, offsets: Offsets::Contiguous { first: queue.end } };
        let batch = batch.clone().with_origin(origin);
        queue.end += batch.len() as u64;
        queue.bytes += batch.memory_bytes() as u64;
        queue.batches.push_back(batch);
        drop(queue);
        ticket.complete(Ok(()));
        shared.wakeup.notify_waiters();
        Ok(())
    }

    fn wait_for_room(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut queue = self.shared.queue.lock();
        while !queue.has_room(self.shared.limits) && !queue.closed {
            if self.shared.room.wait_until(&mut queue, deadline).timed_out() {
                break;
            }
        }
        queue.has_room(self.shared.limits)
    }

    fn cursor(&self, group: &str) -> Result<Box<dyn Cursor>, ChannelError> {
        let mut queue = self.shared.queue.lock();
        let start = queue.start;
        let next = *queue.released.entry(group.into()).or_insert(start);
        Ok(Box::new(MemoryCursor { shared: self.shared.clone(), group: group.into(), next }))
    }

    fn usage(&self) -> ChannelUsage {
        let queue = self.shared.queue.lock();
        ChannelUsage {
            bytes: queue.bytes,
            capacity_bytes: self.shared.limits.bytes_max,
            events_share: (queue.end - queue.start) as f64 / self.shared.limits.events_max as f64,
            durability_mode: "none",
            appended: queue.end,
            ..ChannelUsage::default()
        }
    }

    fn close(&self) -> Result<(), ChannelError> {
        self.shared.queue.lock().closed = true;
        self.shared.room.notify_all();
        Ok(())
    }
}

struct MemoryCursor {
    shared: Arc<Shared>,
    group: String,
    next: u64,
}

impl MemoryCursor {
    fn chunk(batches: Vec<EventBatch>, from: u64) -> ReadChunk {
        let events: u64 = batches.iter().map(|batch| batch.len() as u64).sum();
        ReadChunk {
            partition: 0,
            range: from..from + events,
            batches,
            stored: Vec::new(),
            lost: Vec::new(),
            unsynced: 0,
        }
    }
}

impl Cursor for MemoryCursor {
    fn positions(&self) -> Vec<Position> {
        let queue = self.shared.queue.lock();
        let released = queue.released.get(&self.group).copied().unwrap_or_default();
        vec![Position { channel: self.shared.id, released, end: queue.end }]
    }

    fn repeats_below(&self, _partition: u32) -> u64 {
        // Nothing outlives the process.
        0
    }

    fn read(&mut self, limit: ReadLimit) -> Result<Option<ReadChunk>, ChannelError> {
        let queue = self.shared.queue.lock();
        let batches = queue.collect(self.next, queue.end, limit);
        drop(queue);
        if batches.is_empty() {
            return Ok(None);
        }
        let chunk = Self::chunk(batches, self.next);
        self.next = chunk.range.end;
        Ok(Some(chunk))
    }

    fn read_again(&mut self, _partition: u32, range: Range<u64>, limit: ReadLimit) -> Result<ReadChunk, ChannelError> {
        let queue = self.shared.queue.lock();
        Ok(Self::chunk(queue.collect(range.start, range.end, limit), range.start))
    }

    fn release(&mut self, _partition: u32, up_to: u64) {
        let mut queue = self.shared.queue.lock();
        let up_to = up_to.min(queue.end);
        if let Some(released) = queue.released.get_mut(&self.group) {
            *released = (*released).max(up_to);
        }
        if queue.forget_released() {
            self.shared.room.notify_all();
        }
    }

    fn wakeup(&self) -> Arc<Notify> {
        self.shared.wakeup.clone()
    }

    fn backlog(&self) -> Backlog {
        let queue = self.shared.queue.lock();
        let released = queue.released.get(&self.group).copied().unwrap_or_default();
        let index = queue.batches.partition_point(|batch| Queue::first_offset(batch) + batch.len() as u64 <= released);
        Backlog {
            events: queue.end - released,
            bytes: queue.batches.iter().skip(index).map(|batch| batch.body_bytes() as u64).sum(),
            oldest_arrival_ms: queue.batches.get(index).map(EventBatch::arrival_ms),
        }
    }
}
