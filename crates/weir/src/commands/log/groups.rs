//! `weir log groups` and `weir log drop-group`: who reads a log, and who does not any more.

use std::sync::Arc;

use weir_log::tools::{self, ToolError};
use weir_log::{Log, LogOptions, RealDisk};

use super::{check, failed};
use crate::cli::{LogDropGroupArgs, LogGroupsArgs};
use crate::commands::{print, print_json};
use crate::exit::{Exit, Failure};

pub(crate) fn groups(args: &LogGroupsArgs) -> Result<Exit, Failure> {
    let report = tools::check(&RealDisk, &args.dir, None).map_err(|error| failed(&error, &args.dir))?;
    if args.json {
        print_json(&check::groups_json(&report));
    } else {
        print(check::groups_text(&report).trim_end());
    }
    Ok(Exit::Success)
}

pub(crate) fn drop_group(args: &LogDropGroupArgs) -> Result<Exit, Failure> {
    // Opening makes a log where there is none: a slip in DIR must not.
    if !args.dir.join("segments").is_dir() {
        return Err(failed(&ToolError::NoLog { dir: args.dir.clone() }, &args.dir));
    }
    let fail = |error: &dyn std::error::Error| Failure::because("the group was not dropped", error);
    let (log, _report) =
        Log::open(Arc::new(RealDisk), &args.dir, LogOptions::default()).map_err(|error| fail(&error))?;
    let known: Vec<_> = log.groups().into_iter().map(|group| group.name).collect();
    let dropped = log.drop_group(&args.name);
    log.close().map_err(|error| fail(&error))?;
    dropped.map_err(|error| {
        let mut failure = fail(&error);
        failure.message.push_str(&format!("; the groups are: {}", known.join(", ")));
        failure
    })?;
    print(&format!("group {} is forgotten; what only it had still to read is deleted", args.name));
    Ok(Exit::Success)
}
