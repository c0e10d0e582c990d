//! The ledger over both tiers: from what the senders sent to the numbered lines that an independent reader finds in files.

use serde::Serialize;
use weir_engine::ledger::LatencyStatus;
use weir_lab::files::{FilesAccount, FilesTotals};

use super::GROUP;
use crate::commands::demo::config::Places;
use crate::commands::demo::ledger::Balance;
use crate::commands::demo::tiers::books::{EdgeBooks, Ending, Rows, Tier, open};
use crate::commands::demo::tiers::brokers::Brokers;
use crate::commands::demo::tiers::report::{TiersReport, delivery_latency};

/// Finished files around a run.
pub(super) struct Finished {
    /// Before it.
    pub(super) before: FilesTotals,
    /// After it.
    pub(super) found: FilesAccount,
}

/// Every number of the ledger, in events.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Books {
    #[serde(flatten)]
    edge: EdgeBooks,
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
    pub(super) fn new(ending: &Ending, files: &Finished) -> Self {
        let verdict = files.found.account.verdict(&ending.sent.sequences, None);
        let mut books = Self {
            edge: EdgeBooks::new(ending),
            hub: Tier::of(&ending.hub.status),
            lines_in_files: files.found.totals.lines.saturating_sub(files.before.lines),
            lost: verdict.lost,
            duplicates: verdict.duplicates,
            ..Self::default()
        };
        books.open = open(ending, books.edge.balances().iter().chain(&books.balances()));
        books.closes = books.open.is_empty();
        books
    }

    /// Those behind the topic.
    fn balances(&self) -> [Balance; 4] {
        let in_topic = self.edge.in_topic;
        [
            Balance::of("in the topic = delivered + dropped + lost by the hub", in_topic, self.hub.left()),
            Balance::of("delivered by the hub = lines in files", self.hub.delivered, self.lines_in_files),
            Balance::of("sent and in no file = 0", self.lost, 0),
            Balance::of("in files twice = 0", self.duplicates, 0),
        ]
    }

    fn render(&self) -> String {
        let [delivery, files, lost, duplicates] = self.balances();
        let mut rows = Rows::new();
        self.edge.rows(&mut rows);
        rows.proof("delivered to files", self.hub.delivered, &delivery);
        self.hub.exceptions(&mut rows);
        rows.proof("lines in files", self.lines_in_files, &files);
        rows.proof("lost", self.lost, &lost);
        rows.proof("duplicates", self.duplicates, &duplicates);
        rows.render()
    }
}

/// Everything the demo has to say at its end.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    tiers: TiersReport,
    ledger: Books,
    /// Event time to finished file.
    created_to_file: LatencyStatus,
    files: String,
}

impl Report {
    pub(super) fn new(ledger: Books, ending: &Ending, brokers: &Brokers, places: &Places) -> Self {
        Self {
            tiers: TiersReport::new(ending, brokers, places),
            ledger,
            created_to_file: delivery_latency(&ending.hub.status, GROUP),
            files: places.files.display().to_string(),
        }
    }

    pub(super) fn closes(&self) -> bool {
        self.ledger.closes
    }

    pub(super) fn render(&self) -> String {
        let mut out = self.tiers.heading() + &self.ledger.render();
        out.push_str(&self.tiers.latencies(&[("created -> in file", self.created_to_file)]));
        out.push_str(&self.tiers.remarks());
        out.push_str(&format!("log {}, files {}\n", self.tiers.log, self.files));
        match self.ledger.closes {
            true => out.push_str("ledger closes: nothing was lost, nothing repeated"),
            false => out.push_str(&format!("the ledger does not close:\n  {}", self.ledger.open.join("\n  "))),
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use weir_lab::Account;

    use super::*;
    use crate::commands::demo::tiers::books::tests::ending;

    fn files() -> Finished {
        let mut account = Account::new();
        (995..1100).for_each(|number| account.add(1, number));
        let before = FilesTotals { lines: 10, ..FilesTotals::default() };
        Finished {
            before,
            found: FilesAccount { account, totals: FilesTotals { lines: 115, ..FilesTotals::default() } },
        }
    }

    /// What is open after `change`.
    fn open(change: impl FnOnce(&mut Ending, &mut Finished)) -> Vec<String> {
        let (mut ending, mut files) = (ending(&["default"]), files());
        change(&mut ending, &mut files);
        let books = Books::new(&ending, &files);
        assert_eq!(books.closes, books.open.is_empty());
        books.open
    }

    /// Scenario: a run over both tiers with a backlog from before; then an event missing behind the topic at each place in
    /// turn, one too many in the topic, one in files twice.
    /// Guarantees: the books close only if every event is accounted for, and the line that is open is named.
    #[test]
    fn one_missing_event_opens_one_line() {
        assert_eq!(open(|_, _| {}), Vec::<String>::new());
        let lines = open(|ending, _| ending.in_topic = Ok(106));
        assert!(lines.len() == 2 && lines[1].starts_with("in the topic = delivered"), "{lines:?}");
        let lines = open(|_, files| files.found.totals.lines -= 1);
        assert_eq!(lines, ["delivered by the hub = lines in files: 105 is not 104"]);
        let lines = open(|ending, _| {
            ending.sent.sequences.add_range(1, 1100, 1101);
        });
        assert_eq!(lines, ["sent and in no file = 0: 2 is not 0"]);
        let lines = open(|_, files| files.found.account.add(1, 1000));
        assert_eq!(lines, ["in files twice = 0: 1 is not 0"]);
        let (mut off, files) = (ending(&["default"]), files());
        off.sent.tcp += 1;
        assert!(Books::new(&off, &files).render().contains("sent = received: OPEN by 1"));
    }
}
