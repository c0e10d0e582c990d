//! One node: its folder, its process, what it answers.
//!
//! ```text
//! broker-1/ { server.properties, logging.properties, server.log, data/<topic>-<partition>/<base offset>.log }
//! ```

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::distribution::{Distribution, logging_text};
use super::options::{ClusterOptions, PASSWORD, USER};
use super::probe::{self, Metadata};
use super::properties::{self, Place};
use crate::process::{Process, RunError};

/// A node that can talk to a majority hands its partitions over in a second or two; one that cannot would try for minutes.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) folder: PathBuf,
    /// Guards starting and signalling against each other; held while a process is waited for.
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    process: Process,
    paused: bool,
}

/// What a node's process is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Activity {
    /// Never started, or ended by us.
    Down,
    /// Ended by itself.
    Ended(ExitStatus),
    /// Paused by us.
    Paused,
    /// Runs; whether it answers is another question.
    Up,
}

impl Node {
    /// Writes the node's files under `folder`.
    pub(super) fn write(place: Place, folder: PathBuf, properties: &str, options: &ClusterOptions) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let properties = properties::of_data(&folder.join("data")) + properties;
        fs::write(folder.join("server.properties"), properties)?;
        fs::write(folder.join("logging.properties"), logging_text(options.version, "INFO"))?;
        Ok(Self { place, folder, running: Mutex::new(None) })
    }

    /// Prepares the data folder: once, before the first start.
    pub(super) fn format(&self, distribution: &Distribution, cluster: &str, has_sasl: bool) -> Result<(), RunError> {
        let mut arguments = vec!["format".into(), "--cluster-id".into(), cluster.into(), "--config".into()];
        arguments.push(OsString::from(self.properties()));
        if has_sasl {
            for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
                arguments.push("--add-scram".into());
                arguments.push(format!("{mechanism}=[name={USER},password={PASSWORD}]").into());
            }
        }
        distribution.run("kafka.tools.StorageTool", &arguments, b"").map(drop)
    }

    /// Starts the process; a moment later it may answer or have ended.
    pub(super) fn start(&self, distribution: &Distribution, options: &ClusterOptions) -> io::Result<()> {
        let mut command =
            distribution.node(options.tuning, &self.folder.join("logging.properties"), &self.properties());
        if let Some(kerberos) = &options.kerberos {
            // The launchers' own arguments end with the class; the machine takes further ones from here.
            let option = format!("-Djava.security.krb5.conf={}", kerberos.configuration.display());
            command.env("JAVA_TOOL_OPTIONS", option);
        }
        let process = Process::start(command.current_dir(&self.folder), &self.log())?;
        *self.running() = Some(Running { process, paused: false });
        Ok(())
    }

    pub(super) fn properties(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.place.plain).into()
    }

    pub(super) fn activity(&self) -> io::Result<Activity> {
        match self.running().as_mut() {
            None => Ok(Activity::Down),
            Some(running) => Ok(match running.process.ended()? {
                Some(status) => Activity::Ended(status),
                None if running.paused => Activity::Paused,
                None => Activity::Up,
            }),
        }
    }

    pub(super) fn process_id(&self) -> Option<u32> {
        self.running().as_ref().map(|running| running.process.id())
    }

    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        probe::ask(self.address())
    }

    /// Ends the process at once, if there is one.
    pub(super) fn kill(&self) -> io::Result<()> {
        self.running().take().map_or(Ok(()), |mut running| running.process.kill().map(drop))
    }

    /// Ends the process in order, if there is one; a paused one goes on first.
    pub(super) fn stop(&self) -> io::Result<()> {
        match self.running().take() {
            None => Ok(()),
            Some(mut running) => {
                if running.paused {
                    running.process.resume()?;
                }
                running.process.terminate(STOP_PATIENCE).map(drop)
            }
        }
    }

    pub(super) fn pause(&self) -> io::Result<()> {
        self.set_paused(true, Process::pause)
    }

    pub(super) fn resume(&self) -> io::Result<()> {
        self.set_paused(false, Process::resume)
    }

    fn set_paused(&self, paused: bool, signal: impl FnOnce(&mut Process) -> io::Result<()>) -> io::Result<()> {
        let mut running = self.running();
        let running = running.as_mut().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it is down"))?;
        signal(&mut running.process)?;
        running.paused = paused;
        Ok(())
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        // A test that panics does not leave a process half signalled.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The segments of `partition` of `topic` under the data folder `data`, oldest first.
pub(super) fn segments(data: &Path, topic: &str, partition: u32) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(data.join(format!("{topic}-{partition}")))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            found.push(path);
        }
    }
    // Names are base offsets with leading zeros.
    found.sort_unstable();
    Ok(found)
}
