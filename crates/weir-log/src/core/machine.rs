//! The state, a turn, closing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::disk::{Disk, DiskLock};
use crate::errors::CloseError;
use crate::options::{Durability, LogOptions};
use crate::report::{Health, ReadOnlyReason};
use crate::shared::{Pending, SegmentView, Shared};
use crate::slots::SlotFile;
use crate::survey::Dirs;
use crate::{SyncSite, disk::DiskFile};

/// How long nothing has to happen before the memory of encode buffers goes back to the system.
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// The segment that is written to.
pub(crate) struct Active {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) view: Arc<SegmentView>,
    /// Bytes written, synced or not.
    pub(crate) written: u64,
    /// Offset behind the last batch written.
    pub(crate) end: u64,
}

/// Everything that only the writer touches.
pub(crate) struct Core {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) dirs: Dirs,
    pub(crate) options: LogOptions,
    /// `None` while no segment can be written to: right after one was poisoned, and while read-only.
    pub(crate) active: Option<Active>,
    /// Taken from the queue, not written.
    pub(crate) pending: VecDeque<Pending>,
    /// Written to the active segment, not synced. With `pending`, all that a new segment would need to be given again.
    pub(crate) unsynced: VecDeque<Pending>,
    pub(crate) unsynced_bytes: u64,
    pub(crate) first_unsynced: Option<Duration>,
    /// A write or sync failed and nothing has been synced since: another failure is the end.
    pub(crate) is_rewriting: bool,
    pub(crate) uses_fallback: bool,
    /// When to look for space; set exactly while the disk is full.
    pub(crate) probe_at: Option<Duration>,
    pub(crate) positions_at: Option<Duration>,
    pub(crate) meta: SlotFile,
    /// Number of the next segment in this epoch.
    pub(crate) ordinal: u32,
    pub(crate) has_reserve: bool,
    /// Something readers or appenders may wait for has changed in this turn.
    pub(crate) has_news: bool,
    /// Held until the core is gone.
    pub(crate) _lock: Box<dyn DiskLock>,
}

impl Core {
    /// Does all that is to be done now. Blocks for disk I/O; runs completions and wakes.
    pub(crate) fn turn(&mut self) {
        self.take_queue();
        self.commit();
        self.set_damaged_aside();
        self.keep_positions(false);
        self.probe();
        if std::mem::take(&mut self.has_news) {
            self.shared.announce();
        }
    }

    /// Waits until there is something to do. `true` if that is closing.
    pub(crate) fn wait(&self) -> bool {
        let (mut state, mut has_buffers) = (self.shared.state.lock(), true);
        loop {
            if state.is_closing {
                return true;
            }
            // While the disk is full the queue waits for the probe.
            if state.is_kicked || (!state.queue.is_empty() && self.probe_at.is_none()) {
                return false;
            }
            match self.deadline() {
                None if has_buffers => {
                    if self.shared.work.wait_for(&mut state, IDLE_AFTER).timed_out() {
                        has_buffers = false;
                        self.shared.forget_buffers();
                    }
                }
                None => self.shared.work.wait(&mut state),
                Some(at) => {
                    let now = self.clock.monotonic();
                    if at <= now {
                        return false;
                    }
                    self.shared.work.wait_for(&mut state, at - now);
                }
            }
        }
    }

    /// When a turn is due even if nothing comes in.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let sync_at = self.first_unsynced.map(|first| first + self.sync_delay());
        [sync_at, self.positions_at, self.probe_at].into_iter().flatten().min()
    }

    pub(crate) fn sync_delay(&self) -> Duration {
        match self.options.durability {
            Durability::Always => Duration::ZERO,
            Durability::Group { delay_max, .. } => delay_max,
            Durability::Interval(interval) => interval,
        }
    }

    fn take_queue(&mut self) {
        let mut state = self.shared.state.lock();
        state.is_kicked = false;
        self.pending.append(&mut state.queue);
    }

    /// Writes and syncs everything, positions too, and marks the log as closed in order.
    ///
    /// # Errors
    /// What could not be made durable. The log is closed all the same.
    pub(crate) fn close(&mut self) -> Result<(), CloseError> {
        self.take_queue();
        self.commit();
        self.commit_now();
        // A full disk may have got room since the last probe: what is queued gets a last chance.
        if self.probe_at.is_some() {
            self.probe_at = Some(Duration::ZERO);
            self.probe();
            self.commit_now();
        }
        self.set_damaged_aside();
        self.keep_positions(true);
        let outcome = self.close_outcome();
        if !self.pending.is_empty() {
            self.fail_all();
        }
        self.seal_active();
        if self.active.take().is_some() {
            let end = self.shared.durable_end();
            // Without this mark the next open takes the log for crashed and scans it: slower, not wrong.
            let _ = self.meta.write(&*self.disk, u64::from(self.shared.epoch), end + 1);
        }
        self.shared.announce();
        outcome
    }

    fn close_outcome(&self) -> Result<(), CloseError> {
        let (health, failing) = {
            let state = self.shared.state.lock();
            (state.health.clone(), state.counters.positions_failing.clone())
        };
        if !self.pending.is_empty() {
            let unknown = ReadOnlyReason::WriteFailed { detail: "no segment could be written".to_owned() };
            let reason = if let Health::ReadOnly { reason } = health { reason } else { unknown };
            return Err(CloseError::Unwritten { batches: self.pending.len(), reason });
        }
        failing.map_or(Ok(()), |detail| Err(CloseError::Positions { detail }))
    }

    /// Cuts the active segment to its data. Best effort: a longer file costs space until it is released, nothing else.
    pub(crate) fn seal_active(&mut self) {
        if let Some(active) = &self.active {
            let _ = active.file.truncate(active.written);
            let _ = active.file.sync(SyncSite::Data);
        }
    }
}
