//! Every valid batch of a range.

use std::ops::{ControlFlow, Range};
use std::path::Path;

use weir_event::ArenaPool;

use super::ToolError;
use super::check::{look, released_to};
use crate::disk::{Access, Disk};
use crate::format::SEGMENT_HEADER_BYTES;
use crate::reader::StoredBatch;
use crate::report::LostRange;
use crate::scan::{Extent, Place, WINDOW_BYTES};
use crate::survey::{Dirs, Found};

/// What a dump went through.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DumpReport {
    /// Batches given out.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Records of the range that are gone, holes torn by a crash included ([`LostRange::was_durable`] is not worked
    /// out here: `false` throughout; `check` tells).
    pub lost: Vec<LostRange>,
}

/// Gives every valid batch that overlaps the offsets `range` to `take`, in order, until it breaks off. Whole batches, also
/// where the range starts or ends inside one. Changes nothing, takes no lock.
///
/// # Errors
/// [`ToolError`]: no log there, one of a newer version, or a file system that refuses.
pub fn dump(
    disk: &dyn Disk,
    dir: &Path,
    fallback_dir: Option<&Path>,
    range: Range<u64>,
    mut take: impl FnMut(&StoredBatch) -> ControlFlow<()>,
) -> Result<DumpReport, ToolError> {
    let dirs = Dirs::new(dir, fallback_dir);
    let (chain, _, id) = look(disk, &dirs)?;
    let mut report = DumpReport::default();
    let mut expected = chain.kept.first().map_or(0, |first| first.base);
    for (index, found) in chain.kept.iter().enumerate() {
        let end = chain.kept.get(index + 1).map_or(u64::MAX, |next| next.base);
        if end <= range.start {
            expected = end;
            continue;
        }
        let mut each = |stored: &StoredBatch| {
            let offsets = stored.range();
            if offsets.start >= range.end {
                return ControlFlow::Break(());
            }
            let missing = expected.max(range.start)..offsets.start;
            if !missing.is_empty() {
                report.lost.push(LostRange { offsets: missing, was_durable: false });
            }
            expected = offsets.end;
            if offsets.end <= range.start {
                return ControlFlow::Continue(());
            }
            report.batches += 1;
            report.records += offsets.end - offsets.start;
            take(stored)
        };
        match for_each_batch(disk, found, end, &mut each) {
            Err(error) => expected = released_to(disk, &dirs, id, found, &error)?.ok_or(error)?,
            Ok(ControlFlow::Break(())) => break,
            Ok(ControlFlow::Continue(())) => {}
        }
    }
    Ok(report)
}

/// Gives every valid batch of a segment to `take`.
pub(super) fn for_each_batch(
    disk: &dyn Disk,
    found: &Found,
    end: u64,
    take: &mut dyn FnMut(&StoredBatch) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, ToolError> {
    let file = disk.open(&found.path, Access::Read).map_err(ToolError::io("open", &found.path))?;
    let epoch = found.header.map(|header| header.epoch);
    let extent = Extent { file: &*file, limit: found.bytes, epoch, end };
    let pool = ArenaPool::new(WINDOW_BYTES, 2);
    let mut place = Place { at: SEGMENT_HEADER_BYTES, expected: found.base };
    loop {
        let mut arena = pool.take();
        let chunk = extent.step(place, WINDOW_BYTES, arena.buffer()).map_err(ToolError::io("read", &found.path))?;
        let buffer = arena.freeze();
        for (range, header) in chunk.batches {
            let stored = StoredBatch { bytes: buffer.slice(range), header };
            if take(&stored).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        if chunk.is_last {
            return Ok(ControlFlow::Continue(()));
        }
        place = chunk.next;
    }
}
