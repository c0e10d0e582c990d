//! The ledger over both tiers: from what the senders sent to the numbered lines that an independent reader finds in files.

use std::collections::BTreeMap;

use serde::Serialize;
use weir_config::units::{approx_bytes, approx_count};
use weir_engine::agent::FinalReport;
use weir_engine::ledger::LatencyStatus;
use weir_engine::status::AgentStatus;
use weir_lab::files::{FilesAccount, FilesTotals};

use super::brokers::Brokers;
use crate::commands::demo::config::Places;
use crate::commands::demo::ledger::{Balance, latencies};
use crate::commands::demo::load::Sent;
use crate::text::{Table, grouped};

/// What there is to account for when everything has ended.
pub(super) struct Ending {
    pub(super) sent: Sent,
    /// How long was sent.
    pub(super) seconds: f64,
    pub(super) edge: FinalReport,
    pub(super) hub: FinalReport,
    /// Events in the topic, or why nobody could say.
    pub(super) in_topic: Result<u64, String>,
    /// Finished files before the run.
    pub(super) before: FilesTotals,
    /// Finished files after it.
    pub(super) found: FilesAccount,
}

/// Where the events of one tier's channel went.
#[derive(Clone, Debug, Default, Serialize)]
struct Tier {
    /// From an earlier run on the same log.
    waiting_at_start: u64,
    delivered: u64,
    dead_lettered: u64,
    dropped: BTreeMap<String, u64>,
    /// Damaged in the channel.
    lost: u64,
    waiting: u64,
}

impl Tier {
    fn of(status: &AgentStatus) -> Self {
        let mut tier = Self::default();
        for group in &status.groups {
            tier.waiting_at_start += group.backlog_at_start;
            tier.delivered += group.delivered;
            tier.dead_lettered += group.dead_lettered;
            tier.lost += group.lost;
            tier.waiting += group.backlog_events;
            for (reason, events) in &group.dropped {
                *tier.dropped.entry(reason.clone()).or_default() += events;
            }
        }
        tier
    }

    /// Events that wait no more.
    fn left(&self) -> u64 {
        self.delivered + self.dead_lettered + self.dropped.values().sum::<u64>() + self.lost
    }
}

/// Events that have left the channel of an agent, one way or another.
pub(super) fn left(status: &AgentStatus) -> u64 {
    Tier::of(status).left()
}

/// Events that the destination of an agent holds.
pub(super) fn delivered(status: &AgentStatus) -> u64 {
    Tier::of(status).delivered
}

/// Every number of the ledger, in events.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Books {
    sent: u64,
    received: u64,
    accepted: u64,
    rejected: BTreeMap<String, u64>,
    /// In the log of the edge.
    durable: u64,
    edge: Tier,
    /// As the brokers count.
    in_topic: u64,
    hub: Tier,
    /// In files finished during this run.
    lines_in_files: u64,
    /// Sent, and in no file.
    lost: u64,
    /// In files more than once.
    duplicates: u64,
    /// Whether every line below balances.
    closes: bool,
    /// The lines that do not.
    open: Vec<String>,
}

impl Books {
    pub(super) fn new(ending: &Ending) -> Self {
        let verdict = ending.found.account.verdict(&ending.sent.sequences, None);
        let mut books = Self {
            sent: ending.sent.total(),
            edge: Tier::of(&ending.edge.status),
            in_topic: ending.in_topic.as_ref().copied().unwrap_or(0),
            hub: Tier::of(&ending.hub.status),
            lines_in_files: ending.found.totals.lines.saturating_sub(ending.before.lines),
            lost: verdict.lost,
            duplicates: verdict.duplicates,
            ..Self::default()
        };
        for source in &ending.edge.status.sources {
            books.received += source.received;
            books.accepted += source.accepted;
            books.durable += source.durable;
            books.rejected.clone_from(&source.rejected);
        }
        books.open.extend(ending.in_topic.as_ref().err().cloned());
        books.open.extend(books.balances().iter().filter(|balance| !balance.closes()).map(Balance::residue));
        for report in [&ending.edge, &ending.hub] {
            books.open.extend(report.status.ledger.residues.iter().chain(&report.troubles).cloned());
        }
        books.closes = books.open.is_empty();
        books
    }

