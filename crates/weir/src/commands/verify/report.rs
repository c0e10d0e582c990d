//! What is said at the end, to people and to scripts.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use serde::Serialize;

use super::claims::{Overlap, Piece};
use super::files::Listing;
use super::narrow::Difference;
use super::solr::Searchable;
use super::topic::Topic;
use super::{RANGES_MAX, Read, Unclaimed};
use crate::text::grouped;

/// The whole of it.
#[derive(Serialize)]
pub(super) struct Report {
    /// Every offset of the topic is in each exactly once.
    pub(super) is_proven: bool,
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
    partition: u32,
    first: u64,
    last: u64,
}

/// What the files have.
#[derive(Serialize, Default)]
pub(super) struct Files {
    url: String,
    files: u64,
    bytes: u64,
    pub(super) lines: u64,
    /// Files that are being written, or were left behind.
    in_progress: u64,
    /// Files whose names are no names of ours.
    others: u64,
    /// Files whose names carry offsets of another log than the topic.
    pub(super) of_other_logs: u64,
    /// Only where all files are of other logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) is_equal_as_a_whole: Option<bool>,
    /// Runs of offsets that were compared.
    pub(super) pieces: u64,
    /// Of these, so many could not be compared.
    not_compared: u64,
    unchecked: Vec<UncheckedReport>,
    /// Files of events that the topic has deleted: not looked into.
    pub(super) older: u64,
    pub(super) unreadable: Vec<String>,
    /// Events that no file claims.
    missing_events: u64,
    missing: Vec<Range>,
    overlaps: u64,
    overlapping: Vec<OverlapReport>,
    /// Pieces whose files hold something else than the topic.
    different: Vec<DifferenceReport>,
}

#[derive(Serialize)]
struct OverlapReport {
    one: String,
    other: String,
    first: u64,
    last: u64,
}

/// A piece that could not be compared.
#[derive(Serialize)]
struct UncheckedReport {
    #[serde(flatten)]
    range: Range,
    why: String,
}

/// A piece that differs.
#[derive(Serialize)]
struct DifferenceReport {
    #[serde(flatten)]
    range: Range,
    files: usize,
    lines_in_topic: u64,
    lines_in_files: u64,
    /// Compared line by line.
    is_narrowed: bool,
    missing_lines: u64,
    missing: Vec<Range>,
    extra_lines: u64,
    extra_files: Vec<ExtraReport>,
}

#[derive(Serialize)]
struct ExtraReport {
    file: String,
    lines: u64,
}

/// What Solr has.
#[derive(Serialize)]
struct SolrReport {
    url: String,
    documents: u64,
    found: u64,
    missing_events: u64,
    missing: Vec<Range>,
    /// The sink leaves events out: what is missing does not count.
    is_selective: bool,
    twice: u64,
    twice_examples: Vec<String>,
    unknown: u64,
    unknown_examples: Vec<String>,
    older_than_topic: u64,
    newer: u64,
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

impl Files {
    pub(super) fn of(listing: &Listing) -> Self {
        Self {
            files: listing.claims.len() as u64,
            bytes: listing.claims.iter().map(|claim| claim.bytes).sum(),
            in_progress: listing.in_progress,
            others: listing.others,
            ..Self::default()
        }
    }

    pub(super) fn overlaps(&mut self, count: u64, found: &[Overlap]) {
        self.overlaps = count;
        let report = |it: &Overlap| OverlapReport {
            one: it.one.clone(),
            other: it.other.clone(),
            first: it.first,
            last: it.last,
        };
        self.overlapping = found.iter().map(report).collect();
    }

    pub(super) fn unclaimed(&mut self, unclaimed: &Unclaimed) {
        self.missing_events = unclaimed.events;
        let ranges = unclaimed.ranges.iter();
        self.missing = ranges
            .map(|(partition, first, last)| Range { partition: *partition, first: *first, last: *last })
            .collect();
    }

