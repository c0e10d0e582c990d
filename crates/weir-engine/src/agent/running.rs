//! A running agent: stopping it in order, and what it leaves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};

use super::start::Channels;
use super::watch::{Watch, Watched};
use crate::chain;
use crate::channel::Channel;
use crate::ledger::SourceLedger;
use crate::status::AgentStatus;
use crate::stop::StopSignal;

/// How long after their deadline source lanes may take to notice it before they are left behind. A lane that waits for
/// room looks five times a second.
const LANE_GRACE: Duration = Duration::from_secs(2);

/// A source with its counters.
pub(super) struct RunningSource {
    pub(super) name: String,
    pub(super) type_name: String,
    pub(super) ledger: Arc<SourceLedger>,
}

/// Components at work. Dropping an agent without [`Agent::join`] leaves its threads behind.
pub struct Agent {
    pub(super) stop: StopSignal,
    pub(super) drain: StopSignal,
    pub(super) deadline: Duration,
    pub(super) channels: Channels,
    pub(super) source_threads: Vec<JoinHandle<()>>,
    pub(super) sink_threads: Vec<JoinHandle<()>>,
    /// Sinks of dead letter channels drain after the others, which may still write to those.
    pub(super) drain_dead_letters: StopSignal,
    pub(super) dead_letter_threads: Vec<JoinHandle<()>>,
    pub(super) dead_letter_channels: BTreeSet<String>,
    /// Filled while starting, shared once running.
    pub(super) watch: Watch,
    pub(super) watched: Option<Watched>,
    pub(super) watcher: Option<JoinHandle<()>>,
}

/// How an agent ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FinalReport {
    /// The last status, ledger drawn at rest.
    pub status: AgentStatus,
    /// Events that were left in channels that do not survive the process.
    pub lost_in_memory: u64,
    /// What went wrong while stopping.
    pub troubles: Vec<String>,
}

impl FinalReport {
    /// Whether everything accepted is delivered or safe, and the books balance.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.status.ledger.closes && self.lost_in_memory == 0 && self.troubles.is_empty()
    }
}

impl Agent {
    /// A handle for status requests from other threads.
    ///
    /// # Panics
    /// Never: every agent that was returned by `start` is watched.
    #[must_use]
    pub fn watched(&self) -> Watched {
        self.watched.clone().expect("start begins watching before it returns")
    }

    /// The status now.
    #[must_use]
    pub fn status(&self) -> AgentStatus {
        self.watched().status()
    }

    /// A channel by name: for tests and tools that look into it.
    #[must_use]
    pub fn channel(&self, name: &str) -> Option<Arc<dyn Channel>> {
        self.channels.get(name).cloned()
    }

    /// Tells sources to stop reading; [`Agent::join`] does the rest. The shutdown deadline runs from here.
    pub fn stop(&self) {
        self.stop.give(self.deadline);
    }

    /// Whether every source has ended by itself (a file replayed, a count reached); never true of an agent without any,
    /// which serves a channel that others fill.
    #[must_use]
    pub fn sources_have_ended(&self) -> bool {
        !self.source_threads.is_empty() && self.source_threads.iter().all(JoinHandle::is_finished)
    }

    /// Waits until everything has ended: sources (after [`Agent::stop`], or by themselves), then receipts, sinks,
    /// channels. Blocks at most the shutdown deadline and some seconds after the stop signal.
    #[must_use]
    pub fn join(mut self) -> FinalReport {
        let mut troubles = Vec::new();
        self.join_sources(&mut troubles);
        self.wait_for_receipts();
        let left = self.stop.deadline().map_or(self.deadline, |at| at.saturating_duration_since(Instant::now()));
        let until = Instant::now() + left + LANE_GRACE;
        self.drain.give(left);
        for thread in std::mem::take(&mut self.sink_threads) {
            join_lane(thread, until, &mut troubles);
        }
        self.drain_dead_letters.give(until.saturating_duration_since(Instant::now()));
        for thread in std::mem::take(&mut self.dead_letter_threads) {
            join_lane(thread, until + LANE_GRACE, &mut troubles);
        }
        // Dead letter channels first: the last of their receipts may release positions of the others.
        let (first, then): (Vec<_>, Vec<_>) =
            self.channels.iter().partition(|(name, _)| self.dead_letter_channels.contains(*name));
        for (name, channel) in first.into_iter().chain(then) {
            if let Err(fault) = channel.close() {
                error!(channel = %name, error = %chain(&fault), "channel did not close cleanly");
                troubles.push(chain(&fault));
            }
        }
        let watched = self.end_watching();
        let mut status = watched.status();
        status.health.ready = false;
        let lost_in_memory = lost_in_memory(&status);
        if lost_in_memory > 0 {
            warn!(events = lost_in_memory, "events were left in memory channels and are lost");
        }
        info!(ledger_closes = status.ledger.closes, "agent stopped");
        FinalReport { status, lost_in_memory, troubles }
    }

    fn join_sources(&mut self, troubles: &mut Vec<String>) {
        for thread in self.source_threads.drain(..) {
            loop {
                if thread.is_finished() || self.stop.deadline().is_some_and(|at| Instant::now() > at + LANE_GRACE) {
                    break;
                }
                // Not a wait for work: threads have no join with a deadline, and 5 ms is below what a person notices.
                std::thread::sleep(Duration::from_millis(5));
            }
            join_lane(thread, Instant::now(), troubles);
        }
    }

    /// What was accepted last is still on its way to the disk; sinks must see it before they are told to drain.
    fn wait_for_receipts(&self) {
        let watched = self.watched.as_ref().map(|watched| &watched.shared);
        let sources = watched.map_or(&self.watch.sources, |watched| &watched.sources);
        let pending = || sources.iter().any(|source| source.ledger.receipts_open.load(Relaxed) > 0);
        let until =
            self.stop.deadline().unwrap_or_else(|| Instant::now() + self.deadline).max(Instant::now() + LANE_GRACE);
        while pending() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn lost_in_memory(status: &AgentStatus) -> u64 {
    let volatile = |name: &str| status.channels.iter().any(|channel| channel.name == name && !channel.durable);
    status.groups.iter().filter(|group| volatile(&group.channel)).map(|group| group.backlog_events).sum()
}

fn join_lane(thread: JoinHandle<()>, deadline: Instant, troubles: &mut Vec<String>) {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    while !thread.is_finished() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    if !thread.is_finished() {
        warn!(lane = %name, "lane did not end in time and was left behind");
        troubles.push(format!("lane {name} did not end in time"));
    } else if thread.join().is_err() {
        error!(lane = %name, "lane ended by a panic: a fault of Weir");
        troubles.push(format!("lane {name} ended by a panic"));
    }
}
