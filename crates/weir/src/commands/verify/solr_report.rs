//! What is said of the documents.

use serde::Serialize;

use super::RANGES_MAX;
use super::ids::{Searchable, Uneven};
use super::report::{Range, Verdict, line, listed};
use crate::text::grouped;

/// What Solr has.
#[derive(Serialize)]
pub(super) struct SolrReport {
    url: String,
    pub(super) documents: u64,
    found: u64,
    missing_events: u64,
    missing: Vec<Range>,
    /// The sink leaves events out, nobody said how many: what is missing does not count, and does not prove anything.
    is_selective: bool,
    /// As many as have to be missing.
    left_out: Option<u64>,
    /// What ids may begin with instead of the topic's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    id_prefix: Option<String>,
    /// Collections that the alias names and that are not there.
    absent_collections: Vec<String>,
    /// Shards whose replicas have not all as many documents: what was compared is not what every search finds.
    uneven: Vec<Uneven>,
    twice: u64,
    twice_examples: Vec<String>,
    unknown: u64,
    unknown_examples: Vec<String>,
    older_than_topic: u64,
    newer: u64,
    /// At offsets that the topic has no event at.
    without_event: u64,
    of_other_logs: u64,
}

/// How many events may have no document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LeftOut {
    /// Exactly so many.
    Events(u64),
    /// Nobody knows.
    Some,
}

impl SolrReport {
    pub(super) fn new(url: &str, found: Searchable, left_out: LeftOut, id_prefix: Option<String>) -> Self {
        let missing = found.missing_ranges.into_iter();
        let missing = missing.map(|(partition, range)| Range { partition, first: *range.start(), last: *range.end() });
        Self {
            url: url.to_owned(),
            documents: found.documents,
            found: found.found,
            missing_events: found.missing,
            missing: missing.collect(),
            is_selective: left_out == LeftOut::Some,
            left_out: match left_out {
                LeftOut::Events(count) => Some(count),
                LeftOut::Some => None,
            },
            id_prefix,
            absent_collections: found.absent_collections,
            uneven: found.uneven,
            twice: found.twice,
            twice_examples: found.twice_examples,
            unknown: found.unknown,
            unknown_examples: found.unknown_examples,
            older_than_topic: found.older,
            newer: found.newer,
            without_event: found.without_event,
            of_other_logs: found.of_other_logs,
        }
    }

    /// A collection without any document of the topic proves nothing, whatever was left out of it.
    pub(super) fn verdict(&self) -> Verdict {
        let is_whole = self.absent_collections.is_empty() && self.uneven.is_empty() && self.found > 0;
        let is_right = self.twice == 0 && self.unknown == 0 && is_whole;
        match self.left_out {
            _ if !is_right => Verdict::NotProven,
            None => Verdict::SelectionUnchecked,
            Some(left_out) if left_out == self.missing_events => Verdict::Proven,
            Some(_) => Verdict::NotProven,
        }
    }

    pub(super) fn text(&self, has_events: bool, out: &mut String) {
        let mut say = |text: &str| line(out, &format!("       {text}"));
        let found = grouped(self.found);
        match (self.verdict(), self.left_out) {
            _ if !has_events => {}
            (Verdict::Proven, Some(0)) => say(&format!("{found} found: every event of the topic exactly once")),
            (Verdict::Proven, _) => {
                say(&format!("{found} found, none twice, and as many missing as were left out"));
            }
            (Verdict::SelectionUnchecked, _) => say(&format!("{found} found: of the topic, none twice")),
            (Verdict::NotProven, _) if self.found == 0 => say("NO document of an event that the topic has"),
            (Verdict::NotProven, _) => {}
        }
        self.missing(&mut say);
        if !self.absent_collections.is_empty() {
            say(&format!("ABSENT collections that the alias names: {}", self.absent_collections.join(", ")));
        }
        for Uneven { collection, shard, cores } in self.uneven.iter().take(RANGES_MAX) {
            let core = |(core, documents): &(String, Option<u64>)| match documents {
                Some(documents) => format!("{} at {core}", grouped(*documents)),
                None => format!("no answer from {core}"),
            };
            let cores: Vec<_> = cores.iter().map(core).collect();
            say(&format!("UNEVEN replicas of {shard} of {collection}: {}", cores.join(", ")));
        }
        for (count, word, examples) in
            [(self.twice, "TWICE", &self.twice_examples), (self.unknown, "UNKNOWN", &self.unknown_examples)]
        {
            if count > 0 {
                say(&format!("{word} {} documents, as {}", grouped(count), examples.join(", ")));
            }
        }
        if let Some(prefix) = &self.id_prefix {
            say(&format!(
                "note: ids that begin with {prefix} count; those of an earlier topic of the same name cannot be told from them"
            ));
        }
        for (count, what) in [
            (self.older_than_topic, "documents of events that the topic has deleted"),
            (self.newer, "documents of events that came meanwhile"),
            (
                self.without_event,
                "documents of offsets without an event: compacted, or of a transaction that was aborted",
            ),
            (self.of_other_logs, "documents of other logs or topics, not looked at"),
        ] {
            if count > 0 {
                say(&format!("note: {} {what}", grouped(count)));
            }
        }
    }

