//! Processes that do not outlive the test.
//!
//! Each runs in a process group of its own, so that a signal reaches whatever it started and a Ctrl-C in the terminal
//! reaches the test first. Dropping a [`Process`] kills its group. A test that is itself killed drops nothing: therefore a
//! shell stands by, reading from a pipe whose other end only this process holds, and kills the group when the pipe closes.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use thiserror::Error;

/// How often a process is asked whether it has ended.
const LOOK: Duration = Duration::from_millis(10);
/// What stands by: the group to kill is its first argument. (`kill -KILL --` is understood by bash, but not by dash.)
const STAND_BY: &str = r#"read -r line; kill -s KILL -- "-$1""#;

/// A server: started, perhaps paused, killed at the latest on drop.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stand_by: Child,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command` in a process group of its own; what it prints is appended to `log`.
    ///
    /// # Errors
    /// If it, or the shell that stands by, cannot be started.
    pub fn start(command: &mut Command, log: &Path) -> io::Result<Self> {
        let output = OpenOptions::new().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        Self::spawn(command)
    }

    fn spawn(command: &mut Command) -> io::Result<Self> {
        let mut child = command.process_group(0).spawn()?;
        let stand_by = Command::new("sh")
            .args(["-c", STAND_BY, "stand-by", &child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        match stand_by {
            Ok(stand_by) => Ok(Self { child, stand_by, ended: None }),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
    }

    /// Its process id, also that of its group.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended; `None` while it runs.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
            if self.ended.is_some() {
                self.dismiss()?;
            }
        }
        Ok(self.ended)
    }

    /// Stops it in its tracks (SIGSTOP): its connections stay open and silent.
    ///
    /// # Errors
    /// If it has ended.
    pub fn pause(&mut self) -> io::Result<()> {
        self.signal(libc::SIGSTOP)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// If it has ended.
    pub fn resume(&mut self) -> io::Result<()> {
        self.signal(libc::SIGCONT)
    }

    /// Asks it to end (SIGTERM) and waits; kills it when it has not ended within `patience`.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn terminate(&mut self, patience: Duration) -> io::Result<ExitStatus> {
        if self.ended()?.is_none() {
            self.signal(libc::SIGTERM)?;
        }
        match self.wait(patience)? {
            Some(status) => Ok(status),
            None => self.kill(),
        }
    }

    /// Kills its group (SIGKILL), paused or not, and waits for its end. Of a process that has ended: how it did.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.ended()? {
            return Ok(status);
        }
        self.signal(libc::SIGKILL)?;
        // The one that stands by goes first: afterwards the number of the group is free for others.
        self.dismiss()?;
        let status = self.child.wait()?;
        self.ended = Some(status);
        Ok(status)
    }

    /// Waits for its end for at most `patience`.
    ///
    /// # Errors
    /// If the system does not say whether it runs.
    pub fn wait(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + patience;
        loop {
            let ended = self.ended()?;
            if ended.is_some() || Instant::now() >= deadline {
                return Ok(ended);
            }
            std::thread::park_timeout(LOOK);
        }
    }

    fn dismiss(&mut self) -> io::Result<()> {
        self.stand_by.kill()?;
        self.stand_by.wait().map(drop)
    }

    fn signal(&mut self, signal: i32) -> io::Result<()> {
        if let Some(status) = self.ended()? {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("process {} has ended: {status}", self.id())));
        }
        let group = i32::try_from(self.child.id()).expect("a process id is a positive i32");
        // SAFETY: no memory is involved. The child leads this group and was not yet waited for (`ended` says so), so the
        // number belongs to no other process.
        match unsafe { libc::kill(-group, signal) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nobody is left to tell: a process that cannot be killed was gone already.
        let _ = self.kill();
    }
}

/// What a command printed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Output {
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error, invalid UTF-8 replaced.
    pub stderr: String,
}

impl Output {
    /// Standard output as text, invalid UTF-8 replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// Why a command gave no result. Messages name their cause: tests show nothing else of an error.
#[derive(Debug, Error)]
pub enum RunError {
    /// It is not there, or its input or output could not be set up.
    #[error("cannot run {command}: {cause}")]
    Start {
        /// The program.
        command: String,
        /// What the system says.
        cause: io::Error,
    },
    /// It ended, but not well.
    #[error("{command} ended with {status}:\n{}", last_lines(&output.stderr, &output.text()))]
    Failed {
        /// The program.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it printed until then.
        output: Output,
    },
    /// It ended well, but what it printed says otherwise.
    #[error("{command} said:\n{}", last_lines(&output.stderr, &output.text()))]
    Complained {
        /// The program.
        command: String,
        /// What it printed.
        output: Output,
    },
    /// It was killed.
    #[error("{command} was killed after {patience:?}; so far it said:\n{}", last_lines(&output.stderr, &output.text()))]
    TooLong {
        /// The program.
        command: String,
        /// How long it was given.
        patience: Duration,
        /// What it printed until then.
        output: Output,
    },
}

/// The end of what a program said: of its errors, or of its output if it printed no errors.
fn last_lines(errors: &str, output: &str) -> String {
    const KEPT: usize = 12;
    let said = if errors.trim().is_empty() { output } else { errors };
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(KEPT)..].join("\n")
}

/// Runs `command` (`name` in messages) to its end with `input` as its standard input. Input and output go through
/// unnamed temporary files, so that no size of either can block.
///
/// # Errors
/// If it cannot be started, fails, or has not ended within `patience`: then it is killed.
pub fn run(name: &str, command: &mut Command, input: &[u8], patience: Duration) -> Result<Output, RunError> {
    let start = |cause| RunError::Start { command: name.to_owned(), cause };
    let (mut stdout, mut stderr) = (tempfile::tempfile().map_err(start)?, tempfile::tempfile().map_err(start)?);
    command
        .stdin(filled(input).map_err(start)?)
        .stdout(stdout.try_clone().map_err(start)?)
        .stderr(stderr.try_clone().map_err(start)?);
    let mut process = Process::spawn(command).map_err(start)?;
    let status = process.wait(patience).map_err(start)?;
    drop(process);
    let output = Output {
        stdout: contents(&mut stdout).map_err(start)?,
        stderr: String::from_utf8_lossy(&contents(&mut stderr).map_err(start)?).into_owned(),
    };
    let command = name.to_owned();
    match status {
        Some(status) if status.success() => Ok(output),
        Some(status) => Err(RunError::Failed { command, status, output }),
        None => Err(RunError::TooLong { command, patience, output }),
    }
}

fn filled(input: &[u8]) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(input)?;
    file.rewind()?;
    Ok(file)
}

fn contents(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