    fn balances(&self) -> [Balance; 9] {
        let rejected: u64 = self.rejected.values().sum();
        let balance = |says, left, right| Balance { says, left, right };
        [
            balance("sent = received", self.sent, self.received),
            balance("received = accepted + rejected", self.received, self.accepted + rejected),
            balance("accepted = durable", self.accepted, self.durable),
            balance(
                "waiting at start + durable = delivered + dropped + lost + waiting",
                self.edge.waiting_at_start + self.durable,
                self.edge.left() + self.edge.waiting,
            ),
            balance("delivered by the edge = in the topic", self.edge.delivered, self.in_topic),
            balance("in the topic = delivered + dropped + lost by the hub", self.in_topic, self.hub.left()),
            balance("delivered by the hub = lines in files", self.hub.delivered, self.lines_in_files),
            balance("sent and in no file = 0", self.lost, 0),
            balance("in files twice = 0", self.duplicates, 0),
        ]
    }

    /// The table: a number per line, and beside it what must be equal.
    fn render(&self) -> String {
        let mut verdicts = self.balances().map(|balance| balance.verdict()).into_iter();
        let mut table = Table::new(&["", ">", ""]);
        let mut row = |what: &str, number: u64, verdict: Option<String>| {
            table.row([what.to_owned(), grouped(number), verdict.unwrap_or_default()]);
        };
        row("sent over TCP", self.sent, None);
        row("received", self.received, verdicts.next());
        for (reason, events) in &self.rejected {
            row(&format!("rejected: {reason}"), *events, None);
        }
        row("accepted", self.accepted, verdicts.next());
        row("durable at the edge", self.durable, verdicts.next());
        row("waiting at start", self.edge.waiting_at_start, None);
        row("delivered to Kafka", self.edge.delivered, None);
        exceptions(&self.edge, &mut row);
        row("waiting at the edge", self.edge.waiting, verdicts.next());
        row("in the topic", self.in_topic, verdicts.next());
        row("delivered to files", self.hub.delivered, verdicts.next());
        exceptions(&self.hub, &mut row);
        row("lines in files", self.lines_in_files, verdicts.next());
        row("lost", self.lost, verdicts.next());
        row("duplicates", self.duplicates, verdicts.next());
        table.render("  ")
    }
}

/// Rows for what went elsewhere than it should, if anything did.
fn exceptions(tier: &Tier, row: &mut impl FnMut(&str, u64, Option<String>)) {
    for (reason, events) in &tier.dropped {
        row(&format!("dropped: {reason}"), *events, None);
    }
    for (what, events) in [("dead-lettered", tier.dead_lettered), ("lost by damage", tier.lost)] {
        if events > 0 {
            row(what, events, None);
        }
    }
}

/// Everything the demo has to say at its end.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// How long was sent.
    seconds: f64,
    received_per_second: f64,
    ledger: Books,
    send: Sent,
    /// Event time to durable at the edge.
    created_to_durable: LatencyStatus,
    /// Event time to acknowledged by the brokers.
    created_to_topic: LatencyStatus,
    /// Event time to finished file.
    created_to_file: LatencyStatus,
    /// Both agents and the senders; brokers are processes of their own.
    resident_bytes: u64,
    brokers: Vec<String>,
    killed_broker: Option<u32>,
    topic: String,
    log: String,
    files: String,
}

