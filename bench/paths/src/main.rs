//! The rows of the speed table that go through whole agents and real servers. See `bench/paths.sh`.
//!
//! ```text
//!   bench ---starts---> servers (warmed), agents: each a process of its own
//!     |  sends lines over TCP, or lets an agent generate them        agent --> Kafka --> agent --> files, HDFS, Solr
//!     '--asks each agent how far it is; counts at the end what is there, by itself
//! ```
//!
//! | module | what |
//! |---|---|
//! | `rows` | the rows and their targets |
//! | `bench` | what rows share: servers, topics full of events, agents |
//! | `agent`, `meter` | an agent as a process; rate and CPU between its first event and its last, CPU of the servers |
//! | `brokers`, `topic` | three brokers and their topics; a topic as somebody else reads it |
//! | `hdfs`, `count` | an HDFS, the rows into it; events in its files, counted by what is in them |
//! | `solr`, `bare` | a SolrCloud, the row into it; the loop that is beside |
//! | `both` | HDFS and Solr behind one topic |
//! | `flume` | the same path by Apache Flume |
//! | `fresh`, `ages` | how old events are when they can be read |
//!
//! It is *not* a test: a figure below its target is printed, not an error. An event that is missing is an error.

mod agent;
mod ages;
mod bare;
mod bench;
mod both;
mod brokers;
mod count;
mod flume;
mod fresh;
mod hdfs;
mod meter;
mod rows;
mod solr;
mod topic;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use weir_config::units::parse_count;

/// What goes wrong in a bench, for people.
type Failure = Box<dyn Error + Send + Sync>;

/// The rows of the speed table that go through whole agents and real servers, which the bench starts
#[derive(Parser, Debug)]
struct Options {
    /// Events of a row
    #[arg(long, value_parser = parse_count, default_value = "5M")]
    events: u64,
    /// Events sent and read before anything is measured: cold Java machines halve every rate
    #[arg(long, value_parser = parse_count, default_value = "10M")]
    warm: u64,
    /// Documents indexed before anything of Solr is measured
    #[arg(long, value_parser = parse_count, default_value = "1M")]
    solr_warm: u64,
    /// Only rows whose name has this in it
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Print everything as JSON on standard output
    #[arg(long)]
    json: bool,
    /// The binary that is measured
    #[arg(long, value_name = "FILE")]
    weir: PathBuf,
}

fn main() -> ExitCode {
    match rows::run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let causes = std::iter::successors(error.source(), |cause| (*cause).source());
            eprintln!("error: {}", causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")));
            ExitCode::FAILURE
        }
    }
}
