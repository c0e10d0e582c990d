//! The ledger from the senders to both ends: every number on the way, and what a reader of its own found at the ends.

use serde::Serialize;
use weir_engine::ledger::LatencyStatus;

use super::config::{HDFS_GROUP, SOLR_GROUP};
use super::look::Look;
use super::proof::Proof;
use crate::commands::demo::config::Places;
use crate::commands::demo::ledger::Balance;
use crate::commands::demo::tiers::books::{EdgeBooks, Ending, Rows, Tier, open};
use crate::commands::demo::tiers::brokers::Brokers;
use crate::commands::demo::tiers::report::{TiersReport, delivery_latency};
use crate::text::grouped;

/// Every number of the ledger, in events.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Books {
    #[serde(flatten)]
    edge: EdgeBooks,
    /// Sent, and not in the topic.
    lost: u64,
    /// In the topic more than once.
    duplicates: u64,
    hdfs: Tier,
    lines_in_hdfs: u64,
    solr: Tier,
    documents_in_solr: u64,
    /// Documents of events that were not to be selected.
    strays_in_solr: u64,
    /// Whether every line below balances.
    closes: bool,
    /// The lines that do not.
    open: Vec<String>,
}

impl Books {
    pub(super) fn new(ending: &Ending, proof: &Result<Proof, String>) -> Self {
        let mut books = Self {
            edge: EdgeBooks::new(ending),
            hdfs: Tier::of_group(&ending.hub.status, HDFS_GROUP),
            solr: Tier::of_group(&ending.hub.status, SOLR_GROUP),
            ..Self::default()
        };
        if let Ok(proof) = proof {
            let verdict = proof.account.verdict(&ending.sent.sequences, None);
            (books.lost, books.duplicates) = (verdict.lost, verdict.duplicates);
            (books.lines_in_hdfs, books.documents_in_solr) = (proof.lines, proof.documents);
            books.strays_in_solr = proof.strays;
        }
        books.open = open(ending, books.edge.balances().iter().chain(&books.balances()));
        match proof {
            Ok(proof) if proof.is_proven => {}
            Ok(_) => books.open.push("topic, HDFS and Solr differ: see what verify says".to_owned()),
            Err(error) => books.open.push(format!("topic, HDFS and Solr were not compared: {error}")),
        }
        books.closes = books.open.is_empty();
        books
    }

    /// Those behind the topic.
    fn balances(&self) -> [Balance; 7] {
        let in_topic = self.edge.in_topic;
        [
            Balance::of("sent and not in the topic = 0", self.lost, 0),
            Balance::of("in the topic twice = 0", self.duplicates, 0),
            Balance::of("in the topic = delivered + dropped + lost to HDFS", in_topic, self.hdfs.left()),
            Balance::of("delivered to HDFS = lines in HDFS", self.hdfs.delivered, self.lines_in_hdfs),
            Balance::of("in the topic = selected + left out + lost to Solr", in_topic, self.solr.left()),
            Balance::of("selected = documents in Solr", self.solr.delivered, self.documents_in_solr),
            Balance::of("in Solr and not to be selected = 0", self.strays_in_solr, 0),
        ]
    }

    fn render(&self) -> String {
        let [lost, duplicates, hdfs, lines, solr, documents, strays] = self.balances();
        let mut rows = Rows::new();
        self.edge.rows(&mut rows);
        rows.proof("lost before it", self.lost, &lost);
        rows.proof("twice in it", self.duplicates, &duplicates);
        rows.proof("delivered to HDFS", self.hdfs.delivered, &hdfs);
        self.hdfs.exceptions(&mut rows);
        rows.proof("lines in HDFS", self.lines_in_hdfs, &lines);
        rows.proof("selected for Solr", self.solr.delivered, &solr);
        self.solr.exceptions(&mut rows);
        rows.proof("documents in Solr", self.documents_in_solr, &documents);
        rows.proof("strays in Solr", self.strays_in_solr, &strays);
        rows.render()
    }
}

/// Everything the demo has to say at its end.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    tiers: TiersReport,
    ledger: Books,
    /// Event time to finished file in HDFS.
    created_to_hdfs: LatencyStatus,
    /// Event time to taken by Solr; searchable a second later at most.
    created_to_solr: LatencyStatus,
    /// What `weir verify` found.
    verify: serde_json::Value,
    /// A listing and a query.
    look: Option<Look>,
    #[serde(skip)]
    verdict: String,
}

impl Report {
    pub(super) fn new(
        ending: &Ending,
        proof: &Result<Proof, String>,
        look: Option<Look>,
        brokers: &Brokers,
        places: &Places,
    ) -> Self {
        let hub = &ending.hub.status;
        Self {
            tiers: TiersReport::new(ending, brokers, places),
            ledger: Books::new(ending, proof),
            created_to_hdfs: delivery_latency(hub, HDFS_GROUP),
            created_to_solr: delivery_latency(hub, SOLR_GROUP),
            verify: proof.as_ref().map_or(serde_json::Value::Null, |proof| proof.report.clone()),
            look,
            verdict: verdict(proof),
        }
    }

