//! The part of the ledger that both demos of two tiers have: from what the senders sent to the topic.

use std::collections::BTreeMap;

use serde::Serialize;
use weir_engine::agent::FinalReport;
use weir_engine::status::{AgentStatus, GroupStatus};

use crate::commands::demo::ledger::Balance;
use crate::commands::demo::load::Sent;
use crate::text::{Table, grouped};

/// How the two tiers ended.
pub(crate) struct Ending {
    pub(crate) sent: Sent,
    /// How long was sent.
    pub(crate) seconds: f64,
    pub(crate) edge: FinalReport,
    pub(crate) hub: FinalReport,
    /// Events in the topic, or why nobody could say.
    pub(crate) in_topic: Result<u64, String>,
}

/// Where the events of a channel went, for one of its groups or for all.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Tier {
    /// From an earlier run on the same log.
    pub(crate) waiting_at_start: u64,
    pub(crate) delivered: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) dropped: BTreeMap<String, u64>,
    /// Damaged in the channel.
    pub(crate) lost: u64,
    pub(crate) waiting: u64,
}

impl Tier {
    /// All groups of an agent together.
    pub(crate) fn of(status: &AgentStatus) -> Self {
        Self::of_groups(&status.groups)
    }

    /// One group; of one that is not there, nothing.
    pub(crate) fn of_group(status: &AgentStatus, name: &str) -> Self {
        Self::of_groups(status.groups.iter().filter(|group| group.group == name))
    }

    fn of_groups<'a>(groups: impl IntoIterator<Item = &'a GroupStatus>) -> Self {
        let mut tier = Self::default();
        for group in groups {
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
    pub(crate) fn left(&self) -> u64 {
        self.delivered + self.dead_lettered + self.dropped.values().sum::<u64>() + self.lost
    }

    /// Rows for what went elsewhere than it should, if anything did.
    pub(crate) fn exceptions(&self, rows: &mut Rows) {
        for (reason, events) in &self.dropped {
            rows.add(&format!("dropped: {reason}"), *events);
        }
        for (what, events) in [("dead-lettered", self.dead_lettered), ("lost by damage", self.lost)] {
            if events > 0 {
                rows.add(what, events);
            }
        }
    }
}

/// Every number from the senders to the topic, in events.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct EdgeBooks {
    sent: u64,
    pub(crate) received: u64,
    accepted: u64,
    rejected: BTreeMap<String, u64>,
    /// In the log of the edge.
    durable: u64,
    edge: Tier,
    /// As the brokers count.
    pub(crate) in_topic: u64,
}

impl EdgeBooks {
    pub(crate) fn new(ending: &Ending) -> Self {
        let mut books = Self {
            sent: ending.sent.total(),
            edge: Tier::of(&ending.edge.status),
            in_topic: ending.in_topic.as_ref().copied().unwrap_or(0),
            ..Self::default()
        };
        for source in &ending.edge.status.sources {
            books.received += source.received;
            books.accepted += source.accepted;
            books.durable += source.durable;
            books.rejected.clone_from(&source.rejected);
        }
        books
    }

    pub(crate) fn balances(&self) -> [Balance; 5] {
        let rejected: u64 = self.rejected.values().sum();
        [
            Balance::of("sent = received", self.sent, self.received),
            Balance::of("received = accepted + rejected", self.received, self.accepted + rejected),
            Balance::of("accepted = durable", self.accepted, self.durable),
            Balance::of(
                "waiting at start + durable = delivered + dropped + lost + waiting",
                self.edge.waiting_at_start + self.durable,
                self.edge.left() + self.edge.waiting,
            ),
            Balance::of("delivered by the edge = in the topic", self.edge.delivered, self.in_topic),
        ]
    }

