//! The command line.

use clap::{Parser, Subcommand};
use weir_config::units::parse_count;

use crate::job::{Failure, Job};
use crate::lines::BATCH_EVENTS;

/// The Kafka rows of the speed table: this client beside librdkafka, on three brokers that the bench starts
#[derive(Parser, Debug)]
#[command(
    after_help = "Each run is a process of its own; CPU is that process's, user and system. Both clients run in turn, the \
table has the medians. Events are counted in the topic after each run."
)]
pub(crate) struct Options {
    /// Events sent and read before anything is measured: cold Java machines halve every rate
    #[arg(long, value_parser = events, default_value = "20M")]
    pub(crate) warm: u64,
    /// Events of a run
    #[arg(long, value_parser = events, default_value = "10M")]
    pub(crate) events: u64,
    /// Runs of each client in each row
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=99), default_value = "3")]
    pub(crate) repeats: u32,
    /// Only rows whose name has this in it
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) only: String,
    /// Print everything, each run too, as JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) part: Option<Part>,
}

/// What the bench runs itself as.
#[derive(Subcommand, Debug)]
pub(crate) enum Part {
    /// One run of one client
    #[command(hide = true)]
    Client {
        /// What to do.
        #[arg(value_parser = job)]
        job: Job,
    },
}

/// Whole batches for both halves of the warm-up.
fn events(text: &str) -> Result<u64, Failure> {
    let unit = 2 * BATCH_EVENTS;
    Ok(parse_count(text)?.next_multiple_of(unit))
}

fn job(text: &str) -> Result<Job, Failure> {
    Ok(serde_json::from_str(text)?)
}
