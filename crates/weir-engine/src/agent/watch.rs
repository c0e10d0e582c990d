//! Looking at a running agent: status snapshots, rates, health.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::running::{Agent, RunningSource};
use crate::channel::Channel;
use crate::clock::now_ms;
use crate::group::Group;
use crate::rate::RateMeter;
use crate::status::{
    AgentStatus, ChannelStatus, GroupStatus, HealthStatus, LedgerStatus, MemoryStatus, RateStatus, SourceStatus,
};
use crate::stop::StopSignal;

/// What is looked at.
pub(super) struct Watch {
    pub(super) name: String,
    pub(super) budget_bytes: u64,
    pub(super) planned_bytes: u64,
    pub(super) started: Instant,
    /// The agent is not ready once it was told to stop.
    pub(super) stop: StopSignal,
    pub(super) sources: Vec<RunningSource>,
    /// Type and channel.
    pub(super) channels: Vec<(String, Arc<dyn Channel>)>,
    /// Names of the sinks and their group.
    pub(super) groups: Vec<(Vec<String>, Arc<Group>)>,
    /// Lanes that ended by a fault.
    pub(super) troubles: Arc<Mutex<Vec<String>>>,
    /// By component; sampled once a second.
    pub(super) rates: Mutex<BTreeMap<String, RateMeter>>,
}

/// A handle for status requests; cheap to clone.
#[derive(Clone)]
pub struct Watched {
    pub(super) shared: Arc<Watch>,
    ended: Arc<AtomicBool>,
}

impl Agent {
    pub(super) fn begin_watching(&mut self) {
        let nothing = Watch {
            name: String::new(),
            budget_bytes: 0,
            planned_bytes: 0,
            started: self.watch.started,
            stop: self.stop.clone(),
            sources: Vec::new(),
            channels: Vec::new(),
            groups: Vec::new(),
            troubles: Arc::default(),
            rates: Mutex::default(),
        };
        let watched = Watched { shared: Arc::new(std::mem::replace(&mut self.watch, nothing)), ended: Arc::default() };
        self.watched = Some(watched.clone());
        let sampler = std::thread::Builder::new().name("weir-rates".into()).spawn(move || {
            while !watched.ended.load(Relaxed) {
                watched.shared.sample();
                std::thread::park_timeout(Duration::from_secs(1));
            }
        });
        // Without the thread rates stay at zero; nothing else depends on it.
        self.watcher = sampler.ok();
    }

    pub(super) fn end_watching(&mut self) -> Watched {
        if self.watched.is_none() {
            self.begin_watching();
        }
        let watched = self.watched();
        watched.ended.store(true, Relaxed);
        if let Some(watcher) = self.watcher.take() {
            watcher.thread().unpark();
            let _ = watcher.join();
        }
        watched
    }
}

impl Watched {
    /// The status now. Takes each component's locks for a moment, one after the other.
    #[must_use]
    pub fn status(&self) -> AgentStatus {
        let watch = &self.shared;
        let mut status = AgentStatus {
            agent: watch.name.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            uptime_seconds: watch.started.elapsed().as_secs_f64(),
            memory: MemoryStatus {
                budget_bytes: watch.budget_bytes,
                planned_bytes: watch.planned_bytes,
                resident_bytes: resident_bytes(),
            },
            sources: watch.sources.iter().map(|source| watch.source(source)).collect(),
            // Groups before channels: an event that is appended in between then shows as waiting nowhere yet,
            // instead of as lost.
            groups: watch.groups.iter().map(|(sinks, group)| watch.group(sinks, group)).collect(),
            channels: watch.channels.iter().map(channel).collect(),
            ..AgentStatus::default()
        };
        status.ledger = LedgerStatus::draw(&status);
        status.health = self.health(&status);
        status
    }

