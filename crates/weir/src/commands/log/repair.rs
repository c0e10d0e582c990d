//! `weir log repair`: what is whole, in a new place.

use serde_json::json;
use weir_config::units::approx_bytes;
use weir_log::RealDisk;
use weir_log::tools;

use super::{failed, offsets};
use crate::cli::LogRepairArgs;
use crate::commands::{print, print_json};
use crate::exit::{Exit, Failure};
use crate::text::{counted, grouped};

pub(crate) fn repair(args: &LogRepairArgs) -> Result<Exit, Failure> {
    let report = tools::repair(&RealDisk, &args.dir, None, &args.to).map_err(|error| failed(&error, &args.dir))?;
    if args.json {
        print_json(&json!({
            "events": report.records,
            "segments": report.segments,
            "bytes": report.bytes,
            "lost": report.lost.iter().map(|lost| [lost.offsets.start, lost.offsets.end]).collect::<Vec<_>>(),
            "groups": report.groups,
        }));
        return Ok(Exit::Success);
    }
    let mut text = format!(
        "{} events in {} ({}) are in {}\n",
        grouped(report.records),
        counted(report.segments, "segment"),
        approx_bytes(report.bytes),
        args.to.display(),
    );
    for lost in &report.lost {
        text.push_str(&format!("  {} could not be saved\n", offsets(&lost.offsets)));
    }
    match report.groups.as_slice() {
        [] => text.push_str("no group's position could be taken over: all start at the oldest event\n"),
        groups => text.push_str(&format!("positions taken over: {}\n", groups.join(", "))),
    }
    text.push_str(&format!(
        "{} is as it was; set the channel's path to {} and start the agent",
        args.dir.display(),
        args.to.display()
    ));
    print(&text);
    Ok(Exit::Success)
}
