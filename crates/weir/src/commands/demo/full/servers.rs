//! The servers behind the edge: Kafka, HDFS and SolrCloud, started side by side.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::ScopedJoinHandle;

use weir_servers::{StartError, Unavailable, Watch, hdfs, kafka, solr};

use super::config::{Addresses, COLLECTION, FOLDER};
use crate::commands::demo::tiers::brokers::{Brokers, STOPPED, start_own};
use crate::commands::demo::view::say;
use crate::exit::Failure;
use crate::signals::Signals;

const SCHEMA: &str = include_str!("../../../../../../configs/solr/schema.xml");
const SOLR_CONFIGURATION: &str = include_str!("../../../../../../configs/solr/solrconfig.xml");
/// Each block is on both.
const DATANODES: u32 = 2;
/// Each leads a shard.
const SOLR_NODES: u32 = 2;

/// All of them; they end, and their data goes, when this is dropped.
pub(super) struct Servers {
    pub(super) brokers: Brokers,
    pub(super) hdfs: hdfs::Cluster,
    pub(super) solr: solr::Cluster,
}

impl Servers {
    /// Starts them, brokers only if none are `named`; half a minute to a minute, and as long as fetches take the first time.
    pub(super) fn start(named: &[String], signals: &Signals) -> Result<Self, Failure> {
        find(named.is_empty(), signals)?;
        let start = Start { signals, is_given_up: AtomicBool::new(false) };
        // Java machines that start keep both cores busy most of the time, but not all of it.
        let (brokers, hdfs, solr) = std::thread::scope(|scope| {
            let brokers =
                scope.spawn(|| start.one("Kafka", |watch| named.is_empty().then(|| start_own(watch)).transpose()));
            let hdfs = scope.spawn(|| start.one("HDFS", start_hdfs));
            let solr = scope.spawn(|| start.one("Solr", start_solr));
            (joined(brokers), joined(hdfs), joined(solr))
        });
        match (brokers, hdfs, solr) {
            (Ok(own), Ok(hdfs), Ok(solr)) => {
                Ok(Self { brokers: Brokers::with_topic(own, named, signals)?, hdfs, solr })
            }
            (brokers, hdfs, solr) => {
                let troubles = [brokers.err(), hdfs.err(), solr.err()].into_iter().flatten();
                // What was only cancelled is not the reason.
                Err(troubles.flatten().next().unwrap_or_else(|| Failure::new(STOPPED)))
            }
        }
    }

    pub(super) fn addresses(&self) -> Addresses {
        Addresses {
            brokers: self.brokers.addresses().to_vec(),
            topic: self.brokers.topic().to_owned(),
            hdfs: self.hdfs.url(),
            hadoop_conf: Some(self.hdfs.configuration()),
            solr: (1..=SOLR_NODES).map(|node| self.solr.url(node)).collect(),
        }
    }

    /// The folder of all files.
    pub(super) fn folder(&self) -> String {
        format!("{}{FOLDER}", self.hdfs.url())
    }

    /// The collection.
    pub(super) fn collection(&self) -> String {
        format!("{}/{COLLECTION}", self.solr.url(1))
    }
}

/// Looks for Java and the jars, so that what is missing is told before anything runs. Fetches are one after the other: each
/// fills the line.
fn find(with_kafka: bool, signals: &Signals) -> Result<(), Failure> {
    let is_cancelled = || signals.stop_was_asked();
    let watch = &Watch::new(&say, &is_cancelled);
    let kafka = || kafka::Distribution::find_watched(kafka::Version::default(), watch).map(drop);
    let found = if with_kafka { kafka() } else { Ok(()) };
    let found = found
        .and_then(|()| hdfs::Distribution::find_watched(watch).map(drop))
        .and_then(|()| solr::Distribution::find_watched(watch).map(drop));
    found.map_err(|missing| if is_cancelled() { Failure::new(STOPPED) } else { cannot(&missing) })
}

fn cannot(missing: &Unavailable) -> Failure {
    Failure::new(format!(
        "Kafka, HDFS and Solr cannot be started here: {missing}\n  weir demo --full needs a JDK 17 or later and, the \
         first time, Maven to fetch 205 MB (Debian: default-jdk-headless maven);\n  weir demo --kafka needs a Java to \
         run things, weir demo nothing"
    ))
}

/// What the starts have in common: each ends when another has failed.
struct Start<'a> {
    signals: &'a Signals,
    is_given_up: AtomicBool,
}

impl Start<'_> {
    /// What `start` gives; an error without a failure means that it was cancelled.
    fn one<T>(
        &self,
        name: &str,
        start: impl FnOnce(&Watch<'_>) -> Result<T, StartError>,
    ) -> Result<T, Option<Failure>> {
        let is_cancelled = || self.signals.stop_was_asked() || self.is_given_up.load(Relaxed);
        start(&Watch::new(&say, &is_cancelled)).map_err(|error| {
            self.is_given_up.store(true, Relaxed);
            match error {
                StartError::Cancelled => None,
                StartError::Unavailable(missing) => Some(cannot(&missing)),
                error => Some(Failure::because(&format!("{name} did not start"), &error)),
            }
        })
    }
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn start_hdfs(watch: &Watch<'_>) -> Result<hdfs::Cluster, StartError> {
    let options =
        hdfs::ClusterOptions { datanodes: DATANODES, replication: DATANODES, ..hdfs::ClusterOptions::default() };
    hdfs::Cluster::start_watched(options, watch)
}

/// Two nodes and the collection, with what `configs/solr` has for syslog.
fn start_solr(watch: &Watch<'_>) -> Result<solr::Cluster, StartError> {
    let cluster = solr::Cluster::start_watched(
        solr::ClusterOptions { nodes: SOLR_NODES, ..solr::ClusterOptions::default() },
        watch,
    )?;
    let collection = solr::Collection {
        shards: SOLR_NODES,
        schema: SCHEMA.to_owned(),
        configuration: SOLR_CONFIGURATION.to_owned(),
        ..solr::Collection::new(COLLECTION)
    };
    cluster
        .create_collection(&collection)
        .map_err(|error| StartError::Prepare { what: "make the collection", cause: error.to_string() })?;
    say(&format!("solr: collection {COLLECTION} is there, {SOLR_NODES} shards"));
    Ok(cluster)
}
