//! [`Connection`]: requests in a line.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::{Decodable, StrBytes};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use weir_event::ArenaPool;

use super::{ConnectionError, ConnectionOptions, TlsContext, pipe, sasl};
use crate::ErrorCode;
use crate::wire::{Api, Versions, decode_response, encode_request, finish_frame};

/// Answers are read into buffers of this size, which are used again; larger ones grow and are not kept past twice it.
const ARENA_BYTES: usize = 1 << 20;
/// Free buffers kept per connection.
const ARENAS_FREE_MAX: usize = 8;
/// Free request buffers kept per connection, and the size above which one is not kept.
const BUFFERS_FREE_MAX: usize = 4;
const BUFFER_BYTES_KEPT_MAX: usize = 16 << 20;
/// API versions of an ApiVersions request: what to ask with first, and what every broker understands.
const API_VERSIONS_FIRST: i16 = 3;
const API_VERSIONS_FALLBACK: i16 = 0;

/// What both tasks and all callers share.
pub(super) struct Line {
    pub(super) peer: Arc<str>,
    /// Set once, by whoever sees the end first.
    failure: watch::Sender<Option<ConnectionError>>,
    /// Guards the order: correlation ids are given out and frames queued under it.
    waiters: Mutex<Waiters>,
    buffers: Mutex<Vec<Vec<u8>>>,
}

#[derive(Default)]
struct Waiters {
    next_correlation_id: i32,
    line: VecDeque<Waiter>,
}

struct Waiter {
    correlation_id: i32,
    answer: oneshot::Sender<Bytes>,
    /// Held until the answer is here, even if nobody waits for it any more.
    _permit: OwnedSemaphorePermit,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    /// Ends the connection. The first cause counts.
    pub(super) fn fail(&self, cause: ConnectionError) {
        self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            if first {
                tracing::debug!(peer = %self.peer, error = %cause, "connection ends");
                *failure = Some(cause);
            }
            first
        });
        lock(&self.waiters).line.clear();
    }

    /// Completes when the connection has failed.
    pub(super) async fn failed(&self) {
        let mut failure = self.failure.subscribe();
        // The sender is part of `self`, so it is there.
        let _ = failure.wait_for(Option::is_some).await;
    }

    fn time_out(&self, what: &'static str, after: Duration) -> ConnectionError {
        let cause = ConnectionError::TimedOut { peer: self.peer.clone(), what, after };
        self.fail(cause.clone());
        cause
    }

    fn cause_or_closed(&self) -> ConnectionError {
        self.cause().unwrap_or_else(|| ConnectionError::Closed { peer: self.peer.clone() })
    }

    fn cause(&self) -> Option<ConnectionError> {
        self.failure.borrow().clone()
    }

    /// Hands an answer to the first waiter.
    pub(super) fn answer(&self, mut answer: Bytes) -> Result<(), String> {
        let correlation_id = pipe::take_correlation_id(&mut answer);
        let Some(waiter) = lock(&self.waiters).line.pop_front() else {
            return Err("an answer that nobody waits for".to_owned());
        };
        if waiter.correlation_id != correlation_id {
            return Err(format!("correlation id {correlation_id} where {} is due", waiter.correlation_id));
        }
        // A caller that has stopped waiting is no fault.
        let _ = waiter.answer.send(answer);
        Ok(())
    }

    pub(super) fn give_buffer(&self, buffer: Vec<u8>) {
        let mut buffers = lock(&self.buffers);
        if buffers.len() < BUFFERS_FREE_MAX && buffer.capacity() <= BUFFER_BYTES_KEPT_MAX {
            buffers.push(buffer);
        }
    }
}

/// A connection to one broker. Cloning shares it; it closes with the last clone.
#[derive(Clone)]
pub(crate) struct Connection {
    handle: Arc<Handle>,
}

