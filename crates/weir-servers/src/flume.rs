//! A real agent of Apache Flume 1.11 with its own components and those for Kafka: what existing pipelines run.
//!
//! ```no_run
//! use weir_servers::flume::Flume;
//!
//! let mut agent = Flume::find()?.start("a1.sources = in\na1.channels = c\na1.sinks = out\n")?;
//! agent.until("its first file", || std::path::Path::new("1").exists().then_some(()))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The agent is called `a1` in its properties. It says nothing when it is ready, so whoever needs that asks one of its
//! components, as [`Agent::until`] does; what it logs is kept if it fails.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use thiserror::Error;

use crate::artifacts::{Artifacts, require_java};
use crate::process::Process;
use crate::{Tuning, Unavailable, Watch, report};

/// The agent's name in its properties.
const NAME: &str = "a1";
/// An agent is up after 3 s, and a consumer group takes some more; the rest is for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(120);
/// Stopping takes 4 s.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// Heap of an agent that is to be small.
const HEAP_MIB_MAX: u32 = 256;
/// Its own components and those for Kafka.
const COORDINATES: [&str; 4] = [
    "org.apache.flume:flume-ng-node:1.11.0",
    "org.apache.flume.flume-ng-sources:flume-kafka-source:1.11.0",
    "org.apache.flume.flume-ng-sinks:flume-ng-kafka-sink:1.11.0",
    // What Flume 1.11 logs with; its modules bring the interface only.
    "org.apache.logging.log4j:log4j-slf4j-impl:2.18.0",
];
/// The sink `hdfs`. Hadoop's client is left to whoever runs Flume: the shaded one, since the plain one needs newer libraries
/// than Flume brings.
const HDFS_COORDINATES: [&str; 3] = [
    "org.apache.flume.flume-ng-sinks:flume-hdfs-sink:1.11.0",
    "org.apache.hadoop:hadoop-client-api:3.4.1",
    "org.apache.hadoop:hadoop-client-runtime:3.4.1",
];
/// How much of a log an error shows.
const LINES_SHOWN: usize = 30;
const LOGGING: &str = "rootLogger.level = info\nrootLogger.appenderRef.c.ref = C\nlogger.kafka.name = org.apache.kafka\n\
    logger.kafka.level = warn\nappender.c.type = Console\nappender.c.name = C\nappender.c.target = SYSTEM_ERR\n\
    appender.c.layout.type = PatternLayout\nappender.c.layout.pattern = %d %p %c{1}: %m%n\n";

/// The jars of Flume and a Java that runs them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flume {
    jars: PathBuf,
    tuning: Tuning,
}

/// Why an agent did not do what was waited for.
#[derive(Debug, Error)]
pub enum AgentError {
    /// It has ended by itself.
    #[error("flume ended with {status} before {what}; its last lines:\n{last_lines}")]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// What was waited for.
        what: String,
        /// The end of what it logged.
        last_lines: String,
    },
    /// It runs, but nothing came of it.
    #[error("waited {PATIENCE:?} for flume: {what}; its last lines:\n{last_lines}")]
    TooLong {
        /// What was waited for.
        what: String,
        /// The end of what it logged.
        last_lines: String,
    },
    /// The system does not say whether it runs.
    #[error("flume's process: {0}")]
    Process(#[from] io::Error),
}

impl Flume {
    /// Looks for Java and the jars; the first time it fetches them: 60 MB, 10 s to a minute.
    ///
    /// # Errors
    /// [`Unavailable`], with the reason, if either is missing and cannot be had.
    pub fn find() -> Result<Self, Unavailable> {
        Self::fetch(&Artifacts { name: "flume-1.11.0", coordinates: &COORDINATES })
    }

    /// The same with the sink `hdfs`, for HDFS and local file systems: 120 MB the first time.
    ///
    /// # Errors
    /// As [`Flume::find`].
    pub fn find_with_hdfs() -> Result<Self, Unavailable> {
        let coordinates = [&COORDINATES[..], &HDFS_COORDINATES].concat();
        Self::fetch(&Artifacts { name: "flume-1.11.0-hdfs", coordinates: &coordinates })
    }

    fn fetch(artifacts: &Artifacts<'_>) -> Result<Self, Unavailable> {
        require_java(11)?;
        Ok(Self { jars: artifacts.folder(&Watch::patient())?, tuning: Tuning::default() })
    }

    /// The same, quick to start or fast when warm.
    #[must_use]
    pub fn tuned(self, tuning: Tuning) -> Self {
        Self { tuning, ..self }
    }

    /// Starts an agent with `properties`, those of the agent `a1`. It is not ready yet.
    ///
    /// # Errors
    /// If its files or its process cannot be made.
    pub fn start(&self, properties: &str) -> io::Result<Agent> {
        let folder = tempfile::Builder::new().prefix("weir-flume-").tempdir()?;
        let (agent, logging) = (folder.path().join("agent.properties"), folder.path().join("logging.properties"));
        std::fs::write(&agent, properties)?;
        std::fs::write(&logging, LOGGING)?;
        let mut command = Command::new("java");
        command.current_dir(folder.path()).arg("-XX:+UseSerialGC").args(self.tuning.arguments(HEAP_MIB_MAX));
        command.args(["-Djava.net.preferIPv4Stack=true", "-Dfile.encoding=UTF-8"]);
        command.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
        command.arg("-cp").arg(self.jars.join("*")).arg("org.apache.flume.node.Application");
        command.args(["--name", NAME, "--no-reload-conf", "--conf-file"]).arg(&agent);
        let process = Process::start(&mut command, &log(folder.path()))?;
        Ok(Agent { process, folder: Some(folder) })
    }
}

/// A running agent; it ends when this is dropped.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    folder: Option<TempDir>,
}

impl Agent {
    /// Looks until `look` finds something, and returns that.
    ///
    /// # Errors
    /// [`AgentError`] if the agent ends before, or after 120 s; its log is then kept and named on standard error.
    pub fn until<T>(&mut self, what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T, AgentError> {
        let deadline = Instant::now() + PATIENCE;
        let what = what.to_owned();
        loop {
            if let Some(found) = look() {
                return Ok(found);
            }
            if let Some(status) = self.process.ended()? {
                return Err(AgentError::Ended { status, what, last_lines: self.keep_log() });
            }
            if Instant::now() > deadline {
                return Err(AgentError::TooLong { what, last_lines: self.keep_log() });
            }
            std::thread::park_timeout(LOOK);
        }
    }

    /// Its process id, to read CPU time and memory from.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it in order (SIGTERM): its Kafka source commits what its channels have. Killed if that takes more than 30 s.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn stop(&mut self) -> io::Result<ExitStatus> {
        self.process.terminate(STOP_PATIENCE)
    }

    /// The end of the log, which stays.
    fn keep_log(&mut self) -> String {
        let Some(folder) = self.folder.take().map(TempDir::keep) else { return String::new() };
        report(&format!("flume: its log is kept in {}", folder.display()));
        let said = std::fs::read_to_string(log(&folder)).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
    }
}

fn log(folder: &Path) -> PathBuf {
    folder.join("flume.log")
}
