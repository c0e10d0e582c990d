//! What is seen while the demo runs: a panel that is redrawn, or a line now and then where nobody watches.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use weir_config::units::{approx_bytes, approx_count, format_duration};
use weir_engine::ledger::LatencyStatus;
use weir_engine::status::{AgentStatus, GroupStatus, SourceStatus};

use super::config::Places;
use super::ledger::kernel_drops;
use crate::commands::status_text::{health, milliseconds, seconds};
use crate::text::{grouped, sparkline};

/// Between samples of the rate, one block of the sparkline each.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// Between lines where nobody watches: few enough for the log of a script.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// The sparkline shows a minute.
const SAMPLES_MAX: usize = 60;

/// The view.
pub(super) struct Panel {
    /// `None` where output is no terminal.
    live: Option<ProgressBar>,
    dir: PathBuf,
    files: PathBuf,
    duration: Option<Duration>,
    started: Instant,
    sampled: Instant,
    said: Instant,
    /// Received events at the last sample.
    received: u64,
    rates: VecDeque<f64>,
    finished: Finished,
}

/// Finished files.
#[derive(Clone, Copy, Default)]
struct Finished {
    files: u64,
    bytes: u64,
}

impl Panel {
    pub(super) fn new(places: &Places, duration: Option<Duration>, is_terminal: bool) -> Self {
        let now = Instant::now();
        let live = is_terminal.then(|| {
            let bar = ProgressBar::new_spinner();
            match ProgressStyle::with_template("{msg}") {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        Self {
            live,
            dir: places.dir.clone(),
            files: places.files.clone(),
            duration,
            started: now,
            sampled: now,
            said: now,
            received: 0,
            rates: VecDeque::new(),
            finished: Finished::default(),
        }
    }

    /// Says where things are.
    pub(super) fn introduce(&self, admin: Option<SocketAddr>) {
        say(&format!("syslog over TCP and UDP -> durable log {0}/log -> files {0}/files", self.dir.display()));
        if let Some(address) = admin {
            say(&format!("admin endpoint at {address}: weir status {address} --watch"));
        }
        if self.duration.is_none() {
            say("Ctrl-C stops and prints the ledger");
        }
    }

    /// Shows where it stands, if it is time to.
    pub(super) fn show(&mut self, status: &AgentStatus, sent: u64) {
        let [source] = status.sources.as_slice() else { return };
        let [group] = status.groups.as_slice() else { return };
        let passed = self.sampled.elapsed();
        if passed >= SAMPLE_EVERY {
            self.rates.push_back((source.received - self.received) as f64 / passed.as_secs_f64());
            if self.rates.len() > SAMPLES_MAX {
                self.rates.pop_front();
            }
            (self.sampled, self.received) = (Instant::now(), source.received);
            // A file that cannot be looked at now is counted at the end, where it matters.
            self.finished = finished(&self.files).unwrap_or(self.finished);
        }
        match &self.live {
            Some(live) => live.set_message(self.panel(status, source, group, sent)),
            None if self.said.elapsed() >= LINE_EVERY => {
                self.said = Instant::now();
                say(&self.line(status, source, group, sent));
            }
            None => {}
        }
    }

    /// Takes the panel away.
    pub(super) fn clear(&self) {
        if let Some(live) = &self.live {
            live.finish_and_clear();
        }
    }

    fn rate(&self) -> f64 {
        self.rates.back().copied().unwrap_or(0.0).round()
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.started.elapsed().as_secs())
    }

    fn panel(&self, status: &AgentStatus, source: &SourceStatus, group: &GroupStatus, sent: u64) -> String {
        let end = self.duration.map_or(String::new(), |duration| format!(" of {}", format_duration(duration)));
        let drops = match kernel_drops(source) {
            0 => String::new(),
            drops => format!("   kernel dropped {}", grouped(drops)),
        };
        let disk = status.channels.first().map_or(0, |channel| channel.bytes);
        format!(
            "\n  {}{end}   {}\n\n  received   {:>8}/s  {}\n  events     {} sent, {} received, {} durable, {} in files{drops}\n  \
             backlog    {} events, {}\n  created -> durable   p50 {:>7}   p99 {:>7}\n  created -> in file   p50 {:>7}   p99 {:>7}\n  \
             disk       log {}, {} finished files {}",
            format_duration(self.elapsed()),
            health(status),
            approx_count(self.rate()),
            sparkline(self.rates.iter().copied()),
            grouped(sent),
            grouped(source.received),
            grouped(source.durable),
            grouped(group.delivered),
            grouped(group.backlog_events),
            seconds(group.backlog_seconds),
            p50(&source.durable_latency),
            p99(&source.durable_latency),
            p50(&group.delivery_latency),
            p99(&group.delivery_latency),
            approx_bytes(disk),
            grouped(self.finished.files),
            approx_bytes(self.finished.bytes),
        )
    }

    fn line(&self, status: &AgentStatus, source: &SourceStatus, group: &GroupStatus, sent: u64) -> String {
        format!(
            "{}: sent {}, received {} at {}/s, backlog {} events {}, durable p99 {}, in file p99 {}, {} files, {}",
            format_duration(self.elapsed()),
            grouped(sent),
            grouped(source.received),
            approx_count(self.rate()),
            grouped(group.backlog_events),
            seconds(group.backlog_seconds),
            p99(&source.durable_latency),
            p99(&group.delivery_latency),
            grouped(self.finished.files),
            health(status),
        )
    }
}

fn p50(latency: &LatencyStatus) -> String {
    milliseconds(latency, latency.p50_ms)
}

fn p99(latency: &LatencyStatus) -> String {
    milliseconds(latency, latency.p99_ms)
}

/// Files under `folder` that are not hidden: names and sizes only, a fraction of a millisecond per thousand.
fn finished(folder: &Path) -> std::io::Result<Finished> {
    let mut found = Finished::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                found.files += 1;
                found.bytes += metadata.len();
            }
        }
    }
    Ok(found)
}

/// A line for the person at the terminal; standard output is for the report.
#[expect(clippy::print_stderr, reason = "progress goes to standard error")]
fn say(text: &str) {
    eprintln!("{text}");
}
