//! `weir log`: a durable log seen from outside. The work is done in `weir_log::tools`; here it becomes text and JSON.

mod check;
mod dump;
mod groups;
mod repair;

use std::ops::Range;
use std::path::Path;

use weir_log::tools::ToolError;

use crate::cli::LogCommand;
use crate::exit::{Exit, Failure};

pub(crate) fn log(command: &LogCommand) -> Result<Exit, Failure> {
    match command {
        LogCommand::Check(args) => check::check(args),
        LogCommand::Dump(args) => dump::dump(args),
        LogCommand::Repair(args) => repair::repair(args),
        LogCommand::Groups(args) => groups::groups(args),
        LogCommand::DropGroup(args) => groups::drop_group(args),
    }
}

/// What a tool said, with what to do where that is known.
fn failed(error: &ToolError, dir: &Path) -> Failure {
    let mut failure = Failure::because(&format!("the log in {} cannot be read", dir.display()), error);
    match error {
        ToolError::NoLog { .. } => {
            failure.message = format!("{error}; name the path of a file channel: the folder with segments/ in it");
        }
        ToolError::NotEmpty { .. } => failure.message = error.to_string(),
        ToolError::Io { .. } => {}
    }
    failure
}

/// `offsets 10 to 19`, `offset 10`.
fn offsets(range: &Range<u64>) -> String {
    match range.end.saturating_sub(range.start) {
        0 => "no offset".to_owned(),
        1 => format!("offset {}", range.start),
        _ => format!("offsets {} to {}", range.start, range.end - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: ranges of no, one and several offsets.
    /// Guarantees: the last offset named is in the range.
    #[test]
    fn ranges_are_inclusive_in_words() {
        assert_eq!([3..3, 3..4, 3..6].map(|range| offsets(&range)), ["no offset", "offset 3", "offsets 3 to 5"]);
    }
}
