//! [`Control`].

use std::path::PathBuf;
use std::time::Duration;

use crate::start::{Fleet, preparing};
use crate::{ControlError, StartError, Watch};

/// A broker that can talk to a majority hands its partitions over in a second or two, one that cannot would try for minutes;
/// a node of Solr closes its indexes in that time, a process of HDFS has nothing to do.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// The servers of a cluster, one by one. Of Kafka they are called by their numbers, of HDFS and Solr by their roles.
///
/// Every method but `stop` and `restart` takes milliseconds, and panics if there is no such server.
pub trait Control: Fleet {
    /// Kills a server (SIGKILL), paused or not. The others miss it after 5 s (Kafka), 8 s (Solr) or 14 s (HDFS).
    ///
    /// # Errors
    /// [`ControlError`] if the system refuses.
    fn kill(&self, role: Self::Role) -> Result<(), ControlError> {
        self.server(role).kill()
    }

    /// Ends a server in order (SIGTERM), which takes a second or two: a broker hands over what it leads. Killed if that takes
    /// more than 30 s.
    ///
    /// # Errors
    /// [`ControlError`] if the system refuses.
    fn stop(&self, role: Self::Role) -> Result<(), ControlError> {
        self.server(role).stop(STOP_PATIENCE)
    }

    /// Pauses a server (SIGSTOP): its connections stay open and silent. The others miss it as if it were killed.
    ///
    /// # Errors
    /// [`ControlError`] if it is down.
    fn pause(&self, role: Self::Role) -> Result<(), ControlError> {
        self.server(role).pause()
    }

    /// Lets a paused server go on (SIGCONT).
    ///
    /// # Errors
    /// [`ControlError`] if it is down.
    fn resume(&self, role: Self::Role) -> Result<(), ControlError> {
        self.server(role).resume()
    }

    /// Starts a server again on its ports and its data, after stopping it in order if it is up, and waits until all that run
    /// are ready. After a kill that takes until its old session has run out.
    ///
    /// # Errors
    /// [`StartError`] if it does not come back.
    fn restart(&self, role: Self::Role) -> Result<(), StartError> {
        self.stop(role).map_err(preparing("start a server again"))?;
        self.start_one(role)?;
        self.until_ready(&Watch::patient())
    }

    /// Process id, to read CPU time and memory from; `None` if the server is down.
    #[must_use]
    fn process_id(&self, role: Self::Role) -> Option<u32> {
        self.server(role).process_id()
    }

    /// The file that a server logs to, over all its starts.
    #[must_use]
    fn log(&self, role: Self::Role) -> PathBuf {
        self.server(role).log().to_owned()
    }

    /// Leaves folder and logs where they are when the cluster is dropped, and names them on standard error: for a test that
    /// failed. A drop during a panic does so by itself.
    fn keep_logs(&self) {
        self.home().keep();
    }
}

impl<F: Fleet> Control for F {}