impl Report {
    pub(super) fn new(ledger: Books, ending: &Ending, brokers: &Brokers, places: &Places) -> Self {
        let delivery =
            |report: &FinalReport| report.status.groups.first().map(|group| group.delivery_latency).unwrap_or_default();
        let source = ending.edge.status.sources.first();
        Self {
            seconds: ending.seconds,
            received_per_second: ledger.received as f64 / ending.seconds.max(1e-3),
            ledger,
            send: ending.sent.clone(),
            created_to_durable: source.map(|source| source.durable_latency).unwrap_or_default(),
            created_to_topic: delivery(&ending.edge),
            created_to_file: delivery(&ending.hub),
            resident_bytes: ending.edge.status.memory.resident_bytes,
            brokers: brokers.addresses().to_vec(),
            killed_broker: brokers.killed(),
            topic: brokers.topic().to_owned(),
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
        let rows = [
            ("created -> durable", self.created_to_durable),
            ("created -> in topic", self.created_to_topic),
            ("created -> in file", self.created_to_file),
        ];
        out.push_str(&format!("\n{}\n", latencies(&rows)));
        if let Some(broker) = self.killed_broker {
            out.push_str(&format!("broker {broker} was killed on the way\n"));
        }
        out.push_str(&self.send.remarks());
        out.push_str(&format!("log {}, files {}\n", self.log, self.files));
        match self.ledger.closes {
            true => out.push_str("ledger closes: nothing was lost, nothing repeated"),
            false => out.push_str(&format!("the ledger does not close:\n  {}", self.ledger.open.join("\n  "))),
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use weir_engine::status::{GroupStatus, SourceStatus};
    use weir_lab::Account;

    use super::*;

    /// 100 events sent, 5 waiting from before, 105 in topic and files.
    fn ending() -> Ending {
        let mut sent = Sent { tcp: 100, ..Sent::default() };
        sent.sequences.add_range(1, 1000, 1099);
        let mut edge = FinalReport::default();
        let source = SourceStatus { received: 100, accepted: 100, durable: 100, ..SourceStatus::default() };
        edge.status.sources.push(source);
        edge.status.groups.push(GroupStatus { backlog_at_start: 5, delivered: 105, ..GroupStatus::default() });
        let mut hub = FinalReport::default();
        hub.status.groups.push(GroupStatus { delivered: 105, ..GroupStatus::default() });
        let mut account = Account::new();
        (995..1100).for_each(|number| account.add(1, number));
        let before = FilesTotals { lines: 10, ..FilesTotals::default() };
        let found = FilesAccount { account, totals: FilesTotals { lines: 115, ..FilesTotals::default() } };
        Ending { sent, seconds: 1.0, edge, hub, in_topic: Ok(105), before, found }
    }

    /// What is open after `change`.
    fn open(change: impl FnOnce(&mut Ending)) -> Vec<String> {
        let mut ending = ending();
        change(&mut ending);
        let books = Books::new(&ending);
        assert_eq!(books.closes, books.open.is_empty());
        books.open
    }

    /// Scenario: a run over both tiers with a backlog from before; then an event missing at each place in turn, one too
    /// many in the topic, one in files twice, a topic that cannot be asked, a lane that panicked.
    /// Guarantees: the books close only if every event is accounted for, and the line that is open is named.
    #[test]
    fn one_missing_event_opens_one_line() {
        assert_eq!(open(|_| {}), Vec::<String>::new());
        assert_eq!(open(|ending| ending.sent.tcp += 1), ["sent = received: 101 is not 100"]);
        let lines = open(|ending| ending.edge.status.sources[0].durable -= 1);
        assert!(lines.len() == 2 && lines[0].starts_with("accepted = durable: 100 is not 99"), "{lines:?}");
        let lines = open(|ending| ending.edge.status.groups[0].delivered -= 1);
        assert!(lines.len() == 2 && lines[1] == "delivered by the edge = in the topic: 104 is not 105", "{lines:?}");
        let lines = open(|ending| ending.in_topic = Ok(106));
        assert!(lines.len() == 2 && lines[1].starts_with("in the topic = delivered"), "{lines:?}");
        let lines = open(|ending| ending.found.totals.lines -= 1);
        assert_eq!(lines, ["delivered by the hub = lines in files: 105 is not 104"]);
        let lines = open(|ending| {
            ending.sent.sequences.add_range(1, 1100, 1101);
        });
        assert_eq!(lines, ["sent and in no file = 0: 2 is not 0"]);
        let lines = open(|ending| ending.found.account.add(1, 1000));
        assert_eq!(lines, ["in files twice = 0: 1 is not 0"]);
        let lines = open(|ending| ending.in_topic = Err("no answer".into()));
        assert!(lines.len() == 3 && lines[0] == "no answer", "{lines:?}");
        assert_eq!(open(|ending| ending.hub.troubles.push("lane x panicked".into())), ["lane x panicked"]);
        let mut off = ending();
        off.sent.tcp += 1;
        assert!(Books::new(&off).render().contains("sent = received: OPEN by 1"));
    }
}
