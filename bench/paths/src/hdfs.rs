//! An HDFS of three DataNodes, and the rows that end in it.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Instant;

use tokio::runtime::Runtime;
use weir_hdfs::{FileSystem as _, Status, WebHdfs, WebHdfsOptions};
use weir_servers::hdfs::{Cluster, ClusterOptions, Role};
use weir_servers::{Control, Tuning};

use crate::Failure;
use crate::agent::PATIENCE;
use crate::bench::{Bench, HUB, check};
use crate::count::{self, Remote};
use crate::meter::{Figures, LOOK_EVERY, Meter, delivered_by};

const DATANODES: u32 = 3;
/// The group of the sink.
pub(crate) const ARCHIVE: &str = "archive";
/// The folder that the sink makes when a partition comes to it, before its first file.
const IN_PROGRESS: &str = ".weir";
/// Files are finished at the end of a row by this: it is longer than a partition waits for its turn.
const ROLL_IDLE: &str = "roll_idle = '500 ms'\n";

/// One copy, text.
pub(crate) const TEXT: &str = "replication = 1\n";

/// A running HDFS; it ends with this.
pub(crate) struct Hdfs {
    cluster: Cluster,
    runtime: Runtime,
    files: WebHdfs,
    folders: AtomicU32,
}

impl Hdfs {
    /// Starts it, tuned for throughput: 15 s.
    pub(crate) fn start() -> Result<Self, Failure> {
        let options = ClusterOptions { datanodes: DATANODES, tuning: Tuning::Throughput, ..ClusterOptions::default() };
        let cluster = Cluster::start(options)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let files = {
            let _inside = runtime.enter();
            WebHdfs::new(WebHdfsOptions::new(vec![cluster.web_address().to_string()], false))?
        };
        Ok(Self { cluster, runtime, files, folders: AtomicU32::new(0) })
    }

    /// Ids of its processes.
    pub(crate) fn process_ids(&self) -> Vec<u32> {
        let roles = std::iter::once(Role::NameNode).chain((1..=DATANODES).map(Role::DataNode));
        roles.filter_map(|role| self.cluster.process_id(role)).collect()
    }

    /// A folder that nobody has used.
    pub(crate) fn new_folder(&self) -> String {
        format!("/paths/{}", self.folders.fetch_add(1, Relaxed) + 1)
    }

    /// A sink that writes below `folder`, with further `options`.
    pub(crate) fn sink(&self, folder: &str, options: &str) -> String {
        let (url, configuration) = (self.cluster.url(), self.cluster.configuration());
        sink(&format!("{url}{folder}"), &format!("hadoop_conf = '{}'\n{options}", configuration.display()))
    }

    /// Waits until a sink begins to write below `folder`.
    pub(crate) fn until_begun(&self, folder: &str) -> Result<(), Failure> {
        let path = format!("{folder}/{IN_PROGRESS}");
        until_begun(|| Ok(self.runtime.block_on(self.files.status(&path))?.is_some()))
    }

    /// Finished files in `folder`; none if it is not there yet.
    pub(crate) fn list(&self, folder: &str) -> Result<Vec<Status>, Failure> {
        self.runtime.block_on(async {
            if self.files.status(folder).await?.is_none() {
                return Ok(Vec::new());
            }
            let mut found = self.files.list(folder).await?;
            found.retain(|status| !status.is_directory && !status.name.ends_with(".tmp"));
            Ok(found)
        })
    }

    /// A file to be read.
    pub(crate) fn open(&self, folder: &str, name: &str) -> Result<Remote<'_>, Failure> {
        let reader = self.runtime.block_on(self.files.open(&format!("{folder}/{name}"), 0))?;
        Ok(Remote::new(&self.runtime, reader))
    }

    /// Events in the finished files of `folder`.
    pub(crate) fn count(&self, folder: &str) -> Result<u64, Failure> {
        let counted = |status: &Status| {
            let events = count::events(&status.name, self.open(folder, &status.name)?);
            events.map_err(|error| Failure::from(format!("{folder}/{}: {error}", status.name)))
        };
        self.list(folder)?.iter().map(counted).sum()
    }

    /// Deletes `folder` and all in it.
    pub(crate) fn delete(&self, folder: &str) -> Result<(), Failure> {
        self.runtime.block_on(self.files.delete(folder, true))?;
        Ok(())
    }
}

/// A sink `hdfs` at `url`, in a group of its own.
pub(crate) fn sink(url: &str, options: &str) -> String {
    format!("[sinks.archive]\ntype = 'hdfs'\nchannel = 'c'\ngroup = '{ARCHIVE}'\npath = '{url}'\n{options}")
}

/// Waits until `has_begun`: the clock does not run while an agent joins its group.
pub(crate) fn until_begun(has_begun: impl Fn() -> Result<bool, Failure>) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    while !has_begun()? {
        if Instant::now() > deadline {
            return Err("the sink did not begin to write".into());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

impl Bench<'_> {
    /// A topic into HDFS, from the sink's first folder to its last rename.
    pub(crate) fn hub_to_hdfs(&mut self, options: &str) -> Result<Figures, Failure> {
        self.start_hdfs()?;
        let topic = self.filled_topic()?;
        self.topic_to_hdfs(&topic, self.options.events, options)
    }

    /// Java compiles what both one copy and three need.
    pub(crate) fn warm_hdfs(&mut self) -> Result<(), Failure> {
        let events = self.options.warm / 4;
        if events > 0 {
            eprintln!("warming HDFS");
            let topic = self.brokers.new_topic(1)?;
            self.fill(&topic, events)?;
            self.topic_to_hdfs(&topic, events, "replication = 3\n")?;
            self.brokers.delete(&topic)?;
        }
        Ok(())
    }

    fn topic_to_hdfs(&self, topic: &str, events: u64, options: &str) -> Result<Figures, Failure> {
        let (hdfs, servers, folder) = (self.hdfs()?, self.servers(), tempfile::tempdir()?);
        let root = hdfs.new_folder();
        let sections = format!("{HUB}{}", hdfs.sink(&root, &format!("{ROLL_IDLE}{options}")));
        let agent = self.agent(&folder, "hub", &sections, topic)?;
        hdfs.until_begun(&root)?;
        let figures = Meter::begin(&agent, &servers)?.end(&agent, events, delivered_by(ARCHIVE))?;
        agent.stop()?;
        check("events in files of HDFS", hdfs.count(&root)?, events)?;
        hdfs.delete(&root)?;
        Ok(figures)
    }
}
