//! How a cluster starts: files, ports and data folders of the nodes, their processes, and the wait until all know all.

use std::fmt::Display;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::certificates::Certificates;
use super::cluster::Cluster;
use super::distribution::Distribution;
use super::node::{Activity, Node};
use super::options::ClusterOptions;
use super::properties::{self, Place};
use crate::{Unavailable, Watch, ports};

/// Twenty times what three nodes take on two cores: for a machine that is busy with everything else.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// Time between two lines about what is waited for.
const PROGRESS: Duration = Duration::from_secs(10);
/// Ports are not ours until they are bound; that they are lost three times in a row has another reason.
const PORT_TRIES: usize = 3;
/// Time between two questions to the nodes.
const LOOK: Duration = Duration::from_millis(50);

/// Why there is no cluster, or a node did not come back. Messages name their cause: tests show nothing else of an error.
#[derive(Debug, Error)]
pub enum StartError {
    /// Not on this machine: a reason to ignore a test.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The launcher's own files, ports or processes.
    #[error("cannot {what}: {cause}")]
    Prepare {
        /// What was tried.
        what: &'static str,
        /// What went wrong.
        cause: String,
    },
    /// Whoever watched did not want it any more.
    #[error("the start was cancelled")]
    Cancelled,
    /// A node ended instead of answering.
    #[error("broker {broker} ended with {status}; see {} for why:\n{last_lines}", log.display())]
    Ended {
        /// The node.
        broker: u32,
        /// How it ended.
        status: ExitStatus,
        /// What it logged.
        log: PathBuf,
        /// The end of that.
        last_lines: String,
    },
    /// A node runs but does not answer, or does not know all others.
    #[error("broker {broker} is not ready after {patience:?} ({reason}); see {}", log.display())]
    NotReady {
        /// The first node that is not.
        broker: u32,
        /// How long it was given.
        patience: Duration,
        /// What it answers, or why it does not.
        reason: String,
        /// What it logged.
        log: PathBuf,
    },
}

impl Cluster {
    /// Starts the brokers and waits until each of them knows all of them: 2 s for one, 5 s for three on two cores, and as
    /// long as a fetch takes if the jars are not in the cache.
    ///
    /// # Errors
    /// [`StartError`]; what the nodes logged is then kept and its folder named on standard error.
    ///
    /// # Panics
    /// If the options ask for no broker or for more than nine.
    pub fn start(options: ClusterOptions) -> Result<Self, StartError> {
        Self::start_watched(options, &Watch::patient())
    }

    /// The same for somebody who watches and may cancel: then nothing is left, neither processes nor files.
    ///
    /// # Errors
    /// As [`Cluster::start`], and [`StartError::Cancelled`].
    ///
    /// # Panics
    /// As [`Cluster::start`].
    pub fn start_watched(options: ClusterOptions, watch: &Watch<'_>) -> Result<Self, StartError> {
        assert!((1..=9).contains(&options.brokers), "{} brokers are not between 1 and 9", options.brokers);
        let distribution =
            Distribution::find_watched(options.version, watch).map_err(|error| match watch.is_cancelled() {
                true => StartError::Cancelled,
                false => error.into(),
            })?;
        let started = Instant::now();
        watch.say(&format!("kafka {}: starting {} broker(s)", options.version.text(), options.brokers));
        let mut tries = 1..PORT_TRIES;
        loop {
            let cluster = Self::prepare(options.clone(), distribution.clone())?;
            match cluster.start_all(watch) {
                Ok(()) => {
                    watch.say(&format!("kafka: ready after {:.1?} at {}", started.elapsed(), cluster.bootstrap()));
                    return Ok(cluster);
                }
                Err(error) if tries.next().is_some() && cluster.lost_a_port() => {
                    watch.say(&format!("kafka: another process took a port, trying others: {error}"));
                }
                Err(StartError::Cancelled) => return Err(StartError::Cancelled),
                Err(error) => {
                    cluster.keep_logs();
                    return Err(error);
                }
            }
        }
    }

