//! Runs a job in a process of its own and follows it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde::Serialize;

use crate::brokers::Brokers;
use crate::job::{Failure, Figures, Job, Message};
use crate::progress::Progress;

/// A finished run, as in the JSON report.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(crate) struct Run {
    /// Events a second.
    pub(crate) events_per_second: f64,
    /// CPU seconds of the client per million events.
    pub(crate) client_cpu_per_million: f64,
    /// CPU seconds of all brokers together per million events.
    pub(crate) brokers_cpu_per_million: f64,
}

/// The child, killed if the bench gives up on it.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It has ended already, unless something went wrong.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `job`; checks that it did all of it.
pub(crate) fn run(job: &Job, bytes: u64, brokers: &Brokers, progress: &Progress) -> Result<Run, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["client", &serde_json::to_string(job)?]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = Killed(command.spawn()?);
    let said = child.0.stdout.take().ok_or("a child without the pipe it was given")?;
    let (mut broker_cpu_before, mut done) = (0.0, None);
    for line in BufReader::new(said).lines() {
        match serde_json::from_str(&line?)? {
            Message::Begin => broker_cpu_before = brokers.cpu_seconds()?,
            Message::Progress(events) => progress.show(events, job.events),
            Message::End(figures) => done = Some((figures, brokers.cpu_seconds()? - broker_cpu_before)),
        }
    }
    let status = child.0.wait()?;
    let Some((figures, broker_cpu)) = done.filter(|_| status.success()) else {
        return Err(format!("the process of {} ended with {status}", job.client.name()).into());
    };
    let Figures { events, bytes: had, seconds, cpu_seconds } = figures;
    if (events, had) != (job.events, bytes) {
        let expected = format!("{} events of {bytes} bytes", job.events);
        return Err(format!("{}: {events} events of {had} bytes instead of {expected}", job.client.name()).into());
    }
    let millions = events as f64 / 1e6;
    Ok(Run {
        events_per_second: events as f64 / seconds,
        client_cpu_per_million: cpu_seconds / millions,
        brokers_cpu_per_million: broker_cpu / millions,
    })
}
