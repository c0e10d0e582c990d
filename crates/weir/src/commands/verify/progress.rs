//! How far it is, for whoever waits.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::text::grouped;

/// A counter that another thread reads.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What was read so far.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) events: Counter,
    pub(super) files: Counter,
    pub(super) lines: Counter,
    pub(super) documents: Counter,
}

impl Progress {
    fn text(&self) -> String {
        let [events, files, lines, documents] =
            [&self.events, &self.files, &self.lines, &self.documents].map(|counter| grouped(counter.get()));
        format!("topic: {events} events; files: {files} ({lines} lines); Solr: {documents} documents")
    }

    /// Says so on standard error until it is dropped: every half second on a terminal, every ten seconds elsewhere.
    pub(super) fn show(self: &Arc<Self>) -> Shown {
        let progress = Arc::clone(self);
        let is_terminal = std::io::stderr().is_terminal();
        let pause = if is_terminal { Duration::from_millis(500) } else { Duration::from_secs(10) };
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                let (start, end) = if is_terminal { ("\r\x1b[K", "") } else { ("", "\n") };
                let _ = write!(std::io::stderr(), "{start}{}{end}", progress.text());
            }
        });
        Shown { task, is_terminal }
    }
}

/// A line that is kept up to date.
pub(super) struct Shown {
    task: tokio::task::JoinHandle<()>,
    is_terminal: bool,
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.task.abort();
        if self.is_terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