    /// What of a piece the topic has, from `start` on.
    pub(super) fn unchecked(&mut self, partition: u32, piece: &Piece, start: u64) {
        self.not_compared += 1;
        if self.unchecked.len() < RANGES_MAX {
            let range = Range { partition, first: piece.first.max(start), last: piece.last };
            self.unchecked.push(UncheckedReport { range, why: piece.unknown.clone().unwrap_or_default() });
        }
    }

    pub(super) fn different(&mut self, partition: u32, piece: &Piece, difference: Option<Difference>) {
        let is_narrowed = difference.is_some();
        let difference = difference.unwrap_or_default();
        self.different.push(DifferenceReport {
            range: Range { partition, first: piece.first, last: piece.last },
            files: piece.files.len(),
            lines_in_topic: piece.in_topic.lines,
            lines_in_files: piece.in_files.lines,
            is_narrowed,
            missing_lines: difference.missing,
            missing: ranges(partition, &difference.missing_ranges),
            extra_lines: difference.extra,
            extra_files: difference.extra_files.into_iter().map(|(file, lines)| ExtraReport { file, lines }).collect(),
        });
    }

    fn is_proven(&self) -> bool {
        let is_each_once = self.missing_events == 0
            && self.overlaps == 0
            && self.different.is_empty()
            && self.not_compared == 0
            && self.of_other_logs == 0;
        self.is_equal_as_a_whole.unwrap_or(is_each_once) && self.unreadable.is_empty()
    }

    fn text(&self, has_events: bool, out: &mut String) {
        line(
            out,
            &format!(
                "hdfs   {}: {} files, {} bytes, {} lines",
                self.url,
                grouped(self.files),
                grouped(self.bytes),
                grouped(self.lines)
            ),
        );
        match self.is_equal_as_a_whole {
            Some(true) => line(
                out,
                "       equal to the topic as a whole: names carry the offsets of another log (a file channel in between)",
            ),
            Some(false) => line(
                out,
                "       NOT equal to the topic as a whole; names carry the offsets of another log (a file channel in between)",
            ),
            None if has_events && self.is_proven() => line(out, "       every event of the topic exactly once"),
            None => {}
        }
        if self.missing_events > 0 {
            line(
                out,
                &format!(
                    "       MISSING {} events that no file claims: {}",
                    grouped(self.missing_events),
                    listed(&self.missing, self.missing_events)
                ),
            );
        }
        if self.overlaps > 0 {
            line(
                out,
                &format!("       TWICE {} files claim what another of their directory does:", grouped(self.overlaps)),
            );
            for it in &self.overlapping {
                line(out, &format!("         {} to {}: {} and {}", it.first, it.last, it.one, it.other));
            }
        }
        for it in self.different.iter().take(RANGES_MAX) {
            it.text(out);
        }
        if self.different.len() > RANGES_MAX {
            line(out, &format!("       and {} more that differ", self.different.len() - RANGES_MAX));
        }
        for UncheckedReport { range: Range { partition, first, last }, why } in &self.unchecked {
            line(out, &format!("       NOT CHECKED partition {partition}, offsets {first} to {last}: {why}"));
        }
        if self.not_compared > self.unchecked.len() as u64 {
            line(out, &format!("       and {} more not checked", self.not_compared - self.unchecked.len() as u64));
        }
        for error in self.unreadable.iter().take(RANGES_MAX) {
            line(out, &format!("       UNREADABLE {error}"));
        }
        if self.of_other_logs > 0 && self.is_equal_as_a_whole.is_none() {
            line(out, &format!("       UNKNOWN {} files of other logs or topics", grouped(self.of_other_logs)));
        }
        for (count, what) in [
            (self.older, "files of events that the topic has deleted, not looked into"),
            (self.in_progress, "files in progress, or left behind"),
            (self.others, "files with other names, not looked at"),
        ] {
            if count > 0 {
                line(out, &format!("       note: {} {what}", grouped(count)));
            }
        }
    }
}

impl DifferenceReport {
    fn text(&self, out: &mut String) {
        let Range { partition, first, last } = self.range;
        line(
            out,
            &format!(
                "       DIFFERENT partition {partition}, offsets {first} to {last}: {} lines in the topic, {} in {} files",
                grouped(self.lines_in_topic),
                grouped(self.lines_in_files),
                self.files
            ),
        );
        if self.missing_lines > 0 {
            line(
                out,
                &format!(
                    "         missing {}: {}",
                    grouped(self.missing_lines),
                    listed(&self.missing, self.missing_lines)
                ),
            );
        }
        for extra in &self.extra_files {
            line(out, &format!("         twice or unknown {} in {}", grouped(extra.lines), extra.file));
        }
    }
}

impl SolrReport {
    fn new(url: &str, found: Searchable, is_selective: bool) -> Self {
        let missing = found.missing_ranges.into_iter();
        let missing = missing.map(|(partition, range)| Range { partition, first: *range.start(), last: *range.end() });
        Self {
            url: url.to_owned(),
            documents: found.documents,
            found: found.found,
            missing_events: found.missing,
            missing: missing.collect(),
            is_selective,
            twice: found.twice,
            twice_examples: found.twice_examples,
            unknown: found.unknown,
            unknown_examples: found.unknown_examples,
            older_than_topic: found.older,
            newer: found.newer,
        }
    }

