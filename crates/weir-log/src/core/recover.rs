//! Opening: from whatever is on the disk to a log that can be appended to.
//!
//! Only the last segment is read; the headers of the others are. Nothing is ever concluded from a missing file:
//! without meta file the segments tell id and epoch, without position file a group starts at the oldest retained
//! record, and without the last segments their offsets are still not given out again if a position or the mark of a
//! clean close proves that they existed.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Core;
use super::claim::{make_dirs, refuse_newer, take_lock};
use super::commit::Fault;
use super::positions::quarantine;
use crate::SyncSite;
use crate::clock::Clock;
use crate::disk::{Access, Disk, DiskFile, DiskLock, write_all};
use crate::errors::OpenError;
use crate::format::{SEGMENT_HEADER_BYTES, arrival_seconds};
use crate::group::adopt;
use crate::options::LogOptions;
use crate::report::{DamagedBytes, Health, LostRange, OpenReport, ReadOnlyReason};
use crate::scan::WINDOW_BYTES;
use crate::shared::{SegmentView, Shared, Start};
use crate::slots::{Kind, Slot, SlotFile, Verdict, read_file};
use crate::survey::{Dirs, Found, Scan, chain, identity, read_positions, scan, survey};

/// Opens or makes the log in `dir`.
pub(crate) fn open(
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    dir: &Path,
    options: LogOptions,
) -> Result<(Core, OpenReport), OpenError> {
    options.check().map_err(|detail| OpenError::Options { dir: dir.to_owned(), detail })?;
    let dirs = Dirs::new(dir, options.fallback_dir.as_deref());
    refuse_newer(&*disk, &dirs)?;
    make_dirs(&*disk, &dirs)?;
    let lock = take_lock(&*disk, dir)?;
    let mut recovery =
        Recovery { disk: &*disk, dirs: &dirs, report: OpenReport::default(), doomed: Vec::new(), released: 0 };
    let meta = recovery.read_meta()?;
    let found = recovery.find_segments(&meta)?;
    let groups = recovery.read_groups()?;
    // Everything that could be of a newer version has been looked at: from here on, files may change.
    let mut found = recovery.sort_out(found)?;
    recovery.doom_released(&groups, &mut found);
    let scanned = recovery.find_end(&mut found)?;
    let end = recovery.settle_end(scanned, &meta, &groups, &mut found)?;
    let Recovery { mut report, doomed, .. } = recovery;
    report.start_offset = found.first().map_or(end, |first| first.base);
    report.end_offset = end;
    if !found.is_empty() {
        report.lost.extend(missing_in_front(&groups, report.start_offset));
    }

    let view = |found: &Found| {
        let created_s = found.header.map_or(0, |header| arrival_seconds(header.created_ms));
        let epoch = found.header.map(|header| header.epoch);
        Arc::new(SegmentView::new(found.path.clone(), found.base, epoch, found.bytes, created_s))
    };
    let shared = Arc::new(Shared::new(Start {
        disk: disk.clone(),
        clock: clock.clone(),
        groups_dir: dirs.groups.clone(),
        options: options.clone(),
        id: report.id,
        epoch: report.epoch,
        segments: found.iter().map(view).collect(),
        start_offset: report.start_offset,
        end_offset: end,
        lost: report.lost.clone(),
        torn_bytes: report.torn_bytes,
    }));
    for (name, verdict) in groups {
        // Clamped from below: what was deleted was released. `settle_end` has made the end fit from above.
        let position = verdict.newest.map_or(0, |slot| slot.value).max(report.start_offset);
        adopt(&shared, &name, position, verdict.newest);
    }
    let slots = SlotFile::open(&*disk, dirs.meta(), Kind::Meta, report.id, meta.newest);
    let core = new_core(disk, clock, shared, dirs, options, slots, lock);
    Ok((start(core, &doomed), report))
}

fn new_core(
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    dirs: Dirs,
    options: LogOptions,
    meta: SlotFile,
    lock: Box<dyn DiskLock>,
) -> Core {
    Core {
        disk,
        clock,
        shared,
        dirs,
        options,
        active: None,
        pending: std::collections::VecDeque::new(),
        unsynced: std::collections::VecDeque::new(),
        unsynced_bytes: 0,
        first_unsynced: None,
        is_rewriting: false,
        uses_fallback: false,
        probe_at: None,
        positions_at: None,
        meta,
        ordinal: 0,
        has_reserve: false,
        has_news: false,
        _lock: lock,
    }
}

