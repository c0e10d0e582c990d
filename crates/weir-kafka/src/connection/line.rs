//! [`Line`]: the requests of a connection in their order, and what became of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::{ConnectionError, pipe};
use crate::wire::finish_frame;

/// Free request buffers kept per connection, and the size above which one is not kept.
const BUFFERS_FREE_MAX: usize = 4;
const BUFFER_BYTES_KEPT_MAX: usize = 16 << 20;

/// What both tasks and all callers share.
pub(super) struct Line {
    pub(super) peer: Arc<str>,
    /// Set once, by whoever sees the end first.
    failure: watch::Sender<Option<ConnectionError>>,
    /// Guards the order: correlation ids are given out and frames queued under it.
    waiters: Mutex<Waiters>,
    buffers: Mutex<Vec<Vec<u8>>>,
    /// To the writer task. Not bounded by itself: a permit, or being alone, is needed to put anything in.
    frames: mpsc::UnboundedSender<Vec<u8>>,
    /// Told when somebody who wants to be alone may be.
    empty: Notify,
}

#[derive(Default)]
struct Waiters {
    next_correlation_id: i32,
    line: VecDeque<Waiter>,
    /// While somebody is, or is about to be, alone in the line: those who came after, in order.
    held: Option<VecDeque<Entry>>,
}

/// A request before it has a place in the line.
struct Entry {
    frame: Vec<u8>,
    answer: oneshot::Sender<Bytes>,
    permit: Option<OwnedSemaphorePermit>,
}

struct Waiter {
    correlation_id: i32,
    answer: oneshot::Sender<Bytes>,
    /// Held until the answer is here, even if nobody waits for it any more.
    _permit: Option<OwnedSemaphorePermit>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    pub(super) fn new(peer: Arc<str>, frames: mpsc::UnboundedSender<Vec<u8>>) -> Self {
        Self {
            peer,
            failure: watch::channel(None).0,
            waiters: Mutex::default(),
            buffers: Mutex::default(),
            frames,
            empty: Notify::new(),
        }
    }

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
        let mut waiters = lock(&self.waiters);
        waiters.line.clear();
        waiters.held = None;
        drop(waiters);
        self.empty.notify_one();
    }

    /// Completes when the connection has failed.
    pub(super) async fn failed(&self) {
        let mut failure = self.failure.subscribe();
        // The sender is part of `self`, so it is there.
        let _ = failure.wait_for(Option::is_some).await;
    }

    pub(super) fn time_out(&self, what: &'static str, after: Duration) -> ConnectionError {
        let cause = ConnectionError::TimedOut { peer: self.peer.clone(), what, after };
        self.fail(cause.clone());
        cause
    }

    pub(super) fn cause_or_closed(&self) -> ConnectionError {
        self.cause().unwrap_or_else(|| ConnectionError::Closed { peer: self.peer.clone() })
    }

    pub(super) fn cause(&self) -> Option<ConnectionError> {
        self.failure.borrow().clone()
    }

    /// Hands an answer to the first waiter.
    pub(super) fn answer(&self, mut answer: Bytes) -> Result<(), String> {
        let correlation_id = pipe::take_correlation_id(&mut answer);
        let mut waiters = lock(&self.waiters);
        let Some(waiter) = waiters.line.pop_front() else {
            return Err("an answer that nobody waits for".to_owned());
        };
        if waiters.line.is_empty() && waiters.held.is_some() {
            self.empty.notify_one();
        }
        drop(waiters);
        if waiter.correlation_id != correlation_id {
            return Err(format!("correlation id {correlation_id} where {} is due", waiter.correlation_id));
        }
        // A caller that has stopped waiting is no fault.
        let _ = waiter.answer.send(answer);
        Ok(())
    }

    /// Gives the next place in the line to a request.
    pub(super) fn queue(
        &self,
        frame: Vec<u8>,
        permit: OwnedSemaphorePermit,
    ) -> Result<oneshot::Receiver<Bytes>, ConnectionError> {
        let (answer, receiver) = oneshot::channel();
        let entry = Entry { frame, answer, permit: Some(permit) };
        let mut waiters = lock(&self.waiters);
        if let Some(cause) = self.cause() {
            return Err(cause);
        }
        match &mut waiters.held {
            Some(held) => held.push_back(entry),
            None => self.enter(&mut waiters, entry),
        }
        Ok(receiver)
    }

    fn enter(&self, waiters: &mut Waiters, entry: Entry) {
        let Entry { mut frame, answer, permit } = entry;
        let correlation_id = waiters.next_correlation_id;
        waiters.next_correlation_id = correlation_id.wrapping_add(1);
        finish_frame(&mut frame, correlation_id);
        waiters.line.push_back(Waiter { correlation_id, answer, _permit: permit });
        // The writer ends only with a failure, which clears the line.
        let _ = self.frames.send(frame);
    }

    /// Holds back all further requests and waits until those before are answered. Their own time limits bound this wait.
    ///
    /// Cancelling lets the others go on. One caller at a time: there is one task per connection that does this.
    pub(super) async fn alone(self: &Arc<Self>) -> Result<Alone, ConnectionError> {
        lock(&self.waiters).held.get_or_insert_default();
        let alone = Alone { line: self.clone() };
        loop {
            let empty = self.empty.notified();
            if let Some(cause) = self.cause() {
                return Err(cause);
            }
            if lock(&self.waiters).line.is_empty() {
                return Ok(alone);
            }
            empty.await;
        }
    }

    /// Waits for an answer. Silence until `deadline`, which was `timeout` away, ends the connection.
    pub(super) async fn wait(
        &self,
        answer: oneshot::Receiver<Bytes>,
        what: &'static str,
        deadline: tokio::time::Instant,
        timeout: Duration,
    ) -> Result<Bytes, ConnectionError> {
        match tokio::time::timeout_at(deadline, answer).await {
            Ok(answer) => answer.map_err(|_| self.cause_or_closed()),
            Err(_) => Err(self.time_out(what, timeout)),
        }
    }

    pub(super) fn take_buffer(&self) -> Vec<u8> {
        lock(&self.buffers).pop().unwrap_or_default()
    }

    pub(super) fn give_buffer(&self, buffer: Vec<u8>) {
        let mut buffers = lock(&self.buffers);
        if buffers.len() < BUFFERS_FREE_MAX && buffer.capacity() <= BUFFER_BYTES_KEPT_MAX {
            buffers.push(buffer);
        }
    }
}

/// The line without anybody else in it. Dropping it lets in those who were held back, in their order.
pub(super) struct Alone {
    line: Arc<Line>,
}

impl Alone {
    /// Sends a request and waits for its answer.
    pub(super) async fn exchange(
        &self,
        frame: Vec<u8>,
        what: &'static str,
        timeout: Duration,
    ) -> Result<Bytes, ConnectionError> {
        let (sender, answer) = oneshot::channel();
        {
            let mut waiters = lock(&self.line.waiters);
            if let Some(cause) = self.line.cause() {
                return Err(cause);
            }
            self.line.enter(&mut waiters, Entry { frame, answer: sender, permit: None });
        }
        self.line.wait(answer, what, tokio::time::Instant::now() + timeout, timeout).await
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let mut waiters = lock(&self.line.waiters);
        for entry in waiters.held.take().unwrap_or_default() {
            self.line.enter(&mut waiters, entry);
        }
    }
}