struct Handle {
    line: Arc<Line>,
    frames: mpsc::UnboundedSender<Vec<u8>>,
    permits: Arc<Semaphore>,
    versions: Versions,
    client_id: String,
    tasks: [AbortHandle; 2],
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Connection {
    /// Connects to `peer` (host and port), agrees on versions and authenticates.
    pub(crate) async fn open(
        peer: &str,
        options: &ConnectionOptions,
        tls: Option<&TlsContext>,
    ) -> Result<Self, ConnectionError> {
        let after = options.connect_timeout;
        let name: Arc<str> = Arc::from(peer);
        let opened = tokio::time::timeout(after, Self::establish(name.clone(), options, tls)).await;
        opened.unwrap_or(Err(ConnectionError::TimedOut { peer: name, what: "the handshake", after }))
    }

    async fn establish(
        peer: Arc<str>,
        options: &ConnectionOptions,
        tls: Option<&TlsContext>,
    ) -> Result<Self, ConnectionError> {
        let (reading, writing) = pipe::open(&peer, tls)
            .await
            .map_err(|source| ConnectionError::Connect { peer: peer.clone(), source: Arc::new(source) })?;
        let line = Arc::new(Line {
            peer,
            failure: watch::channel(None).0,
            waiters: Mutex::default(),
            buffers: Mutex::default(),
        });
        // Not bounded by itself: a permit is needed to put anything in.
        let (frames, queue) = mpsc::unbounded_channel();
        let arenas = ArenaPool::new(ARENA_BYTES, ARENAS_FREE_MAX);
        let tasks = [
            tokio::spawn(pipe::write(line.clone(), queue, writing)).abort_handle(),
            tokio::spawn(pipe::read(line.clone(), reading, arenas, options.response_bytes_max)).abort_handle(),
        ];
        let permits = Arc::new(Semaphore::new(options.in_flight_requests_max.max(1)));
        let client_id = options.client_id.clone();
        let mut handle = Handle { line, frames, permits, versions: Versions::default(), client_id, tasks };
        handle.versions = handle.agree(options.connect_timeout).await?;
        let connection = Self { handle: Arc::new(handle) };
        if let Some(credentials) = &options.security.sasl {
            sasl::authenticate(&connection, credentials, options.connect_timeout).await?;
        }
        Ok(connection)
    }

    /// Host and port.
    pub(crate) fn peer(&self) -> &Arc<str> {
        &self.handle.line.peer
    }

    /// Whether requests are still answered.
    pub(crate) fn is_up(&self) -> bool {
        self.handle.line.failure.borrow().is_none()
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
        lock(&self.handle.line.buffers).pop().unwrap_or_default()
    }

    /// Sends a request and waits for its answer.
    ///
    /// Dropping the future does not take the request back once it is queued.
    pub(crate) async fn call<A: Api>(&self, request: &A, timeout: Duration) -> Result<A::Response, ConnectionError> {
        let version = self.version::<A>()?;
        let mut frame = self.buffer();
        encode_request(&mut frame, request, version, self.client_id())
            .map_err(|error| self.malformed::<A>(&error.to_string()))?;
        self.send::<A>(frame, version, timeout).await
    }

    /// Puts a request in the line at once, its frame started by [`crate::wire::start_frame`]. Requests submitted one
    /// after another leave in that order.
    ///
    /// The caller keeps to fewer requests than the in-flight bound: beyond it the answer is an error.
    pub(crate) fn submit<A: Api>(&self, frame: Vec<u8>, version: i16) -> Result<Pending, ConnectionError> {
        let Ok(permit) = self.handle.permits.clone().try_acquire_owned() else {
            return Err(self.malformed::<A>("more requests in flight than the options allow"));
        };
        let answer = self.handle.queue(frame, permit)?;
        Ok(Pending { connection: self.clone(), answer, version })
    }

    async fn send<A: Api>(
        &self,
        frame: Vec<u8>,
        version: i16,
        timeout: Duration,
    ) -> Result<A::Response, ConnectionError> {
        let answer = self.handle.exchange(frame, name::<A>(), timeout).await?;
        self.decode::<A>(answer, version)
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
        match tokio::time::timeout(timeout, self.answer).await {
            Ok(Ok(answer)) => self.connection.decode::<A>(answer, self.version),
            Ok(Err(_)) => Err(line.cause_or_closed()),
            Err(_) => Err(line.time_out(name::<A>(), timeout)),
        }
    }
}

impl Handle {
    async fn exchange(&self, frame: Vec<u8>, what: &'static str, timeout: Duration) -> Result<Bytes, ConnectionError> {
        let deadline = tokio::time::Instant::now() + timeout;
        let Ok(permit) = tokio::time::timeout_at(deadline, self.permits.clone().acquire_owned()).await else {
            return Err(self.line.time_out(what, timeout));
        };
        let permit = permit.expect("the semaphore is never closed");
        let answer = self.queue(frame, permit)?;
        match tokio::time::timeout_at(deadline, answer).await {
            Ok(answer) => answer.map_err(|_| self.line.cause_or_closed()),
            Err(_) => Err(self.line.time_out(what, timeout)),
        }
    }

    /// Gives the next place in the line to a request.
    fn queue(
        &self,
        mut frame: Vec<u8>,
        permit: OwnedSemaphorePermit,
    ) -> Result<oneshot::Receiver<Bytes>, ConnectionError> {
        let (sender, answer) = oneshot::channel();
        let mut waiters = lock(&self.line.waiters);
        if let Some(cause) = self.line.cause() {
            return Err(cause);
        }
        let correlation_id = waiters.next_correlation_id;
        waiters.next_correlation_id = correlation_id.wrapping_add(1);
        finish_frame(&mut frame, correlation_id);
        waiters.line.push_back(Waiter { correlation_id, answer: sender, _permit: permit });
        // The writer ends only with a failure, which clears the line.
        let _ = self.frames.send(frame);
        Ok(answer)
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