/// Makes the epoch durable, then the first segment of it. If the disk does not let us, the log opens read-only: what it
/// holds can still be drained.
fn start(mut core: Core, doomed: &[PathBuf]) -> Core {
    core.make_reserve();
    let epoch = u64::from(core.shared.epoch);
    let mut outcome = core.meta.write(&*core.disk, epoch, 0);
    if outcome.as_ref().is_err_and(crate::disk::is_space_error) && core.spend_reserve() {
        outcome = core.meta.write(&*core.disk, epoch, 0);
    }
    // Position files that were found may not have a durable name yet, if their making was interrupted.
    let outcome = outcome.map_err(|error| Fault::new("write the epoch to", &core.dirs.meta(), &error)).and_then(|()| {
        let dir = &core.dirs.groups;
        core.disk.sync_dir(dir, SyncSite::PositionRename).map_err(|error| Fault::new("sync", dir, &error))
    });
    if let Err(fault) = outcome {
        core.set_health(Health::ReadOnly { reason: ReadOnlyReason::WriteFailed { detail: fault.detail } });
        return core;
    }
    // Positions that were read may be in the page cache only; segments go once they are on the disk.
    core.keep_positions(true);
    let is_settled = core.shared.state.lock().counters.positions_failing.is_none();
    match core.create_segment(core.shared.durable_end()) {
        Ok(active) => {
            core.active = Some(active);
            // Only now: until then they were the last to know where the log ends.
            for path in doomed.iter().filter(|_| is_settled) {
                let _ = core.disk.unlink(path);
            }
            if is_settled && !doomed.is_empty() {
                core.sync_dirs_of(doomed.iter().map(PathBuf::as_path));
            }
        }
        Err(fault) if fault.is_space => {
            core.probe_at = Some(core.clock.monotonic() + core.options.probe_interval);
            core.set_health(Health::ReadOnly { reason: ReadOnlyReason::DiskFull { detail: fault.detail } });
        }
        Err(fault) => {
            let reason = ReadOnlyReason::WriteFailed { detail: fault.detail };
            core.set_health(Health::ReadOnly { reason });
        }
    }
    core.delete_released();
    core
}

struct Recovery<'a> {
    disk: &'a dyn Disk,
    dirs: &'a Dirs,
    report: OpenReport,
    /// Segments without any record that counts, to be unlinked once a new segment tells where the log ends.
    doomed: Vec<PathBuf>,
    /// What every group has durably passed: it may be missing.
    released: u64,
}

