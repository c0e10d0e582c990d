//! The handle.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{JoinHandle, ThreadId};
use std::time::Duration;

use parking_lot::Mutex;
use weir_codec::record_batch::{BatchHeader, EncodedBatch};

use crate::clock::{Clock, SystemClock};
use crate::core;
use crate::disk::Disk;
use crate::errors::{AppendError, CloseError, Closed, Completion, GroupError, OpenError};
use crate::format::{OFFSET_CEILING, arrival_seconds};
use crate::group::{self, Group};
use crate::options::LogOptions;
use crate::report::{GroupStatus, Health, LogStatus, OpenReport};
use crate::shared::{Pending, Receipt, Shared};
use crate::writer;

/// A durable log. Cloning shares it; when the last clone goes, it is closed as by [`Log::close`].
#[derive(Clone)]
pub struct Log {
    owner: Arc<Owner>,
}

struct Owner {
    shared: Arc<Shared>,
    writer_id: Option<ThreadId>,
    /// Guards the thread until it is joined, and then what came of it.
    writer: Mutex<Writer>,
}

enum Writer {
    Running(JoinHandle<writer::Outcome>),
    Ended(Closed),
}

impl Log {
    /// Opens the log in `dir`, or makes it, and starts its writer thread. Reads one header per segment and the last
    /// segment whole. A damaged log opens: what is wrong with it is in the report.
    ///
    /// # Errors
    /// [`OpenError`]: in use, written by a newer version (then nothing is changed), contradictory options, or a file
    /// system that refuses.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, options: LogOptions) -> Result<(Self, OpenReport), OpenError> {
        Self::open_with_clock(disk, Arc::new(SystemClock::default()), dir, options)
    }

    /// [`Log::open`] with another clock, for simulations.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_with_clock(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        dir: &Path,
        options: LogOptions,
    ) -> Result<(Self, OpenReport), OpenError> {
        let (core, report) = core::open(disk, clock, dir, options)?;
        let shared = core.shared.clone();
        let thread = writer::spawn(core).map_err(|source| OpenError::Thread { dir: dir.to_owned(), source })?;
        let writer_id = Some(thread.thread().id());
        let owner = Owner { shared, writer_id, writer: Mutex::new(Writer::Running(thread)) };
        Ok((Self { owner: Arc::new(owner) }, report))
    }

    /// A handle without a thread, for tests that turn the core themselves.
    #[cfg(test)]
    pub(crate) fn over(shared: Arc<Shared>) -> Self {
        let writer = Mutex::new(Writer::Ended(Arc::new(Ok(()))));
        Self { owner: Arc::new(Owner { shared, writer_id: None, writer }) }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.owner.shared
    }

    /// Random id given to the log when it was made; positive as an `i64`.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.shared().id
    }

    /// Grows by one or more at each open, durably before anything is written under it.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.shared().epoch
    }

    /// Oldest retained offset. Does not go back, not even by a crash, unless the disk failed too.
    #[must_use]
    pub fn start_offset(&self) -> u64 {
        self.shared().state.lock().start_offset
    }

    /// One past the last durable record. Readers never see past it.
    #[must_use]
    pub fn durable_end(&self) -> u64 {
        self.shared().durable_end()
    }

    /// An empty buffer to encode a batch into; the buffers of synced batches come back here.
    #[must_use]
    pub fn buffer(&self) -> Vec<u8> {
        self.shared().take_buffer()
    }

    /// Queues a batch and returns the offsets its records get. Never blocks on the disk; takes one lock. `done` runs on
    /// the writer thread once the batch is as durable as [`crate::Durability`] promises, or when it is known that it will not be.
    /// Batches become durable in the order of their offsets.
    ///
    /// # Errors
    /// [`AppendError`]: the batch was not taken, and comes back with its completion.
    pub fn append(&self, batch: EncodedBatch, arrival_ms: i64, done: Completion) -> Result<Range<u64>, AppendError> {
        let shared = self.shared();
        let options = &shared.options;
        let (bytes, bytes_max) = (batch.as_bytes().len(), options.batch_bytes_max);
        if bytes > bytes_max {
            return Err(AppendError::TooLarge { batch, done, bytes, bytes_max });
        }
        if let Err(why) = check_fit(&batch) {
            return Err(AppendError::Unfit { batch, done, why });
        }
        let mut state = shared.state.lock();
        if state.is_closing {
            return Err(AppendError::Closed { batch, done });
        }
        if let Health::ReadOnly { reason } = &state.health {
            let reason = reason.clone();
            return Err(AppendError::ReadOnly { batch, done, reason });
        }
        if state.is_full(options) {
            let (used_bytes, queued_bytes) = (state.used_bytes, state.queued_bytes);
            return Err(AppendError::Full {
                batch,
                done,
                used_bytes,
                queued_bytes,
                capacity_bytes: options.capacity_bytes,
            });
        }
        let first = state.next_offset;
        let end = first + u64::from(batch.record_count());
        if end >= OFFSET_CEILING {
            return Err(AppendError::Unfit { batch, done, why: "the log has given out all offsets there are" });
        }
        let was_idle = state.queue.is_empty();
        state.next_offset = end;
        state.queued_bytes += bytes as u64;
        state.queue.push_back(Pending {
            batch,
            first,
            arrival_s: arrival_seconds(arrival_ms),
            receipt: Receipt::new(done),
        });
        drop(state);
        if was_idle {
            shared.work.notify_one();
        }
        Ok(first..end)
    }

    /// Blocks until an append may succeed, at most `timeout`. `false`: not yet. Also returns `true` when the log is
    /// closed, since then there is nothing to wait for: the append tells.
    #[must_use]
    pub fn wait_for_room(&self, timeout: Duration) -> bool {
        let shared = self.shared();
        let deadline = shared.clock.monotonic() + timeout;
        let mut state = shared.state.lock();
        loop {
            if state.is_closing || (state.health == Health::Healthy && !state.is_full(&shared.options)) {
                return true;
            }
            let now = shared.clock.monotonic();
            if now >= deadline {
                return false;
            }
            shared.room.wait_for(&mut state, deadline - now);
        }
    }

    /// Has `wake` called whenever the durable end moved, room appeared or the health changed: to wake readers and
    /// appenders that do not block a thread. Called on the writer thread without locks; must not block.
    pub fn on_change(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.shared().add_wake(Arc::from(wake));
    }

    /// Opens the group `name`, or makes it: a new group starts at the oldest retained record. Durable when it returns;
    /// blocks for a sync if the group is new.
    ///
    /// # Errors
    /// [`GroupError`]: a name that cannot be a file name, or a disk that refuses.
    pub fn group(&self, name: &str) -> Result<Group, GroupError> {
        group::open(self.shared(), name)
    }

    /// All groups, by name.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupStatus> {
        let durable_end = self.durable_end();
        self.shared().state.lock().groups.values().map(|group| group.status(durable_end)).collect()
    }

    /// Forgets a group for good; what only it had not released may be deleted at once. Handles of it go on reading but
    /// hold nothing back.
    ///
    /// # Errors
    /// [`GroupError`]: there is none of that name, or a disk that refuses; then the group may be there after the next opening.
    pub fn drop_group(&self, name: &str) -> Result<(), GroupError> {
        group::drop_group(self.shared(), name)
    }

    /// How the log is. Takes one lock.
    #[must_use]
    pub fn status(&self) -> LogStatus {
        let shared = self.shared();
        let state = shared.state.lock();
        let durable_end = shared.durable_end();
        let counters = state.counters.clone();
        let oldest = state.segments.first().filter(|_| state.start_offset < durable_end);
        LogStatus {
            health: state.health.clone(),
            start_offset: state.start_offset,
            durable_end,
            next_offset: state.next_offset,
            segments: state.segments.len(),
            used_bytes: state.used_bytes,
            capacity_bytes: shared.options.capacity_bytes,
            queued_bytes: state.queued_bytes,
            sync_count: counters.syncs,
            last_sync: counters.last_sync,
            sync_time: counters.sync_time,
            poisoned_segments: counters.poisoned_segments,
            dropped_unsynced_records: counters.dropped_unsynced_records,
            lost: state.lost.clone(),
            torn_bytes: counters.torn_bytes,
            oldest_arrival_s: oldest.map(|view| view.first_arrival_s.load(Ordering::Relaxed)),
            positions_failing: counters.positions_failing,
        }
    }

    /// Refuses further appends, writes and syncs everything queued and all positions, and ends the writer thread. Blocks
    /// until that is done. Calling it again returns the first outcome. Groups and readers can still read.
    ///
    /// # Errors
    /// [`CloseError`]: what could not be made durable.
    pub fn close(&self) -> Result<(), CloseError> {
        self.owner.close()
    }
}

