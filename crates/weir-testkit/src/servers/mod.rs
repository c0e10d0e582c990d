//! What every real server that a test starts has in common: artifacts, processes, ports, and a test that says why it did
//! not run.
//!
//! The servers come from Maven artifacts alone: no distribution archive, no container. Their jars are fetched once by the
//! `mvn` on the `PATH` and kept in a cache outside the repository ([`artifacts`]); after that a start needs no network.
//!
//! Invariants
//! - whatever a test starts ends with the test, even if the test is killed ([`process::Process`])
//! - nothing waits without a bound, and readiness is asked of the server, never guessed from the clock
//! - only loopback addresses, only ports that were free
//! - where Java or the artifacts are missing, a test is reported as ignored with the reason ([`trial()`])

pub mod artifacts;
pub mod ports;
pub mod process;
mod trial;

#[cfg(test)]
mod tests;

pub use artifacts::Unavailable;
pub use trial::{REQUIRED_VARIABLE, trial};

/// One line for whoever waits for a test.
#[expect(clippy::print_stderr, reason = "the output of tests is standard error")]
pub(crate) fn report(line: &str) {
    eprintln!("{line}");
}
