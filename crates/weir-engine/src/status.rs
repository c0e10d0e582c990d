//! The state of an agent as data: what `/status`, `/metrics`, `weir status` and `weir demo` show.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ledger::LatencyStatus;

/// Everything there is to know about a running agent, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// Name of the agent in its configuration.
    pub agent: String,
    /// Version of Weir.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Seconds since start.
    pub uptime_seconds: f64,
    /// Whether it is well.
    pub health: HealthStatus,
    /// Memory set aside and used.
    pub memory: MemoryStatus,
    /// One per source.
    pub sources: Vec<SourceStatus>,
    /// One per channel.
    pub channels: Vec<ChannelStatus>,
    /// One per sink group.
    pub groups: Vec<GroupStatus>,
    /// Whether the books balance.
    pub ledger: LedgerStatus,
}

/// Health, as `/health` answers it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthStatus {
    /// The process answers.
    pub live: bool,
    /// All components started and the agent is not stopping.
    pub ready: bool,
    /// Why something works less than it should; empty if nothing does.
    pub degraded: Vec<String>,
}

/// Memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryStatus {
    /// The budget of the configuration.
    pub budget_bytes: u64,
    /// What all buffers together may take, by their limits.
    pub planned_bytes: u64,
    /// Resident memory of the process, from the kernel.
    pub resident_bytes: u64,
}

/// Events per second over the last second and the last ten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RateStatus {
    /// Over the last second.
    pub last_second: f64,
    /// Over the last ten seconds.
    pub last_ten_seconds: f64,
}

/// A source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// Its type.
    pub r#type: String,
    /// Events framed.
    pub received: u64,
    /// Bytes of their bodies.
    pub received_bytes: u64,
    /// Events that every required channel took.
    pub accepted: u64,
    /// Accepted events with a receipt.
    pub durable: u64,
    /// Events kept whole and flagged because they did not parse.
    pub flagged: u64,
    /// Events that went no further, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Troubles before an event existed (kernel drops, broken connections), by kind.
    pub faults: BTreeMap<String, u64>,
    /// Connections open now.
    pub connections: u64,
    /// Event time to receipt.
    pub durable_latency: LatencyStatus,
    /// Received events.
    pub rate: RateStatus,
    /// How far it is in each partition of what it reads, where that has partitions.
    #[serde(default)]
    pub partitions: Vec<PartitionStatus>,
}

/// How far a source is in a partition of what it reads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PartitionStatus {
    /// The topic, or what else the partition belongs to.
    pub topic: String,
    /// Number of the partition.
    pub partition: u32,
    /// Everything below is in the channels.
    pub position: u64,
    /// Events there are at and behind the position.
    pub lag_events: u64,
    /// Age of the oldest of them: now minus its own timestamp; 0 if there is none.
    pub lag_seconds: f64,
}

/// A channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChannelStatus {
    /// Its name.
    pub name: String,
    /// Its type.
    pub r#type: String,
    /// Whether what has a receipt survives a crash.
    pub durable: bool,
    /// Whether other agents use it too, so that the books of this one do not cover it.
    #[serde(default)]
    pub shared: bool,
    /// What a receipt means: `always`, `group`, `interval`, or `none` for a channel in memory.
    pub durability_mode: String,
    /// Bytes held.
    pub bytes: u64,
    /// Most bytes it may hold.
    pub capacity_bytes: u64,
    /// Events appended since start.
    pub appended: u64,
    /// Syncs since start.
    pub syncs: u64,
}

/// A sink group: the sinks that share one cursor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// Its channel.
    pub channel: String,
    /// Its name.
    pub group: String,
    /// Its sinks.
    pub sinks: Vec<String>,
    /// Events that waited at the start of this run.
    pub backlog_at_start: u64,
    /// Events that wait now, those out for delivery included.
    pub backlog_events: u64,
    /// Their bytes as stored.
    pub backlog_bytes: u64,
    /// Age of the oldest of them: now minus its arrival.
    pub backlog_seconds: f64,
    /// Events the destination holds.
    pub delivered: u64,
    /// Events in the dead letter channel.
    pub dead_lettered: u64,
    /// Events left out on purpose, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Events that were damaged in the channel.
    pub lost: u64,
    /// Deliveries that came back.
    pub retries: u64,
    /// Troubles that the sinks met and got over (servers left out, transports changed), by kind.
    #[serde(default)]
    pub faults: BTreeMap<String, u64>,
    /// Event time to acknowledgement.
    pub delivery_latency: LatencyStatus,
    /// Why it does not get on, if it does not.
    pub last_failure: Option<String>,
    /// Delivered events.
    pub rate: RateStatus,
}

/// Whether the books balance; see [`crate::ledger`]. Only meaningful at rest: counters of events on their way move
/// one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerStatus {
    /// No residue anywhere.
    pub closes: bool,
    /// One line per component that does not balance, with the numbers.
    pub residues: Vec<String>,
}

impl LedgerStatus {
    /// Draws the balance of all components of `status`.
    #[must_use]
    pub fn draw(status: &AgentStatus) -> Self {
        let mut residues = Vec::new();
        for source in &status.sources {
            let rejected: u64 = source.rejected.values().sum();
            if source.received != source.accepted + rejected {
                residues.push(format!(
                    "source {}: received {} is not accepted {} + rejected {rejected}",
                    source.name, source.received, source.accepted
                ));
            }
        }
        for group in &status.groups {
            let channel = status.channels.iter().find(|channel| channel.name == group.channel);
            if channel.is_some_and(|channel| channel.shared) {
                continue;
            }
            let appended = channel.map_or(0, |channel| channel.appended);
            let dropped: u64 = group.dropped.values().sum();
            let came = group.backlog_at_start + appended;
            let went = group.delivered + group.dead_lettered + dropped + group.lost + group.backlog_events;
            if came != went {
                residues.push(format!(
                    "group {} of channel {}: waiting at start {} + appended {appended} is not delivered {} + dead-lettered {} + dropped {dropped} + lost {} + waiting {}",
                    group.group, group.channel, group.backlog_at_start, group.delivered, group.dead_lettered, group.lost, group.backlog_events
                ));
            }
        }
        Self { closes: residues.is_empty(), residues }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balanced() -> AgentStatus {
        AgentStatus {
            sources: vec![SourceStatus {
                name: "in".into(),
                received: 10,
                accepted: 9,
                rejected: [("no route".to_owned(), 1)].into(),
                ..SourceStatus::default()
            }],
            channels: vec![ChannelStatus { name: "spool".into(), appended: 9, ..ChannelStatus::default() }],
            groups: vec![GroupStatus {
                channel: "spool".into(),
                group: "default".into(),
                backlog_at_start: 5,
                delivered: 10,
                dead_lettered: 1,
                dropped: [("repeat".to_owned(), 1)].into(),
                backlog_events: 2,
                ..GroupStatus::default()
            }],
            ..AgentStatus::default()
        }
    }

    /// Scenario: balanced books, then one event vanishes from each side in turn.
    /// Guarantees: the ledger closes only if every event is accounted for, and names the component that is off.
    #[test]
    fn a_missing_event_leaves_a_residue() {
        assert!(LedgerStatus::draw(&balanced()).closes);
        let mut status = balanced();
        status.sources[0].accepted -= 1;
        let ledger = LedgerStatus::draw(&status);
        assert!(!ledger.closes && ledger.residues[0].starts_with("source in: received 10"));
        let mut status = balanced();
        status.groups[0].delivered -= 1;
        assert!(LedgerStatus::draw(&status).residues[0].contains("group default of channel spool"));
    }
}
