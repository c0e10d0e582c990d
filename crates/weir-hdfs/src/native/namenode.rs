//! Calls to the NameNodes of a name service, whichever is active.

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
/// Between two attempts: first, and at most. A NameNode that comes back is found within a second.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// Shared by all files of a client.
pub(super) struct NameNodes {
    addresses: Vec<String>,
    user: String,
    timeout: Duration,
    connect_timeout: Duration,
    /// Servers know a repeated call by it and the call's id.
    client_id: [u8; 16],
    /// The name under which leases are held.
    pub(super) client: String,
    next_call: AtomicI32,
    active: AtomicUsize,
    /// The connection and whose it is. Held while one is opened, so that one is opened.
    connection: Mutex<Option<(usize, Arc<Connection>)>>,
}

impl NameNodes {
    pub(super) fn new(options: &NativeOptions) -> Self {
        let client_id = fastrand::u128(..).to_be_bytes();
        Self {
            addresses: options.namenodes.clone(),
            user: options.user.clone(),
            timeout: options.namenode_timeout,
            connect_timeout: options.connect_timeout,
            client_id,
            client: format!("weir_{:032x}", u128::from_be_bytes(client_id)),
            next_call: AtomicI32::new(0),
            active: AtomicUsize::new(0),
            connection: Mutex::new(None),
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
            let active = self.active.load(Ordering::Relaxed) % self.addresses.len();
            let call = Call { id, retry, client_id: &self.client_id, method };
            let attempt = tokio::time::timeout_at(deadline, self.attempt(active, &call, request)).await;
            let (kind, again, detail) = match attempt {
                Ok(Ok(mut answer)) => {
                    let decoded = A::decode(&mut answer);
                    match decoded {
                        Ok(answer) => return Ok(answer),
                        Err(error) => (HdfsErrorKind::Other, false, format!("it answers what is no answer: {error}")),
                    }
                }
                Ok(Err(Failure::Broken(reason))) => (HdfsErrorKind::Unavailable, true, reason),
                Ok(Err(Failure::Remote { class, message })) => {
                    let (kind, again) = remote::class(&class, &message);
                    let again = again || waits && kind == HdfsErrorKind::SafeMode;
                    (kind, again, format!("{class}: {message}"))
                }
                Err(_) => (HdfsErrorKind::Timeout, false, format!("no answer within {:?}", self.timeout)),
            };
            if !again || Instant::now() + back_off >= deadline {
                let peer = self.addresses[active].clone();
                return Err(HdfsError { kind, operation, path: path.to_owned(), peer, detail });
            }
            if matches!(kind, HdfsErrorKind::Standby | HdfsErrorKind::Unavailable) {
                let next = (active + 1) % self.addresses.len();
                let _ = self.active.compare_exchange(active, next, Ordering::Relaxed, Ordering::Relaxed);
            }
            tokio::time::sleep(back_off).await;
            (retry, back_off) = (retry + 1, (back_off * 2).min(BACK_OFF.1));
        }
    }

    async fn attempt(
        &self,
        active: usize,
        call: &Call<'_>,
        request: &impl Message,
    ) -> Result<bytes::BytesMut, Failure> {
        let connection = self.connected(active).await?;
        connection.call(call, request).await
    }

    async fn connected(&self, active: usize) -> Result<Arc<Connection>, Failure> {
        let mut slot = self.connection.lock().await;
        if let Some((of, connection)) = &*slot
            && *of == active
            && !connection.is_broken()
        {
            return Ok(connection.clone());
        }
        let address = &self.addresses[active];
        let opened = Connection::open(address, &self.user, PROTOCOL, &self.client_id, self.connect_timeout).await;
        let connection = Arc::new(opened.map_err(|error| Failure::Broken(error.to_string()))?);
        *slot = Some((active, connection.clone()));
        Ok(connection)
    }
}
