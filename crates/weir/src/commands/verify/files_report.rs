//! What is said of the files.

use serde::Serialize;

use super::claims::{Overlap, Piece};
use super::files::Listing;
use super::narrow::Difference;
use super::report::{Range, line, listed, ranges};
use super::{RANGES_MAX, Unclaimed};
use crate::text::grouped;

/// What the files have.
#[derive(Serialize, Default)]
pub(super) struct Files {
    url: String,
    pub(super) files: u64,
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
    /// Why it was not compared line by line, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_narrowed: Option<String>,
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

    pub(super) fn of_url(self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self }
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

    /// The same of a piece that differs.
    pub(super) fn different(
        &mut self,
        partition: u32,
        piece: &Piece,
        start: u64,
        difference: Result<Difference, String>,
    ) {
        let (difference, not_narrowed) = match difference {
            Ok(difference) => (difference, None),
            Err(why) => (Difference::default(), Some(why)),
        };
        self.different.push(DifferenceReport {
            range: Range { partition, first: piece.first.max(start), last: piece.last },
            files: piece.files.len(),
            lines_in_topic: piece.in_topic.lines,
            lines_in_files: piece.in_files.lines,
            not_narrowed,
            missing_lines: difference.missing,
            missing: ranges(partition, &difference.missing_ranges),
            extra_lines: difference.extra,
            extra_files: difference.extra_files.into_iter().map(|(file, lines)| ExtraReport { file, lines }).collect(),
        });
    }

    pub(super) fn is_proven(&self) -> bool {
        let is_each_once = self.missing_events == 0
            && self.overlaps == 0
            && self.different.is_empty()
            && self.not_compared == 0
            && self.of_other_logs == 0;
        self.is_equal_as_a_whole.unwrap_or(is_each_once) && self.unreadable.is_empty()
    }

    pub(super) fn text(&self, has_events: bool, out: &mut String) {
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
        if let Some(why) = &self.not_narrowed {
            line(out, &format!("         not compared line by line: {why}"));
        }
        for extra in &self.extra_files {
            line(out, &format!("         twice or unknown {} in {}", grouped(extra.lines), extra.file));
        }
    }
}