    pub(super) fn closes(&self) -> bool {
        self.ledger.closes
    }

    pub(super) fn render(&self) -> String {
        let mut out = self.tiers.heading() + &self.ledger.render();
        let ends = [("created -> in HDFS", self.created_to_hdfs), ("created -> in Solr", self.created_to_solr)];
        out.push_str(&self.tiers.latencies(&ends));
        out.push_str(&self.tiers.remarks());
        out.push_str(&self.verdict);
        out.extend(self.look.iter().map(|look| format!("\n{}\n", look.text())));
        out.push_str(&format!("log {}; the servers and what is in them end now\n", self.tiers.log));
        match self.ledger.closes {
            true => out.push_str("ledger closes: nothing was lost, nothing repeated"),
            false => out.push_str(&format!("the ledger does not close:\n  {}", self.ledger.open.join("\n  "))),
        }
        out
    }
}

/// What `weir verify` has to say, in a line where all is well.
fn verdict(proof: &Result<Proof, String>) -> String {
    match proof {
        Ok(proof) if proof.is_proven => format!(
            "verify: each offset of the topic is in HDFS exactly once, in {} files; {} of them are in Solr, none twice\n",
            grouped(proof.files),
            grouped(proof.documents)
        ),
        Ok(proof) => format!("verify:\n{}", proof.text),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use weir_lab::Account;

    use super::*;
    use crate::commands::demo::tiers::books::tests::ending;

    /// 105 events in the topic, all of them in HDFS, 15 of them in Solr.
    fn ended() -> (Ending, Proof) {
        let mut ending = ending(&[HDFS_GROUP, SOLR_GROUP]);
        let solr = &mut ending.hub.status.groups[1];
        (solr.delivered, solr.dropped) = (15, [("not selected: Severity".to_owned(), 90)].into());
        let mut account = Account::new();
        (995..1100).for_each(|number| account.add(1, number));
        let proof = Proof {
            is_proven: true,
            lines: 105,
            files: 6,
            documents: 15,
            strays: 0,
            account,
            text: "NOT proven\n".to_owned(),
            report: serde_json::Value::Null,
        };
        (ending, proof)
    }

    /// What is open after `change`.
    fn open(change: impl FnOnce(&mut Ending, &mut Proof)) -> Vec<String> {
        let (mut ending, mut proof) = ended();
        change(&mut ending, &mut proof);
        let books = Books::new(&ending, &Ok(proof));
        assert_eq!(books.closes, books.open.is_empty());
        books.open
    }

    /// Scenario: a run with a backlog from before and a selection for Solr; then an event missing or there twice at each
    /// place in turn, one in Solr that is not to be, a difference that only `weir verify` sees, a topic that it cannot read.
    /// Guarantees: the books close only if every event is accounted for at both ends, and the line that is open is named.
    #[test]
    fn one_missing_event_opens_one_line() {
        assert_eq!(open(|_, _| {}), Vec::<String>::new());
        let lines = open(|ending, _| {
            ending.sent.sequences.add_range(1, 1100, 1101);
        });
        assert_eq!(lines, ["sent and not in the topic = 0: 2 is not 0"]);
        assert_eq!(open(|_, proof| proof.account.add(1, 1000)), ["in the topic twice = 0: 1 is not 0"]);
        let lines = open(|ending, _| ending.hub.status.groups[0].lost = 1);
        assert_eq!(lines, ["in the topic = delivered + dropped + lost to HDFS: 105 is not 106"]);
        assert_eq!(open(|_, proof| proof.lines -= 1), ["delivered to HDFS = lines in HDFS: 105 is not 104"]);
        let lines = open(|ending, _| ending.hub.status.groups[1].dropped.clear());
        assert_eq!(lines, ["in the topic = selected + left out + lost to Solr: 105 is not 15"]);
        assert_eq!(open(|_, proof| proof.documents += 1), ["selected = documents in Solr: 15 is not 16"]);
        assert_eq!(open(|_, proof| proof.strays = 1), ["in Solr and not to be selected = 0: 1 is not 0"]);
        let lines = open(|_, proof| proof.is_proven = false);
        assert!(lines.len() == 1 && lines[0].starts_with("topic, HDFS and Solr differ"), "{lines:?}");
        let (ending, proof) = ended();
        let lines = Books::new(&ending, &Err("no broker".to_owned())).open;
        assert!(lines.iter().any(|line| line.ends_with("not compared: no broker")), "{lines:?}");
        assert!(verdict(&Ok(proof)).contains("in 6 files; 15 of them"));
    }
}
