//! Apache Parquet's own reader in Java, for files that others wrote.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::artifacts::{Artifacts, require_java};
use crate::hdfs;
use crate::home::Home;
use crate::process::{self, Output, RunError};
use crate::{Unavailable, Watch};

/// Compiling and running each take some seconds, which a busy machine stretches.
const PATIENCE: Duration = Duration::from_secs(90);
/// Prints files; started by [`Reader::print`].
const SOURCE: &str = include_str!("ParquetPrint.java");

/// The reader.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reader {
    jars: PathBuf,
    hadoop: PathBuf,
}

impl Reader {
    /// Looks for Java and the jars; the first time it fetches them: 20 MB.
    ///
    /// # Errors
    /// [`Unavailable`], with the reason, if something is missing and cannot be had.
    pub fn find() -> Result<Self, Unavailable> {
        require_java(11)?;
        let hadoop = hdfs::Distribution::find()?.jars().to_owned();
        // It does not name the part of Hadoop that its options are in.
        let coordinates =
            &["org.apache.parquet:parquet-hadoop:1.15.2", "org.apache.hadoop:hadoop-mapreduce-client-core:3.4.3"];
        let jars = Artifacts { name: "parquet-1.15.2", coordinates }.folder(&Watch::patient())?;
        Ok(Self { jars, hadoop })
    }

    /// The records of `file`, one line each, as `Group.toString` has them with line feeds replaced by `|`.
    ///
    /// # Errors
    /// [`RunError`] if the file cannot be read, or Java cannot be run.
    pub fn print(&self, file: &Path) -> Result<Output, RunError> {
        let start = |cause| RunError::Start { command: "javac".to_owned(), cause };
        let home = Home::new("parquet").map_err(start)?;
        let source = home.path().join("ParquetPrint.java");
        std::fs::write(&source, SOURCE).map_err(start)?;
        let mut class_path = home.path().as_os_str().to_owned();
        for jars in [&self.jars, &self.hadoop] {
            class_path.push(":");
            class_path.push(jars.join("*"));
        }
        let mut compile = Command::new("javac");
        compile.arg("-cp").arg(&class_path).arg("-d").arg(home.path()).arg(&source);
        process::run("javac", &mut compile, b"", PATIENCE)?;
        let mut print = Command::new("java");
        print.args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp"]).arg(class_path).arg("ParquetPrint").arg(file);
        process::run("ParquetPrint", &mut print, b"", PATIENCE)
    }
}