    /// The rows of these balances.
    pub(crate) fn rows(&self, rows: &mut Rows) {
        let [arrival, acceptance, durability, delivery, topic] = self.balances();
        rows.add("sent over TCP", self.sent);
        rows.proof("received", self.received, &arrival);
        for (reason, events) in &self.rejected {
            rows.add(&format!("rejected: {reason}"), *events);
        }
        rows.proof("accepted", self.accepted, &acceptance);
        rows.proof("durable at the edge", self.durable, &durability);
        rows.add("waiting at start", self.edge.waiting_at_start);
        rows.add("delivered to Kafka", self.edge.delivered);
        self.edge.exceptions(rows);
        rows.proof("waiting at the edge", self.edge.waiting, &delivery);
        rows.proof("in the topic", self.in_topic, &topic);
    }
}

/// What does not close: `balances`, and what the agents say themselves.
pub(crate) fn open<'a>(ending: &Ending, balances: impl IntoIterator<Item = &'a Balance>) -> Vec<String> {
    let mut open: Vec<_> = ending.in_topic.as_ref().err().cloned().into_iter().collect();
    open.extend(balances.into_iter().filter(|balance| !balance.closes()).map(Balance::residue));
    for report in [&ending.edge, &ending.hub] {
        open.extend(report.status.ledger.residues.iter().chain(&report.troubles).cloned());
    }
    open
}

/// The table of a ledger: a number per line, and beside it what must be equal.
pub(crate) struct Rows(Table);

impl Rows {
    pub(crate) fn new() -> Self {
        Self(Table::new(&["", ">", ""]))
    }

    /// A number alone.
    pub(crate) fn add(&mut self, what: &str, number: u64) {
        self.0.row([what.to_owned(), grouped(number), String::new()]);
    }

    /// A number and the balance that it completes.
    pub(crate) fn proof(&mut self, what: &str, number: u64, balance: &Balance) {
        self.0.row([what.to_owned(), grouped(number), balance.verdict()]);
    }

    pub(crate) fn render(&self) -> String {
        self.0.render("  ")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use weir_engine::status::SourceStatus;

    use super::*;

    /// 100 events sent, 5 waiting from before, 105 in the topic and out of each group of the hub.
    pub(crate) fn ending(groups: &[&str]) -> Ending {
        let mut sent = Sent { tcp: 100, ..Sent::default() };
        sent.sequences.add_range(1, 1000, 1099);
        let mut edge = FinalReport::default();
        let source = SourceStatus { received: 100, accepted: 100, durable: 100, ..SourceStatus::default() };
        edge.status.sources.push(source);
        edge.status.groups.push(GroupStatus { backlog_at_start: 5, delivered: 105, ..GroupStatus::default() });
        let mut hub = FinalReport::default();
        let group = |name: &&str| GroupStatus { group: (*name).to_owned(), delivered: 105, ..GroupStatus::default() };
        hub.status.groups.extend(groups.iter().map(group));
        Ending { sent, seconds: 1.0, edge, hub, in_topic: Ok(105) }
    }

    fn residues(change: impl FnOnce(&mut Ending)) -> Vec<String> {
        let mut ending = ending(&["default"]);
        change(&mut ending);
        open(&ending, &EdgeBooks::new(&ending).balances())
    }

    /// Scenario: a run with a backlog from before; then an event missing at each place in turn, a topic that cannot be
    /// asked, a lane that panicked.
    /// Guarantees: the books close only if every event is accounted for, and the line that is open is named.
    #[test]
    fn one_missing_event_opens_one_line() {
        assert_eq!(residues(|_| {}), Vec::<String>::new());
        assert_eq!(residues(|ending| ending.sent.tcp += 1), ["sent = received: 101 is not 100"]);
        let lines = residues(|ending| ending.edge.status.sources[0].durable -= 1);
        assert!(lines.len() == 2 && lines[0].starts_with("accepted = durable: 100 is not 99"), "{lines:?}");
        let lines = residues(|ending| ending.edge.status.groups[0].delivered -= 1);
        assert!(lines.len() == 2 && lines[1] == "delivered by the edge = in the topic: 104 is not 105", "{lines:?}");
        let lines = residues(|ending| ending.in_topic = Err("no answer".into()));
        assert!(lines.len() == 2 && lines[0] == "no answer", "{lines:?}");
        assert_eq!(residues(|ending| ending.hub.troubles.push("lane x panicked".into())), ["lane x panicked"]);
    }
}
