//! One request whose body grows: a PUT or POST to a DataNode.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Url};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::client::{Client, authority, error, of_transport};
use super::remote::refusal;
use crate::{HdfsError, HdfsErrorKind};

/// Pieces that wait, besides their bytes.
const PIECES_MAX: usize = 256;

/// A body being sent. Dropped, it cuts the connection.
pub(super) struct Upload {
    url: Url,
    path: String,
    operation: &'static str,
    queue: Option<mpsc::Sender<Piece>>,
    room: Arc<Semaphore>,
    queue_bytes: u32,
    shared: Arc<Shared>,
    task: JoinHandle<Result<(), HdfsError>>,
    client: Arc<Client>,
}

type Piece = (Bytes, OwnedSemaphorePermit);

struct Shared {
    start: Instant,
    /// Milliseconds after `start` when the connection last took something.
    moved_ms: AtomicU64,
    /// Whether the end of the queue is the end of the body.
    whole: AtomicBool,
}

impl Shared {
    fn moved(&self) {
        self.moved_ms.store(self.start.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.start + Duration::from_millis(self.moved_ms.load(Ordering::Relaxed))
    }
}

struct Body {
    queue: mpsc::Receiver<Piece>,
    shared: Arc<Shared>,
}

impl Stream for Body {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.queue.poll_recv(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some((bytes, _room))) => {
                self.shared.moved();
                Poll::Ready(Some(Ok(bytes)))
            }
            Poll::Ready(None) if self.shared.whole.load(Ordering::Acquire) => Poll::Ready(None),
            // The writer is gone: an end here would look like the end of the file.
            Poll::Ready(None) => Poll::Ready(Some(Err(std::io::Error::other("the writer gave up")))),
        }
    }
}

impl Upload {
    /// Begins to send; the client's runtime goes on with it.
    pub(super) fn begin(client: &Arc<Client>, method: Method, operation: &'static str, path: &str, url: Url) -> Self {
        let (sender, queue) = mpsc::channel(PIECES_MAX);
        let shared =
            Arc::new(Shared { start: Instant::now(), moved_ms: AtomicU64::new(0), whole: AtomicBool::new(false) });
        let queue_bytes = client.options.queue_bytes.max(1);
        let body = reqwest::Body::wrap_stream(Body { queue, shared: Arc::clone(&shared) });
        let work = send(Arc::clone(client), method, operation, path.to_owned(), url.clone(), body);
        Self {
            url,
            path: path.to_owned(),
            operation,
            queue: Some(sender),
            room: Arc::new(Semaphore::new(queue_bytes as usize)),
            queue_bytes,
            shared,
            task: client.runtime.get_or_init(Handle::current).spawn(work),
            client: Arc::clone(client),
        }
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Queues; waits while the queue is full.
    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<(), HdfsError> {
        let count = u32::try_from(bytes.len()).unwrap_or(u32::MAX).clamp(1, self.queue_bytes);
        let queue = self.queue.clone().expect("only `end` takes the queue, and it takes the upload");
        let room = Arc::clone(&self.room);
        if self.room.available_permits() == self.queue_bytes as usize {
            // Nothing waited: the time without anything to send does not count.
            self.shared.moved();
        }
        let work = async move {
            let room = room.acquire_many_owned(count).await;
            let room = room.expect("the semaphore is never closed");
            queue.send((bytes, room)).await
        };
        // That nobody takes it any more is what the task says better.
        match self.patiently(work, self.client.options.write_timeout).await? {
            Ok(()) => Ok(()),
            Err(_gone) => Err((&mut self.task).await.map_or_else(
                |broken| self.broken(&broken),
                |result| {
                    result
                        .err()
                        .unwrap_or_else(|| self.failed(HdfsErrorKind::Other, "it answered before the file was whole"))
                },
            )),
        }
    }

    /// Ends the body and waits until the server has the file: `patience` after the last byte went out, or as long as a silent
    /// DataNode behind it takes.
    pub(super) async fn end(mut self, patience: Duration) -> Result<(), HdfsError> {
        self.shared.whole.store(true, Ordering::Release);
        self.shared.moved();
        self.queue = None;
        let mut look = self.shared.last() + patience;
        loop {
            tokio::select! {
                result = &mut self.task => return result.unwrap_or_else(|broken| Err(self.broken(&broken))),
                () = sleep_until(look) => look = self.look(patience).await?,
            }
        }
    }

    /// Waits for `work` while the connection moves and the request is not over.
    async fn patiently<T>(&mut self, work: impl Future<Output = T>, patience: Duration) -> Result<T, HdfsError> {
        tokio::pin!(work);
        let mut look = self.shared.last() + patience;
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                result = &mut self.task => {
                    let early = || self.failed(HdfsErrorKind::Other, "it answered before the file was whole");
                    return Err(match result {
                        Ok(result) => result.err().unwrap_or_else(early),
                        Err(broken) => self.broken(&broken),
                    });
                }
                () = sleep_until(look) => look = self.look(patience).await?,
            }
        }
    }

    /// Looks whether a body that may have stood still for `patience` is to be waited for: when to look again.
    async fn look(&self, patience: Duration) -> Result<Instant, HdfsError> {
        let last = self.shared.last();
        if last + patience > Instant::now() {
            return Ok(last + patience);
        }
        let still = |why: &str| {
            let seconds = last.elapsed().as_secs_f32();
            self.failed(HdfsErrorKind::Timeout, &format!("it took nothing for {seconds:.1} s{why}"))
        };
        if !self.client.answers(&self.url).await {
            let error = still("");
            self.client.exclude(&self.url, &error.detail).await;
            return Err(error);
        }
        // Not this one is silent but another behind it, of which we do not know.
        let limit = last + self.client.options.pipeline_timeout;
        if limit <= Instant::now() {
            return Err(still(", though it answers: a DataNode behind it may be silent"));
        }
        Ok((Instant::now() + patience).min(limit))
    }

    fn broken(&self, cause: &tokio::task::JoinError) -> HdfsError {
        self.failed(HdfsErrorKind::Other, &cause.to_string())
    }

    fn failed(&self, kind: HdfsErrorKind, detail: &str) -> HdfsError {
        error(kind, self.operation, &self.path, &authority(&self.url), detail)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn send(
    client: Arc<Client>,
    method: Method,
    operation: &'static str,
    path: String,
    url: Url,
    body: reqwest::Body,
) -> Result<(), HdfsError> {
    let peer = authority(&url);
    let failed = |kind, detail| error(kind, operation, &path, &peer, detail);
    let request = client.http.request(method, url).header(CONTENT_TYPE, "application/octet-stream").body(body);
    // An HttpFS is its own DataNode, and asks for proof here, too.
    let own = client.authenticator.negotiates() && client.options.addresses.contains(&peer);
    let request = match own {
        true => client.authenticator.prove(&peer, request).await.map(|(request, _)| request),
        false => Ok(request),
    };
    let request = request.map_err(|detail| failed(HdfsErrorKind::PermissionDenied, detail))?;
    let response = request.send().await.map_err(|cause| failed(HdfsErrorKind::Unavailable, of_transport(cause)))?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let body = response.bytes().await.unwrap_or_default();
    let refusal = refusal(status, &body);
    Err(failed(refusal.kind, refusal.detail))
}
