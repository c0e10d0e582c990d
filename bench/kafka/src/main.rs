//! The Kafka rows of the speed table, on three brokers started here. See `bench/kafka.sh`.
//!
//! ```text
//!   bench ----starts----> three brokers (warmed)
//!     |                      ^
//!     '--a process per run---'   weir | rdkafka | librdkafka | weir | rdkafka ...
//! ```
//!
//! | module | what |
//! |---|---|
//! | `rows` | the rows, their targets, and the order of runs |
//! | `job`, `child` | what a client process is told and says; starting and following one |
//! | `native`, `rdkafka`, `librdkafka`, `settings` | the clients, and how the last two are tuned |
//! | `brokers`, `lines` | what all meet: the same brokers, the same lines |
//! | `options`, `progress`, `report` | what people type and see |
//!
//! It is *not* a test: a figure below its target is printed, not an error. An event that is missing is an error.

mod brokers;
mod child;
mod job;
#[cfg(feature = "librdkafka")]
mod librdkafka;
mod lines;
mod native;
mod options;
mod progress;
#[cfg(feature = "librdkafka")]
mod rdkafka;
mod report;
mod rows;
#[cfg(feature = "librdkafka")]
mod settings;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser as _;

use brokers::Brokers;
use job::{Client, Failure, Job};
use options::{Options, Part};
use progress::Progress;

/// As in the binary, so that a client costs here what it costs there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let options = Options::parse();
    let result = match &options.part {
        Some(Part::Client { job }) => client(job),
        None => bench(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn client(job: &Job) -> Result<(), Failure> {
    match job.client {
        Client::Weir => native::run(job),
        #[cfg(feature = "librdkafka")]
        Client::Rdkafka => rdkafka::run(job),
        #[cfg(feature = "librdkafka")]
        Client::Librdkafka => librdkafka::run(job),
        #[cfg(not(feature = "librdkafka"))]
        Client::Rdkafka | Client::Librdkafka => Err("built without librdkafka".into()),
    }
}

fn bench(options: &Options) -> Result<(), Failure> {
    let progress = Progress::new();
    let mut brokers = Brokers::start()?;
    rows::warm(options, &mut brokers, &progress)?;
    progress.end();
    if !options.json {
        report::print_heading(options);
    }
    let mut measured = Vec::new();
    for row in rows::ROWS.into_iter().filter(|row| row.path.contains(&options.only)) {
        let done = rows::measure(row, options, &mut brokers, &progress)?;
        progress.end();
        if !options.json {
            report::print_row(&done);
        }
        measured.push(done);
    }
    if options.json {
        report::print_json(options, &measured)?;
    }
    Ok(())
}
