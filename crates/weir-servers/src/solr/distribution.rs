//! The release on this machine: its jars, and how Java machines are started with them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::artifacts::{Artifacts, require_java};
use crate::process::{self, RunError};
use crate::{Tuning, Unavailable, Watch};

/// The compiler takes 2 s; a busy machine stretches that.
const COMPILE_PATIENCE: Duration = Duration::from_secs(90);
/// `javac -version` takes half a second.
const VERSION_PATIENCE: Duration = Duration::from_secs(20);
/// What a node is put together by.
const NODE_SOURCE: &str = include_str!("SolrNode.java");

/// The jars of Solr 9.10.1, ZooKeeper among them, and a JDK that runs them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Distribution {
    jars: PathBuf,
}

impl Distribution {
    /// Looks for a JDK and the jars; the first time it fetches them: 84 MB, a minute.
    ///
    /// # Errors
    /// [`Unavailable`], with the reason, if either is missing and cannot be had.
    pub fn find() -> Result<Self, Unavailable> {
        Self::find_watched(&Watch::patient())
    }

    /// The same for somebody who watches and may cancel.
    ///
    /// # Errors
    /// As [`Distribution::find`]; also if `watch` was cancelled meanwhile.
    pub fn find_watched(watch: &Watch<'_>) -> Result<Self, Unavailable> {
        require_java(11)?;
        process::run("javac", Command::new("javac").arg("-version"), b"", VERSION_PATIENCE).map_err(|error| {
            let reason = error.to_string().replace('\n', " ");
            Unavailable { reason: format!("{reason}; install a JDK (Debian: default-jdk-headless)") }
        })?;
        // The part of Solr that starts it inside Jetty without its distribution archive is in its test framework.
        let coordinates = ["org.apache.solr:solr-test-framework:9.10.1"];
        let jars = Artifacts { name: "solr-9.10.1", coordinates: &coordinates }.folder(watch)?;
        Ok(Self { jars })
    }

    /// Compiles what a node is put together by into `classes`.
    pub(super) fn compile(&self, classes: &Path) -> Result<(), RunError> {
        let start = |cause| RunError::Start { command: "javac".to_owned(), cause };
        fs::create_dir_all(classes).map_err(start)?;
        let source = classes.join("SolrNode.java");
        fs::write(&source, NODE_SOURCE).map_err(start)?;
        let mut command = Command::new("javac");
        command.arg("-cp").arg(self.jars.join("*")).arg("-d").arg(classes).arg(source);
        process::run("javac", &mut command, b"", COMPILE_PATIENCE).map(drop)
    }

    /// A Java machine with a heap of about `heap_mib_max` for the class that is to be its first further argument.
    pub(super) fn java(&self, tuning: Tuning, heap_mib_max: u32, logging: &Path, classes: &Path) -> Command {
        let mut class_path = classes.as_os_str().to_owned();
        class_path.push(":");
        class_path.push(self.jars.join("*"));
        let mut log4j = OsString::from("-Dlog4j2.configurationFile=");
        log4j.push(logging);
        let mut command = Command::new("java");
        // One collector thread: the processes share the cores with each other and with what is tested.
        command.args(["-Xms32m", "-XX:+UseSerialGC"]).args(tuning.arguments(heap_mib_max));
        command.args(["-Djava.net.preferIPv4Stack=true"]).arg(log4j).arg("-cp").arg(class_path);
        command
    }
}
