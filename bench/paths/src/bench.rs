//! What rows share: the servers, each started by the first row that needs it, and topics full of events.

use crate::agent::Agent;
use crate::brokers::Brokers;
use crate::hdfs::Hdfs;
use crate::meter::{Figures, Meter, Servers, delivered};
use crate::solr::Solr;
use crate::{Failure, Options};

/// A channel that is a topic, from its beginning on.
pub(crate) const HUB: &str = "[channels.c]\ntype = 'kafka'\nbrokers = @BROKERS\ntopic = '@TOPIC'\nstart = 'earliest'\n\
     consumer_group = '@GROUP'\n";

/// Everything that runs.
pub(crate) struct Bench<'a> {
    pub(crate) options: &'a Options,
    pub(crate) brokers: Brokers,
    hdfs: Option<Hdfs>,
    solr: Option<Solr>,
    filled: Option<String>,
}

impl<'a> Bench<'a> {
    /// Starts the brokers and warms them.
    pub(crate) fn start(options: &'a Options) -> Result<Self, Failure> {
        let mut bench = Self { options, brokers: Brokers::start()?, hdfs: None, solr: None, filled: None };
        if options.warm > 0 {
            eprintln!("warming the brokers");
            let (events, topic) = (options.warm / 2, bench.brokers.new_topic(3)?);
            bench.fill(&topic, events)?;
            bench.read(&topic, events)?;
            bench.brokers.delete(&topic)?;
        }
        Ok(bench)
    }

    /// Starts HDFS and warms it, if it does not run.
    pub(crate) fn start_hdfs(&mut self) -> Result<(), Failure> {
        if self.hdfs.is_none() {
            self.hdfs = Some(Hdfs::start()?);
            self.warm_hdfs()?;
        }
        Ok(())
    }

    /// Starts Solr and warms it, if it does not run.
    pub(crate) fn start_solr(&mut self) -> Result<(), Failure> {
        if self.solr.is_none() {
            self.solr = Some(Solr::start()?);
            self.warm_solr()?;
        }
        Ok(())
    }

    /// The HDFS that was started.
    pub(crate) fn hdfs(&self) -> Result<&Hdfs, Failure> {
        Ok(self.hdfs.as_ref().ok_or("HDFS was not started")?)
    }

    /// The Solr that was started.
    pub(crate) fn solr(&self) -> Result<&Solr, Failure> {
        Ok(self.solr.as_ref().ok_or("Solr was not started")?)
    }

    /// What runs now.
    pub(crate) fn servers(&self) -> Servers {
        let mut servers = Servers::default();
        servers.add("kafka", self.brokers.process_ids());
        if let Some(hdfs) = &self.hdfs {
            servers.add("hdfs", hdfs.process_ids());
        }
        if let Some(solr) = &self.solr {
            servers.add("solr", solr.process_ids());
        }
        servers
    }

    /// A topic of one copy that holds the events of a row, for all rows that only read.
    pub(crate) fn filled_topic(&mut self) -> Result<String, Failure> {
        if let Some(topic) = &self.filled {
            return Ok(topic.clone());
        }
        let topic = self.brokers.new_topic(1)?;
        self.fill(&topic, self.options.events)?;
        self.filled = Some(topic.clone());
        Ok(topic)
    }

    /// Lets an agent write `events` to `topic`.
    pub(crate) fn fill(&self, topic: &str, events: u64) -> Result<(), Failure> {
        let folder = tempfile::tempdir()?;
        let sections = format!(
            "[sources.in]\ntype = 'generate'\nrate = 'unlimited'\nevents = {events}\nlanes = 2\nchannels = ['c']\n\
             [channels.c]\ntype = 'kafka'\nbrokers = @BROKERS\ntopic = '@TOPIC'\ncompression = 'lz4'\nacks = 'leader'\nidempotent = false\n"
        );
        // It ends by itself when its events are in the topic.
        self.agent(&folder, "fill", &sections, topic)?.until_ended()?;
        check("in the topic", self.brokers.count(topic)?, events)
    }

    /// Reads `events` from `topic` into nothing.
    pub(crate) fn read(&self, topic: &str, events: u64) -> Result<Figures, Failure> {
        let folder = tempfile::tempdir()?;
        let sections = "[sources.in]\ntype = 'kafka'\nbrokers = @BROKERS\ntopics = ['@TOPIC']\nconsumer_group = '@GROUP'\n\
             start = 'earliest'\nchannels = ['c']\n[channels.c]\ntype = 'memory'\n[sinks.out]\ntype = 'null'\nchannel = 'c'\n";
        let (servers, agent) = (self.servers(), self.agent(&folder, "read", sections, topic)?);
        let figures = Meter::begin_at(&agent, &servers, 1, delivered)?.end(&agent, events, delivered)?;
        agent.stop()?;
        Ok(figures)
    }

    /// Starts an agent with its own folder and consumer group.
    pub(crate) fn agent(
        &self,
        folder: &tempfile::TempDir,
        name: &str,
        sections: &str,
        topic: &str,
    ) -> Result<Agent, Failure> {
        let folder = folder.path();
        let unique = folder.file_name().unwrap_or_default().to_string_lossy();
        let sections = sections
            .replace("@FOLDER", &folder.display().to_string())
            .replace("@BROKERS", &self.brokers.list())
            .replace("@TOPIC", topic)
            .replace("@GROUP", &format!("paths{unique}"));
        Agent::start(&self.options.weir, folder, name, &sections)
    }
}

/// An event that is missing is an error, and so is one that is there twice.
pub(crate) fn check(what: &str, found: u64, expected: u64) -> Result<(), Failure> {
    if found == expected { Ok(()) } else { Err(format!("{found} {what} instead of {expected}").into()) }
}
