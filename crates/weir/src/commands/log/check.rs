//! `weir log check`: the verdict, segment by segment.

use serde_json::{Value, json};
use weir_config::units::approx_bytes;
use weir_log::RealDisk;
use weir_log::tools::{self, CheckReport, FileState, GroupCheck, SegmentCheck};

use super::{failed, offsets};
use crate::cli::LogCheckArgs;
use crate::commands::{print, print_json};
use crate::exit::{Exit, Failure};
use crate::text::{Table, counted, grouped};

pub(crate) fn check(args: &LogCheckArgs) -> Result<Exit, Failure> {
    let report = tools::check(&RealDisk, &args.dir, None).map_err(|error| failed(&error, &args.dir))?;
    if args.json {
        print_json(&as_json(&report));
    } else {
        print(as_text(&report, &args.dir.display().to_string()).trim_end());
    }
    Ok(if report.is_sound() { Exit::Success } else { Exit::Damage })
}

fn as_text(report: &CheckReport, dir: &str) -> String {
    let mut table = Table::new(&["SEGMENT", ">FIRST", ">NEXT", ">EVENTS", ">BATCHES", ">FILE", "VERDICT"]);
    for segment in &report.segments {
        let name = segment.path.file_name().unwrap_or_default().to_string_lossy();
        table.row([
            name.into_owned(),
            segment.base.to_string(),
            segment.end.to_string(),
            grouped(segment.records),
            grouped(segment.batches),
            approx_bytes(segment.bytes),
            verdict(segment),
        ]);
    }
    let mut out = table.render("");
    for segment in &report.segments {
        for damage in &segment.damaged {
            let (path, bytes) = (damage.path.display(), &damage.bytes);
            out.push_str(&format!(
                "damaged: {path}, bytes {} to {}: {}\n",
                bytes.start,
                bytes.end,
                offsets(&damage.offsets)
            ));
        }
    }
    for stray in &report.strays {
        out.push_str(&format!("no part of this log: {}\n", stray.display()));
    }
    match report.meta {
        FileState::Good => {}
        state => out.push_str(&format!("meta: {}\n", state_text(state))),
    }
    out.push('\n');
    out.push_str(&groups_text(report));
    let range = offsets(&(report.start_offset..report.end_offset));
    let held = format!("{} events in {}, {range}", grouped(report.records), counted(report.segments.len(), "segment"));
    if report.is_sound() {
        out.push_str(&format!("\nsound: {held}\n"));
        return out;
    }
    out.push_str(&format!("\ndamaged: {held}\n"));
    for lost in report.lost.iter().filter(|lost| lost.was_durable) {
        let events = grouped(lost.offsets.end - lost.offsets.start);
        out.push_str(&format!("  {events} events are gone: {}\n", offsets(&lost.offsets)));
    }
    out.push_str(&format!("What is whole can be moved to a healthy disk: weir log repair {dir} --to NEW_DIR\n"));
    out
}

fn verdict(segment: &SegmentCheck) -> String {
    match (segment.damaged.is_empty(), segment.torn_bytes) {
        (true, 0) => "ok".to_owned(),
        // Writes that a crash cut off, or that a running agent is just making: nothing in them was acknowledged.
        (true, torn) => format!("ok, {} not finished", approx_bytes(torn)),
        (false, _) => format!("DAMAGED in {}", counted(segment.damaged.len(), "place")),
    }
}

/// The groups as a table: `weir log groups` shows the same.
pub(super) fn groups_text(report: &CheckReport) -> String {
    if report.groups.is_empty() {
        return "no groups: nothing reads this log, so nothing in it is deleted\n".to_owned();
    }
    let mut table = Table::new(&["GROUP", ">POSITION", ">WAITING", "STATE"]);
    for group in &report.groups {
        let position = group.position.map_or("-".to_owned(), |position| position.to_string());
        table.row([
            group.name.clone(),
            position,
            waiting(report, group).map_or("-".to_owned(), grouped),
            state_text(group.state).to_owned(),
        ]);
    }
    table.render("")
}

/// Events that a group has still to read, gaps counted.
fn waiting(report: &CheckReport, group: &GroupCheck) -> Option<u64> {
    let position = group.position?.max(report.start_offset);
    Some(report.end_offset.saturating_sub(position))
}

fn state_text(state: FileState) -> &'static str {
    match state {
        FileState::Good => "good",
        FileState::OneSlot => "good, by the second of its two copies",
        FileState::Damaged => "damaged",
        FileState::Missing => "missing",
    }
}

fn as_json(report: &CheckReport) -> Value {
    let segment = |segment: &SegmentCheck| {
        let damaged = segment.damaged.iter().map(|damage| {
            json!({
                "bytes": [damage.bytes.start, damage.bytes.end],
                "offsets": [damage.offsets.start, damage.offsets.end],
            })
        });
        json!({
            "path": segment.path,
            "first_offset": segment.base,
            "end_offset": segment.end,
            "events": segment.records,
            "batches": segment.batches,
            "bytes": segment.bytes,
            "unfinished_bytes": segment.torn_bytes,
            "damaged": damaged.collect::<Vec<_>>(),
        })
    };
    let lost = report
        .lost
        .iter()
        .map(|lost| json!({ "offsets": [lost.offsets.start, lost.offsets.end], "was_durable": lost.was_durable }));
    json!({
        "sound": report.is_sound(),
        "id": report.id.map(|id| format!("{id:016x}")),
        "start_offset": report.start_offset,
        "end_offset": report.end_offset,
        "events": report.records,
        "meta": state_text(report.meta),
        "segments": report.segments.iter().map(segment).collect::<Vec<_>>(),
        "strays": report.strays,
        "lost": lost.collect::<Vec<_>>(),
        "groups": groups_json(report),
    })
}

/// The groups for a program. `end` of ranges elsewhere is exclusive, as is `position`: the next offset to read.
pub(super) fn groups_json(report: &CheckReport) -> Value {
    let group = |group: &GroupCheck| {
        json!({
            "name": group.name,
            "position": group.position,
            "waiting_events": waiting(report, group),
            "state": state_text(group.state),
        })
    };
    report.groups.iter().map(group).collect()
}
