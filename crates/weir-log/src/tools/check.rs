//! A read-only verdict, segment by segment.

use std::io;
use std::path::{Path, PathBuf};

use super::ToolError;
use crate::disk::Disk;
use crate::format::SEGMENT_HEADER_BYTES;
use crate::report::{DamagedBytes, LostRange};
use crate::slots::{Kind, Verdict, read_file};
use crate::survey::{Chain, Dirs, Found, Scan, chain, identity, read_positions, scan, settle, survey};

/// State of the meta file or a position file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileState {
    /// Readable.
    Good,
    /// One slot is damaged or was torn by a crash; the other one counts.
    OneSlot,
    /// Nothing in it can be believed.
    Damaged,
    /// Not there.
    Missing,
}

/// One segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentCheck {
    /// Its file.
    pub path: PathBuf,
    /// Offset of its first record.
    pub base: u64,
    /// One past its last valid record.
    pub end: u64,
    /// Whether its header is readable.
    pub has_header: bool,
    /// Valid batches.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Length of the file.
    pub bytes: u64,
    /// Exactly what is damaged.
    pub damaged: Vec<DamagedBytes>,
    /// Bytes of writes that a crash cut off, or that a running log is just making.
    pub torn_bytes: u64,
}

/// One group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupCheck {
    /// Its name.
    pub name: String,
    /// Its position file.
    pub state: FileState,
    /// Where it is, if that can be read.
    pub position: Option<u64>,
}

/// The verdict.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckReport {
    /// Id of the log; `None` if neither a segment nor the meta file tells.
    pub id: Option<u64>,
    /// Oldest retained offset.
    pub start_offset: u64,
    /// One past the last record.
    pub end_offset: u64,
    /// Valid records.
    pub records: u64,
    /// The segments, oldest first.
    pub segments: Vec<SegmentCheck>,
    /// Files that look like segments but are no part of the log: of another one, or superseded.
    pub strays: Vec<PathBuf>,
    /// Exactly which records are gone.
    pub lost: Vec<LostRange>,
    /// The meta file.
    pub meta: FileState,
    /// The groups, by name.
    pub groups: Vec<GroupCheck>,
}

impl CheckReport {
    /// Whether nothing is damaged and nothing that was durable is gone.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let is_bad = |state: &FileState| matches!(state, FileState::Damaged | FileState::Missing);
        self.segments.iter().all(|segment| segment.damaged.is_empty())
            && self.lost.iter().all(|lost| !lost.was_durable)
            && !is_bad(&self.meta)
            && !self.groups.iter().any(|group| is_bad(&group.state))
    }
}

/// Reads the whole log in `dir` and tells what is wrong with it. Changes nothing, takes no lock.
///
/// # Errors
/// [`ToolError`]: no log there, one of a newer version, or a file system that refuses.
pub fn check(disk: &dyn Disk, dir: &Path, fallback_dir: Option<&Path>) -> Result<CheckReport, ToolError> {
    let dirs = Dirs::new(dir, fallback_dir);
    // Before the segments and once more after them, so that a running log is not blamed for what it did in between:
    // what the first reading has passed is in a segment, what the second has not passed was not deleted.
    let before = read_positions(disk, &dirs)?;
    let (chain, meta, id) = look(disk, &dirs)?;
    let groups = read_groups(disk, &dirs, id)?;
    let furthest = good_positions(&groups_of(before, id)).max();
    let lowest = good_positions(&groups).min();
    let slot = meta.as_ref().and_then(|meta| meta.newest);
    let closed = slot.and_then(|slot| Some((slot.value, slot.extra.checked_sub(1)?)));
    let proven = closed.map_or(0, |(_, end)| end).max(furthest.unwrap_or(0));
    let start_offset = chain.kept.first().map_or(proven, |first| first.base);
    let mut report = CheckReport {
        id,
        start_offset,
        end_offset: start_offset,
        records: 0,
        segments: Vec::new(),
        strays: chain.superseded.iter().chain(&chain.strays).cloned().collect(),
        lost: Vec::new(),
        meta: state_of(meta.as_ref()),
        groups,
    };
    if let Some(lowest) = lowest.filter(|lowest| *lowest < start_offset) {
        report.lost.push(LostRange { offsets: lowest..start_offset, was_durable: true });
    }
    for (index, found) in chain.kept.iter().enumerate() {
        let next = chain.kept.get(index + 1);
        let end = next.map_or(u64::MAX, |next| next.base);
        let scan = match scan(disk, found, end).map_err(ToolError::io("read", &found.path)) {
            Err(error) => {
                let end = released_to(disk, &dirs, id, found, &error)?.ok_or(error)?;
                if report.segments.is_empty() {
                    (report.start_offset, report.end_offset) = (end, end);
                }
                continue;
            }
            Ok(scan) => scan,
        };
        let epoch = found.header.map(|header| header.epoch);
        // Rolled, or closed, by the opening that wrote it.
        let is_synced = epoch.is_some()
            && (next.and_then(|next| next.header).map(|header| header.epoch) == epoch
                || closed.map(|(epoch, _)| epoch) == epoch.map(u64::from));
        let owed = next.map_or(proven, |next| next.base);
        report.add(found, &scan, is_synced, owed, lowest.unwrap_or(0));
    }
    Ok(report)
}