    fn is_proven(&self) -> bool {
        (self.missing_events == 0 || self.is_selective) && self.twice == 0 && self.unknown == 0
    }

    fn text(&self, has_events: bool, out: &mut String) {
        line(out, &format!("solr   {}: {} documents", self.url, grouped(self.documents)));
        if has_events && self.is_proven() {
            let what =
                if self.is_selective { "of the topic, none twice" } else { "every event of the topic exactly once" };
            line(out, &format!("       {} found: {what}", grouped(self.found)));
        }
        if self.missing_events > 0 {
            let word = if self.is_selective { "left out" } else { "MISSING" };
            line(
                out,
                &format!(
                    "       {word} {} events (or not yet searchable): {}",
                    grouped(self.missing_events),
                    listed(&self.missing, self.missing_events)
                ),
            );
        }
        for (count, word, examples) in
            [(self.twice, "TWICE", &self.twice_examples), (self.unknown, "UNKNOWN", &self.unknown_examples)]
        {
            if count > 0 {
                line(out, &format!("       {word} {} documents, as {}", grouped(count), examples.join(", ")));
            }
        }
        for (count, what) in [
            (self.older_than_topic, "documents of events that the topic has deleted"),
            (self.newer, "documents of events that came meanwhile"),
        ] {
            if count > 0 {
                line(out, &format!("       note: {} {what}", grouped(count)));
            }
        }
    }
}

impl Report {
    pub(super) fn new(
        topic: TopicReport,
        hdfs: Option<(&str, Files)>,
        solr: Option<(&str, Searchable)>,
        is_selective: bool,
    ) -> Self {
        let hdfs = hdfs.map(|(url, files)| Files { url: url.to_owned(), ..files });
        let solr = solr.map(|(url, found)| SolrReport::new(url, found, is_selective));
        let is_proven = topic.events > 0
            && hdfs.as_ref().is_none_or(Files::is_proven)
            && solr.as_ref().is_none_or(SolrReport::is_proven);
        Self { is_proven, topic, hdfs, solr }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
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
        let last = match self.is_proven {
            true => "proven",
            false if self.topic.events == 0 => "NOT proven: nothing to compare, the topic has no events",
            false => "NOT proven",
        };
        line(&mut out, last);
        out
    }
}

fn ranges(partition: u32, all: &[RangeInclusive<u64>]) -> Vec<Range> {
    all.iter().map(|range| Range { partition, first: *range.start(), last: *range.end() }).collect()
}

/// `partition 0: 5 to 9, 12; partition 1: 3`; three dots if there are more than the ranges hold.
fn listed(ranges: &[Range], count: u64) -> String {
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

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}
