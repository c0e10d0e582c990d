//! A run: what is checked before it, its threads, and the sum of what they did.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::connection::{Connection, now_ms};
use super::lines::{Lines, LinesError};
use super::options::SendOptions;
use super::report::{ConnectionReport, Progress, SendReport};
use super::target::{Target, TargetError};
use crate::stamp::{CHECKED_STAMP_BYTES, PRODUCER_MAX};

const CONNECTIONS_MAX: usize = 1000;
/// 65 535 minus the headers of IPv4 and UDP.
const DATAGRAM_BYTES_MAX: usize = 65_507;
/// Positions in a block are 32 bits wide, and a line that is longer than this is a mistake.
const LINE_BYTES_MAX: usize = 16 << 20;

/// Why a run did not start. What happens later to single connections stands in the report.
#[derive(Debug, Error)]
pub enum SendError {
    /// Nowhere to send to.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Nothing to send.
    #[error(transparent)]
    Lines(#[from] LinesError),
    /// An option outside its bounds.
    #[error("{option} is {value}: {bounds}")]
    Option {
        /// Its name.
        option: &'static str,
        /// As given.
        value: String,
        /// What it must be.
        bounds: &'static str,
    },
    /// The peer does not answer.
    #[error("failed to connect to {target}")]
    Connect {
        /// The peer.
        target: Target,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No thread to be had.
    #[error("failed to start a sending thread")]
    Thread(#[source] io::Error),
}

/// Sends until a limit is reached, every connection has failed, or [`Progress::stop`] is called; blocks for that long.
/// Uses one thread per connection. `progress` counts up from what it holds.
///
/// # Errors
/// [`SendError`] if the run cannot start: options out of bounds, another machine without permission, no lines, no peer.
pub fn send(options: &SendOptions, progress: &Progress) -> Result<SendReport, SendError> {
    check(options)?;
    let address = options.target.resolve(options.allow_remote)?;
    let line_bytes_max = match options.target {
        Target::Udp(_) | Target::UnixDatagram(_) => DATAGRAM_BYTES_MAX - CHECKED_STAMP_BYTES,
        Target::Tcp(_) | Target::Unix(_) => LINE_BYTES_MAX,
    };
    let lines = Lines::load(&options.input, line_bytes_max, now_ms() as i64)?;
    let mut ready = Vec::with_capacity(options.connections);
    for index in 0..options.connections {
        let refused = |source| SendError::Connect { target: options.target.clone(), source };
        ready.push(Connection::prepare(index, options, address, &lines, progress).map_err(refused)?);
    }

    // Up to 256 MiB, now in the blocks.
    drop(lines);

    let start = Instant::now();
    let connections = thread::scope(|scope| {
        let mut threads = Vec::with_capacity(ready.len());
        for connection in ready {
            let thread = thread::Builder::new().name(format!("send-{}", threads.len()));
            match thread.spawn_scoped(scope, move || connection.run(start)) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    progress.stop();
                    return Err(SendError::Thread(error));
                }
            }
        }
        let join = |thread: thread::ScopedJoinHandle<'_, ConnectionReport>| match thread.join() {
            Ok(report) => report,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        Ok(threads.into_iter().map(join).collect::<Vec<_>>())
    })?;
    Ok(sum_up(&options.target, start.elapsed(), connections, progress))
}

fn check(options: &SendOptions) -> Result<(), SendError> {
    let out_of_bounds = |option, value: String, bounds| Err(SendError::Option { option, value, bounds });
    if !(1..=CONNECTIONS_MAX).contains(&options.connections) {
        return out_of_bounds("connections", options.connections.to_string(), "it must be 1 to 1000");
    }
    if let Some(rate) = options.events_per_second
        && !(rate > 0.0 && rate <= 1e9)
    {
        return out_of_bounds("events per second", rate.to_string(), "it must be above 0 and at most 10^9");
    }
    if let Some(stamp) = options.stamp
        && usize::from(stamp.first_producer) + options.connections > usize::from(PRODUCER_MAX) + 1
    {
        let bounds = "with one producer per connection ids would pass 9999";
        return out_of_bounds("first producer", stamp.first_producer.to_string(), bounds);
    }
    Ok(())
}

fn sum_up(target: &Target, elapsed: Duration, connections: Vec<ConnectionReport>, progress: &Progress) -> SendReport {
    let events: u64 = connections.iter().map(|connection| connection.events).sum();
    let cpu_seconds: f64 = connections.iter().map(|connection| connection.cpu_seconds).sum();
    let seconds = elapsed.as_secs_f64();
    SendReport {
        target: target.to_string(),
        events,
        bytes: connections.iter().map(|connection| connection.bytes).sum(),
        seconds,
        events_per_second: if seconds > 0.0 { events as f64 / seconds } else { 0.0 },
        cpu_seconds,
        cpu_seconds_per_million: if events > 0 { cpu_seconds * 1e6 / events as f64 } else { 0.0 },
        skipped: progress.skipped(),
        refused: progress.refused(),
        errors: connections.iter().filter_map(|connection| connection.error.clone()).collect(),
        connections,
    }
}