impl CheckReport {
    /// Adds a segment that reaches to `owed` at least; what lies below `released` may be missing.
    fn add(&mut self, found: &Found, scan: &Scan, is_synced: bool, owed: u64, released: u64) {
        let mut segment = SegmentCheck {
            path: found.path.clone(),
            base: found.base,
            end: scan.end.expected,
            has_header: found.header.is_some(),
            batches: scan.batches,
            records: scan.records,
            bytes: found.bytes,
            damaged: Vec::new(),
            torn_bytes: 0,
        };
        let damaged = |bytes, offsets| DamagedBytes { path: found.path.clone(), bytes, offsets };
        if !segment.has_header && found.bytes > 0 {
            segment.damaged.push(damaged(0..SEGMENT_HEADER_BYTES.min(found.bytes), found.base..found.base));
        }
        for (index, damage) in scan.damage.iter().enumerate() {
            let was_durable = is_synced || index < scan.certain;
            if was_durable {
                segment.damaged.push(damaged(damage.bytes.clone(), damage.offsets.clone()));
            } else {
                segment.torn_bytes += damage.bytes.end - damage.bytes.start;
            }
            self.lose(damage.offsets.clone(), was_durable);
        }
        let tail = scan.end.at..scan.written_end;
        let missing = scan.end.expected.max(released)..owed;
        if missing.is_empty() {
            segment.torn_bytes += tail.end - tail.start;
        } else {
            segment.damaged.push(damaged(tail, missing.clone()));
            self.lose(missing, true);
        }
        self.end_offset = owed.max(scan.end.expected);
        self.records += scan.records;
        self.segments.push(segment);
    }

    fn lose(&mut self, offsets: std::ops::Range<u64>, was_durable: bool) {
        if !offsets.is_empty() {
            self.lost.push(LostRange { offsets, was_durable });
        }
    }
}

/// Where a segment ended that could not be opened because a running log deleted it since it was listed, which it does when
/// all groups have passed it; `None` if it is gone for another reason.
pub(super) fn released_to(
    disk: &dyn Disk,
    dirs: &Dirs,
    id: Option<u64>,
    found: &Found,
    error: &ToolError,
) -> Result<Option<u64>, ToolError> {
    if !matches!(error, ToolError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound) {
        return Ok(None);
    }
    // What was the last may have been followed by others.
    let end = survey(disk, dirs)?.iter().map(|other| other.base).find(|base| *base > found.base);
    let passed = read_groups(disk, dirs, id)?.iter().filter_map(|group| group.position).min();
    Ok(end.filter(|end| passed.is_some_and(|passed| *end <= passed)))
}

/// Finds the segments of the log and its identity, as opening does.
pub(super) fn look(disk: &dyn Disk, dirs: &Dirs) -> Result<(Chain, Option<Verdict>, Option<u64>), ToolError> {
    let meta = read_file(disk, &dirs.meta(), Kind::Meta)?;
    let mut found = survey(disk, dirs)?;
    settle(disk, &mut found);
    if found.is_empty() && meta.is_none() {
        return Err(ToolError::NoLog { dir: dirs.root.clone() });
    }
    let stored = meta.as_ref().and_then(|meta| meta.newest).map(|slot| slot.log_id);
    let id = identity(&found).map(|(id, _)| id).or(stored);
    let chain = chain(disk, found, id.unwrap_or_default())?;
    Ok((chain, meta, id))
}

pub(super) fn read_groups(disk: &dyn Disk, dirs: &Dirs, id: Option<u64>) -> Result<Vec<GroupCheck>, ToolError> {
    Ok(groups_of(read_positions(disk, dirs)?, id))
}

/// What position files say about the log `id`.
fn groups_of(read: Vec<(String, Option<Verdict>)>, id: Option<u64>) -> Vec<GroupCheck> {
    let of_this_log =
        |verdict: Verdict| Verdict { newest: verdict.newest.filter(|slot| Some(slot.log_id) == id), ..verdict };
    let group = |(name, verdict): (String, Option<Verdict>)| {
        let own = verdict.map(of_this_log);
        let position = own.as_ref().and_then(|verdict| verdict.newest).map(|slot| slot.value);
        GroupCheck { name, state: state_of(own.as_ref()), position }
    };
    read.into_iter().map(group).collect()
}

fn good_positions(groups: &[GroupCheck]) -> impl Iterator<Item = u64> {
    groups.iter().filter(|group| group.state == FileState::Good).filter_map(|group| group.position)
}

fn state_of(verdict: Option<&Verdict>) -> FileState {
    match verdict {
        None => FileState::Missing,
        Some(Verdict { newest: None, .. }) => FileState::Damaged,
        Some(Verdict { damaged: true, .. }) => FileState::OneSlot,
        Some(_) => FileState::Good,
    }
}
