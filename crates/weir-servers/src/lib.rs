//! Real servers on loopback for tests, benches and demos: Kafka brokers, an HDFS, a SolrCloud; and what all of them have in
//! common: artifacts, processes, ports.
//!
//! Servers in Java come from Maven artifacts alone: no distribution archive, no container. Their jars are fetched once by the
//! `mvn` on the `PATH` and kept in a cache outside the repository ([`artifacts`]); after that a start needs no network.
//!
//! It is *not* a way to run servers for real: data goes with the server, addresses are loopback, nothing is protected.
//!
//! Invariants
//! - whatever is started ends with its owner, even if the owner is killed ([`process::Process`])
//! - nothing waits without a bound, and readiness is asked of the server, never guessed from the clock
//! - only loopback addresses, only ports that were free
//! - where Java or the artifacts are missing, the reason says what to install ([`Unavailable`]); a test is then reported as
//!   ignored with that reason (`trial`, a feature)

pub mod artifacts;
mod control;
pub mod flume;
pub mod hdfs;
mod home;
pub mod http;
pub mod kafka;
pub mod kerberos;
mod logging;
pub mod parquet;
pub mod ports;
pub mod process;
mod server;
pub mod solr;
mod start;
#[cfg(feature = "trial")]
mod trial;
mod tuning;
mod watch;
mod zookeeper;

#[cfg(test)]
mod tests;

pub use artifacts::Unavailable;
pub use control::Control;
pub use server::ControlError;
pub use start::StartError;
#[cfg(feature = "trial")]
pub use trial::{REQUIRED_VARIABLE, trial};
pub use tuning::Tuning;
pub use watch::Watch;

/// One line for whoever waits for a server.
#[expect(clippy::print_stderr, reason = "a start takes seconds, a fetch minutes: whoever waits is told")]
pub(crate) fn report(line: &str) {
    eprintln!("{line}");
}
