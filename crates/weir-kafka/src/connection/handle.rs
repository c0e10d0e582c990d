//! [`Connection`]: what those who send requests hold.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::{Decodable, StrBytes};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use weir_event::ArenaPool;

use super::line::{Alone, Line};
use super::{ConnectionError, ConnectionOptions, SecurityContext, pipe, renewal, sasl};
use crate::ErrorCode;
use crate::wire::{Api, Versions, decode_response, encode_request};

/// Answers are read into buffers of this size, which are used again; larger ones grow and are not kept past twice it.
const ARENA_BYTES: usize = 1 << 20;
/// Free buffers kept per connection.
const ARENAS_FREE_MAX: usize = 8;
/// API versions of an ApiVersions request: what to ask with first, and what every broker understands.
const API_VERSIONS_FIRST: i16 = 3;
const API_VERSIONS_FALLBACK: i16 = 0;

/// A connection to one broker. Cloning shares it; it closes with the last clone.
#[derive(Clone)]
pub(crate) struct Connection {
    handle: Arc<Handle>,
}

struct Handle {
    line: Arc<Line>,
    permits: Arc<Semaphore>,
    versions: Versions,
    client_id: String,
    tasks: [AbortHandle; 2],
    /// The task that keeps the session alive, where the broker limits it.
    renewal: OnceLock<AbortHandle>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.tasks.iter().chain(self.renewal.get()).for_each(AbortHandle::abort);
    }
}

/// A connection that does not stay open for this alone.
pub(super) struct WeakConnection {
    handle: Weak<Handle>,
}

impl WeakConnection {
    /// The connection, if somebody still holds it.
    pub(super) fn upgrade(&self) -> Option<Connection> {
        self.handle.upgrade().map(|handle| Connection { handle })
    }
}

impl Connection {
    /// Connects to `peer` (host and port), agrees on versions and authenticates.
    pub(crate) async fn open(
        peer: &str,
        options: &ConnectionOptions,
        security: &SecurityContext,
    ) -> Result<Self, ConnectionError> {
        let after = options.handshake_timeout();
        let name: Arc<str> = Arc::from(peer);
        let opened = tokio::time::timeout(after, Self::establish(name.clone(), options, security)).await;
        opened.unwrap_or(Err(ConnectionError::TimedOut { peer: name, what: "the handshake", after }))
    }

    async fn establish(
        peer: Arc<str>,
        options: &ConnectionOptions,
        security: &SecurityContext,
    ) -> Result<Self, ConnectionError> {
        let (reading, writing) = pipe::open(&peer, security.tls.as_ref())
            .await
            .map_err(|source| ConnectionError::Connect { peer: peer.clone(), source: Arc::new(source) })?;
        let (frames, queue) = mpsc::unbounded_channel();
        let line = Arc::new(Line::new(peer, frames));
        let arenas = ArenaPool::new(ARENA_BYTES, ARENAS_FREE_MAX);
        let tasks = [
            tokio::spawn(pipe::write(line.clone(), queue, writing)).abort_handle(),
            tokio::spawn(pipe::read(line.clone(), reading, arenas, options.response_bytes_max)).abort_handle(),
        ];
        let permits = Arc::new(Semaphore::new(options.in_flight_requests_max.max(1)));
        let client_id = options.client_id.clone();
        let (versions, renewal) = (Versions::default(), OnceLock::new());
        let mut handle = Handle { line, permits, versions, client_id, tasks, renewal };
        handle.versions = handle.agree(options.handshake_timeout()).await?;
        let connection = Self { handle: Arc::new(handle) };
        if let Some(authenticator) = &security.authenticator {
            let opening = sasl::prepare(&connection, authenticator).await?;
            let session = sasl::authenticate(&connection, opening, options.handshake_timeout()).await?;
            if let Some(lifetime) = session {
                let limits = renewal::Limits { lifetime, timeout: options.handshake_timeout() };
                let weak = WeakConnection { handle: Arc::downgrade(&connection.handle) };
                let task = tokio::spawn(renewal::keep(weak, authenticator.clone(), limits)).abort_handle();
                connection.handle.renewal.set(task).expect("it is set here only");
            }
        }
        Ok(connection)
    }

    /// Host and port.
    pub(crate) fn peer(&self) -> &Arc<str> {
        &self.handle.line.peer
    }

    /// Whether requests are still answered.
    pub(crate) fn is_up(&self) -> bool {
        self.handle.line.cause().is_none()
    }

