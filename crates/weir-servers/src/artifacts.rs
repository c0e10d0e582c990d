//! Jars from Maven artifacts, fetched once and kept.
//!
//! ```text
//! cache/ kafka-4.3.1/ { pom.xml, lib/*.jar }     a finished set: it appears by a rename, so it is whole or not there
//!        kafka-4.3.1.part/ { pom.xml, lib/ }     a fetch under way, or what is left of one that failed
//!        kafka-4.3.1.lock                        held while fetching: of several test binaries one fetches
//! ```
//!
//! A set whose `pom.xml` is not the one wanted now is fetched again. The cache is `WEIR_TEST_CACHE`, or `weir-test` in the
//! user's cache folder; it is never inside the repository.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::process::{self, RunError};
use crate::report;

/// Names the folder that jars are kept in.
pub const CACHE_VARIABLE: &str = "WEIR_TEST_CACHE";
/// The one plugin that mvn runs, pinned like the artifacts themselves.
const COPY_GOAL: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";
/// 50 to 120 MB of jars: a minute on an ordinary line, ten on a poor one.
const FETCH_PATIENCE: Duration = Duration::from_secs(600);
/// `java -version` takes 0.1 s; a busy machine may take a hundred times that.
const VERSION_PATIENCE: Duration = Duration::from_secs(10);

/// Why a server cannot be had on this machine: a reason for a test to be ignored, not to fail.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{reason}")]
pub struct Unavailable {
    /// What is missing and what to do about it, in one line.
    pub reason: String,
}

impl Unavailable {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// A set of jars: everything that some artifacts need at run time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Artifacts<'a> {
    /// Name of the set in the cache, with the version: `kafka-4.3.1`.
    pub name: &'a str,
    /// `group:artifact:version` of each.
    pub coordinates: &'a [&'a str],
}

impl Artifacts<'_> {
    /// The folder of the jars, from the cache or, the first time, through `mvn`: up to minutes, with a line on standard error.
    ///
    /// # Errors
    /// [`Unavailable`] if they are not in the cache and cannot be fetched.
    pub fn folder(&self) -> Result<PathBuf, Unavailable> {
        self.folder_in(&cache()?, &["mvn"])
    }

    /// `mvn` is the program and what comes before its own arguments.
    pub(super) fn folder_in(&self, cache: &Path, mvn: &[&str]) -> Result<PathBuf, Unavailable> {
        let pom = self.pom();
        let kept = cache.join(self.name);
        if is_kept(&kept, &pom) {
            return Ok(kept.join("lib"));
        }
        let unusable = |error: io::Error| {
            Unavailable::new(format!("cannot use {}: {error}; set {CACHE_VARIABLE}", cache.display()))
        };
        fs::create_dir_all(cache).map_err(unusable)?;
        let lock = File::create(cache.join(format!("{}.lock", self.name))).map_err(unusable)?;
        lock.lock().map_err(unusable)?;
        // Whoever had the lock before may have fetched it.
        if !is_kept(&kept, &pom) {
            let part = cache.join(format!("{}.part", self.name));
            remove_folder(&part).map_err(unusable)?;
            fs::create_dir_all(&part).map_err(unusable)?;
            fs::write(part.join("pom.xml"), &pom).map_err(unusable)?;
            self.fetch(&part, mvn)?;
            remove_folder(&kept).map_err(unusable)?;
            fs::rename(&part, &kept).map_err(unusable)?;
        }
        Ok(kept.join("lib"))
    }

    fn fetch(&self, part: &Path, mvn: &[&str]) -> Result<(), Unavailable> {
        report(&format!("{}: fetching its jars with mvn, once", self.name));
        let started = Instant::now();
        let mut command = Command::new(mvn[0]);
        command.current_dir(part).args(&mvn[1..]).args(["--quiet", "--batch-mode", COPY_GOAL]);
        command.args(["-DincludeScope=runtime", "-DoutputDirectory=lib"]);
        match process::run("mvn", &mut command, b"", FETCH_PATIENCE) {
            Ok(_) => {
                report(&format!("{}: fetched in {:.0?}", self.name, started.elapsed()));
                Ok(())
            }
            Err(RunError::Start { cause, .. }) => Err(Unavailable::new(format!(
                "the jars of {} are not in the cache and mvn does not start ({cause}); install Maven",
                self.name
            ))),
            Err(error) => Err(Unavailable::new(format!("mvn cannot fetch {}: {}", self.name, first_complaint(&error)))),
        }
    }

    fn pom(&self) -> String {
        let mut dependencies = String::new();
        for coordinate in self.coordinates {
            let mut parts = coordinate.split(':');
            let mut part = || parts.next().expect("a coordinate is group:artifact:version, as its doc says");
            let (group, artifact, version) = (part(), part(), part());
            writeln!(
                dependencies,
                "    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>"
            )
            .expect("a String takes everything");
        }
        format!(
            "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
             <groupId>weir.test</groupId><artifactId>{}</artifactId><version>1</version><packaging>pom</packaging>\n  \
             <dependencies>\n{dependencies}  </dependencies>\n</project>\n",
            self.name
        )
    }
}

