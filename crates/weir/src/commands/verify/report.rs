//! What is said at the end, to people and to scripts.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use serde::Serialize;

use super::Read;
use super::files_report::Files;
use super::solr_report::SolrReport;
use super::topic::Topic;
use crate::text::grouped;

/// The whole of it.
#[derive(Serialize)]
pub(in crate::commands) struct Report {
    /// Every offset of the topic is in each exactly once.
    pub(in crate::commands) is_proven: bool,
    pub(super) verdict: Verdict,
    topic: TopicReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    hdfs: Option<Files>,
    #[serde(skip_serializing_if = "Option::is_none")]
    solr: Option<SolrReport>,
}

/// What the topic has.
#[derive(Serialize)]
pub(super) struct TopicReport {
    name: String,
    /// What names of files call it.
    log: String,
    events: u64,
    partitions: Vec<PartitionReport>,
}

#[derive(Serialize)]
struct PartitionReport {
    partition: u32,
    start: u64,
    end: u64,
}

/// Offsets of a partition.
#[derive(Serialize, PartialEq, Eq, Debug)]
pub(super) struct Range {
    pub(super) partition: u32,
    pub(super) first: u64,
    pub(super) last: u64,
}

/// What may be said.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Debug)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// Something is different, or could not be compared.
    NotProven,
    /// Nothing is wrong with what is in Solr; whether something of the selection is missing nobody looked.
    SelectionUnchecked,
    /// Every event is there exactly once.
    Proven,
}

impl TopicReport {
    pub(super) fn of(topic: &Topic, read: &Read) -> Self {
        let partitions = topic.partitions.iter();
        let partitions = partitions.map(|it| PartitionReport { partition: it.partition, start: it.start, end: it.end });
        Self {
            name: topic.name.clone(),
            log: format!("{:016x}", topic.log),
            events: read.events,
            partitions: partitions.collect(),
        }
    }
}

impl Report {
    pub(super) fn new(topic: TopicReport, hdfs: Option<Files>, solr: Option<SolrReport>) -> Self {
        let of_files = hdfs.as_ref().map(|files| match files.is_proven() {
            true => Verdict::Proven,
            false => Verdict::NotProven,
        });
        let of_solr = solr.as_ref().map(SolrReport::verdict);
        let both = of_files.into_iter().chain(of_solr).min().filter(|_| topic.events > 0);
        let verdict = both.unwrap_or(Verdict::NotProven);
        Self { is_proven: verdict == Verdict::Proven, verdict, topic, hdfs, solr }
    }

    /// Lines in the files; 0 where none were compared.
    pub(in crate::commands) fn lines(&self) -> u64 {
        self.hdfs.as_ref().map_or(0, |files| files.lines)
    }

    /// Finished files.
    pub(in crate::commands) fn files(&self) -> u64 {
        self.hdfs.as_ref().map_or(0, |files| files.files)
    }

    /// Documents; 0 where none were compared.
    pub(in crate::commands) fn documents(&self) -> u64 {
        self.solr.as_ref().map_or(0, |solr| solr.documents)
    }

    /// For people.
    pub(in crate::commands) fn text(&self) -> String {
        let mut out = String::new();
        let deleted: u64 = self.topic.partitions.iter().map(|it| it.start).sum();
        line(
            &mut out,
            &format!(
                "topic  {}: {} events in {} partitions",
                self.topic.name,
                grouped(self.topic.events),
                self.topic.partitions.len()
            ),
        );
        if deleted > 0 {
            line(&mut out, &format!("       note: {} offsets before that are deleted", grouped(deleted)));
        }
        if let Some(files) = &self.hdfs {
            files.text(self.topic.events > 0, &mut out);
        }
        if let Some(solr) = &self.solr {
            solr.text(self.topic.events > 0, &mut out);
        }
        let last = match self.verdict {
            Verdict::Proven => "proven",
            Verdict::SelectionUnchecked if self.hdfs.is_some() => {
                "proven of HDFS; of Solr only what is there was checked, not that nothing selected is missing: see --left-out"
            }
            Verdict::SelectionUnchecked => {
                "NOT proven: only what is in Solr was checked, not that nothing selected is missing: see --left-out"
            }
            Verdict::NotProven if self.topic.events == 0 => "NOT proven: nothing to compare, the topic has no events",
            Verdict::NotProven => "NOT proven",
        };
        line(&mut out, last);
        out
    }
}

pub(super) fn ranges(partition: u32, all: &[RangeInclusive<u64>]) -> Vec<Range> {
    all.iter().map(|range| Range { partition, first: *range.start(), last: *range.end() }).collect()
}

/// `partition 0: 5 to 9, 12; partition 1: 3`; three dots if there are more than the ranges hold.
pub(super) fn listed(ranges: &[Range], count: u64) -> String {
    let mut out = String::new();
    let mut before = None;
    for Range { partition, first, last } in ranges {
        let lead = match before {
            Some(same) if same == *partition => ", ".to_owned(),
            Some(_) => format!("; partition {partition}: "),
            None => format!("partition {partition}: "),
        };
        before = Some(*partition);
        out.push_str(&lead);
        let _ = if first == last { write!(out, "{first}") } else { write!(out, "{first} to {last}") };
    }
    let held: u64 = ranges.iter().map(|range| range.last - range.first + 1).sum();
    if held < count {
        out.push_str(", ...");
    }
    out
}

pub(super) fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}