    fn health(&self, status: &AgentStatus) -> HealthStatus {
        let mut degraded = self.shared.troubles.lock().clone();
        for source in &self.shared.sources {
            let troubles = source.ledger.troubles();
            degraded.extend(troubles.into_iter().map(|trouble| format!("source {}: {trouble}", source.name)));
        }
        for (_, channel) in &self.shared.channels {
            let troubles = channel.usage().degraded;
            degraded.extend(troubles.into_iter().map(|trouble| format!("channel {}: {trouble}", channel.name())));
        }
        for group in &status.groups {
            if let Some(failure) = &group.last_failure {
                degraded.push(format!("sinks {}: {failure}", group.sinks.join(", ")));
            }
            if group.lost > 0 {
                degraded.push(format!(
                    "channel {}: {} events were damaged on disk and are lost",
                    group.channel, group.lost
                ));
            }
        }
        HealthStatus { live: true, ready: !self.shared.stop.is_given() && !self.ended.load(Relaxed), degraded }
    }
}

impl Watch {
    fn sample(&self) {
        let now = Instant::now();
        let mut rates = self.rates.lock();
        for source in &self.sources {
            let meter = rates.entry(source_key(&source.name)).or_default();
            meter.sample(now, source.ledger.received.load(Relaxed));
        }
        for (_, group) in &self.groups {
            let meter = rates.entry(group_key(group)).or_default();
            meter.sample(now, group.ledger().delivered.load(Relaxed));
        }
    }

    fn rate(&self, key: &str) -> RateStatus {
        self.rates.lock().get(key).map(RateMeter::status).unwrap_or_default()
    }

    fn source(&self, source: &RunningSource) -> SourceStatus {
        let ledger = &source.ledger;
        SourceStatus {
            name: source.name.clone(),
            r#type: source.type_name.clone(),
            received: ledger.received.load(Relaxed),
            received_bytes: ledger.received_bytes.load(Relaxed),
            accepted: ledger.accepted.load(Relaxed),
            durable: ledger.durable.load(Relaxed),
            flagged: ledger.flagged.load(Relaxed),
            rejected: ledger.rejected.snapshot(),
            faults: ledger.faults.snapshot(),
            connections: ledger.connections.load(Relaxed),
            durable_latency: ledger.durable_latency.status(),
            rate: self.rate(&source_key(&source.name)),
            partitions: ledger.partitions(now_ms()),
        }
    }

    fn group(&self, sinks: &[String], group: &Arc<Group>) -> GroupStatus {
        let ledger = group.ledger();
        let backlog = group.backlog();
        let age_ms = backlog.oldest_arrival_ms.map_or(0, |oldest| (now_ms() - oldest).max(0));
        GroupStatus {
            channel: group.channel().name().to_owned(),
            group: group.name().to_owned(),
            sinks: sinks.to_vec(),
            backlog_at_start: group.backlog_at_start(),
            backlog_events: backlog.events,
            backlog_bytes: backlog.bytes,
            backlog_seconds: age_ms as f64 / 1e3,
            delivered: ledger.delivered.load(Relaxed),
            dead_lettered: ledger.dead_lettered.load(Relaxed),
            dropped: ledger.dropped.snapshot(),
            lost: ledger.lost.load(Relaxed),
            retries: ledger.retries.load(Relaxed),
            faults: ledger.faults.snapshot(),
            delivery_latency: ledger.delivery_latency.status(),
            last_failure: ledger.last_failure(),
            rate: self.rate(&group_key(group)),
        }
    }
}

fn channel((type_name, channel): &(String, Arc<dyn Channel>)) -> ChannelStatus {
    let usage = channel.usage();
    ChannelStatus {
        name: channel.name().to_owned(),
        r#type: type_name.clone(),
        durable: channel.is_durable(),
        shared: channel.is_shared(),
        durability_mode: usage.durability_mode.to_owned(),
        bytes: usage.bytes,
        capacity_bytes: usage.capacity_bytes,
        appended: usage.appended,
        syncs: usage.syncs,
    }
}

fn source_key(name: &str) -> String {
    format!("source {name}")
}

fn group_key(group: &Group) -> String {
    format!("group {} {}", group.channel().name(), group.name())
}

/// Resident memory of this process, from the kernel; 0 where it does not say.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or_default();
    // Pages are 4 KiB on every system Weir runs on (x86-64 and arm64 Linux as distributed).
    pages * 4096
}