    /// Whether both are clones of one connection.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.handle, &other.handle)
    }

    /// The name this client goes by.
    pub(crate) fn client_id(&self) -> &str {
        &self.handle.client_id
    }

    /// The version of a request to use here.
    pub(crate) fn version<A: Api>(&self) -> Result<i16, ConnectionError> {
        self.handle.versions.pick::<A>().ok_or_else(|| ConnectionError::Unsupported {
            peer: self.peer().clone(),
            what: name::<A>(),
            theirs: self.handle.versions.range(A::KEY),
            ours: (A::VERSION_MIN, A::VERSION_MAX),
        })
    }

    /// An empty buffer for [`Self::send`].
    pub(crate) fn buffer(&self) -> Vec<u8> {
        self.handle.line.take_buffer()
    }

    /// Sends a request and waits for its answer.
    ///
    /// Dropping the future does not take the request back once it is queued.
    pub(crate) async fn call<A: Api>(&self, request: &A, timeout: Duration) -> Result<A::Response, ConnectionError> {
        let (frame, version) = self.encode(request)?;
        let answer = self.handle.exchange(frame, name::<A>(), timeout).await?;
        self.decode::<A>(answer, version)
    }

    /// [`Self::call`] by whoever is alone in the line.
    pub(super) async fn call_alone<A: Api>(
        &self,
        alone: &Alone,
        request: &A,
        timeout: Duration,
    ) -> Result<A::Response, ConnectionError> {
        let (frame, version) = self.encode(request)?;
        let answer = alone.exchange(frame, name::<A>(), timeout).await?;
        self.decode::<A>(answer, version)
    }

    /// Waits for its turn to have the line for itself; see [`Line::alone`].
    pub(super) async fn alone(&self) -> Result<Alone, ConnectionError> {
        self.handle.line.alone().await
    }

    /// Ends the connection for all who hold it.
    pub(super) fn fail(&self, cause: ConnectionError) {
        self.handle.line.fail(cause);
    }

    /// Puts a request in the line at once, its frame started by [`crate::wire::start_frame`]. Requests submitted one
    /// after another leave in that order.
    ///
    /// The caller keeps to fewer requests than the in-flight bound: beyond it the answer is an error.
    pub(crate) fn submit<A: Api>(&self, frame: Vec<u8>, version: i16) -> Result<Pending, ConnectionError> {
        let Ok(permit) = self.handle.permits.clone().try_acquire_owned() else {
            return Err(self.malformed::<A>("more requests in flight than the options allow"));
        };
        let answer = self.handle.line.queue(frame, permit)?;
        Ok(Pending { connection: self.clone(), answer, version })
    }

    fn encode<A: Api>(&self, request: &A) -> Result<(Vec<u8>, i16), ConnectionError> {
        let version = self.version::<A>()?;
        let mut frame = self.buffer();
        encode_request(&mut frame, request, version, self.client_id())
            .map_err(|error| self.malformed::<A>(&error.to_string()))?;
        Ok((frame, version))
    }

    fn decode<A: Api>(&self, answer: Bytes, version: i16) -> Result<A::Response, ConnectionError> {
        decode_response::<A>(answer, version).map_err(|error| {
            let cause = self.malformed::<A>(&error.to_string());
            self.handle.line.fail(cause.clone());
            cause
        })
    }

    fn malformed<A: Api>(&self, detail: &str) -> ConnectionError {
        ConnectionError::Malformed { peer: self.peer().clone(), what: name::<A>(), detail: Arc::from(detail) }
    }
}

/// A request in the line.
pub(crate) struct Pending {
    connection: Connection,
    answer: oneshot::Receiver<Bytes>,
    version: i16,
}

impl Pending {
    /// Waits for the answer to a request of this kind.
    pub(crate) async fn answer<A: Api>(self, timeout: Duration) -> Result<A::Response, ConnectionError> {
        let line = &self.connection.handle.line;
        let answer = line.wait(self.answer, name::<A>(), Instant::now() + timeout, timeout).await?;
        self.connection.decode::<A>(answer, self.version)
    }
}

impl Handle {
    async fn exchange(&self, frame: Vec<u8>, what: &'static str, timeout: Duration) -> Result<Bytes, ConnectionError> {
        let deadline = Instant::now() + timeout;
        let Ok(permit) = tokio::time::timeout_at(deadline, self.permits.clone().acquire_owned()).await else {
            return Err(self.line.time_out(what, timeout));
        };
        let permit = permit.expect("the semaphore is never closed");
        let answer = self.line.queue(frame, permit)?;
        self.line.wait(answer, what, deadline, timeout).await
    }

    /// Asks which versions the broker has. A broker too old for the question answers it in version 0 with an error.
    async fn agree(&self, timeout: Duration) -> Result<Versions, ConnectionError> {
        let mut version = API_VERSIONS_FIRST;
        loop {
            let request = ApiVersionsRequest::default()
                .with_client_software_name(StrBytes::from_static_str("weir"))
                .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
            let request = if version == API_VERSIONS_FALLBACK { ApiVersionsRequest::default() } else { request };
            let malformed = |detail: String| ConnectionError::Malformed {
                peer: self.line.peer.clone(),
                what: "ApiVersions",
                detail: Arc::from(detail),
            };
            let mut frame = Vec::new();
            encode_request(&mut frame, &request, version, &self.client_id)
                .map_err(|error| malformed(error.to_string()))?;
            let mut answer = self.exchange(frame, "ApiVersions", timeout).await?;
            // The error comes first in every version.
            let refused = answer.get(..2) == Some(&ErrorCode::UNSUPPORTED_VERSION.code().to_be_bytes()[..]);
            if refused && version != API_VERSIONS_FALLBACK {
                version = API_VERSIONS_FALLBACK;
                continue;
            }
            let response =
                ApiVersionsResponse::decode(&mut answer, version).map_err(|error| malformed(format!("{error:#}")))?;
            return match ErrorCode::from_wire(response.error_code) {
                Some(code) => Err(malformed(code.to_string())),
                None => Ok(Versions::new(&response)),
            };
        }
    }
}

fn name<A: Api>() -> &'static str {
    crate::wire::name(A::KEY)
}
