//! A piece whose files hold something else than the topic: which offsets, which files.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use super::claims::{Claim, Piece};
use super::digest;
use super::files::Tree;
use super::progress::Progress;
use super::seam::reaches_over;
use super::topic::{Extent, Topic};

/// Lines of a piece that are compared one by one: 64 bytes each, 128 MB.
const LINES_MAX: u64 = 2_000_000;
const RANGES_MAX: usize = 10;
const FILES_MAX: usize = 5;

/// What is different in a piece.
#[derive(Default)]
pub(super) struct Difference {
    pub(super) missing: u64,
    /// Offsets of events that are in no file.
    pub(super) missing_ranges: Vec<RangeInclusive<u64>>,
    /// Lines that are in files more often than in the topic.
    pub(super) extra: u64,
    /// Files with such lines, and how many.
    pub(super) extra_files: Vec<(String, u64)>,
}

/// Lines of the topic that are the same and not yet accounted for.
#[derive(Clone, Copy)]
struct Line {
    count: u64,
    /// Offset of the first of them: which one it is that is missing nobody can tell.
    offset: u64,
}

/// Compares a piece line by line, as far as the topic has it. Of files that reach over the oldest offset nobody can tell
/// whether a line is one too many.
///
/// # Errors
/// Why that cannot be done: the piece is too large, retention or somebody else has taken what was there a moment ago.
pub(super) async fn compare(
    topic: &Topic,
    tree: &Tree,
    claims: &[Claim],
    partition: u32,
    piece: &Piece,
) -> Result<Difference, String> {
    if piece.in_topic.lines > LINES_MAX {
        return Err(format!("it has more than {LINES_MAX} lines"));
    }
    let mut lines: HashMap<u128, Line> = HashMap::new();
    let Some(extent) = topic.partitions.iter().find(|extent| extent.partition == partition) else {
        return Err("the topic has no such partition".to_owned());
    };
    // Files may claim more than there is: after an unclean election, say.
    let Extent { start, end, .. } = *extent;
    let extent = Extent { partition, start: piece.first.max(start), end: piece.last.saturating_add(1).min(end) };
    topic
        .read(&[extent], &Progress::default(), &mut |_, offset, body| {
            for line in digest::lines(body) {
                lines.entry(digest::hash(line)).or_insert(Line { count: 0, offset }).count += 1;
            }
        })
        .await
        .map_err(|failure| failure.message)?;
    let left = Arc::new(Mutex::new(lines));
    let mut difference = Difference::default();
    let (over, later): (Vec<usize>, Vec<usize>) =
        piece.files.iter().partition(|index| reaches_over(&claims[**index], start));
    for index in later.iter().chain(&over) {
        let (path, left) = (claims[*index].path(), Arc::clone(&left));
        let extra = tree.hashes(&path, move |hashes| {
            let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
            let mut extra = 0;
            hashes(&mut |hash| match left.get_mut(&hash) {
                Some(line) if line.count > 0 => line.count -= 1,
                _ => extra += 1,
            })?;
            Ok(extra)
        });
        let extra: u64 = extra.await?;
        if reaches_over(&claims[*index], start) {
            continue;
        }
        difference.extra += extra;
        if extra > 0 && difference.extra_files.len() < FILES_MAX {
            difference.extra_files.push((path, extra));
        }
    }
    let left = left.lock().unwrap_or_else(PoisonError::into_inner);
    let mut missing: Vec<&Line> = left.values().filter(|line| line.count > 0).collect();
    missing.sort_unstable_by_key(|line| line.offset);
    for Line { count, offset } in missing {
        difference.missing += count;
        let ranges = &mut difference.missing_ranges;
        if let Some(range) = ranges.last_mut().filter(|range| *range.end() + 1 >= *offset) {
            *range = *range.start()..=*offset;
        } else if ranges.len() < RANGES_MAX {
            ranges.push(*offset..=*offset);
        }
    }
    Ok(difference)
}
