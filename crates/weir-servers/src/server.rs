//! One server: a process with a log, started, paused, killed, started again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;

use crate::StartError;
use crate::process::Process;

/// A process that comes and goes. Dropping it kills what runs.
#[derive(Debug)]
pub struct Server {
    name: String,
    log: PathBuf,
    /// Guards starting and signalling against each other; held while a process is waited for.
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    process: Process,
    is_paused: bool,
}

/// What the process of a server is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Activity {
    /// Never started, or ended by us.
    Down,
    /// Paused by us.
    Paused,
    /// Runs; whether it answers is another question.
    Up,
}

/// Why a server could not be killed, stopped, paused or resumed.
#[derive(Debug, Error)]
#[error("cannot {action} {server}: {cause}")]
pub struct ControlError {
    action: &'static str,
    server: String,
    cause: io::Error,
}

impl Server {
    /// One that does not run yet; `name` is for messages, what it prints goes to `log`, over all its starts.
    pub(crate) fn new(name: String, log: PathBuf) -> Self {
        Self { name, log, running: Mutex::new(None) }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Starts `command`; a moment later it may answer or have ended.
    pub(crate) fn start(&self, command: &mut Command) -> Result<(), StartError> {
        let started = Process::start(command, &self.log);
        let process = started.map_err(|cause| StartError::prepare("start a process", &cause))?;
        *self.running() = Some(Running { process, is_paused: false });
        Ok(())
    }

    /// What its process does.
    ///
    /// # Errors
    /// [`StartError::Ended`] if it ended by itself.
    pub(crate) fn activity(&self) -> Result<Activity, StartError> {
        match self.running().as_mut() {
            None => Ok(Activity::Down),
            Some(running) => match running.process.ended() {
                Err(cause) => Err(StartError::prepare("see whether a server runs", &cause)),
                Ok(Some(status)) => Err(self.ended(status)),
                Ok(None) if running.is_paused => Ok(Activity::Paused),
                Ok(None) => Ok(Activity::Up),
            },
        }
    }

    fn ended(&self, status: ExitStatus) -> StartError {
        StartError::Ended {
            server: self.name.clone(),
            status,
            log: self.log.clone(),
            last_lines: last_lines(&self.logged()),
        }
    }

    /// Whether its process runs and was not paused.
    pub(crate) fn is_up(&self) -> bool {
        self.activity().is_ok_and(|activity| activity == Activity::Up)
    }

    pub(crate) fn process_id(&self) -> Option<u32> {
        self.running().as_ref().map(|running| running.process.id())
    }

    /// Everything it has logged.
    pub(crate) fn logged(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Ends the process at once, if there is one.
    pub(crate) fn kill(&self) -> Result<(), ControlError> {
        let killed = self.running().take().map_or(Ok(()), |mut running| running.process.kill().map(drop));
        self.told("kill", killed)
    }

    /// Ends the process in order, if there is one; a paused one goes on first. Killed after `patience`.
    pub(crate) fn stop(&self, patience: Duration) -> Result<(), ControlError> {
        let stopped = match self.running().take() {
            None => Ok(()),
            Some(mut running) => {
                let resumed = if running.is_paused { running.process.resume() } else { Ok(()) };
                resumed.and_then(|()| running.process.terminate(patience)).map(drop)
            }
        };
        self.told("stop", stopped)
    }

    pub(crate) fn pause(&self) -> Result<(), ControlError> {
        self.told("pause", self.set_paused(true, Process::pause))
    }

    pub(crate) fn resume(&self) -> Result<(), ControlError> {
        self.told("resume", self.set_paused(false, Process::resume))
    }

    fn set_paused(&self, is_paused: bool, signal: impl FnOnce(&mut Process) -> io::Result<()>) -> io::Result<()> {
        let mut running = self.running();
        let running = running.as_mut().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it is down"))?;
        signal(&mut running.process)?;
        running.is_paused = is_paused;
        Ok(())
    }

    fn told(&self, action: &'static str, outcome: io::Result<()>) -> Result<(), ControlError> {
        outcome.map_err(|cause| ControlError { action, server: self.name.clone(), cause })
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        // A test that panics does not leave a process half signalled.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn last_lines(text: &str) -> String {
    const KEPT: usize = 15;
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(KEPT)..].join("\n")
}
