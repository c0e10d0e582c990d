//! Looking over the segment files of a log without changing anything: for recovery and for the tools.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{Access, Disk, DiskFile, read_tolerant};
use crate::errors::Refusal;
use crate::format::{SEGMENT_HEADER_BYTES, SegmentHeader, VERSION, follows_sync, segment_base};
use crate::group::{POSITION_SUFFIX, is_valid_name};
use crate::scan::{Damage, Extent, Place, WINDOW_BYTES};
use crate::slots::{Kind, Verdict, read_file};

/// The directories of a log.
#[derive(Clone, Debug)]
pub(crate) struct Dirs {
    pub(crate) root: PathBuf,
    pub(crate) segments: PathBuf,
    pub(crate) groups: PathBuf,
    pub(crate) quarantine: PathBuf,
    pub(crate) fallback: Option<PathBuf>,
}

impl Dirs {
    pub(crate) fn new(root: &Path, fallback: Option<&Path>) -> Self {
        Self {
            root: root.to_owned(),
            segments: root.join("segments"),
            groups: root.join("groups"),
            quarantine: root.join("quarantine"),
            fallback: fallback.map(Path::to_owned),
        }
    }

    pub(crate) fn meta(&self) -> PathBuf {
        self.root.join("meta")
    }
}

/// A segment file.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    /// From the header; from the name if the header is damaged. So files that changed names are still in order.
    pub(crate) base: u64,
    pub(crate) header: Option<SegmentHeader>,
    pub(crate) bytes: u64,
}

/// All segment files of a log, ascending by base. Reads one header of each: a few seconds for thousands.
///
/// # Errors
/// A directory cannot be listed, or a segment was written by a newer version.
pub(crate) fn survey(disk: &dyn Disk, dirs: &Dirs) -> Result<Vec<Found>, Refusal> {
    let mut found = Vec::new();
    for dir in std::iter::once(&dirs.segments).chain(&dirs.fallback) {
        let entries = match disk.list(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(Refusal::io("list the segments in", dir))?,
        };
        for entry in entries {
            let Some(named_base) = segment_base(&entry.name) else { continue };
            let path = dir.join(&entry.name);
            // Once more after a failure: a header taken for damaged would be reported for the life of the segment.
            let header = match read_header(disk, &path).or_else(|_| read_header(disk, &path)) {
                // Deleted since it was listed: a tool beside a running log.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Ok(Header::Newer(version)) => {
                    return Err(Refusal::Version { path, found: version.into(), known: VERSION.into() });
                }
                Ok(Header::Known(header)) => Some(header),
                Ok(Header::Damaged) | Err(_) => None,
            };
            let base = header.map_or(named_base, |header| header.base);
            found.push(Found { path, base, header, bytes: entry.bytes });
        }
    }
    found.sort_by(|a, b| (a.base, &a.path).cmp(&(b.base, &b.path)));
    Ok(found)
}

/// Puts right what a running log changed while it was surveyed. A segment whose header could not be read may have been in
/// the making: then it has one now, or, if it is the last, nothing has been written to it yet, and it is no segment so far.
pub(crate) fn settle(disk: &dyn Disk, found: &mut Vec<Found>) {
    let is_blank = |last: &Found| {
        let file = disk.open(&last.path, Access::Read);
        file.and_then(|file| last_byte(&*file, 0, last.bytes)).is_ok_and(|end| end == 0)
    };
    // Before headers are looked at once more: what had none and was blank then was not written to.
    let is_unwritten = found.last().is_some_and(|last| last.header.is_none() && is_blank(last));
    for found in found.iter_mut().filter(|found| found.header.is_none()) {
        if let Ok(Header::Known(header)) = read_header(disk, &found.path) {
            (found.header, found.base) = (Some(header), header.base);
        }
    }
    found.pop_if(|last| is_unwritten && last.header.is_none());
}

enum Header {
    Known(SegmentHeader),
    Newer(u8),
    Damaged,
}

fn read_header(disk: &dyn Disk, path: &Path) -> io::Result<Header> {
    let file = disk.open(path, Access::Read)?;
    let mut bytes = Vec::new();
    read_tolerant(&*file, &mut bytes, SEGMENT_HEADER_BYTES as usize, 0)?;
    let newer = || SegmentHeader::newer_version(&bytes).map(Header::Newer);
    Ok(SegmentHeader::decode(&bytes).map(Header::Known).or_else(newer).unwrap_or(Header::Damaged))
}

/// What the position files say, by the names of their groups. `None`: deleted since it was listed.
pub(crate) fn read_positions(disk: &dyn Disk, dirs: &Dirs) -> Result<Vec<(String, Option<Verdict>)>, Refusal> {
    let entries = match disk.list(&dirs.groups) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Refusal::io("list", &dirs.groups))?,
    };
    let mut positions = Vec::new();
    for entry in entries {
        let name = entry.name.strip_suffix(POSITION_SUFFIX).filter(|name| is_valid_name(name));
        if let Some(name) = name {
            let read = read_file(disk, &dirs.groups.join(&entry.name), Kind::Position)?;
            positions.push((name.to_owned(), read));
        }
    }
    positions.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(positions)
}

