//! Ids of documents against the topic: which offsets are there.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::Serialize;

use super::offsets::OffsetSet;
use super::topic::Extent;

/// Examples of a kind.
const EXAMPLES_MAX: usize = 5;
const RANGES_MAX: usize = 10;

/// What is in the collection, against the topic.
#[derive(Default)]
pub(super) struct Searchable {
    pub(super) documents: u64,
    /// Events of the topic that there is a document for.
    pub(super) found: u64,
    pub(super) missing: u64,
    pub(super) missing_ranges: Vec<(u32, RangeInclusive<u64>)>,
    /// Ids that are there more than once: in several shards.
    pub(super) twice: u64,
    pub(super) twice_examples: Vec<String>,
    /// Ids that are none of the topic's.
    pub(super) unknown: u64,
    pub(super) unknown_examples: Vec<String>,
    /// Of events that the topic has no more.
    pub(super) older: u64,
    /// Of events that came after `weir verify` began.
    pub(super) newer: u64,
    /// Collections that the alias names and that are not there.
    pub(super) absent_collections: Vec<String>,
    /// Shards whose replicas differ.
    pub(super) uneven: Vec<Uneven>,
}

/// A shard whose cores have not all as many documents.
#[derive(Serialize, PartialEq, Eq, Debug)]
pub(super) struct Uneven {
    pub(super) collection: String,
    pub(super) shard: String,
    /// Address, and how many documents; none if it does not answer.
    pub(super) cores: Vec<(String, Option<u64>)>,
}

/// Ids against the topic.
pub(super) struct Found<'a> {
    /// The log of the topic, and another one that was given.
    prefixes: Vec<String>,
    /// By partition, as the topic was.
    extents: BTreeMap<u32, Extent>,
    expected: &'a BTreeMap<u32, OffsetSet>,
    seen: BTreeMap<u32, OffsetSet>,
    result: Searchable,
}

impl<'a> Found<'a> {
    pub(super) fn new(log: u64, id_prefix: Option<&str>, partitions: &[Extent], expected: &'a BTreeMap<u32, OffsetSet>) -> Self {
        let extents = partitions.iter().map(|extent| (extent.partition, *extent)).collect();
        let prefixes = std::iter::once(format!("{log:016x}")).chain(id_prefix.map(str::to_owned)).collect();
        Self { prefixes, extents, expected, seen: BTreeMap::new(), result: Searchable::default() }
    }

    pub(super) fn add(&mut self, id: &str) {
        self.result.documents += 1;
        let place = place(id).filter(|(prefix, ..)| self.prefixes.iter().any(|own| own == prefix));
        let known = place.and_then(|(_, partition, offset)| Some((partition, offset, *self.extents.get(&partition)?)));
        let Some((partition, offset, Extent { start, end, .. })) = known else { return self.unknown(id) };
        if offset < start {
            self.result.older += 1;
        } else if offset >= end {
            self.result.newer += 1;
        } else if !self.expected.get(&partition).is_some_and(|set| set.contains(offset)) {
            self.unknown(id);
        } else if !self.seen.entry(partition).or_default().insert(offset) {
            self.result.twice += 1;
            if self.result.twice_examples.len() < EXAMPLES_MAX {
                self.result.twice_examples.push(id.to_owned());
            }
        }
    }

    /// A document without the field of ids, or with something in it that is no text.
    pub(super) fn add_without_id(&mut self) {
        self.result.documents += 1;
        self.unknown("one without an id");
    }

    fn unknown(&mut self, id: &str) {
        self.result.unknown += 1;
        if self.result.unknown_examples.len() < EXAMPLES_MAX {
            self.result.unknown_examples.push(id.to_owned());
        }
    }

    pub(super) fn end(mut self) -> Searchable {
        let nothing = OffsetSet::default();
        for (partition, expected) in self.expected {
            let seen = self.seen.get(partition).unwrap_or(&nothing);
            let room = RANGES_MAX - self.result.missing_ranges.len();
            let (missing, ranges) = expected.without(seen, room);
            self.result.missing += missing;
            self.result.found += seen.len();
            self.result.missing_ranges.extend(ranges.into_iter().map(|range| (*partition, range)));
        }
        self.result
    }
}

/// Prefix, partition and offset of an id.
fn place(id: &str) -> Option<(&str, u32, u64)> {
    let (rest, offset) = id.rsplit_once('-')?;
    let (prefix, partition) = rest.rsplit_once('-')?;
    Some((prefix, partition.parse().ok()?, offset.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: ids by a prefix that was given and by log, one in two shards, one missing, of deleted and of later events, of another topic, and
    /// texts that are no ids of ours.
    /// Guarantees: each is counted as what it is, and the missing offsets are named.
    #[test]
    fn ids_are_told_apart() {
        let mut expected = BTreeMap::from([(0, OffsetSet::default()), (1, OffsetSet::default())]);
        for offset in 10..20 {
            expected.get_mut(&0).expect("made above").insert(offset);
        }
        expected.get_mut(&1).expect("made above").insert(5);
        let partitions = [Extent { partition: 0, start: 10, end: 20 }, Extent { partition: 1, start: 0, end: 7 }];
        let mut found = Found::new(0xab, Some("a-topic"), &partitions, &expected);
        for offset in (10..20).filter(|offset| !(13..=15).contains(offset)) {
            found.add(&format!("a-topic-0-{offset}"));
        }
        for id in ["00000000000000ab-1-5", "a-topic-0-10", "a-topic-0-9", "a-topic-0-20", "a-topic-1-6", "b-0-10"] {
            found.add(id);
        }
        for id in ["", "x", "a-topic-2-1", "a-topic-0-x"] {
            found.add(id);
        }
        let result = found.end();
        assert_eq!((result.documents, result.found, result.missing), (17, 8, 3));
        assert_eq!(result.missing_ranges, [(0, 13..=15)]);
        assert_eq!((result.twice, result.older, result.newer, result.unknown), (1, 1, 1, 6));
        assert_eq!(result.twice_examples, ["a-topic-0-10"]);
        assert_eq!(result.unknown_examples[..2], ["a-topic-1-6", "b-0-10"]);
    }

    /// Scenario: documents whose ids begin with the topic's name, as an earlier topic of that name leaves them behind.
    /// Guarantees: they prove nothing of this one.
    #[test]
    fn names_of_topics_are_no_identity() {
        let mut offsets = OffsetSet::default();
        (0..2).for_each(|offset| drop(offsets.insert(offset)));
        let expected = BTreeMap::from([(0, offsets)]);
        let partitions = [Extent { partition: 0, start: 0, end: 2 }];
        let mut found = Found::new(0xab, None, &partitions, &expected);
        for id in ["events-0-0", "events-0-1"] {
            found.add(id);
        }
        let result = found.end();
        assert_eq!((result.found, result.missing, result.unknown), (0, 2, 2));
    }
}
