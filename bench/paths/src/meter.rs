//! Rate and CPU of an agent, from the first event that counts to the last.

use std::time::{Duration, Instant};

use serde::Serialize;
use weir_engine::status::AgentStatus;

use crate::Failure;
use crate::agent::{Agent, PATIENCE};

/// Between looks: a hundredth of the shortest row.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What came of a row.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Figures {
    /// Events a second.
    pub(crate) events_per_second: f64,
    /// CPU seconds of the agent per million events.
    pub(crate) agent_cpu_per_million: f64,
    /// Most memory the agent had.
    pub(crate) agent_memory_mib: f64,
}

/// A clock that runs since an event was counted.
pub(crate) struct Meter {
    began: Instant,
    events: u64,
    cpu_seconds: f64,
}

impl Meter {
    /// Begins now, at nothing.
    pub(crate) fn begin(agent: &Agent) -> Result<Self, Failure> {
        Ok(Self { began: Instant::now(), events: 0, cpu_seconds: agent.cpu_seconds()? })
    }

    /// Begins when `count` gives more than nothing, at what it gives: joining a group is no part of a rate.
    pub(crate) fn begin_at_first(agent: &Agent, count: impl Fn(&AgentStatus) -> u64) -> Result<Self, Failure> {
        let events = until(agent, "the first event", |status| Some(count(status)).filter(|events| *events > 0))?;
        Ok(Self { events, ..Self::begin(agent)? })
    }

    /// Ends when `count` gives `events`.
    pub(crate) fn end(
        &self,
        agent: &Agent,
        events: u64,
        count: impl Fn(&AgentStatus) -> u64,
    ) -> Result<Figures, Failure> {
        until(agent, &format!("event {events}"), |status| (count(status) >= events).then_some(()))?;
        let (seconds, events) = (self.began.elapsed().as_secs_f64(), events.saturating_sub(self.events));
        Ok(Figures {
            events_per_second: events as f64 / seconds,
            agent_cpu_per_million: (agent.cpu_seconds()? - self.cpu_seconds) / (events as f64 / 1e6),
            agent_memory_mib: agent.memory_mib_peak()?,
        })
    }
}

/// Looks until `look` finds something. Gives up when nothing has changed for [`PATIENCE`].
fn until<T>(agent: &Agent, what: &str, look: impl Fn(&AgentStatus) -> Option<T>) -> Result<T, Failure> {
    let (mut changed, mut last) = (Instant::now(), 0);
    loop {
        let status = agent.status()?;
        if let Some(found) = look(&status) {
            return Ok(found);
        }
        let sum = status.sources.iter().map(|source| source.durable).sum::<u64>() + delivered(&status);
        if sum != last {
            (changed, last) = (Instant::now(), sum);
        }
        if changed.elapsed() > PATIENCE {
            return Err(format!("{what} did not come: {}", serde_json::to_string_pretty(&status)?).into());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Events that the first source took in and knows to be kept.
pub(crate) fn durable(status: &AgentStatus) -> u64 {
    status.sources.iter().map(|source| source.durable).sum()
}

/// Events that the destinations hold.
pub(crate) fn delivered(status: &AgentStatus) -> u64 {
    status.groups.iter().map(|group| group.delivered).sum()
}
