//! The release on this machine: its jars, and how a Java machine is started with them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::artifacts::{Artifacts, require_java};
use crate::home::Home;
use crate::process::{self, Output, RunError};
use crate::{Tuning, Unavailable, Watch};

/// A shell call takes 3 to 5 s, most of it the start of its Java machine, which a busy machine stretches.
const TOOL_PATIENCE: Duration = Duration::from_secs(90);
/// What a process that is to be small takes at most.
const HEAP_MIB_MAX: u32 = 256;
/// Hadoop's commands on files.
pub(super) const SHELL: &str = "org.apache.hadoop.fs.FsShell";
/// hadoop-hdfs expects the other two to be there already.
const COORDINATES: [&str; 4] = [
    "org.apache.hadoop:hadoop-common:3.4.3",
    "org.apache.hadoop:hadoop-hdfs:3.4.3",
    "org.apache.hadoop:hadoop-hdfs-client:3.4.3",
    // Hadoop reads lz4 by it and does not bring it along.
    "org.lz4:lz4-java:1.8.0",
];

/// The jars of Hadoop 3.4.3 and a Java that runs them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Distribution {
    jars: PathBuf,
}

impl Distribution {
    /// Looks for Java and the jars; the first time it fetches them: 66 MB, a minute.
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
        let jars = Artifacts { name: "hdfs-3.4.3-lz4", coordinates: &COORDINATES }.folder(watch)?;
        Ok(Self { jars })
    }

    /// Where the jars are.
    pub(crate) fn jars(&self) -> &Path {
        &self.jars
    }

    /// Hadoop's own shell without a cluster: `["-text", "file:///tmp/a.seq"]`. 2 to 5 s a call.
    ///
    /// # Errors
    /// [`RunError`] if it fails.
    pub fn shell(&self, arguments: &[&str]) -> Result<Output, RunError> {
        let start = |cause| RunError::Start { command: SHELL.to_owned(), cause };
        let home = Home::new("hadoop").map_err(start)?;
        // Its classes insist on a file of this name.
        std::fs::write(home.path().join("core-site.xml"), "<configuration/>").map_err(start)?;
        self.run(home.path(), home.path(), SHELL, arguments, b"")
    }

    /// A Java machine for the class that is to be its first further argument. `configuration` is the folder of it, `home`
    /// one that the class may write to.
    pub(super) fn java(&self, tuning: Tuning, configuration: &Path, home: &Path) -> Command {
        let mut class_path = configuration.as_os_str().to_owned();
        class_path.push(":");
        class_path.push(self.jars.join("*"));
        let mut hadoop_home = std::ffi::OsString::from("-Dhadoop.home.dir=");
        hadoop_home.push(home);
        let mut command = Command::new("java");
        // One collector thread: the processes share the cores with each other and with what is tested.
        command.args(["-Xms64m", "-XX:+UseSerialGC"]).args(tuning.arguments(HEAP_MIB_MAX));
        command.args(["-Djava.net.preferIPv4Stack=true", "--add-opens", "java.base/java.lang=ALL-UNNAMED"]);
        command.arg(hadoop_home).arg("-cp").arg(class_path);
        command
    }

    /// Runs `class` to its end, 90 s at most.
    pub(super) fn run(
        &self,
        configuration: &Path,
        home: &Path,
        class: &str,
        arguments: &[&str],
        input: &[u8],
    ) -> Result<Output, RunError> {
        let mut command = self.java(Tuning::QuickStart, configuration, home);
        command.arg(class).args(arguments);
        process::run(class, &mut command, input, TOOL_PATIENCE)
    }
}
