//! The row with both destinations behind one topic: what Solr costs HDFS.
//!
//! More documents come than Solr can take, so it takes all the CPU it is given, of the same cores as HDFS. So it is measured a
//! second time with Solr at a lower priority, as whoever runs them on one machine would have it.

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
/// As of `nice`: a tenth of the weight of the others.
const LOW_PRIORITY: i32 = 10;

/// HDFS by itself, and with Solr behind the same topic. Figures are those of HDFS: from its first folder to its last rename.
#[derive(Serialize)]
struct Beside {
    alone: Figures,
    alone_turns: Vec<Figures>,
    ratio_min: f64,
    both: Both,
    /// With Solr at priority [`LOW_PRIORITY`].
    low_priority: Both,
}

/// Of HDFS while Solr is at work.
#[derive(Serialize)]
struct Both {
    figures: Figures,
    turns: Vec<Figures>,
    /// To HDFS alone.
    ratio: f64,
    /// Meanwhile.
    documents_per_second: f64,
}

impl Bench<'_> {
    /// HDFS by itself and with Solr, in turn.
    pub(crate) fn beside_solr(&mut self) -> Result<Told, Failure> {
        self.start_hdfs()?;
        self.start_solr()?;
        let (mut alone_turns, mut turns, mut low_turns) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            self.solr()?.set_priority(0)?;
            alone_turns.push(self.hub_to_hdfs(TEXT)?);
            turns.push(self.topic_to_both()?);
            self.solr()?.set_priority(LOW_PRIORITY)?;
            low_turns.push(self.topic_to_both()?);
        }
        self.solr()?.set_priority(0)?;
        let alone = Figures::of_turns(&alone_turns);
        let (both, low_priority) = (Both::new(turns, &alone), Both::new(low_turns, &alone));
        let beside = Beside { alone, alone_turns, ratio_min: RATIO_MIN, both, low_priority };
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

impl Both {
    fn new(turns: Vec<(Figures, f64)>, alone: &Figures) -> Self {
        let (turns, documents): (Vec<_>, Vec<_>) = turns.into_iter().unzip();
        let figures = Figures::of_turns(&turns);
        Self {
            ratio: figures.events_per_second / alone.events_per_second,
            documents_per_second: documents.iter().sum::<f64>() / documents.len() as f64,
            figures,
            turns,
        }
    }

    fn text(&self, name: &str, ratio_min: f64) -> String {
        format!(
            "{}\n    {:17}HDFS keeps {:.0} % of its rate alone (at least {:.0}); Solr took {:.1} k documents a second meanwhile",
            line(name, &self.figures, &self.turns),
            "",
            100.0 * self.ratio,
            100.0 * ratio_min,
            self.documents_per_second / 1e3,
        )
    }
}

fn line(name: &str, figures: &Figures, turns: &[Figures]) -> String {
    let turns = turns.iter().map(|turn| format!("{:.2}", turn.events_per_second / 1e6)).collect::<Vec<_>>();
    let (rate, turns) = (figures.events_per_second / 1e6, turns.join(", "));
    let (cpu, servers) = (figures.agent_cpu_per_million, figures.servers_text());
    format!("\n    {name:<16} {rate:>6.2} M/s ({turns}), CPU s per million {cpu:.2} ({servers})")
}

impl Beside {
    fn text(&self) -> String {
        let nice = format!("both, Solr nice {LOW_PRIORITY}");
        let alone = line("HDFS alone", &self.alone, &self.alone_turns);
        alone + &self.both.text("both", self.ratio_min) + &self.low_priority.text(&nice, self.ratio_min)
    }
}
