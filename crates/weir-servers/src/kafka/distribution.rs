//! A release on this machine: its jars, its tools, and how a Java machine is started with them.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::options::Version;
use crate::artifacts::{Artifacts, require_java};
use crate::process::{self, Output, RunError};
use crate::{Tuning, Unavailable, Watch};

/// A tool takes 1 to 3 s; most of that is the start of its Java machine, which a busy machine stretches.
const TOOL_PATIENCE: Duration = Duration::from_secs(90);
/// What a node that is to be small takes at most.
const HEAP_MIB_MAX: u32 = 512;

/// The jars of one release and a Java that runs them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Distribution {
    version: Version,
    jars: PathBuf,
}

impl Distribution {
    /// Looks for Java and the jars; the first time it fetches them: 55 MB, 10 s to a minute.
    ///
    /// # Errors
    /// [`Unavailable`], with the reason, if either is missing and cannot be had.
    pub fn find(version: Version) -> Result<Self, Unavailable> {
        Self::find_watched(version, &Watch::patient())
    }

    /// The same for somebody who watches and may cancel.
    ///
    /// # Errors
    /// As [`Distribution::find`]; also if `watch` was cancelled meanwhile.
    pub fn find_watched(version: Version, watch: &Watch<'_>) -> Result<Self, Unavailable> {
        let release = version.release();
        require_java(release.java_version_min)?;
        let name = format!("kafka-{}", release.text);
        let jars = Artifacts { name: &name, coordinates: release.coordinates }.folder(watch)?;
        Ok(Self { version, jars })
    }

    /// The release.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Runs the tool whose class is `class` with `arguments` and `input`, and waits for its end, 90 s at most.
    ///
    /// # Errors
    /// [`RunError`] if it does not start, fails or takes too long.
    pub fn run(&self, class: &str, arguments: &[OsString], input: &[u8]) -> Result<Output, RunError> {
        let start = |cause| RunError::Start { command: class.to_owned(), cause };
        let mut logging = tempfile::Builder::new().suffix(".properties").tempfile().map_err(start)?;
        logging.write_all(self.version.release().logging_text("ERROR").as_bytes()).map_err(start)?;
        let mut command = self.java(logging.path());
        // A tool lives for a second: it never gets to the compiler that optimises.
        command.args(["-Xmx256m", "-XX:TieredStopAtLevel=1", class]).args(arguments);
        process::run(class, &mut command, input, TOOL_PATIENCE)
    }

    /// What `kafka-dump-log` prints about `segments` (files of any log of record batches of format v2 whose names are base
    /// offsets, ours too), with further `arguments`: `--deep-iteration`, `--print-data-log`. Needs no broker.
    ///
    /// # Errors
    /// [`RunError`] if the tool fails. It does not fail because of what it finds in a segment.
    pub fn dump_log(&self, segments: &[&Path], arguments: &[&str]) -> Result<Output, RunError> {
        let mut files = OsString::new();
        for (index, segment) in segments.iter().enumerate() {
            files.push(if index == 0 { "" } else { "," });
            files.push(segment);
        }
        let mut all = vec![OsString::from("--files"), files];
        all.extend(arguments.iter().map(OsString::from));
        self.run(self.version.release().dump, &all, b"")
    }

    /// A Java machine for one node. `logging` is a file of the release's logging text.
    pub(super) fn node(&self, tuning: Tuning, logging: &Path, properties: &Path) -> Command {
        let mut command = self.java(logging);
        command.arg("-Xms128m").args(tuning.arguments(HEAP_MIB_MAX)).arg("kafka.Kafka").arg(properties);
        command
    }

    pub(super) fn java(&self, logging: &Path) -> Command {
        let logging = match self.version.release().has_log4j2 {
            false => format!("-Dlog4j.configuration=file:{}", logging.display()),
            true => format!("-Dlog4j2.configurationFile={}", logging.display()),
        };
        let mut command = Command::new("java");
        // One collector thread: the nodes share the cores with each other and with what is tested.
        command.args(["-XX:+UseSerialGC", "-Djava.net.preferIPv4Stack=true", logging.as_str(), "-cp"]);
        command.arg(self.jars.join("*"));
        command
    }
}
