//! The row with both destinations behind one topic: what Solr costs HDFS.

use serde::Serialize;

use crate::Failure;
use crate::bench::{Bench, HUB, check};
use crate::hdfs::{ARCHIVE, TEXT};
use crate::meter::{Figures, Meter, delivered_by, done_by, until_counted};
use crate::rows::Told;
use crate::solr::SEARCH;

/// Of each HDFS alone and both, in turn.
const ROUNDS: usize = 2;
/// One of so many events is indexed.
const SAMPLE: &str = "sample = 20\n";
const RATIO_MIN: f64 = 0.8;

/// HDFS by itself, and with Solr behind the same topic. Figures are those of HDFS: from its first folder to its last rename.
#[derive(Serialize)]
struct Beside {
    alone: Figures,
    alone_turns: Vec<Figures>,
    both: Figures,
    both_turns: Vec<Figures>,
    ratio: f64,
    ratio_min: f64,
    /// Meanwhile.
    documents_per_second: f64,
}

impl Bench<'_> {
    /// HDFS by itself and with Solr, in turn.
    pub(crate) fn beside_solr(&mut self) -> Result<Told, Failure> {
        self.start_hdfs()?;
        self.start_solr()?;
        let (mut alone_turns, mut both_turns, mut documents) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            alone_turns.push(self.hub_to_hdfs(TEXT)?);
            let (figures, rate) = self.topic_to_both()?;
            both_turns.push(figures);
            documents.push(rate);
        }
        let (alone, both) = (Figures::of_turns(&alone_turns), Figures::of_turns(&both_turns));
        let beside = Beside {
            ratio: both.events_per_second / alone.events_per_second,
            ratio_min: RATIO_MIN,
            documents_per_second: documents.iter().sum::<f64>() / documents.len() as f64,
            alone,
            alone_turns,
            both,
            both_turns,
        };
        Told::new(beside.text(), &beside)
    }

    /// The figures of HDFS, and documents a second that Solr took meanwhile.
    fn topic_to_both(&mut self) -> Result<(Figures, f64), Failure> {
        let (topic, events) = (self.filled_topic()?, self.options.events);
        let (hdfs, solr, servers, folder) = (self.hdfs()?, self.solr()?, self.servers(), tempfile::tempdir()?);
        let root = hdfs.new_folder();
        let sinks = format!("{}{}", hdfs.sink(&root, &format!("roll_idle = '500 ms'\n{TEXT}")), solr.sink(SAMPLE));
        let agent = self.agent(&folder, "hub", &format!("{HUB}{sinks}"), &topic)?;
        hdfs.until_begun(&root)?;
        let figures = Meter::begin(&agent, &servers)?.end(&agent, events, delivered_by(ARCHIVE))?;
        let meanwhile = delivered_by(SEARCH)(&agent.status()?) as f64;
        let rate = meanwhile * figures.events_per_second / events as f64;
        until_counted(&agent, events, done_by(SEARCH))?;
        let documents = delivered_by(SEARCH)(&agent.status()?);
        agent.stop()?;
        check("events in files of HDFS", hdfs.count(&root)?, events)?;
        solr.until_found(documents)?;
        hdfs.delete(&root)?;
        Ok((figures, rate))
    }
}

impl Beside {
    fn text(&self) -> String {
        let line = |name: &str, figures: &Figures, turns: &[Figures]| {
            let turns = turns.iter().map(|turn| format!("{:.2}", turn.events_per_second / 1e6)).collect::<Vec<_>>();
            let (rate, turns) = (figures.events_per_second / 1e6, turns.join(", "));
            let (cpu, servers) = (figures.agent_cpu_per_million, figures.servers_text());
            format!("\n    {name:<10} {rate:>6.2} M/s ({turns}), CPU s per million {cpu:.2} ({servers})")
        };
        format!(
            "{}{}\n    HDFS keeps {:.0} % of its rate alone (at least {:.0}); Solr took {:.1} k documents a second meanwhile",
            line("HDFS alone", &self.alone, &self.alone_turns),
            line("both", &self.both, &self.both_turns),
            100.0 * self.ratio,
            100.0 * self.ratio_min,
            self.documents_per_second / 1e3,
        )
    }
}
