//! A sound copy of a damaged log, in a new directory.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::ToolError;
use super::check::{GroupCheck, look, read_groups};
use super::dump::for_each_batch;
use crate::SyncSite;
use crate::disk::{Disk, DiskFile, write_all};
use crate::format::{SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
use crate::reader::StoredBatch;
use crate::report::LostRange;
use crate::slots::{Kind, SlotFile};
use crate::survey::Dirs;

/// What a repair saved.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RepairReport {
    /// Segments written.
    pub segments: usize,
    /// Records in them.
    pub records: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Records between the first and the last saved one that could not be saved. Readers of the new log are told of them.
    pub lost: Vec<LostRange>,
    /// Groups whose position was taken over. The others start at the oldest record.
    pub groups: Vec<String>,
}

/// Copies every valid batch of the log in `dir`, byte for byte, and every readable position, to a new log in `to`, which
/// has the same id and offsets. The damaged log stays as it is; nothing may write to it meanwhile.
///
/// # Errors
/// [`ToolError`]: no log there, one of a newer version, `to` is not empty, or a file system that refuses. What was
/// written of `to` stays.
pub fn repair(disk: &dyn Disk, dir: &Path, fallback_dir: Option<&Path>, to: &Path) -> Result<RepairReport, ToolError> {
    let dirs = Dirs::new(dir, fallback_dir);
    let (chain, _, id) = look(disk, &dirs)?;
    let id = id.ok_or_else(|| ToolError::NoLog { dir: dir.to_owned() })?;
    // Before anything is made: a position of a newer version is refused, too.
    let groups = read_groups(disk, &dirs, Some(id))?;
    let new = Dirs::new(to, None);
    for dir in [&new.root, &new.segments, &new.groups] {
        disk.create_dir(dir).map_err(ToolError::io("make the directory", dir))?;
        if !disk.list(dir).map_err(ToolError::io("list", dir))?.is_empty() {
            return Err(ToolError::NotEmpty { dir: to.to_owned() });
        }
    }
    let mut copy = Copy { disk, dirs: &new, id, epoch: 0, open: None, report: RepairReport::default() };
    for (index, found) in chain.kept.iter().enumerate() {
        copy.finish()?;
        let end = chain.kept.get(index + 1).map_or(u64::MAX, |next| next.base);
        let header = found.header.as_ref();
        let mut outcome = Ok(());
        let mut each = |stored: &StoredBatch| {
            // Without a header the epoch is taken from the batches, where it is stored outside the CRC.
            let epoch = header.map_or(stored.header.partition_leader_epoch as u32, |header| header.epoch);
            outcome = copy.add(stored, epoch, header.map_or(0, |header| header.created_ms));
            if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let _ = for_each_batch(disk, found, end, &mut each)?;
        outcome?;
    }
    copy.finish()?;
    copy.write_slots(groups)?;
    Ok(copy.report)
}

struct Copy<'a> {
    disk: &'a dyn Disk,
    dirs: &'a Dirs,
    id: u64,
    epoch: u32,
    open: Option<Open>,
    report: RepairReport,
}

struct Open {
    file: Arc<dyn DiskFile>,
    at: u64,
    next: u64,
    epoch: u32,
}

impl Copy<'_> {
    /// Appends a batch, to a new segment if it does not follow the last one.
    fn add(&mut self, stored: &StoredBatch, epoch: u32, created_ms: i64) -> Result<(), ToolError> {
        let range = stored.range();
        if self.open.as_ref().is_none_or(|open| open.next != range.start || open.epoch != epoch) {
            self.start(range.start, epoch, created_ms)?;
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        write_all(&*open.file, &stored.bytes, open.at).map_err(ToolError::io("write to", &self.dirs.segments))?;
        open.at += stored.bytes.len() as u64;
        open.next = range.end;
        self.report.records += range.end - range.start;
        self.report.bytes += stored.bytes.len() as u64;
        self.epoch = self.epoch.max(epoch);
        Ok(())
    }

    fn start(&mut self, base: u64, epoch: u32, created_ms: i64) -> Result<(), ToolError> {
        self.finish()?;
        let path = self.dirs.segments.join(segment_name(base, 0));
        let file = self.disk.create(&path).map_err(ToolError::io("create", &path))?;
        let ordinal = self.report.segments as u32;
        let header = SegmentHeader { log_id: self.id, base, epoch, ordinal, created_ms };
        write_all(&*file, &header.encode(), 0).map_err(ToolError::io("write to", &path))?;
        self.open = Some(Open { file, at: SEGMENT_HEADER_BYTES, next: base, epoch });
        self.report.segments += 1;
        self.report.bytes += SEGMENT_HEADER_BYTES;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ToolError> {
        match self.open.take() {
            Some(open) => open.file.sync(SyncSite::Copy).map_err(ToolError::io("sync", &self.dirs.segments)),
            None => Ok(()),
        }
    }

    /// The meta file and the positions, last: until they are there, nobody takes the copy for a whole one.
    fn write_slots(&mut self, groups: Vec<GroupCheck>) -> Result<(), ToolError> {
        let sync = |dir: &Path| -> io::Result<()> { self.disk.sync_dir(dir, SyncSite::Copy) };
        sync(&self.dirs.segments).map_err(ToolError::io("sync", &self.dirs.segments))?;
        for group in groups {
            let Some(position) = group.position else { continue };
            let path = self.dirs.groups.join(format!("{}{}", group.name, crate::group::POSITION_SUFFIX));
            SlotFile::open(self.disk, path.clone(), Kind::Position, self.id, None)
                .write(self.disk, position, 0)
                .map_err(ToolError::io("write", &path))?;
            self.report.groups.push(group.name);
        }
        let meta = self.dirs.meta();
        SlotFile::open(self.disk, meta.clone(), Kind::Meta, self.id, None)
            .write(self.disk, u64::from(self.epoch), 0)
            .map_err(ToolError::io("write", &meta))?;
        sync(&self.dirs.root).map_err(ToolError::io("sync", &self.dirs.root))
    }
}
