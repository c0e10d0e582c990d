//! Calls to the NameNodes of a name service, whichever is active.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

use prost::Message;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::connection::{Call, Connection, Failure};
use super::options::NativeOptions;
use crate::webhdfs::remote;
use crate::{HdfsError, HdfsErrorKind};

const PROTOCOL: &str = "org.apache.hadoop.hdfs.protocol.ClientProtocol";
/// How long a NameNode may be silent before another one is asked: a full collection of its memory may take some seconds. A
/// third of the time of a call, if that is less: one that hangs leaves time for two more.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Between two attempts: first, and at most. A NameNode that comes back is found within a second.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// Shared by all files of a client.
pub(super) struct NameNodes {
    addresses: Vec<String>,
    user: String,
    timeout: Duration,
    connect_timeout: Duration,
    silence_max: Duration,
    /// Servers know a repeated call by it and the call's id.
    client_id: [u8; 16],
    /// The name under which leases are held.
    pub(super) client: String,
    next_call: AtomicI32,
    active: AtomicUsize,
    /// Held while a connection is opened, so that one is opened.
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    /// The connection and whose it is.
    open: Option<(usize, Arc<Connection>)>,
    /// To whom none could be opened: when that was known last, and why.
    failed: HashMap<usize, (Instant, String)>,
}

impl NameNodes {
    pub(super) fn new(options: &NativeOptions) -> Self {
        let client_id = fastrand::u128(..).to_be_bytes();
        Self {
            addresses: options.namenodes.clone(),
            user: options.user.clone(),
            timeout: options.namenode_timeout,
            connect_timeout: options.connect_timeout,
            silence_max: SILENCE_MAX.min(options.namenode_timeout / 3),
            client_id,
            client: format!("weir_{:032x}", u128::from_be_bytes(client_id)),
            next_call: AtomicI32::new(0),
            active: AtomicUsize::new(0),
            slot: Mutex::default(),
        }
    }

    /// Asks until there is an answer or the deadline passes. What the server may have done already is not done twice: it knows
    /// the call again.
    pub(super) async fn call<A: Message + Default>(
        &self,
        (operation, path): (&'static str, &str),
        method: &str,
        request: &impl Message,
    ) -> Result<A, HdfsError> {
        // Parts of a file go on after a restart, when safe mode is over; what begins something is told.
        let waits =
            matches!(method, "addBlock" | "abandonBlock" | "complete" | "updateBlockForPipeline" | "updatePipeline");
        let id = self.next_call.fetch_add(1, Ordering::Relaxed) & i32::MAX;
        let deadline = Instant::now() + self.timeout;
        let (mut retry, mut back_off) = (0, BACK_OFF.0);
        loop {
            let call = Call { id, retry, client_id: &self.client_id, method };
            let (asked, answer) = self.attempt(&call, request, deadline).await;
            let (kind, again, detail) = match answer {
                Ok(mut answer) => {
                    let decoded = A::decode(&mut answer);
                    match decoded {
                        Ok(answer) => return Ok(answer),
                        Err(error) => (HdfsErrorKind::Other, false, format!("it answers what is no answer: {error}")),
                    }
                }
                Err(Failure::Broken(reason)) => (HdfsErrorKind::Unavailable, true, reason),
                Err(Failure::Silent(time)) => (HdfsErrorKind::Timeout, true, format!("no answer within {time:.1?}")),
                Err(Failure::Remote { class, message }) => {
                    let (kind, again) = remote::class(&class, &message);
                    let again = again || waits && kind == HdfsErrorKind::SafeMode;
                    (kind, again, format!("{class}: {message}"))
                }
            };
            if !again || Instant::now() + back_off >= deadline {
                let peer = self.addresses[asked].clone();
                return Err(HdfsError { kind, operation, path: path.to_owned(), peer, detail });
            }
            if matches!(kind, HdfsErrorKind::Standby | HdfsErrorKind::Unavailable | HdfsErrorKind::Timeout) {
                self.leave(asked);
            }
            tokio::time::sleep(back_off).await;
            (retry, back_off) = (retry + 1, (back_off * 2).min(BACK_OFF.1));
        }
    }

    /// Asks another one next, unless somebody was quicker to say so.
    fn leave(&self, asked: usize) {
        let next = (asked + 1) % self.addresses.len();
        let _ = self.active.compare_exchange(asked, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whom it asked, and the answer.
    async fn attempt(
        &self,
        call: &Call<'_>,
        request: &impl Message,
        deadline: Instant,
    ) -> (usize, Result<bytes::BytesMut, Failure>) {
        let late = || Err(Failure::Silent(self.timeout));
        let (asked, connection) = match tokio::time::timeout_at(deadline, self.connected()).await {
            Ok(Ok(found)) => found,
            Ok(Err((asked, reason))) => return (asked, Err(Failure::Broken(reason))),
            Err(_) => return (self.active.load(Ordering::Relaxed), late()),
        };
        let answer = tokio::time::timeout_at(deadline, connection.call(call, request)).await;
        (asked, answer.unwrap_or_else(|_| late()))
    }

    /// The connection that all share, or why there is none to whom.
    async fn connected(&self) -> Result<(usize, Arc<Connection>), (usize, String)> {
        let since = Instant::now();
        let mut slot = self.slot.lock().await;
        // Whoever held the lock may have found out that another one is active.
        let active = self.active.load(Ordering::Relaxed);
        if let Some((of, connection)) = &slot.open
            && *of == active
            && !connection.is_broken()
        {
            return Ok((active, connection.clone()));
        }
        // All who waited for the same attempt share how it ended.
        if let Some((when, reason)) = slot.failed.get(&active)
            && *when >= since
        {
            return Err((active, reason.clone()));
        }
        let (address, times) = (&self.addresses[active], (self.connect_timeout, self.silence_max));
        match Connection::open(address, &self.user, PROTOCOL, &self.client_id, times).await {
            Ok(connection) => {
                let connection = Arc::new(connection);
                slot.open = Some((active, connection.clone()));
                Ok((active, connection))
            }
            Err(error) => {
                slot.failed.insert(active, (Instant::now(), error.to_string()));
                self.leave(active);
                Err((active, error.to_string()))
            }
        }
    }
}