impl Owner {
    fn close(&self) -> Result<(), CloseError> {
        if self.writer_id == Some(std::thread::current().id()) {
            return Err(CloseError::OnWriterThread);
        }
        self.request_close();
        let mut writer = self.writer.lock();
        let ended = Writer::Ended(Arc::new(Err(CloseError::WriterDied)));
        let outcome = match std::mem::replace(&mut *writer, ended) {
            Writer::Running(thread) => Arc::new(thread.join().unwrap_or(Err(CloseError::WriterDied))),
            Writer::Ended(outcome) => outcome,
        };
        *writer = Writer::Ended(outcome.clone());
        (*outcome).clone()
    }

    fn request_close(&self) {
        self.shared.state.lock().is_closing = true;
        self.shared.work.notify_one();
        self.shared.room.notify_all();
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // On the writer thread itself (the last handle was in a completion) the thread closes when it gets back to its loop.
        if matches!(self.close(), Err(CloseError::OnWriterThread)) {
            self.request_close();
        }
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Log")
            .field("id", &self.id())
            .field("durable_end", &self.durable_end())
            .finish_non_exhaustive()
    }
}

/// What recovery relies on to know a batch when it meets one.
fn check_fit(batch: &EncodedBatch) -> Result<(), &'static str> {
    let header = BatchHeader::parse(batch.as_bytes()).map_err(|_| "no batch header")?;
    if header.is_control() {
        return Err("a control batch");
    }
    if header.record_count < 1 {
        return Err("no records");
    }
    if header.last_offset_delta != header.record_count - 1 {
        return Err("its offsets have gaps");
    }
    Ok(())
}
