//! Jars from Maven artifacts, fetched once and kept.
//!
//! ```text
//! cache/ kafka-4.3.1/ { pom.xml, mvn.log, lib/*.jar }     a finished set: it appears by a rename, so it is whole or not there
//!        kafka-4.3.1.part/ { pom.xml, mvn.log, lib/ }     a fetch under way, or what is left of one that failed
//!        kafka-4.3.1.lock                        held while fetching: of several test binaries one fetches
//! ```
//!
//! A set whose `pom.xml` is not the one wanted now is fetched again. The cache is `WEIR_TEST_CACHE`, or `weir-test` in the
//! user's cache folder; it is never inside the repository.

use std::fmt::Write as _;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::Watch;
use crate::process::{self, Process, RunError};

/// Names the folder that jars are kept in.
pub const CACHE_VARIABLE: &str = "WEIR_TEST_CACHE";
/// The one plugin that mvn runs, pinned like the artifacts themselves.
const COPY_GOAL: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";
/// 50 to 120 MB of jars: a minute on an ordinary line, ten on a poor one.
const FETCH_PATIENCE: Duration = Duration::from_secs(600);
/// How often a fetch is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Time between two lines about how far a fetch is.
const PROGRESS: Duration = Duration::from_secs(3);
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
    /// The folder of the jars, from the cache or, the first time, through `mvn`: up to minutes, told to `watch`.
    ///
    /// # Errors
    /// [`Unavailable`] if they are not in the cache and cannot be fetched, or if `watch` was cancelled meanwhile.
    pub fn folder(&self, watch: &Watch<'_>) -> Result<PathBuf, Unavailable> {
        self.folder_in(&cache()?, &["mvn"], watch)
    }

    /// `mvn` is the program and what comes before its own arguments.
    pub(super) fn folder_in(&self, cache: &Path, mvn: &[&str], watch: &Watch<'_>) -> Result<PathBuf, Unavailable> {
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
        self.take(&lock, watch, unusable)?;
        // Whoever had the lock before may have fetched it.
        if !is_kept(&kept, &pom) {
            let part = cache.join(format!("{}.part", self.name));
            remove_folder(&part).map_err(unusable)?;
            fs::create_dir_all(&part).map_err(unusable)?;
            fs::write(part.join("pom.xml"), &pom).map_err(unusable)?;
            self.fetch(&part, mvn, watch)?;
            remove_folder(&kept).map_err(unusable)?;
            fs::rename(&part, &kept).map_err(unusable)?;
        }
        Ok(kept.join("lib"))
    }

    /// Waits until no other process fetches this set.
    fn take(
        &self,
        lock: &File,
        watch: &Watch<'_>,
        unusable: impl Fn(io::Error) -> Unavailable,
    ) -> Result<(), Unavailable> {
        let mut is_told = false;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::Error(error)) => return Err(unusable(error)),
                Err(TryLockError::WouldBlock) if watch.is_cancelled() => return Err(self.cancelled()),
                Err(TryLockError::WouldBlock) => {
                    if !is_told {
                        watch.say(&format!("{}: another process fetches its jars", self.name));
                        is_told = true;
                    }
                    std::thread::park_timeout(LOOK);
                }
            }
        }
    }

    fn fetch(&self, part: &Path, mvn: &[&str], watch: &Watch<'_>) -> Result<(), Unavailable> {
        watch.say(&format!("{}: fetching its jars with mvn, once", self.name));
        let started = Instant::now();
        let mut command = Command::new(mvn[0]);
        command.current_dir(part).args(&mvn[1..]).args(["--batch-mode", COPY_GOAL]);
        command.args(["-DincludeScope=runtime", "-DoutputDirectory=lib"]);
        let log = part.join("mvn.log");
        let failed = |reason: &str| Unavailable::new(format!("mvn cannot fetch {}: {reason}", self.name));
        let mut process = Process::start(&mut command, &log).map_err(|cause| {
            Unavailable::new(format!(
                "the jars of {} are not in the cache and mvn does not start ({cause}); install Maven (Debian and Fedora: maven)",
                self.name
            ))
        })?;
        let mut next_line = PROGRESS;
        let status = loop {
            if let Some(status) = process.wait(LOOK).map_err(|error| failed(&error.to_string()))? {
                break status;
            }
            // Leaving drops the process, which kills it.
            if watch.is_cancelled() {
                return Err(self.cancelled());
            }
            if started.elapsed() >= FETCH_PATIENCE {
                return Err(failed(&format!("not done after {FETCH_PATIENCE:?}")));
            }
            if started.elapsed() >= next_line {
                watch.say(&format!(
                    "{}: {} jars downloaded after {:.0?}",
                    self.name,
                    downloaded(&read(&log)),
                    started.elapsed()
                ));
                next_line += PROGRESS;
            }
        };
        if !status.success() {
            return Err(failed(&first_complaint(&read(&log))));
        }
        watch.say(&format!("{}: fetched in {:.0?}", self.name, started.elapsed()));
        Ok(())
    }

    fn cancelled(&self) -> Unavailable {
        Unavailable::new(format!("the fetch of {} was cancelled", self.name))
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

fn read(log: &Path) -> String {
    fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// How many jars mvn says it has got so far, those of its plugin included.
pub(super) fn downloaded(said: &str) -> usize {
    said.lines().filter(|line| line.contains("Downloaded from ") && line.contains(".jar ")).count()
}

/// What mvn says first, in one line of bearable length: it goes into the name of a test.
fn first_complaint(said: &str) -> String {
    const KEPT: usize = 300;
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
    let missing = |found: &str| {
        let packages = "Debian: default-jre-headless, Fedora: java-latest-openjdk-headless";
        Unavailable::new(format!("Java {version_min} or later is needed, {found}; put it on the PATH ({packages})"))
    };
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