    /// What is missing, against what may be.
    fn missing(&self, say: &mut dyn FnMut(&str)) {
        let missing = grouped(self.missing_events);
        let listed = || listed(&self.missing, self.missing_events);
        match self.left_out {
            None if self.missing_events > 0 => {
                say(&format!("left out {missing} events, or MISSING: that is not checked: {}", listed()));
            }
            Some(left_out) if self.missing_events < left_out => say(&format!(
                "TOO MANY: {} were left out, and only {missing} are missing; after a crash what comes again is counted again",
                grouped(left_out)
            )),
            Some(left_out) if self.missing_events > left_out => {
                let more = match left_out {
                    0 => String::new(),
                    _ => format!(", {} more than were left out", grouped(self.missing_events - left_out)),
                };
                say(&format!("MISSING {missing} events{more} (or not yet searchable): {}", listed()));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(left_out: LeftOut, found: Searchable) -> (Verdict, String) {
        let report = SolrReport::new("http://s/solr/c", found, left_out, None);
        let mut text = String::new();
        report.text(true, &mut text);
        (report.verdict(), text)
    }

    fn some(found: u64, missing: u64) -> Searchable {
        Searchable { documents: found, found, missing, ..Searchable::default() }
    }

    /// Scenario: documents for 7 of 10 events, where none, an unknown number, 3, 2 or 4 were left out; none at all; and an
    /// alias one of whose collections is gone.
    /// Guarantees: a selection whose size is unknown is never proven, one whose size is known only if just so many are
    /// missing; an empty collection and an absent one prove nothing.
    #[test]
    fn a_selection_is_proven_by_its_size_only() {
        let verdict = |left_out, found, missing| report(left_out, some(found, missing)).0;
        assert_eq!(verdict(LeftOut::Events(0), 10, 0), Verdict::Proven);
        assert_eq!(verdict(LeftOut::Events(0), 7, 3), Verdict::NotProven);
        assert_eq!(verdict(LeftOut::Events(3), 7, 3), Verdict::Proven);
        assert_eq!(verdict(LeftOut::Events(2), 7, 3), Verdict::NotProven);
        assert_eq!(verdict(LeftOut::Events(4), 7, 3), Verdict::NotProven);
        let (unknown, text) = report(LeftOut::Some, some(7, 3));
        assert_eq!(unknown, Verdict::SelectionUnchecked);
        assert!(text.contains("not checked") && !text.contains("exactly once"), "{text}");
        assert_eq!(verdict(LeftOut::Some, 0, 10), Verdict::NotProven);
        assert_eq!(verdict(LeftOut::Events(10), 0, 10), Verdict::NotProven);
        let absent = || Searchable { absent_collections: vec!["logs-2026-11-23".to_owned()], ..some(7, 3) };
        for left_out in [LeftOut::Some, LeftOut::Events(3)] {
            let (verdict, text) = report(left_out, absent());
            assert_eq!(verdict, Verdict::NotProven);
            assert!(text.contains("ABSENT") && text.contains("logs-2026-11-23"), "{text}");
        }
    }

    /// Scenario: besides what there is to be, documents of compacted offsets, of deleted events and of other topics.
    /// Guarantees: they are told, and are no difference.
    #[test]
    fn what_is_of_others_is_no_difference() {
        let found = Searchable { older: 3, newer: 4, without_event: 5, of_other_logs: 6, ..some(10, 0) };
        let (verdict, text) = report(LeftOut::Events(0), found);
        assert_eq!(verdict, Verdict::Proven);
        assert_eq!(text.matches("note: ").count(), 4, "{text}");
    }

    /// Scenario: a follower lacks two documents of its shard, another one does not answer.
    /// Guarantees: nothing is proven, and the text names both.
    #[test]
    fn replicas_have_to_be_even() {
        let cores = vec![
            ("http://a/s".to_owned(), Some(10)),
            ("http://b/s".to_owned(), Some(8)),
            ("http://c/s".to_owned(), None),
        ];
        let uneven = vec![Uneven { collection: "logs".to_owned(), shard: "shard1".to_owned(), cores }];
        let (verdict, text) = report(LeftOut::Events(0), Searchable { uneven, ..some(10, 0) });
        assert_eq!(verdict, Verdict::NotProven);
        assert!(text.contains("10 at http://a/s, 8 at http://b/s, no answer from http://c/s"), "{text}");
    }
}
