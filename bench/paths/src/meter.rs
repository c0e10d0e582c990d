//! Rate and CPU, of an agent and of the servers beside it, from the first event that counts to the last.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;
use weir_engine::status::AgentStatus;
use weir_lab::measure;

use crate::Failure;
use crate::agent::{Agent, PATIENCE};

/// Between looks: a hundredth of the shortest row.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Servers whose CPU is shown beside the agent's: what they are, and the ids of their processes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Servers(Vec<(&'static str, Vec<u32>)>);

impl Servers {
    /// Adds processes.
    pub(crate) fn add(&mut self, name: &'static str, process_ids: Vec<u32>) {
        self.0.push((name, process_ids));
    }

    fn cpu_seconds(&self) -> Result<Vec<f64>, Failure> {
        let of = |ids: &[u32]| ids.iter().map(|id| Ok(measure::process(*id)?.cpu.total_seconds())).sum();
        self.0.iter().map(|(_, ids)| of(ids)).collect()
    }
}

/// What came of a row.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    /// Events a second.
    pub(crate) events_per_second: f64,
    /// CPU seconds of the agent per million events.
    pub(crate) agent_cpu_per_million: f64,
    /// Those of servers, by what they are.
    pub(crate) servers_cpu_per_million: BTreeMap<&'static str, f64>,
    /// Most memory the agent had.
    pub(crate) agent_memory_mib: f64,
}

impl Figures {
    /// CPU seconds of a kind of server per million events.
    pub(crate) fn cpu_of(&self, server: &str) -> f64 {
        self.servers_cpu_per_million.get(server).copied().unwrap_or_default()
    }

    /// That of all kinds as text: `kafka 0.31, hdfs 2.10`.
    pub(crate) fn servers_text(&self) -> String {
        let texts = self.servers_cpu_per_million.iter().map(|(name, cpu)| format!("{name} {cpu:.2}"));
        texts.collect::<Vec<_>>().join(", ")
    }

    /// Of turns with the same number of events: what they come to together.
    pub(crate) fn of_turns(turns: &[Self]) -> Self {
        let mean = |of: &dyn Fn(&Self) -> f64| turns.iter().map(of).sum::<f64>() / turns.len() as f64;
        let names = turns.iter().flat_map(|turn| turn.servers_cpu_per_million.keys().copied());
        Self {
            events_per_second: 1.0 / mean(&|turn| 1.0 / turn.events_per_second),
            agent_cpu_per_million: mean(&|turn| turn.agent_cpu_per_million),
            servers_cpu_per_million: names.map(|name| (name, mean(&|turn| turn.cpu_of(name)))).collect(),
            agent_memory_mib: turns.iter().map(|turn| turn.agent_memory_mib).fold(0.0, f64::max),
        }
    }
}

/// The clocks at one moment.
#[derive(Debug)]
pub(crate) struct Reading {
    at: Instant,
    own_cpu_seconds: f64,
    servers_cpu_seconds: Vec<f64>,
}

impl Reading {
    /// Now; `own_cpu_seconds` is what the one that is measured has used so far.
    pub(crate) fn take(own_cpu_seconds: f64, servers: &Servers) -> Result<Self, Failure> {
        Ok(Self { at: Instant::now(), own_cpu_seconds, servers_cpu_seconds: servers.cpu_seconds()? })
    }

    /// What happened until `later`, when there were `events` more.
    pub(crate) fn figures(&self, later: &Self, events: u64, servers: &Servers, memory_mib: f64) -> Figures {
        let millions = events as f64 / 1e6;
        let used = self.servers_cpu_seconds.iter().zip(&later.servers_cpu_seconds);
        let used = used.map(|(before, after)| (after - before) / millions);
        Figures {
            events_per_second: events as f64 / later.at.duration_since(self.at).as_secs_f64(),
            agent_cpu_per_million: (later.own_cpu_seconds - self.own_cpu_seconds) / millions,
            servers_cpu_per_million: servers.0.iter().map(|(name, _)| *name).zip(used).collect(),
            agent_memory_mib: memory_mib,
        }
    }
}

/// A clock that runs since an event was counted.
pub(crate) struct Meter<'a> {
    servers: &'a Servers,
    began: Reading,
    events: u64,
}

impl<'a> Meter<'a> {
    /// Begins now, at nothing.
    pub(crate) fn begin(agent: &Agent, servers: &'a Servers) -> Result<Self, Failure> {
        Ok(Self { servers, began: Reading::take(agent.cpu_seconds()?, servers)?, events: 0 })
    }

    /// Begins when `count` gives `events` or more, at what it gives: joining a group is no part of a rate.
    pub(crate) fn begin_at(
        agent: &Agent,
        servers: &'a Servers,
        events: u64,
        count: impl Fn(&AgentStatus) -> u64,
    ) -> Result<Self, Failure> {
        let events = until_counted(agent, events, count)?;
        Ok(Self { events, ..Self::begin(agent, servers)? })
    }

    /// Ends when `count` gives `events` or more, at what it gives.
    pub(crate) fn end(
        &self,
        agent: &Agent,
        events: u64,
        count: impl Fn(&AgentStatus) -> u64,
    ) -> Result<Figures, Failure> {
        let events = until_counted(agent, events, count)?.saturating_sub(self.events);
        let now = Reading::take(agent.cpu_seconds()?, self.servers)?;
        Ok(self.began.figures(&now, events, self.servers, agent.memory_mib_peak()?))
    }
}

/// Looks until `count` gives `events` or more; what it gives then. Gives up when nothing has changed for [`PATIENCE`].
pub(crate) fn until_counted(agent: &Agent, events: u64, count: impl Fn(&AgentStatus) -> u64) -> Result<u64, Failure> {
    let (mut changed, mut last) = (Instant::now(), 0);
    loop {
        let status = agent.status()?;
        let found = count(&status);
        if found >= events {
            return Ok(found);
        }
        let sum = durable(&status) + delivered(&status);
        if sum != last {
            (changed, last) = (Instant::now(), sum);
        }
        if changed.elapsed() > PATIENCE {
            let status = serde_json::to_string_pretty(&status)?;
            return Err(format!("event {events} did not come, only {found}: {status}").into());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Events that the sources took in and know to be kept.
pub(crate) fn durable(status: &AgentStatus) -> u64 {
    status.sources.iter().map(|source| source.durable).sum()
}

/// Events that the destinations hold.
pub(crate) fn delivered(status: &AgentStatus) -> u64 {
    status.groups.iter().map(|group| group.delivered).sum()
}

/// Events that the destinations of one group hold.
pub(crate) fn delivered_by(group: &str) -> impl Fn(&AgentStatus) -> u64 {
    move |status| status.groups.iter().filter(|found| found.group == group).map(|found| found.delivered).sum()
}

/// Events that one group is done with: delivered, or left out on purpose.
pub(crate) fn done_by(group: &str) -> impl Fn(&AgentStatus) -> u64 {
    move |status| {
        let groups = status.groups.iter().filter(|found| found.group == group);
        groups.map(|found| found.delivered + found.dropped.values().sum::<u64>()).sum()
    }
}
