//! Write, sync, complete; and what a failed write or sync leads to (L3, L8, L9).
//!
//! A failed sync says that pages are lost and marks them clean: asking again would be answered with a false yes. So
//! nothing behind the last good sync of that segment counts, the segment is given up there, and everything unsynced,
//! which is still in memory, is written again into a new segment that starts at that offset. If the new one fails
//! before its first good sync, the log stops writing. A full disk is different: it stops taking batches but keeps those
//! it has, and goes on when there is room for a whole segment.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::Core;
use crate::SyncSite;
use crate::disk::{is_space_error, write_all};
use crate::errors::AppendFailure;
use crate::format::data_stamp;
use crate::options::Durability;
use crate::report::{Health, ReadOnlyReason};

/// A failed write, sync or creation.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) detail: String,
    pub(crate) is_space: bool,
}

impl Fault {
    pub(crate) fn new(action: &str, path: &Path, error: &io::Error) -> Self {
        Self { detail: format!("{action} {}: {error}", path.display()), is_space: is_space_error(error) }
    }
}

impl Core {
    /// Writes what is pending and syncs what is due.
    pub(crate) fn commit(&mut self) {
        self.retry(|core| core.advance());
    }

    /// Writes and syncs everything, due or not.
    pub(crate) fn commit_now(&mut self) {
        self.retry(|core| {
            core.write_pending()?;
            core.sync()
        });
    }

    /// Runs `step` until it succeeds or the log can write no more. At most once more than there are segments to fall back on,
    /// since a fault without a good sync in between is final.
    fn retry(&mut self, mut step: impl FnMut(&mut Self) -> Result<(), Fault>) {
        while self.can_write() {
            match step(self) {
                Ok(()) => return,
                Err(fault) => self.on_fault(&fault),
            }
        }
    }

    fn can_write(&self) -> bool {
        self.shared.state.lock().health == Health::Healthy
    }

    fn advance(&mut self) -> Result<(), Fault> {
        self.write_pending()?;
        let now = self.clock.monotonic();
        let is_due = self.first_unsynced.is_some_and(|first| now >= first + self.sync_delay());
        if is_due || self.is_rewriting { self.sync() } else { Ok(()) }
    }

    fn write_pending(&mut self) -> Result<(), Fault> {
        while !self.pending.is_empty() {
            self.write_front()?;
            let is_due = match self.options.durability {
                Durability::Always => true,
                Durability::Group { bytes_max, .. } => self.unsynced_bytes >= bytes_max,
                Durability::Interval(_) => {
                    self.complete_at_write();
                    // Memory is bounded by the queue limit, so a long interval must not hold more than half of it.
                    self.unsynced_bytes >= self.options.queue_bytes_max / 2
                }
            };
            if is_due {
                self.sync()?;
            }
        }
        Ok(())
    }

    /// Writes the first pending batch, into a new segment if the active one has no room.
    fn write_front(&mut self) -> Result<(), Fault> {
        let Some(front) = self.pending.front() else { return Ok(()) };
        let (first, bytes) = (front.first, front.bytes());
        if self.active.as_ref().is_some_and(|active| active.written + bytes > self.options.segment_bytes) {
            self.roll()?;
        }
        if self.active.is_none() {
            self.active = Some(self.create_segment(first)?);
        }
        let (Some(active), Some(front)) = (&mut self.active, self.pending.front_mut()) else { return Ok(()) };
        assert!(active.end == front.first, "offsets are given out in the order of the queue");
        let follows_sync = self.unsynced.is_empty();
        front.batch.stamp(data_stamp(first, self.shared.epoch, front.arrival_s, follows_sync));
        write_all(&*active.file, front.batch.as_bytes(), active.written)
            .map_err(|error| Fault::new("write to", &active.view.path, &error))?;
        if active.end == active.view.base {
            active.view.first_arrival_s.store(front.arrival_s, Ordering::Relaxed);
        }
        active.view.remember(first, active.written);
        active.written += bytes;
        active.end = front.end();
        self.unsynced_bytes += bytes;
        self.first_unsynced.get_or_insert_with(|| self.clock.monotonic());
        self.unsynced.extend(self.pending.pop_front());
        Ok(())
    }

    fn complete_at_write(&mut self) {
        if let Some(written) = self.unsynced.back_mut() {
            std::mem::take(&mut written.receipt).complete(Ok(()));
        }
    }

    /// Seals the full active segment: only the last segment may ever hold anything unsynced.
    fn roll(&mut self) -> Result<(), Fault> {
        if self.unsynced.is_empty() {
            self.seal_active();
        } else {
            if let Some(active) = &self.active {
                let _ = active.file.truncate(active.written);
            }
            self.sync()?;
        }
        self.active = None;
        Ok(())
    }

