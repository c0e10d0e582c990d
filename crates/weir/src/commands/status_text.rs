//! A status as text for a terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use weir_config::units::{approx_bytes, approx_count, approx_duration};
use weir_engine::ledger::LatencyStatus;
use weir_engine::status::{AgentStatus, ChannelStatus, GroupStatus, SourceStatus};

use crate::text::{Table, bar, grouped};

/// Everything worth seeing, without colours.
pub(crate) fn render(status: &AgentStatus) -> String {
    let mut out = head(status);
    out.push('\n');
    out.push_str(&sources(&status.sources));
    out.push('\n');
    out.push_str(&channels(&status.channels));
    out.push('\n');
    out.push_str(&groups(&status.groups));
    for group in &status.groups {
        if let Some(failure) = &group.last_failure {
            out.push_str(&format!("  {}: {failure}\n", group.sinks.join(", ")));
        }
    }
    out.push_str(&ledger(status));
    out
}

/// `ready`, or why not.
pub(crate) fn health(status: &AgentStatus) -> String {
    let health = &status.health;
    match (health.ready, health.degraded.as_slice()) {
        (false, _) => "not ready".to_owned(),
        (true, []) => "ready".to_owned(),
        (true, reasons) => format!("degraded: {}", reasons.join("; ")),
    }
}

fn head(status: &AgentStatus) -> String {
    // Whole seconds: nobody reads fractions of an uptime.
    let uptime = Duration::from_secs(status.uptime_seconds as u64);
    let memory = &status.memory;
    format!(
        "{} {} (pid {}), up {}: {}\nmemory {}, buffers may take {} of {}\n",
        status.agent,
        status.version,
        status.pid,
        approx_duration(uptime),
        health(status),
        approx_bytes(memory.resident_bytes),
        approx_bytes(memory.planned_bytes),
        approx_bytes(memory.budget_bytes),
    )
}

fn sources(sources: &[SourceStatus]) -> String {
    let mut table = Table::new(&[
        "SOURCE",
        "TYPE",
        ">RECEIVED",
        ">ACCEPTED",
        ">RATE",
        ">BYTES",
        ">CONN",
        ">DURABLE p50",
        ">p99",
        "REJECTED",
        "FAULTS",
    ]);
    for source in sources {
        table.row([
            source.name.clone(),
            source.r#type.clone(),
            grouped(source.received),
            grouped(source.accepted),
            format!("{}/s", approx_count(source.rate.last_ten_seconds.round())),
            approx_bytes(source.received_bytes),
            grouped(source.connections),
            milliseconds(&source.durable_latency, source.durable_latency.p50_ms),
            milliseconds(&source.durable_latency, source.durable_latency.p99_ms),
            reasons(&source.rejected),
            reasons(&source.faults),
        ]);
    }
    let mut out = table.render("");
    for source in sources.iter().filter(|source| !source.partitions.is_empty()) {
        out.push_str(&lag(source));
    }
    out
}

/// One line about the partitions of a source: their number, what waits in them, and which is furthest behind.
fn lag(source: &SourceStatus) -> String {
    let partitions = &source.partitions;
    let events: u64 = partitions.iter().map(|partition| partition.lag_events).sum();
    let furthest = partitions.iter().max_by(|a, b| a.lag_seconds.total_cmp(&b.lag_seconds));
    let behind = match furthest.filter(|furthest| furthest.lag_seconds > 0.0) {
        Some(furthest) => {
            let age = approx_duration(Duration::from_secs_f64(furthest.lag_seconds));
            format!(", {}-{} is {age} behind", furthest.topic, furthest.partition)
        }
        None => String::new(),
    };
    format!("  {}: {} partitions, {} events to read{behind}\n", source.name, partitions.len(), grouped(events))
}