fn is_kept(kept: &Path, pom: &str) -> bool {
    fs::read_to_string(kept.join("pom.xml")).is_ok_and(|text| text == pom) && kept.join("lib").is_dir()
}

fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What mvn says first, in one line of bearable length: it goes into the name of a test.
fn first_complaint(error: &RunError) -> String {
    const KEPT: usize = 300;
    let said = match error {
        RunError::Failed { output, .. } | RunError::Complained { output, .. } => {
            format!("{}\n{}", output.text(), output.stderr)
        }
        RunError::TooLong { .. } => format!("not done after {FETCH_PATIENCE:?}"),
        RunError::Start { cause, .. } => cause.to_string(),
    };
    let first = said.lines().find_map(|line| line.split_once("[ERROR] ").map(|(_, text)| text));
    first.unwrap_or(said.trim()).chars().filter(|c| !c.is_control()).take(KEPT).collect()
}

fn cache() -> Result<PathBuf, Unavailable> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable(CACHE_VARIABLE)
        .or_else(|| variable("XDG_CACHE_HOME").map(|folder| folder.join("weir-test")))
        .or_else(|| variable("HOME").map(|folder| folder.join(".cache").join("weir-test")))
        .ok_or_else(|| Unavailable::new(format!("no folder to keep jars in; set {CACHE_VARIABLE}")))
}

/// Makes sure that the `java` on the `PATH` is of `version_min` (17 for 17.0.15) or later. One short process.
///
/// # Errors
/// [`Unavailable`] if it is older or there is none.
pub fn require_java(version_min: u32) -> Result<(), Unavailable> {
    let missing =
        |found: &str| Unavailable::new(format!("Java {version_min} or later is needed, {found}; put it on the PATH"));
    match process::run("java", Command::new("java").arg("-version"), b"", VERSION_PATIENCE) {
        Ok(output) => match java_version(&output.stderr) {
            Some(version) if version >= version_min => Ok(()),
            Some(version) => Err(missing(&format!("this is {version}"))),
            None => Err(missing(&format!("this one does not say what it is: {}", output.stderr.trim()))),
        },
        Err(RunError::Start { cause, .. }) => Err(missing(&format!("java does not start ({cause})"))),
        Err(error) => Err(missing(&error.to_string().replace('\n', " "))),
    }
}

/// 17 of `openjdk version "17.0.15" 2025-04-15`, 8 of `java version "1.8.0_402"`.
pub(super) fn java_version(said: &str) -> Option<u32> {
    let quoted = said.split('"').nth(1)?;
    let mut numbers = quoted.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().ok());
    match numbers.next()?? {
        1 => numbers.next()?,
        version => Some(version),
    }
}
