//! What all demos show alike: a text that is redrawn where somebody watches, a line now and then where nobody does.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use weir_config::units::{approx_count, format_duration};
use weir_engine::ledger::LatencyStatus;

use crate::commands::status_text::milliseconds;
use crate::text::sparkline;

/// Between samples of the rate, one block of the sparkline each.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// Between lines where nobody watches: few enough for the log of a script.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// The sparkline shows a minute.
const SAMPLES_MAX: usize = 60;

/// The frame of a panel, and what is measured for it.
pub(super) struct View {
    /// `None` where output is no terminal.
    live: Option<ProgressBar>,
    /// Where finished files are, if that is a folder.
    files: Option<PathBuf>,
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
pub(super) struct Finished {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

impl View {
    /// Of a run of `duration` whose finished files are under `files`.
    pub(super) fn new(files: Option<&Path>, duration: Option<Duration>, is_terminal: bool) -> Self {
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
            files: files.map(Path::to_owned),
            duration,
            started: now,
            sampled: now,
            said: now,
            received: 0,
            rates: VecDeque::new(),
            finished: Finished::default(),
        }
    }

    /// Says how to stop, where nothing else does.
    pub(super) fn introduce(&self) {
        if self.duration.is_none() {
            say("Ctrl-C stops and prints the ledger");
        }
    }

    /// Shows `panel` or `line`, if it is time to; `received` events have come until now.
    pub(super) fn show(
        &mut self,
        received: u64,
        panel: impl FnOnce(&Self) -> String,
        line: impl FnOnce(&Self) -> String,
    ) {
        let passed = self.sampled.elapsed();
        if passed >= SAMPLE_EVERY {
            self.rates.push_back((received - self.received) as f64 / passed.as_secs_f64());
            if self.rates.len() > SAMPLES_MAX {
                self.rates.pop_front();
            }
            (self.sampled, self.received) = (Instant::now(), received);
            // A file that cannot be looked at now is counted at the end, where it matters.
            if let Some(files) = &self.files {
                self.finished = finished(files).unwrap_or(self.finished);
            }
        }
        match &self.live {
            Some(live) => live.set_message(panel(self)),
            None if self.said.elapsed() >= LINE_EVERY => {
                self.said = Instant::now();
                say(&line(self));
            }
            None => {}
        }
    }

    /// A line that stays, above the panel.
    pub(super) fn note(&self, text: &str) {
        match &self.live {
            Some(live) => live.suspend(|| say(text)),
            None => say(text),
        }
    }

    /// Takes the panel away.
    pub(super) fn clear(&self) {
        if let Some(live) = &self.live {
            live.finish_and_clear();
        }
    }

    /// Received events per second, for people.
    pub(super) fn rate(&self) -> String {
        approx_count(self.rates.back().copied().unwrap_or(0.0).round())
    }

    /// The rates of the last minute.
    pub(super) fn rates(&self) -> String {
        sparkline(self.rates.iter().copied())
    }

    /// How long it has run.
    pub(super) fn elapsed(&self) -> String {
        format_duration(Duration::from_secs(self.started.elapsed().as_secs()))
    }

    /// The same, and of how long.
    pub(super) fn clock(&self) -> String {
        let end = self.duration.map_or(String::new(), |duration| format!(" of {}", format_duration(duration)));
        format!("{}{end}", self.elapsed())
    }

    /// What was finished at the last look; `None` where there is no folder to look at.
    pub(super) fn finished(&self) -> Option<Finished> {
        self.files.as_ref().map(|_| self.finished)
    }
}

/// The latency of half of the events, for people.
pub(super) fn p50(latency: &LatencyStatus) -> String {
    milliseconds(latency, latency.p50_ms)
}

/// The latency of 99 of 100 events, for people.
pub(super) fn p99(latency: &LatencyStatus) -> String {
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
pub(super) fn say(text: &str) {
    eprintln!("{text}");
}