fn channels(channels: &[ChannelStatus]) -> String {
    let mut table = Table::new(&["CHANNEL", "TYPE", "FILL", ">BYTES", ">CAPACITY", ">APPENDED", ">SYNCS", "KEEPS"]);
    for channel in channels {
        let fill = channel.bytes as f64 / channel.capacity_bytes.max(1) as f64;
        table.row([
            channel.name.clone(),
            channel.r#type.clone(),
            bar(fill),
            approx_bytes(channel.bytes),
            approx_bytes(channel.capacity_bytes),
            grouped(channel.appended),
            grouped(channel.syncs),
            if channel.durable { "over a crash" } else { "until the end" }.to_owned(),
        ]);
    }
    table.render("")
}

fn groups(groups: &[GroupStatus]) -> String {
    let headings = [
        "GROUP",
        "SINKS",
        ">WAITING",
        ">BYTES",
        ">AGE",
        ">DELIVERED",
        ">RATE",
        ">DEAD",
        ">LOST",
        ">RETRIES",
        ">DELIVERY p50",
        ">p99",
        "DROPPED",
        "FAULTS",
    ];
    let mut table = Table::new(&headings);
    for group in groups {
        table.row([
            format!("{}/{}", group.channel, group.group),
            group.sinks.join(","),
            grouped(group.backlog_events),
            approx_bytes(group.backlog_bytes),
            seconds(group.backlog_seconds),
            grouped(group.delivered),
            format!("{}/s", approx_count(group.rate.last_ten_seconds.round())),
            grouped(group.dead_lettered),
            grouped(group.lost),
            grouped(group.retries),
            milliseconds(&group.delivery_latency, group.delivery_latency.p50_ms),
            milliseconds(&group.delivery_latency, group.delivery_latency.p99_ms),
            reasons(&group.dropped),
            reasons(&group.faults),
        ]);
    }
    table.render("")
}

fn ledger(status: &AgentStatus) -> String {
    let ledger = &status.ledger;
    if ledger.closes {
        return "\nledger closes\n".to_owned();
    }
    // A snapshot while events move need not balance; only at rest it must.
    let mut out = "\nledger open by what moved while it was read; at rest it must close:\n".to_owned();
    for residue in &ledger.residues {
        out.push_str(&format!("  {residue}\n"));
    }
    out
}

/// A quantile of `latency`; a dash before anything was measured.
pub(crate) fn milliseconds(latency: &LatencyStatus, value_ms: u64) -> String {
    if latency.count == 0 { "-".to_owned() } else { approx_duration(Duration::from_millis(value_ms)) }
}

/// An age for people.
pub(crate) fn seconds(seconds: f64) -> String {
    format!("{seconds:.1} s")
}

fn reasons(counts: &BTreeMap<String, u64>) -> String {
    let parts: Vec<_> = counts.iter().map(|(reason, count)| format!("{reason} {}", grouped(*count))).collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use weir_engine::status::PartitionStatus;

    use super::*;

    /// Scenario: a degraded agent with rejected events and a failing sink.
    /// Guarantees: reasons and the failure are shown with their numbers, and missing latencies as dashes.
    #[test]
    fn troubles_are_shown() {
        let mut status = AgentStatus { agent: "edge".into(), ..AgentStatus::default() };
        status.health.ready = true;
        status.health.degraded = vec!["sinks out: disk full".into()];
        let rejected = [("no route".to_owned(), 1200)].into();
        let partition = |partition, lag_seconds| PartitionStatus {
            topic: "t".into(),
            partition,
            lag_events: 700,
            lag_seconds,
            ..PartitionStatus::default()
        };
        let partitions = vec![partition(3, 1.0), partition(4, 5.0)];
        status.sources = vec![SourceStatus { name: "in".into(), rejected, partitions, ..SourceStatus::default() }];
        status.groups = vec![GroupStatus {
            channel: "spool".into(),
            last_failure: Some("disk full".into()),
            ..GroupStatus::default()
        }];
        let text = render(&status);
        for wanted in [
            "degraded: sinks out: disk full",
            "no route 1,200",
            "  -  ",
            ": disk full\n",
            "in: 2 partitions, 1,400 events to read, t-4 is 5 s behind",
        ] {
            assert!(text.contains(wanted), "{wanted:?} in {text}");
        }
    }
}
