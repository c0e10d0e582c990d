//! [`OffsetSet`]: which offsets of a partition there are, a bit each.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Offsets of a block: 8 KiB of bits.
const BLOCK_OFFSETS: u64 = 1 << 16;
const WORDS: usize = (BLOCK_OFFSETS / 64) as usize;

/// A set of offsets. Memory: one bit per offset between neighbours, in blocks of 8 KiB: 12.5 MB for 100 million events.
#[derive(Default, Debug)]
pub(super) struct OffsetSet {
    blocks: BTreeMap<u64, Box<[u64; WORDS]>>,
    count: u64,
}

impl OffsetSet {
    /// Whether it was new.
    pub(super) fn insert(&mut self, offset: u64) -> bool {
        let block = self.blocks.entry(offset / BLOCK_OFFSETS).or_insert_with(|| Box::new([0; WORDS]));
        let (word, bit) = place(offset);
        let is_new = block[word] & bit == 0;
        block[word] |= bit;
        self.count += u64::from(is_new);
        is_new
    }

    pub(super) fn contains(&self, offset: u64) -> bool {
        let (word, bit) = place(offset);
        self.blocks.get(&(offset / BLOCK_OFFSETS)).is_some_and(|block| block[word] & bit != 0)
    }

    pub(super) const fn len(&self) -> u64 {
        self.count
    }

    /// In ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.blocks.iter().flat_map(|(block, words)| {
            words.iter().enumerate().flat_map(move |(index, word)| {
                let first = block * BLOCK_OFFSETS + index as u64 * 64;
                let mut left = *word;
                std::iter::from_fn(move || {
                    let bit = u64::from(left.trailing_zeros());
                    // Takes the lowest bit away; of nothing, nothing.
                    left &= left.wrapping_sub(1);
                    (bit < 64).then_some(first + bit)
                })
            })
        })
    }

    /// What is in this set and not in `other`: its number, and the first ranges. A range has no offset of both sets in it.
    pub(super) fn without(&self, other: &Self, ranges_max: usize) -> (u64, Vec<RangeInclusive<u64>>) {
        let (mut ranges, mut count, mut is_open): (Vec<RangeInclusive<u64>>, _, _) = (Vec::new(), 0, false);
        for offset in self.iter() {
            let is_missing = !other.contains(offset);
            count += u64::from(is_missing);
            if is_missing && is_open {
                let last = ranges.last_mut().expect("an open range is the last one");
                *last = *last.start()..=offset;
            } else if is_missing && ranges.len() < ranges_max {
                ranges.push(offset..=offset);
            }
            is_open = is_missing && (is_open || ranges.last().is_some_and(|last| last.contains(&offset)));
        }
        (count, ranges)
    }
}

const fn place(offset: u64) -> (usize, u64) {
    ((offset % BLOCK_OFFSETS / 64) as usize, 1 << (offset % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: sets over block borders, with gaps of their own (transactions leave such) and with missing offsets.
    /// Guarantees: number and ranges of what is missing are right; a gap of the topic's own does not break a range.
    #[test]
    fn what_is_missing_is_found() {
        let (mut topic, mut found) = (OffsetSet::default(), OffsetSet::default());
        for offset in (0..200_000).filter(|offset| offset % 10 != 9) {
            assert!(topic.insert(offset));
            if !(65_530..=65_541).contains(&offset) && offset != 0 && offset != 199_998 && offset != 70_000 {
                assert!(found.insert(offset));
            }
        }
        assert!(!topic.insert(5) && topic.contains(5) && !topic.contains(9));
        assert_eq!(topic.len(), 180_000);
        let (count, ranges) = topic.without(&found, 3);
        assert_eq!((count, ranges), (1 + 11 + 1 + 1, vec![0..=0, 65_530..=65_541, 70_000..=70_000]));
        assert_eq!(found.without(&topic, 3), (0, vec![]));
        assert_eq!(OffsetSet::default().without(&topic, 3), (0, vec![]));
    }
}