/// Which log this is, by its segments: the id in the newest header, and the greatest epoch.
pub(crate) fn identity(found: &[Found]) -> Option<(u64, u32)> {
    let headers = || found.iter().filter_map(|found| found.header.as_ref());
    let newest = headers().reduce(|a, b| if b.is_newer_than(a) { b } else { a })?;
    let own = headers().filter(|header| header.log_id == newest.log_id);
    Some((newest.log_id, own.map(|header| header.epoch).max()?))
}

/// The segments of one log, sorted out.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    /// Those that hold its records, ascending, one per base.
    pub(crate) kept: Vec<Found>,
    /// Those without a record that counts: poisoned before anything was good, or never used.
    pub(crate) superseded: Vec<PathBuf>,
    /// Of another log, or damaged beside a better one of the same base.
    pub(crate) strays: Vec<PathBuf>,
}

/// Sorts out the segments of the log `id`. Of several with the same base only one can hold records that count: the latest.
pub(crate) fn chain(disk: &dyn Disk, found: Vec<Found>, id: u64) -> Result<Chain, Refusal> {
    let records =
        |found: &Found| scan(disk, found, u64::MAX).map(|scan| scan.records).map_err(Refusal::io("read", &found.path));
    let mut chain = Chain::default();
    for next in found {
        if next.header.is_some_and(|header| header.log_id != id) {
            chain.strays.push(next.path);
            continue;
        }
        let Some(last) = chain.kept.pop_if(|last| last.base == next.base) else {
            chain.kept.push(next);
            continue;
        };
        let (winner, loser) = match (last.header, next.header) {
            (Some(a), Some(b)) if b.is_newer_than(&a) => (next, last),
            (Some(_), Some(_)) => (last, next),
            // A header is damaged, so the one that holds something is the one.
            _ if records(&next)? > records(&last)? => (next, last),
            _ => (last, next),
        };
        let is_nothing = loser.header.is_some() || records(&loser)? == 0;
        if is_nothing { &mut chain.superseded } else { &mut chain.strays }.push(loser.path);
        chain.kept.push(winner);
    }
    Ok(chain)
}

/// What a whole segment holds.
#[derive(Clone, Debug)]
pub(crate) struct Scan {
    /// Behind the last valid batch.
    pub(crate) end: Place,
    pub(crate) batches: u64,
    pub(crate) records: u64,
    pub(crate) damage: Vec<Damage>,
    /// How many of `damage`, from the front, hit something that had been synced for certain.
    pub(crate) certain: usize,
    /// Everything before this byte had been synced for certain.
    pub(crate) synced_to: u64,
    /// Where the bytes that are not zero end; `end.at` if only zeros follow the data.
    pub(crate) written_end: u64,
    /// Bytes looked at.
    pub(crate) scanned_bytes: u64,
}

/// Checks every batch of a segment. `end` is the base of the next segment: batches at or past it do not count.
pub(crate) fn scan(disk: &dyn Disk, found: &Found, end: u64) -> io::Result<Scan> {
    let file = disk.open(&found.path, Access::Read)?;
    let epoch = found.header.map(|header| header.epoch);
    let extent = Extent { file: &*file, limit: found.bytes, epoch, end };
    let mut place = Place { at: SEGMENT_HEADER_BYTES.min(found.bytes), expected: found.base };
    let (mut batches, mut records, mut damage, mut certain, mut buffer) = (0, 0, Vec::new(), 0, Vec::new());
    let mut synced_to = place.at;
    loop {
        let chunk = extent.step(place, WINDOW_BYTES, &mut buffer)?;
        batches += chunk.batches.len() as u64;
        records += chunk.batches.iter().map(|(_, header)| header.record_count as u64).sum::<u64>();
        if let Some((range, _)) = chunk.batches.iter().rfind(|(_, header)| follows_sync(header)) {
            certain = damage.len();
            synced_to = place.at + range.start as u64;
        }
        damage.extend(chunk.damage);
        place = chunk.next;
        if chunk.is_last {
            break;
        }
    }
    // A tail behind the start of the next segment belongs to a poisoned segment and is nobody's data.
    let written_end = if place.expected >= end { place.at } else { last_byte(&*file, place.at, found.bytes)? };
    Ok(Scan { end: place, batches, records, damage, certain, synced_to, written_end, scanned_bytes: found.bytes })
}

/// One past the last byte in `from..limit` that is not zero; `from` if there is none.
fn last_byte(file: &dyn DiskFile, from: u64, limit: u64) -> io::Result<u64> {
    let (mut at, mut last, mut buffer) = (from, from, Vec::new());
    while at < limit {
        let reading = WINDOW_BYTES.min(usize::try_from(limit - at).unwrap_or(usize::MAX));
        read_tolerant(file, &mut buffer, reading, at)?;
        if buffer.is_empty() {
            break;
        }
        if let Some(index) = buffer.iter().rposition(|byte| *byte != 0) {
            last = at + index as u64 + 1;
        }
        at += buffer.len() as u64;
    }
    Ok(last)
}
