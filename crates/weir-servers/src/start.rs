//! How clusters start: on ports that were free, again on others if these are lost, watched until every server answers.

use std::fmt::{Debug, Display};
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::home::Home;
use crate::server::Server;
use crate::{Unavailable, Watch};

/// Many times what any cluster takes on two cores: for a machine that is busy with everything else.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// Dead servers are missed after 5 s (Kafka) to 14 s (HDFS); elections and catching up come on top.
const CHANGE_PATIENCE: Duration = Duration::from_secs(60);
/// Time between two lines about what is waited for.
const PROGRESS: Duration = Duration::from_secs(10);
/// Ports are not ours until they are bound; that they are lost three times in a row has another reason.
const PORT_TRIES: usize = 3;
/// Time between two questions to the servers.
const LOOK: Duration = Duration::from_millis(50);

/// Why there is no cluster, or a server did not come back. Messages name their cause: tests show nothing else of an error.
#[derive(Debug, Error)]
pub enum StartError {
    /// Not on this machine: a reason to ignore a test.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The launcher's own files, ports or processes.
    #[error("cannot {what}: {cause}")]
    Prepare {
        /// What was tried.
        what: &'static str,
        /// What went wrong.
        cause: String,
    },
    /// Whoever watched did not want it any more.
    #[error("the start was cancelled")]
    Cancelled,
    /// A server ended instead of answering.
    #[error("{server} ended with {status}; see {} for why:\n{last_lines}", log.display())]
    Ended {
        /// Which.
        server: String,
        /// How it ended.
        status: ExitStatus,
        /// What it logged.
        log: PathBuf,
        /// The end of that.
        last_lines: String,
    },
    /// A server runs but does not answer as it should.
    #[error("{server} is not ready after {patience:?} ({reason}); see {}", log.display())]
    NotReady {
        /// The first that is not.
        server: String,
        /// How long it was given.
        patience: Duration,
        /// What it answers, or why it does not.
        reason: String,
        /// What it logged.
        log: PathBuf,
    },
}

impl StartError {
    pub(crate) fn prepare(what: &'static str, cause: &dyn Display) -> Self {
        Self::Prepare { what, cause: cause.to_string() }
    }
}

/// For `map_err`.
pub(crate) fn preparing<E: Display>(what: &'static str) -> impl FnOnce(E) -> StartError {
    move |cause| StartError::prepare(what, &cause)
}

/// Servers that start together: what [`Control`](crate::Control) stands on. Nobody outside can name it; call what that has.
pub trait Fleet: Sized {
    /// For messages: `kafka`.
    const KIND: &'static str;
    /// Names one of them.
    type Role: Copy;

    /// The folder of all.
    fn home(&self) -> &Home;

    /// All of them.
    fn servers(&self) -> Vec<&Server>;

    /// One of them.
    ///
    /// # Panics
    /// If there is none of this name.
    fn server(&self, role: Self::Role) -> &Server;

    /// Starts the process of one.
    ///
    /// # Errors
    /// [`StartError`] if that fails; a moment later it may answer or have ended.
    fn start_one(&self, role: Self::Role) -> Result<(), StartError>;

    /// The first that runs, paused ones apart, and does not answer as it should.
    ///
    /// # Errors
    /// [`StartError::Ended`].
    fn first_not_ready(&self) -> Result<Option<Waiting<'_>>, StartError>;

    /// Asks until none is left that is not ready.
    ///
    /// # Errors
    /// As [`Fleet::first_not_ready`], and [`StartError::NotReady`] after 120 s, [`StartError::Cancelled`].
    fn until_ready(&self, watch: &Watch<'_>) -> Result<(), StartError> {
        let started = Instant::now();
        let mut next_line = PROGRESS;
        loop {
            let Some((server, reason)) = self.first_not_ready()? else { return Ok(()) };
            if watch.is_cancelled() {
                return Err(StartError::Cancelled);
            }
            let waited = started.elapsed();
            if waited >= START_PATIENCE {
                let (server, log) = (server.name().to_owned(), server.log().to_owned());
                return Err(StartError::NotReady { server, patience: START_PATIENCE, reason, log });
            }
            if waited >= next_line {
                watch.say(&format!("{}: waiting for {} since {waited:.0?} ({reason})", Self::KIND, server.name()));
                next_line += PROGRESS;
            }
            std::thread::park_timeout(LOOK);
        }
    }

    /// Starts their processes and waits until all of them answer.
    ///
    /// # Errors
    /// As [`Fleet::until_ready`].
    fn start_all(&self, watch: &Watch<'_>) -> Result<(), StartError>;

    /// Where clients find them, for a line.
    fn place(&self) -> String;
}

/// Starts what `prepare` makes (files and ports, no process yet); made anew with other ports where another process took one.
pub(crate) fn start<F: Fleet>(
    what: &str,
    watch: &Watch<'_>,
    prepare: impl Fn() -> Result<F, StartError>,
) -> Result<F, StartError> {
    let started = Instant::now();
    watch.say(&format!("{what}: starting"));
    let mut tries = 1..PORT_TRIES;
    loop {
        let fleet = prepare()?;
        match fleet.start_all(watch) {
            Ok(()) => {
                watch.say(&format!("{}: ready after {:.1?} at {}", F::KIND, started.elapsed(), fleet.place()));
                return Ok(fleet);
            }
            Err(StartError::Cancelled) => return Err(StartError::Cancelled),
            Err(error) if tries.next().is_some() && lost_a_port(&fleet) => {
                watch.say(&format!("{}: another process took a port, trying others: {error}", F::KIND));
            }
            Err(error) => {
                fleet.home().keep();
                return Err(error);
            }
        }
    }
}

fn lost_a_port(fleet: &impl Fleet) -> bool {
    fleet.servers().iter().any(|server| {
        let log = server.logged();
        log.contains("Address already in use") || log.contains("BindException")
    })
}

/// Asks until `is_so` holds for an answer, a minute at most: many times what any of the clusters takes to notice a change.
///
/// # Panics
/// Then, naming `what` was waited for, and the last answer.
#[track_caller]
pub(crate) fn until<T: Debug>(what: &str, ask: impl Fn() -> io::Result<T>, is_so: impl Fn(&T) -> bool) {
    let deadline = Instant::now() + CHANGE_PATIENCE;
    loop {
        let answer = ask();
        if answer.as_ref().is_ok_and(&is_so) {
            return;
        }
        assert!(Instant::now() < deadline, "waited {CHANGE_PATIENCE:?} for {what}; last answer: {answer:?}");
        std::thread::park_timeout(LOOK);
    }
}

/// A server that is waited for, and why.
pub(crate) type Waiting<'a> = (&'a Server, String);
