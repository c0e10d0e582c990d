//! Positions, and what may go because of them (L6, L7).

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Core;
use crate::SyncSite;
use crate::disk::{Access, is_space_error, write_all};
use crate::group::GroupInner;
use crate::scan::WINDOW_BYTES;
use crate::shared::SegmentView;

/// How long to wait after positions could not be written: they cost repeats after a crash, not data.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Core {
    /// Persists positions that moved, if that is due or `at_once`, and deletes what every group has passed.
    pub(crate) fn keep_positions(&mut self, at_once: bool) {
        let now = self.clock.monotonic();
        if self.positions_at.is_some_and(|at| now >= at) || at_once {
            self.positions_at = None;
            if let Err(detail) = self.persist_positions() {
                self.positions_at = Some(now + RETRY_AFTER);
                self.shared.state.lock().counters.positions_failing = Some(detail);
            }
        }
        self.delete_released();
        if self.positions_at.is_none() && self.dirty_groups().next().is_some() {
            self.positions_at = Some(now + self.options.position_delay_max);
        }
    }

    fn dirty_groups(&self) -> impl Iterator<Item = Arc<GroupInner>> + use<> {
        let groups: Vec<_> =
            self.shared.state.lock().groups.values().filter(|group| group.is_dirty()).cloned().collect();
        groups.into_iter()
    }

    fn persist_positions(&mut self) -> Result<(), String> {
        let shared = self.shared.clone();
        let mut failed = Ok(());
        for group in self.dirty_groups() {
            let mut positions = shared.positions.lock();
            // Dropped meanwhile.
            let Some(file) = positions.get_mut(&group.name) else { continue };
            let position = group.released.load(Ordering::SeqCst);
            let mut outcome = file.write(&*self.disk, position, 0);
            if outcome.as_ref().is_err_and(is_space_error) && self.spend_reserve() {
                outcome = file.write(&*self.disk, position, 0);
            }
            match outcome {
                Ok(()) => group.persisted.store(position, Ordering::SeqCst),
                Err(error) => failed = Err(format!("write the position of group {}: {error}", group.name)),
            }
        }
        if failed.is_ok() {
            self.shared.state.lock().counters.positions_failing = None;
        }
        failed
    }

    /// Deletes the segments that every group has durably passed, oldest first. A log without groups keeps all.
    pub(crate) fn delete_released(&mut self) {
        let Some((doomed, start_offset)) = self.released_segments() else { return };
        let mut deleted = Vec::new();
        for view in doomed {
            match self.disk.unlink(&view.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => break,
                _ => deleted.push(view),
            }
        }
        let Some(last) = deleted.last() else {
            // Tried again with the next positions.
            self.positions_at.get_or_insert(self.clock.monotonic() + RETRY_AFTER);
            return;
        };
        self.sync_dirs_of(deleted.iter().map(|view| view.path.as_path()));
        let mut state = self.shared.state.lock();
        let gone = state.segments.partition_point(|view| view.base <= last.base);
        let freed: u64 = state.segments.drain(..gone).map(|view| view.bytes.load(Ordering::Acquire)).sum();
        state.used_bytes -= freed;
        state.start_offset = state.segments.first().map_or(start_offset, |first| first.base);
        self.has_news = true;
        // Space for a log that waits for it.
        self.probe_at = self.probe_at.map(|_| Duration::ZERO);
    }

    fn released_segments(&self) -> Option<(Vec<Arc<SegmentView>>, u64)> {
        let state = self.shared.state.lock();
        let position = state.groups.values().map(|group| group.persisted.load(Ordering::SeqCst)).min()?;
        // A segment's end is the base of the next one; the last segment has none and always stays.
        let ends = state.segments.iter().skip(1).map(|next| next.base);
        let passed = ends.take_while(|end| *end <= position).count();
        let doomed = state.segments[..passed].to_vec();
        (passed > 0).then(|| (doomed, state.segments[passed].base))
    }

    /// Makes it durable that `deleted` are gone.
    pub(crate) fn sync_dirs_of<'a>(&self, deleted: impl Iterator<Item = &'a Path> + Clone) {
        for dir in std::iter::once(&self.dirs.segments).chain(&self.dirs.fallback) {
            if deleted.clone().any(|path| path.starts_with(dir)) {
                // If it fails, a power loss may bring segments back that all groups have passed; they go at the next open.
                let _ = self.disk.sync_dir(dir, SyncSite::SegmentDelete);
            }
        }
    }

    /// Gives damaged segments a second name in `quarantine/`, so that they outlive their release (L5).
    pub(crate) fn set_damaged_aside(&mut self) {
        let views = std::mem::take(&mut self.shared.state.lock().to_quarantine);
        for view in views {
            // The reader has reported the loss itself; without the copy only a later look at the bytes is lost.
            let _ = self.quarantine(&view.path);
        }
    }

    /// Keeps a copy of `path` under `quarantine/`.
    pub(crate) fn quarantine(&self, path: &Path) -> io::Result<()> {
        quarantine(&*self.disk, &self.dirs.quarantine, path)
    }
}

/// Links `path` into `dir`, or copies it if it lies on another file system.
pub(crate) fn quarantine(disk: &dyn crate::Disk, dir: &Path, path: &Path) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let copy = dir.join(name);
    match disk.link(path, &copy) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy_file(disk, path, &copy)?,
        outcome => outcome?,
    }
    disk.sync_dir(dir, SyncSite::Copy)
}

fn copy_file(disk: &dyn crate::Disk, from: &Path, to: &Path) -> io::Result<()> {
    let (source, target) = (disk.open(from, Access::Read)?, disk.create(to)?);
    let (mut at, mut buffer) = (0, Vec::new());
    loop {
        crate::disk::read_tolerant(&*source, &mut buffer, WINDOW_BYTES, at)?;
        if buffer.is_empty() {
            return target.sync(SyncSite::Copy);
        }
        write_all(&*target, &buffer, at)?;
        at += buffer.len() as u64;
    }
}