    /// Starts a cluster for `test` alone, and keeps what the nodes logged if that returns an error (or panics).
    ///
    /// # Errors
    /// What `test` returned, or that there is no cluster.
    pub fn with<E: From<StartError>>(
        options: ClusterOptions,
        test: impl FnOnce(&Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let cluster = Self::start(options)?;
        test(&cluster).inspect_err(|_| cluster.keep_logs())
    }

    fn prepare(options: ClusterOptions, distribution: Distribution) -> Result<Self, StartError> {
        let folder =
            tempfile::Builder::new().prefix("weir-kafka-").tempdir().map_err(preparing("make a temporary folder"))?;
        let certificates = match options.listeners.iter().any(|listener| listener.has_tls()) {
            false => None,
            true => {
                let made = Certificates::make(&folder.path().join("certificates"));
                Some(made.map_err(preparing("make certificates"))?)
            }
        };
        let places = places(&options).map_err(preparing("find free ports"))?;
        let mut nodes = Vec::new();
        for place in &places {
            let text = properties::of_node(place, &places, &options, certificates.as_ref());
            let folder = folder.path().join(format!("broker-{}", place.id));
            let node = Node::write(place.clone(), folder, &text, &options);
            nodes.push(node.map_err(preparing("write the files of a broker"))?);
        }
        let keeps_logs = AtomicBool::new(false);
        Ok(Self { options, distribution, certificates, nodes, folder: Some(folder), keeps_logs })
    }

    fn start_all(&self, watch: &Watch<'_>) -> Result<(), StartError> {
        let cluster = new_cluster_id();
        let has_sasl = self.options.listeners.iter().any(|listener| listener.has_sasl());
        std::thread::scope(|scope| {
            let cluster = &cluster;
            let format = |node| scope.spawn(move || Node::format(node, &self.distribution, cluster, has_sasl));
            let formatting: Vec<_> = self.nodes.iter().map(format).collect();
            formatting.into_iter().try_for_each(|thread| thread.join().expect("formatting does not panic"))
        })
        .map_err(preparing("format the folder of a broker"))?;
        for node in &self.nodes {
            node.start(&self.distribution, &self.options).map_err(preparing("start a broker"))?;
        }
        self.until_ready_watched(watch)
    }

    fn lost_a_port(&self) -> bool {
        let lost = |log: String| log.contains("Address already in use") || log.contains("BindException");
        self.nodes.iter().any(|node| fs::read_to_string(node.log()).is_ok_and(lost))
    }

    /// Waits until every broker that runs, paused ones apart, answers and lists all of them.
    ///
    /// # Errors
    /// [`StartError::Ended`] or [`StartError::NotReady`] after 120 s.
    pub fn until_ready(&self) -> Result<(), StartError> {
        self.until_ready_watched(&Watch::patient())
    }

    fn until_ready_watched(&self, watch: &Watch<'_>) -> Result<(), StartError> {
        let started = Instant::now();
        let mut next_line = PROGRESS;
        loop {
            let Some((broker, reason)) = self.first_not_ready()? else { return Ok(()) };
            if watch.is_cancelled() {
                return Err(StartError::Cancelled);
            }
            let waited = started.elapsed();
            if waited >= START_PATIENCE {
                let log = self.node(broker).log();
                return Err(StartError::NotReady { broker, patience: START_PATIENCE, reason, log });
            }
            if waited >= next_line {
                watch.say(&format!("kafka: waiting for broker {broker} since {:.0?} ({reason})", waited));
                next_line += PROGRESS;
            }
            std::thread::park_timeout(LOOK);
        }
    }

    fn first_not_ready(&self) -> Result<Option<(u32, String)>, StartError> {
        let mut up = Vec::new();
        for node in &self.nodes {
            match node.activity().map_err(preparing("see whether a broker runs"))? {
                Activity::Up => up.push(node),
                Activity::Down | Activity::Paused => (),
                Activity::Ended(status) => {
                    let (broker, log) = (node.place.id, node.log());
                    let last_lines = last_lines(&log);
                    return Err(StartError::Ended { broker, status, log, last_lines });
                }
            }
        }
        Ok(up.iter().find_map(|node| {
            let reason = match node.metadata() {
                Err(error) => error.to_string(),
                Ok(metadata) if up.iter().all(|other| metadata.brokers.contains(&other.place.id)) => return None,
                Ok(metadata) => format!("it knows brokers {:?}", metadata.brokers),
            };
            Some((node.place.id, reason))
        }))
    }
}

pub(super) fn preparing<E: Display>(what: &'static str) -> impl FnOnce(E) -> StartError {
    move |cause| StartError::Prepare { what, cause: cause.to_string() }
}

/// Ports for every node: controller, plain listener, further listeners.
fn places(options: &ClusterOptions) -> io::Result<Vec<Place>> {
    let each = 2 + options.listeners.len();
    let ports = ports::free(options.brokers as usize * each)?;
    let place = |(id, ports): (u32, &[u16])| Place {
        id,
        controller: ports[0],
        plain: ports[1],
        listeners: ports[2..].to_vec(),
    };
    Ok((1..).zip(ports.chunks_exact(each)).map(place).collect())
}

/// 16 bytes in base64 without padding, as Kafka wants it. New for each cluster, so that a node that finds a stranger on a
/// port it knows is turned away. 21 hexadecimal digits are base64 too; the last of 22 characters holds 2 bits, here zero.
fn new_cluster_id() -> String {
    let random = RandomState::new();
    let digits = format!("{:016x}{:016x}", random.hash_one(1), random.hash_one(2));
    format!("{}A", &digits[..21])
}

fn last_lines(log: &Path) -> String {
    const KEPT: usize = 15;
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(KEPT)..].join("\n")
}
