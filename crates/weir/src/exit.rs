//! Exit codes: a stable surface, documented in `weir --help` and the README.

use std::process::ExitCode;

use weir_engine::source::StartError;

/// How a command ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done, and everything in order.
    Success = 0,
    /// The command could not do its work: a port in use, a file that cannot be read, a peer that is gone.
    Failure = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The configuration has errors; each was printed.
    Configuration = 3,
    /// The books do not balance, events in memory channels were lost on stopping, or a part did not end in time.
    Ledger = 4,
    /// A durable log is damaged.
    Damage = 5,
    /// The agent is running but degraded, or not ready.
    Degraded = 6,
}

/// What `weir --help` says of exit codes.
pub(crate) const EXIT_CODES: &str = "Exit codes:
  0  done, everything in order
  1  could not be done: port in use, file unreadable, peer gone
  2  wrong command line
  3  errors in the configuration, each printed with file, line and column
  4  the ledger does not close, events in memory channels were lost on stopping,
     or a part of the agent did not end in time (durable channels lose nothing by it)
  5  a durable log is damaged
  6  the agent runs but is degraded or not ready";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

impl Failure {
    /// A failure to do the work.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failure, message: message.into() }
    }

    /// The same with the causes of `error`.
    pub(crate) fn because(what: &str, error: &dyn std::error::Error) -> Self {
        Self::new(format!("{what}: {}", weir_engine::chain(error)))
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::because("the agent did not start", &error)
    }
}

/// Prints a failure for the person who typed the command.
#[expect(clippy::print_stderr, reason = "the last word of a command goes to standard error")]
pub(crate) fn report(failure: &Failure) {
    if !failure.message.is_empty() {
        eprintln!("weir: {}", failure.message);
    }
}
