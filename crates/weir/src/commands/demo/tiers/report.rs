//! What every demo of two tiers says at its end.

use serde::Serialize;
use weir_config::units::{approx_bytes, approx_count};
use weir_engine::ledger::LatencyStatus;
use weir_engine::status::AgentStatus;

use super::books::Ending;
use super::brokers::Brokers;
use crate::commands::demo::config::Places;
use crate::commands::demo::ledger;
use crate::commands::demo::load::Sent;

/// Everything but the ledger and what is behind the topic.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TiersReport {
    /// How long was sent.
    seconds: f64,
    received_per_second: f64,
    send: Sent,
    /// Event time to durable at the edge.
    created_to_durable: LatencyStatus,
    /// Event time to acknowledged by the brokers.
    created_to_topic: LatencyStatus,
    /// Both agents and the senders; servers are processes of their own.
    resident_bytes: u64,
    brokers: Vec<String>,
    killed_broker: Option<u32>,
    topic: String,
    pub(crate) log: String,
}

impl TiersReport {
    pub(crate) fn new(ending: &Ending, brokers: &Brokers, places: &Places) -> Self {
        let edge = &ending.edge.status;
        let source = edge.sources.first();
        let received = source.map_or(0, |source| source.received);
        Self {
            seconds: ending.seconds,
            received_per_second: received as f64 / ending.seconds.max(1e-3),
            send: ending.sent.clone(),
            created_to_durable: source.map(|source| source.durable_latency).unwrap_or_default(),
            created_to_topic: edge.groups.first().map(|group| group.delivery_latency).unwrap_or_default(),
            resident_bytes: edge.memory.resident_bytes,
            brokers: brokers.addresses().to_vec(),
            killed_broker: brokers.killed(),
            topic: brokers.topic().to_owned(),
            log: places.log.display().to_string(),
        }
    }

    /// How long, how fast, how large.
    pub(crate) fn heading(&self) -> String {
        format!(
            "{:.1} s at {} events/s, {} resident\n\n",
            self.seconds,
            approx_count(self.received_per_second.round()),
            approx_bytes(self.resident_bytes),
        )
    }

    /// The table of latencies, with those of the `ends`.
    pub(crate) fn latencies(&self, ends: &[(&str, LatencyStatus)]) -> String {
        let mut rows =
            vec![("created -> durable", self.created_to_durable), ("created -> in topic", self.created_to_topic)];
        rows.extend_from_slice(ends);
        format!("\n{}\n", ledger::latencies(&rows))
    }

    /// What did not go as wished, or was not meant to.
    pub(crate) fn remarks(&self) -> String {
        let killed = self.killed_broker.map(|broker| format!("broker {broker} was killed on the way\n"));
        killed.unwrap_or_default() + &self.send.remarks()
    }
}

/// Event time to the destination of a group.
pub(crate) fn delivery_latency(status: &AgentStatus, group: &str) -> LatencyStatus {
    status.groups.iter().find(|found| found.group == group).map(|found| found.delivery_latency).unwrap_or_default()
}
