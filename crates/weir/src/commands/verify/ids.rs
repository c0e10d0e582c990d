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
    /// Of offsets between the ends of the topic that it has no event at: compacted away, or never committed.
    pub(super) without_event: u64,
    /// Of other logs or topics, by their ids.
    pub(super) of_other_logs: u64,
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
    /// Beyond the end that the topic had.
    newer: BTreeMap<u32, OffsetSet>,
    result: Searchable,
}

impl<'a> Found<'a> {
    pub(super) fn new(
        log: u64,
        id_prefix: Option<&str>,
        partitions: &[Extent],
        expected: &'a BTreeMap<u32, OffsetSet>,
    ) -> Self {
        let extents = partitions.iter().map(|extent| (extent.partition, *extent)).collect();
        let prefixes = std::iter::once(format!("{log:016x}")).chain(id_prefix.map(str::to_owned)).collect();
        Self {
            prefixes,
            extents,
            expected,
            seen: BTreeMap::new(),
            newer: BTreeMap::new(),
            result: Searchable::default(),
        }
    }

    pub(super) fn add(&mut self, id: &str) {
        self.result.documents += 1;
        let Some((prefix, partition, offset)) = place(id) else { return self.unknown(id) };
        if !self.prefixes.iter().any(|own| own == prefix) {
            match is_log(prefix) {
                true => self.result.of_other_logs += 1,
                false => self.unknown(id),
            }
            return;
        }
        let Some(Extent { start, end, .. }) = self.extents.get(&partition).copied() else { return self.unknown(id) };
        let is_new = if offset < start {
            self.result.older += 1;
            true
        } else if offset >= end {
            self.newer.entry(partition).or_default().insert(offset)
        } else if !self.expected.get(&partition).is_some_and(|set| set.contains(offset)) {
            self.result.without_event += 1;
            true
        } else {
            self.seen.entry(partition).or_default().insert(offset)
        };
        if !is_new {
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

    /// The result, with the ends that the topic has now.
    pub(super) fn end(mut self, ends: &BTreeMap<u32, u64>) -> Searchable {
        for (partition, newer) in std::mem::take(&mut self.newer) {
            let end = ends.get(&partition).copied().unwrap_or(0);
            for offset in newer.iter() {
                match offset < end {
                    true => self.result.newer += 1,
                    // The topic has lost its end, or it is not the topic that the documents are of.
                    false => self.unknown(&format!("{}-{partition}-{offset}", self.prefixes[0])),
                }
            }
        }
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

/// Whether it can be the identity of a log or topic.
fn is_log(prefix: &str) -> bool {
    prefix.len() == 16 && prefix.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
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

    fn set(offsets: impl IntoIterator<Item = u64>) -> OffsetSet {
        let mut set = OffsetSet::default();
        for offset in offsets {
            set.insert(offset);
        }
        set
    }

    /// Scenario: ids by a prefix that was given and by log, one in two shards, one missing, of deleted and of later events, of
    /// an offset without an event, of another log, of another topic, and texts that are no ids of ours.
    /// Guarantees: each is counted as what it is, and the missing offsets are named.
    #[test]
    fn ids_are_told_apart() {
        let expected = BTreeMap::from([(0, set(10..20)), (1, set([5]))]);
        let partitions = [Extent { partition: 0, start: 10, end: 20 }, Extent { partition: 1, start: 0, end: 7 }];
        let mut found = Found::new(0xab, Some("a-topic"), &partitions, &expected);
        for offset in (10..20).filter(|offset| !(13..=15).contains(offset)) {
            found.add(&format!("a-topic-0-{offset}"));
        }
        let (log, other) = ("00000000000000ab-1-5", "00000000000000ac-0-10");
        for id in [log, other, "a-topic-0-10", "a-topic-0-9", "a-topic-0-20", "a-topic-1-6", "b-0-10"] {
            found.add(id);
        }
        for id in ["", "x", "a-topic-2-1", "a-topic-0-x"] {
            found.add(id);
        }
        let result = found.end(&BTreeMap::from([(0, 21), (1, 7)]));
        assert_eq!((result.documents, result.found, result.missing), (18, 8, 3));
        assert_eq!(result.missing_ranges, [(0, 13..=15)]);
        assert_eq!((result.twice, result.older, result.newer, result.unknown), (1, 1, 1, 5));
        assert_eq!((result.without_event, result.of_other_logs), (1, 1));
        assert_eq!(result.twice_examples, ["a-topic-0-10"]);
        assert_eq!(result.unknown_examples[..2], ["b-0-10", ""]);
    }

    /// Scenario: documents beyond the end of the topic, of which it has reached some meanwhile.
    /// Guarantees: those that it has not are of no event.
    #[test]
    fn what_is_newer_has_to_come() {
        let expected = BTreeMap::from([(0, set(0..2))]);
        let mut found = Found::new(0xab, None, &[Extent { partition: 0, start: 0, end: 2 }], &expected);
        (0..6).for_each(|offset| found.add(&format!("00000000000000ab-0-{offset}")));
        let result = found.end(&BTreeMap::from([(0, 4)]));
        assert_eq!((result.found, result.missing, result.newer, result.unknown), (2, 0, 2, 2));
        assert_eq!(result.unknown_examples, ["00000000000000ab-0-4", "00000000000000ab-0-5"]);
    }

    /// Scenario: documents whose ids begin with the topic's name, as an earlier topic of that name leaves them behind.
    /// Guarantees: they prove nothing of this one.
    #[test]
    fn names_of_topics_are_no_identity() {
        let expected = BTreeMap::from([(0, set(0..2))]);
        let mut found = Found::new(0xab, None, &[Extent { partition: 0, start: 0, end: 2 }], &expected);
        for id in ["events-0-0", "events-0-1"] {
            found.add(id);
        }
        let result = found.end(&BTreeMap::from([(0, 2)]));
        assert_eq!((result.found, result.missing, result.unknown), (0, 2, 2));
    }
}
