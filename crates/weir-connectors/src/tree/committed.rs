//! What finished files say they hold.

use std::ops::RangeInclusive;

use weir_event::ChannelId;

use super::name::Finished;

/// The offsets that finished files of one bucket hold. Nothing about any other directory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Committed {
    /// Ascending, not overlapping.
    ranges: Vec<RangeInclusive<u64>>,
}

impl Committed {
    /// What files called `names` hold of `channel`, but for what ends below `floor`: nobody asks for that again, and a
    /// directory may have a year of files.
    pub(super) fn of<'a>(
        names: impl IntoIterator<Item = &'a str>,
        prefix: &str,
        channel: ChannelId,
        floor: u64,
    ) -> Self {
        let names = names.into_iter().filter_map(|name| Finished::parse(name, prefix));
        let own = names.filter(|name| name.channel == channel && *name.offsets.end() >= floor);
        Self::new(own.map(|name| name.offsets).collect())
    }

    /// Whether finished files hold none of the events from `first` to `last`.
    pub(super) fn is_clear(&self, first: u64, last: u64) -> bool {
        let after = self.ranges.partition_point(|range| *range.start() <= last);
        after.checked_sub(1).is_none_or(|at| *self.ranges[at].end() < first)
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
                let clear = (offset..offset + 5).all(|offset| !committed.contains(offset));
                prop_assert_eq!(committed.is_clear(offset, offset + 4), clear);
            }
        }
    }
}