impl Recovery<'_> {
    fn read_meta(&mut self) -> Result<Verdict, OpenError> {
        let meta = read_file(self.disk, &self.dirs.meta(), Kind::Meta)?;
        self.report.meta_rebuilt = meta.is_some_and(|meta| meta.damaged);
        Ok(meta.unwrap_or(Verdict { newest: None, damaged: false }))
    }

    /// Lists the segments, and decides which log this is.
    fn find_segments(&mut self, meta: &Verdict) -> Result<Vec<Found>, OpenError> {
        let found = survey(self.disk, self.dirs)?;
        let stored = meta.newest.map(|slot| (slot.log_id, u32::try_from(slot.value).unwrap_or(u32::MAX)));
        let seen = identity(&found);
        self.report.meta_rebuilt |= stored.is_none() && seen.is_some();
        self.report.segments = found.len();
        // The segments hold the data, so their word counts if the meta file says otherwise.
        let id = seen.or(stored).map(|(id, _)| id);
        self.report.id = id.unwrap_or_else(|| fastrand::u64(1..=i64::MAX as u64));
        let epoch = stored.map_or(0, |(_, epoch)| epoch).max(seen.map_or(0, |(_, epoch)| epoch));
        self.report.epoch = epoch.saturating_add(1);
        Ok(found)
    }

    /// Sets aside what is not part of the log.
    fn sort_out(&mut self, found: Vec<Found>) -> Result<Vec<Found>, OpenError> {
        let chain = chain(self.disk, found, self.report.id)?;
        self.doomed = chain.superseded;
        for path in chain.strays {
            self.set_aside(&path)?;
        }
        Ok(chain.kept)
    }

    fn set_aside(&mut self, path: &Path) -> Result<(), OpenError> {
        let failed = OpenError::io("set aside", path);
        quarantine(self.disk, &self.dirs.quarantine, path).and_then(|()| self.disk.unlink(path)).map_err(failed)?;
        self.report.set_aside.push(path.to_owned());
        Ok(())
    }

    /// Scans the last segment that holds anything. Empty ones behind it go; what the bases of those prove is the second value:
    /// a segment is only made once the one before it is durable up to there.
    fn find_end(&mut self, found: &mut Vec<Found>) -> Result<(Option<Scan>, u64), OpenError> {
        for found in found.iter().filter(|found| found.header.is_none() && found.bytes > 0) {
            let (path, bytes) = (found.path.clone(), 0..SEGMENT_HEADER_BYTES.min(found.bytes));
            self.report.damaged.push(DamagedBytes { path, bytes, offsets: found.base..found.base });
        }
        let mut proven = 0;
        while let Some(last) = found.pop() {
            let scan = scan(self.disk, &last, u64::MAX).map_err(OpenError::io("read", &last.path))?;
            self.report.scanned_bytes += scan.scanned_bytes;
            if scan.records > 0 || last.header.is_some() {
                proven = proven.max(last.base);
            }
            if scan.records > 0 {
                found.push(last);
                return Ok((Some(scan), proven));
            }
            self.drop_empty(last, &scan);
        }
        Ok((None, proven))
    }

    /// A segment without a record: made right before a crash, or never used. Nothing was acknowledged from it.
    fn drop_empty(&mut self, found: Found, scan: &Scan) {
        self.report.damaged.retain(|damaged| damaged.path != found.path);
        self.report.torn_bytes += scan.written_end - scan.end.at;
        if scan.written_end > scan.end.at || (found.header.is_none() && found.bytes > 0) {
            // Something was there, if nothing whole: kept for a look, on a best-effort basis.
            let _ = quarantine(self.disk, &self.dirs.quarantine, &found.path);
        }
        self.doomed.push(found.path);
    }

    /// Reports what is wrong inside the last segment. A hole that no sync is known to cover is a torn write.
    fn report_scan(&mut self, path: &Path, scan: &Scan, is_synced: bool) {
        for (index, damage) in scan.damage.iter().enumerate() {
            let (bytes, offsets) = (damage.bytes.clone(), damage.offsets.clone());
            let was_durable = is_synced || index < scan.certain;
            if !offsets.is_empty() {
                self.report.lost.push(LostRange { offsets: offsets.clone(), was_durable });
            }
            if was_durable {
                self.report.damaged.push(DamagedBytes { path: path.to_owned(), bytes, offsets });
            } else {
                self.report.torn_bytes += bytes.end - bytes.start;
            }
        }
        self.report.torn_bytes += scan.written_end - scan.end.at;
    }

    /// What was read of the last segment may be in the page cache only; it counts once it is on the disk. The torn tail
    /// goes, unless it is evidence.
    ///
    /// What no later sync is known to cover is written again, as it is: if the process before us died of a failed sync, the
    /// cache holds pages that are not on the disk but count as clean, and a sync alone would do nothing about them.
    fn make_durable(&self, last: &mut Found, scan: &Scan) -> Result<(), OpenError> {
        let file = self.disk.open(&last.path, Access::Write).map_err(OpenError::io("open", &last.path))?;
        let is_clean = self.report.damaged.iter().all(|damaged| damaged.path != last.path);
        if is_clean && last.bytes != scan.end.at && file.truncate(scan.end.at).is_ok() {
            last.bytes = scan.end.at;
        }
        rewrite(&*file, scan.synced_to..scan.end.at).map_err(OpenError::io("write again the tail of", &last.path))?;
        file.sync(SyncSite::Recovered).map_err(OpenError::io("sync", &last.path))
    }

    fn read_groups(&mut self) -> Result<Vec<(String, Verdict)>, OpenError> {
        let mut groups = Vec::new();
        for (name, read) in read_positions(self.disk, self.dirs)? {
            let mut verdict = read.unwrap_or(Verdict { newest: None, damaged: true });
            let is_own = |slot: &Slot| slot.log_id == self.report.id;
            verdict.damaged |= !verdict.newest.as_ref().is_some_and(is_own);
            verdict.newest = verdict.newest.filter(is_own);
            if verdict.damaged {
                self.report.positions_reset.push(name.clone());
            }
            groups.push((name, verdict));
        }
        Ok(groups)
    }

    /// Takes out the segments that all groups have passed. A crash may have come in the middle of deleting them, so any of
    /// them may be missing.
    fn doom_released(&mut self, groups: &[(String, Verdict)], found: &mut Vec<Found>) {
        let positions = groups.iter().map(|(_, verdict)| verdict.newest.map_or(0, |slot| slot.value));
        self.released = positions.min().unwrap_or(0);
        let passed = found.iter().skip(1).take_while(|next| next.base <= self.released).count();
        self.doomed.extend(found.drain(..passed).map(|found| found.path));
    }

    /// The offset the log goes on at: never one that was durable before, even if the records are gone.
    fn settle_end(
        &mut self,
        (scan, proven): (Option<Scan>, u64),
        meta: &Verdict,
        groups: &[(String, Verdict)],
        found: &mut Vec<Found>,
    ) -> Result<u64, OpenError> {
        let closed_at = meta.newest.and_then(|slot| slot.extra.checked_sub(1));
        self.report.was_closed = closed_at.is_some();
        let furthest = groups.iter().filter_map(|(_, verdict)| verdict.newest).map(|slot| slot.value).max();
        let proven = closed_at.max(furthest).unwrap_or(0).max(proven);
        let end = scan.as_ref().map_or(0, |scan| scan.end.expected);
        let lost = end.max(self.released)..proven;
        if end < proven && end <= self.released {
            // Everything in it was released, and so was at least some of what is missing behind it.
            self.doomed.extend(found.pop().map(|found| found.path));
        }
        let (Some(scan), Some(last)) = (scan, found.last_mut()) else {
            if !lost.is_empty() {
                self.report.lost.push(LostRange { offsets: lost, was_durable: true });
            }
            return Ok(proven);
        };
        // Closed by the opening that wrote it: then all of it had been synced.
        let wrote = |slot: &Slot| last.header.is_some_and(|header| u64::from(header.epoch) == slot.value);
        let is_synced = closed_at.is_some() && meta.newest.as_ref().is_some_and(wrote);
        self.report_scan(&last.path, &scan, is_synced);
        if !lost.is_empty() {
            // So the tail was no torn write.
            let tail = scan.end.at..scan.written_end;
            self.report.torn_bytes -= tail.end - tail.start;
            self.report.damaged.push(DamagedBytes { path: last.path.clone(), bytes: tail, offsets: lost.clone() });
            self.report.lost.push(LostRange { offsets: lost, was_durable: true });
        }
        if !self.report.damaged.is_empty() {
            // The copy is for a later look; opening goes on without it.
            let _ = quarantine(self.disk, &self.dirs.quarantine, &last.path);
        }
        self.make_durable(last, &scan)?;
        Ok(end.max(proven))
    }
}

/// What is missing before the first segment: a position tells that nothing above it was deleted.
fn missing_in_front(groups: &[(String, Verdict)], start_offset: u64) -> Option<LostRange> {
    // A damaged position file may tell an older position than the one segments were deleted by.
    let trusted = groups.iter().filter(|(_, verdict)| !verdict.damaged).filter_map(|(_, verdict)| verdict.newest);
    let lowest = trusted.map(|slot| slot.value).min()?;
    (lowest < start_offset).then_some(LostRange { offsets: lowest..start_offset, was_durable: true })
}

/// Writes the bytes of `range` over themselves, so that the next sync writes them to the disk.
fn rewrite(file: &dyn DiskFile, range: Range<u64>) -> io::Result<()> {
    let (mut at, mut buffer) = (range.start, Vec::new());
    while at < range.end {
        let bytes = WINDOW_BYTES.min(usize::try_from(range.end - at).unwrap_or(usize::MAX));
        buffer.clear();
        // Not the tolerant read: zeros in place of what cannot be read must not be written back.
        match file.read(&mut buffer, bytes, at) {
            Ok(0) => break,
            Ok(got) => {
                write_all(file, &buffer, at)?;
                at += got as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