    /// Makes everything written durable, shows it to readers, and completes its receipts.
    pub(crate) fn sync(&mut self) -> Result<(), Fault> {
        let Some(active) = self.active.as_ref().filter(|_| !self.unsynced.is_empty()) else { return Ok(()) };
        let started = self.clock.monotonic();
        active.file.sync(SyncSite::Data).map_err(|error| Fault::new("sync", &active.view.path, &error))?;
        let took = self.clock.monotonic().saturating_sub(started);
        {
            let mut state = self.shared.state.lock();
            active.view.bytes.store(active.written, Ordering::Release);
            self.shared.set_durable_end(active.end);
            state.queued_bytes -= self.unsynced_bytes;
            state.used_bytes += self.unsynced_bytes;
            state.counters.syncs += 1;
            state.counters.last_sync = took;
            state.counters.sync_time += took;
        }
        self.unsynced_bytes = 0;
        self.first_unsynced = None;
        self.is_rewriting = false;
        self.has_news = true;
        let mut buffers = Vec::with_capacity(self.unsynced.len());
        for written in self.unsynced.drain(..) {
            written.receipt.complete(Ok(()));
            buffers.push(written.batch.into_bytes());
        }
        self.shared.give_buffers(buffers.into_iter());
        Ok(())
    }

    fn on_fault(&mut self, fault: &Fault) {
        self.poison();
        if fault.is_space {
            self.probe_at = Some(self.clock.monotonic() + self.options.probe_interval);
            self.set_health(Health::ReadOnly { reason: ReadOnlyReason::DiskFull { detail: fault.detail.clone() } });
        } else if self.is_rewriting {
            self.stop_writing(&fault.detail);
        } else {
            self.is_rewriting = true;
            self.uses_fallback |= self.dirs.fallback.is_some();
        }
    }

    /// Gives up the active segment at its last good sync and takes back what was written since.
    fn poison(&mut self) {
        while let Some(written) = self.unsynced.pop_back() {
            self.pending.push_front(written);
        }
        self.unsynced_bytes = 0;
        self.first_unsynced = None;
        let Some(active) = self.active.take() else { return };
        let good = active.view.bytes.load(Ordering::Acquire);
        // So that the tail is not found in the page cache after a crash of the process and taken for written. If it
        // fails, the next segment's base still bounds this one.
        let _ = active.file.truncate(good);
        let mut state = self.shared.state.lock();
        state.counters.poisoned_segments += 1;
        if active.view.base == self.shared.durable_end() {
            // Nothing good in it. Its name stays taken if this fails, which costs a suffix.
            state.segments.retain(|view| !std::sync::Arc::ptr_eq(view, &active.view));
            state.used_bytes -= good;
            drop(state);
            let _ = self.disk.unlink(&active.view.path);
        }
    }

    /// Ends writing for good: all receipts that wait fail.
    pub(crate) fn stop_writing(&mut self, detail: &str) {
        self.probe_at = None;
        self.set_health(Health::ReadOnly { reason: ReadOnlyReason::WriteFailed { detail: detail.to_owned() } });
        self.take_back_queue();
        self.fail_all();
    }

    fn take_back_queue(&mut self) {
        let mut state = self.shared.state.lock();
        self.pending.append(&mut state.queue);
    }

    /// Fails everything that was taken and is not durable.
    pub(crate) fn fail_all(&mut self) {
        let reason = {
            let mut state = self.shared.state.lock();
            let failed: u64 = self.pending.iter().map(|pending| pending.bytes()).sum();
            state.queued_bytes -= failed;
            state.next_offset = self.shared.durable_end();
            match &state.health {
                Health::ReadOnly { reason } => Some(reason.clone()),
                Health::Healthy => None,
            }
        };
        let mut dropped_unsynced = 0;
        for pending in self.pending.drain(..) {
            if pending.receipt.is_complete() {
                dropped_unsynced += u64::from(pending.batch.record_count());
            }
            let failure = reason.clone().map_or(AppendFailure::Closed, |reason| AppendFailure::ReadOnly { reason });
            pending.receipt.complete(Err(failure));
        }
        self.shared.state.lock().counters.dropped_unsynced_records += dropped_unsynced;
        self.has_news = true;
    }

    pub(crate) fn set_health(&mut self, health: Health) {
        self.shared.state.lock().health = health;
        self.has_news = true;
    }

    /// While the disk is full: goes on if a whole segment can be made. That is far more than the append that failed
    /// needed, so the log does not flutter between the states.
    pub(crate) fn probe(&mut self) {
        if self.probe_at.is_none_or(|at| self.clock.monotonic() < at) {
            return;
        }
        self.make_reserve();
        match self.create_segment(self.shared.durable_end()) {
            Ok(active) => {
                self.active = Some(active);
                self.probe_at = None;
                self.set_health(Health::Healthy);
                self.commit();
            }
            Err(fault) if fault.is_space => {
                self.probe_at = Some(self.clock.monotonic() + self.options.probe_interval);
            }
            Err(fault) => self.stop_writing(&fault.detail),
        }
    }
}
