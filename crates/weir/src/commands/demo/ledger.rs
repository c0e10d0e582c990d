//! The ledger of the demo: from what the senders sent to the lines that an independent reader finds in the files.

use std::collections::BTreeMap;

use serde::Serialize;
use weir_config::units::{approx_bytes, approx_count};
use weir_engine::agent::FinalReport;
use weir_engine::ledger::LatencyStatus;
use weir_engine::status::{AgentStatus, SourceStatus};
use weir_lab::files::FilesTotals;

use super::config::Places;
use super::load::Sent;
use crate::commands::status_text::milliseconds;
use crate::text::{Table, grouped};

/// The name of the source's fault for datagrams that did not fit into the socket.
const KERNEL_DROPS: &str = "kernel drops";

/// Datagrams that the kernel dropped.
pub(super) fn kernel_drops(source: &SourceStatus) -> u64 {
    source.faults.get(KERNEL_DROPS).copied().unwrap_or(0)
}

/// Events that the source took or the kernel dropped.
pub(super) fn arrived(status: &AgentStatus) -> u64 {
    status.sources.iter().map(|source| source.received + kernel_drops(source)).sum()
}

/// Every number of the ledger, in events.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Books {
    sent_tcp: u64,
    sent_udp: u64,
    received: u64,
    kernel_drops: u64,
    accepted: u64,
    rejected: BTreeMap<String, u64>,
    durable: u64,
    /// From an earlier run on the same log.
    waiting_at_start: u64,
    delivered: u64,
    dead_lettered: u64,
    dropped: BTreeMap<String, u64>,
    lost: u64,
    waiting: u64,
    /// In files finished during this run.
    lines_in_files: u64,
    /// Whether every line below balances.
    closes: bool,
    /// The lines that do not.
    open: Vec<String>,
}

impl Books {
    pub(super) fn new(sent: &Sent, report: &FinalReport, before: FilesTotals, after: FilesTotals) -> Self {
        let mut books = Self {
            sent_tcp: sent.tcp,
            sent_udp: sent.udp,
            lines_in_files: after.lines.saturating_sub(before.lines),
            ..Self::default()
        };
        for source in &report.status.sources {
            books.received += source.received;
            books.kernel_drops += kernel_drops(source);
            books.accepted += source.accepted;
            books.durable += source.durable;
            books.rejected.clone_from(&source.rejected);
        }
        for group in &report.status.groups {
            books.waiting_at_start += group.backlog_at_start;
            books.delivered += group.delivered;
            books.dead_lettered += group.dead_lettered;
            books.lost += group.lost;
            books.waiting += group.backlog_events;
            books.dropped.clone_from(&group.dropped);
        }
        let residues =
            books.balances().into_iter().filter(|balance| !balance.closes()).map(|balance| balance.residue());
        let residues = residues.chain(report.status.ledger.residues.iter().cloned());
        books.open = residues.chain(report.troubles.iter().cloned()).collect();
        books.closes = books.open.is_empty();
        books
    }

    fn balances(&self) -> [Balance; 5] {
        let rejected: u64 = self.rejected.values().sum();
        let dropped: u64 = self.dropped.values().sum();
        let went = self.delivered + self.dead_lettered + dropped + self.lost + self.waiting;
        [
            Balance::of(
                "sent = received + kernel drops",
                self.sent_tcp + self.sent_udp,
                self.received + self.kernel_drops,
            ),
            Balance::of("received = accepted + rejected", self.received, self.accepted + rejected),
            Balance::of("accepted = durable", self.accepted, self.durable),
            Balance::of(
                "waiting at start + durable = delivered + dropped + lost + waiting",
                self.waiting_at_start + self.durable,
                went,
            ),
            Balance::of("delivered = lines in files", self.delivered, self.lines_in_files),
        ]
    }

    /// The table: a number per line, and beside it what must be equal.
    fn render(&self) -> String {
        let [arrival, acceptance, durability, delivery, files] = self.balances().map(|balance| balance.verdict());
        let mut table = Table::new(&["", ">", ""]);
        let mut row = |what: &str, number: u64, verdict: String| table.row([what.to_owned(), grouped(number), verdict]);
        row("sent over TCP", self.sent_tcp, String::new());
        row("sent over UDP", self.sent_udp, String::new());
        row("received", self.received, String::new());
        row("dropped by the kernel", self.kernel_drops, arrival);
        for (reason, events) in &self.rejected {
            row(&format!("rejected: {reason}"), *events, String::new());
        }
        row("accepted", self.accepted, acceptance);
        row("durable", self.durable, durability);
        row("waiting at start", self.waiting_at_start, String::new());
        row("delivered", self.delivered, String::new());
        for (reason, events) in &self.dropped {
            row(&format!("dropped: {reason}"), *events, String::new());
        }
        row("lost by damage", self.lost, String::new());
        row("waiting in the log", self.waiting, delivery);
        row("lines in files", self.lines_in_files, files);
        table.render("  ")
    }
}

/// Two numbers that must be equal.
pub(super) struct Balance {
    /// What must be equal, in words.
    says: &'static str,
    left: u64,
    right: u64,
}

