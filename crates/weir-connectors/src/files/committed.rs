//! What finished files say they hold.

use std::ops::RangeInclusive;
use std::path::Path;

use weir_event::ChannelId;

use super::disk;
use super::error::FileError;
use super::name::Finished;

/// The offsets that finished files of one bucket hold. Nothing about any other directory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Committed {
    /// Ascending, not overlapping.
    ranges: Vec<RangeInclusive<u64>>,
}

impl Committed {
    /// Reads the names in `directory`; nothing if there is no such directory. With `sync` the names are durable then:
    /// a file that a crashed run had only renamed may be relied upon.
    pub(super) fn read(directory: &Path, prefix: &str, channel: ChannelId, sync: bool) -> Result<Self, FileError> {
        let failed = FileError::on("list", directory);
        let entries = match std::fs::read_dir(directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            result => result.and_then(Iterator::collect::<std::io::Result<Vec<_>>>).map_err(failed)?,
        };
        let names = entries.iter().filter_map(|entry| Finished::parse(entry.file_name().to_str()?, prefix));
        let found = Self::new(names.filter(|name| name.channel == channel).map(|name| name.offsets).collect());
        if sync && !found.ranges.is_empty() {
            disk::sync_directory(directory).map_err(FileError::on("sync the folder", directory))?;
        }
        Ok(found)
    }

    fn new(mut ranges: Vec<RangeInclusive<u64>>) -> Self {
        ranges.sort_unstable_by_key(|range| *range.start());
        let mut merged: Vec<RangeInclusive<u64>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last) if range.start() <= last.end() => *last = *last.start()..=*last.end().max(range.end()),
                _ => merged.push(range),
            }
        }
        Self { ranges: merged }
    }

    /// Whether a finished file holds the event at `offset`.
    pub(super) fn contains(&self, offset: u64) -> bool {
        let after = self.ranges.partition_point(|range| *range.start() <= offset);
        after.checked_sub(1).is_some_and(|at| self.ranges[at].contains(&offset))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Scenario: any ranges, overlapping or not, in any order.
        /// Guarantees: an offset is held if and only if one of the ranges has it.
        #[test]
        fn offsets_are_found(ranges in prop::collection::vec((0_u64..60, 0_u64..20), 0..8)) {
            let ranges: Vec<_> = ranges.into_iter().map(|(first, more)| first..=first + more).collect();
            let committed = Committed::new(ranges.clone());
            for offset in 0..90 {
                let expected = ranges.iter().any(|range| range.contains(&offset));
                prop_assert_eq!(committed.contains(offset), expected);
            }
        }
    }
}
