//! Weir: near-real-time ingest in one binary. Syslog in, durable, out.
//!
//! The binary is thin: command line, logging, signals, admin endpoint. What an agent does is in `weir-engine`, what it
//! is made of in `weir-connectors`.

mod admin;
mod cli;
mod commands;
mod configuration;
mod exit;
mod logging;
mod metrics;
mod signals;
mod text;

use std::process::ExitCode;

use clap::Parser;

/// Recycles the buffers of batches better than the system's allocator: see "Non-obvious" in ARCHITECTURE.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match commands::dispatch(cli.command) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            exit::report(&failure);
            failure.exit.into()
        }
    }
}