impl Balance {
    pub(super) fn of(says: &'static str, left: u64, right: u64) -> Self {
        Self { says, left, right }
    }

    pub(super) fn closes(&self) -> bool {
        self.left == self.right
    }

    /// The line of a balance that is open.
    pub(super) fn residue(&self) -> String {
        format!("{}: {} is not {}", self.says, self.left, self.right)
    }

    /// Whether it closes, for the table.
    pub(super) fn verdict(&self) -> String {
        let verdict = match self.left.abs_diff(self.right) {
            0 => "closes".to_owned(),
            residue => format!("OPEN by {}", grouped(residue)),
        };
        format!("{}: {verdict}", self.says)
    }
}

/// Everything the demo has to say at its end.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// How long was sent.
    seconds: f64,
    received_per_second: f64,
    ledger: Books,
    sent: Sent,
    /// Event time to durable.
    created_to_durable: LatencyStatus,
    /// Event time to finished file.
    created_to_file: LatencyStatus,
    resident_bytes: u64,
    log: String,
    files: String,
}

impl Report {
    pub(super) fn new(ledger: Books, sent: Sent, seconds: f64, report: &FinalReport, places: &Places) -> Self {
        let status = &report.status;
        Self {
            seconds,
            received_per_second: ledger.received as f64 / seconds.max(1e-3),
            ledger,
            sent,
            created_to_durable: status.sources.first().map(|source| source.durable_latency).unwrap_or_default(),
            created_to_file: status.groups.first().map(|group| group.delivery_latency).unwrap_or_default(),
            resident_bytes: status.memory.resident_bytes,
            log: places.log.display().to_string(),
            files: places.files.display().to_string(),
        }
    }

    pub(super) fn closes(&self) -> bool {
        self.ledger.closes
    }

    pub(super) fn render(&self) -> String {
        let mut out = format!(
            "{:.1} s at {} events/s, {} resident\n\n",
            self.seconds,
            approx_count(self.received_per_second.round()),
            approx_bytes(self.resident_bytes),
        );
        out.push_str(&self.ledger.render());
        let rows = [("created -> durable", self.created_to_durable), ("created -> in file", self.created_to_file)];
        out.push_str(&format!("\n{}\n", latencies(&rows)));
        out.push_str(&self.sent.remarks());
        out.push_str(&format!("log {}, files {}\n", self.log, self.files));
        match self.ledger.closes {
            true => out.push_str("ledger closes: nothing was lost"),
            false => out.push_str(&format!("the ledger does not close:\n  {}", self.ledger.open.join("\n  "))),
        }
        out
    }
}

/// A table of latencies.
pub(super) fn latencies(rows: &[(&str, LatencyStatus)]) -> String {
    let mut table = Table::new(&["", ">p50", ">p99", ">p99.9", ">max"]);
    for (what, latency) in rows {
        let values = [latency.p50_ms, latency.p99_ms, latency.p999_ms, latency.max_ms];
        let values = values.map(|value| milliseconds(latency, value));
        table.row(std::iter::once((*what).to_owned()).chain(values));
    }
    table.render("  ")
}

#[cfg(test)]
mod tests {
    use weir_engine::status::GroupStatus;

    use super::*;

    fn report() -> FinalReport {
        let mut report = FinalReport::default();
        let faults = [(KERNEL_DROPS.to_owned(), 3)].into();
        let source = SourceStatus { received: 97, accepted: 97, durable: 97, faults, ..SourceStatus::default() };
        report.status.sources.push(source);
        let dropped = [("already in a file".to_owned(), 2)].into();
        let group =
            GroupStatus { backlog_at_start: 5, delivered: 99, dropped, backlog_events: 1, ..GroupStatus::default() };
        report.status.groups.push(group);
        report
    }

    fn books(sent: u64, report: &FinalReport, lines_after: u64) -> Books {
        let totals = |lines| FilesTotals { lines, ..FilesTotals::default() };
        Books::new(&Sent { tcp: sent, ..Sent::default() }, report, totals(10), totals(lines_after))
    }

    /// Scenario: a run with kernel drops, a backlog from before, repeats left out and one event still waiting; then one
    /// event missing at each place in turn.
    /// Guarantees: the books close only if every event is accounted for, and the line that is open is named.
    #[test]
    fn one_missing_event_opens_one_line() {
        assert!(books(100, &report(), 109).closes);
        assert_eq!(books(101, &report(), 109).open, ["sent = received + kernel drops: 101 is not 100"]);
        assert_eq!(books(100, &report(), 108).open, ["delivered = lines in files: 99 is not 98"]);
        let mut off = report();
        off.status.sources[0].durable -= 1;
        let open = books(100, &off, 109).open;
        assert!(open.len() == 2 && open[0].starts_with("accepted = durable: 97"), "{open:?}");
        let mut off = report();
        off.status.groups[0].backlog_events = 0;
        let open = books(100, &off, 109).open;
        assert!(open.len() == 1 && open[0].starts_with("waiting at start + durable"), "{open:?}");
        let mut off = report();
        off.troubles.push("lane x ended by a panic".into());
        assert!(!books(100, &off, 109).closes);
        assert!(books(101, &report(), 109).render().contains("OPEN by 1"));
    }
}
