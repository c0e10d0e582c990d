//! The queue of one shard, and the task that empties it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicIsize;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::Shared;
use super::collection::Collection;
use super::request::{Outcome, Refusal, spread};
use super::submission::{HandedBack, Queued};
use super::window::Window;
use crate::error::{ErrorClass, RequestError};
use crate::faults::Faults;

/// A shard that has accepted nothing for so long is told of in the log: longer than an election usually takes. With little
/// to index nothing else would show it until documents are handed back.
const TOLD_AFTER: Duration = Duration::from_secs(5);

/// One shard of one collection; `name` is empty where any node takes documents.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) name: String,
    pub(super) collection: Arc<Collection>,
    pub(super) shared: Arc<Shared>,
    /// Held for a few moves of documents; never across a wait.
    queue: Mutex<Queue>,
    pushed: Notify,
    /// Documents refused since one was accepted, by whichever request; below 0 while it is known that others are taken.
    pub(super) refused_in_a_row: AtomicIsize,
    /// Held while it is found out whether any document is taken.
    pub(super) probing: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Queue {
    documents: VecDeque<Queued>,
    bytes: usize,
    /// Documents in requests.
    sent: usize,
    /// When the first of `documents` came.
    since: Instant,
    is_running: bool,
    window: Window,
    paused_until: Option<Instant>,
    /// Since when nothing was accepted although it was tried, and whether the log says so.
    troubled_since: Option<Instant>,
    is_told: bool,
}

/// What the task does next.
enum Next {
    Send(Vec<Queued>),
    /// For a moment, or for news.
    Wait(Option<Instant>),
    /// Nothing is queued.
    Idle,
}

impl Shard {
    pub(super) fn new(name: &str, collection: Arc<Collection>, shared: Arc<Shared>) -> Self {
        let queue = Queue {
            documents: VecDeque::new(),
            bytes: 0,
            sent: 0,
            since: Instant::now(),
            is_running: false,
            window: Window::new(&shared.options),
            paused_until: None,
            troubled_since: None,
            is_told: false,
        };
        let (queue, pushed, refused_in_a_row) = (Mutex::new(queue), Notify::new(), AtomicIsize::new(0));
        let probing = tokio::sync::Mutex::default();
        Self { name: name.to_owned(), collection, shared, queue, pushed, refused_in_a_row, probing }
    }

    /// Number of documents in the queue and in requests.
    pub(super) fn waiting(&self) -> usize {
        let queue = self.queue.lock();
        queue.documents.len() + queue.sent
    }

    /// Takes some documents from all over the queue.
    pub(super) fn take_spread(&self, count: usize) -> Vec<Queued> {
        let mut queue = self.queue.lock();
        let mut documents: Vec<_> = std::mem::take(&mut queue.documents).into();
        let taken = spread(&mut documents, count);
        queue.documents = documents.into();
        queue.bytes -= taken.iter().map(|document| document.bytes().len()).sum::<usize>();
        taken
    }

    /// Adds documents, and starts the task if it does not run.
    pub(super) fn push(self: &Arc<Self>, documents: Vec<Queued>) {
        let starts = {
            let mut queue = self.queue.lock();
            if queue.documents.is_empty() {
                queue.since = Instant::now();
            }
            queue.bytes += documents.iter().map(|document| document.bytes().len()).sum::<usize>();
            queue.documents.extend(documents);
            !std::mem::replace(&mut queue.is_running, true)
        };
        if starts {
            tokio::spawn(self.clone().run());
        } else {
            self.pushed.notify_one();
        }
    }

    /// Sends until there is nothing left to send.
    async fn run(self: Arc<Self>) {
        let mut requests: JoinSet<(usize, Outcome)> = JoinSet::new();
        loop {
            while let Some(outcome) = requests.try_join_next() {
                self.learn(outcome.ok()).await;
            }
            match self.next(requests.len()) {
                Next::Send(documents) => {
                    let shard = self.clone();
                    requests.spawn(async move { (documents.len(), shard.request(documents).await) });
                }
                Next::Wait(until) => {
                    tokio::select! {
                        Some(outcome) = requests.join_next() => self.learn(outcome.ok()).await,
                        () = wait_until(until) => {}
                        () = self.pushed.notified() => {}
                    }
                }
                Next::Idle if requests.is_empty() => return,
                Next::Idle => {
                    tokio::select! {
                        Some(outcome) = requests.join_next() => self.learn(outcome.ok()).await,
                        () = self.pushed.notified() => {}
                    }
                }
            }
        }
    }

    fn next(&self, in_flight: usize) -> Next {
        let mut queue = self.queue.lock();
        if queue.documents.is_empty() {
            queue.is_running = in_flight > 0;
            return Next::Idle;
        }
        let now = Instant::now();
        if let Some(until) = queue.paused_until.filter(|until| *until > now) {
            return Next::Wait(Some(until));
        }
        if in_flight >= queue.window.requests() {
            return Next::Wait(None);
        }
        let (documents, bytes) = (queue.window.documents(), queue.window.bytes());
        let ripe = queue.since + self.shared.options.linger;
        if queue.documents.len() < documents && queue.bytes < bytes && ripe > now {
            return Next::Wait(Some(ripe));
        }
        let batch = queue.take(documents, bytes);
        queue.sent += batch.len();
        queue.since = now;
        Next::Send(batch)
    }

    /// Draws conclusions from what became of a request. `None` if its task was ended, and its documents with it.
    async fn learn(self: &Arc<Self>, outcome: Option<(usize, Outcome)>) {
        let Some((sent, outcome)) = outcome else { return };
        let subject = self.subject();
        let (mut is_well, mut was_told) = (false, false);
        {
            let mut queue = self.queue.lock();
            queue.sent = queue.sent.saturating_sub(sent);
            if outcome.accepted > 0 {
                is_well = outcome.failure.is_none();
                was_told = is_well && std::mem::take(&mut queue.is_told);
                queue.troubled_since = None;
            }
            match outcome.refusal {
                Some(Refusal::Documents) => queue.window.refused(),
                Some(Refusal::TooLarge { bytes }) => queue.window.too_large(bytes),
                None if outcome.failure.is_none() => queue.window.succeeded(),
                None => {}
            }
        }
        if was_told {
            tracing::info!(subject, "documents are accepted again");
        }
        if is_well {
            self.shared.set_trouble(&subject, None);
        }
        if let Some((error, documents)) = outcome.failure {
            self.failed(&subject, &error, documents).await;
        }
    }

    async fn failed(self: &Arc<Self>, subject: &str, error: &RequestError, documents: Vec<Queued>) {
        let message = format!("{subject}: {}", error.chain());
        // What documents are at fault for does not get here: see `request`.
        let is_permanent = matches!(error.class(), ErrorClass::Denied | ErrorClass::Documents);
        tracing::debug!(subject, error = %error.chain(), documents = documents.len(), "a request failed");
        let faults = &self.shared.options.faults;
        faults.count(Faults::kind(error));
        let (handed_back, is_news) = {
            let mut queue = self.queue.lock();
            let now = Instant::now();
            let since = *queue.troubled_since.get_or_insert(now);
            let pause = queue.window.failed(fastrand::f64()).max(error.retry_after().unwrap_or_default());
            // Another request may have been asked to wait longer.
            queue.paused_until = queue.paused_until.max(Some(now + pause));
            queue.put_back(documents);
            let is_over = is_permanent || since.elapsed() >= self.shared.options.hand_back_after;
            let is_news = !queue.is_told && (is_over || since.elapsed() >= TOLD_AFTER);
            queue.is_told |= is_news;
            if is_over {
                queue.troubled_since = None;
                (queue.take_all(), is_news)
            } else {
                (Vec::new(), is_news)
            }
        };
        if handed_back.is_empty() {
            faults.count(Faults::SENT_AGAIN);
        }
        if is_news {
            tracing::warn!(subject, error = %error.chain(), "no documents are accepted");
        }
        self.shared.set_trouble(subject, Some(message.clone()));
        let hand_back = HandedBack { message, is_permanent };
        for document in handed_back {
            document.hand_back(&hand_back);
        }
        if error.class() == ErrorClass::Moved {
            self.look_again().await;
        }
    }

    /// Asks who leads now; if the shard is not there any more its documents go where they belong now.
    async fn look_again(self: &Arc<Self>) {
        let before = self.collection.state();
        let state = match self.collection.refresh(&self.shared).await {
            Ok(state) => state,
            Err(error @ RequestError::NoCollection { .. }) => return self.give_up(&error),
            Err(_) => return,
        };
        let range = |state: &crate::state::CollectionState| {
            state.shards.iter().find(|shard| shard.name == self.name).and_then(|shard| shard.range)
        };
        let moved = match state.is_routed_by_id {
            true => self.name.is_empty() || before.is_none_or(|before| range(&before) != range(&state)),
            false => !self.name.is_empty(),
        };
        // Documents in requests come back to this queue, find out the same way, and follow.
        if moved || (state.is_routed_by_id && range(&state).is_none()) {
            let documents = {
                let mut queue = self.queue.lock();
                queue.troubled_since = None;
                queue.take_all()
            };
            // Whatever was wrong here is wrong elsewhere now.
            self.shared.set_trouble(&self.subject(), None);
            self.collection.place(&self.shared, documents);
        }
    }
    /// The collection is gone: whoever submitted the documents may make it again. Those in requests come back to this queue
    /// and find out the same way.
    fn give_up(&self, error: &RequestError) {
        let documents = {
            let mut queue = self.queue.lock();
            queue.troubled_since = None;
            queue.take_all()
        };
        self.shared.set_trouble(&self.subject(), None);
        self.shared.forget(&self.collection);
        let why = HandedBack { message: format!("{}: {}", self.subject(), error.chain()), is_permanent: false };
        for document in documents {
            document.hand_back(&why);
        }
    }

    /// What messages call it.
    fn subject(&self) -> String {
        match self.name.as_str() {
            "" => self.collection.name().to_owned(),
            shard => format!("{}/{shard}", self.collection.name()),
        }
    }
}

impl Queue {
    fn take_all(&mut self) -> Vec<Queued> {
        self.bytes = 0;
        self.documents.drain(..).collect()
    }

    /// The first documents, at least one, within the limits, that may be in one request.
    fn take(&mut self, documents: usize, bytes: usize) -> Vec<Queued> {
        let (mut count, mut sum) = (0, 0);
        let first = self.documents.front().and_then(Queued::encoding);
        for document in self.documents.iter().take(documents) {
            sum += document.bytes().len();
            let joins = first.zip(document.encoding()).is_some_and(|(first, other)| first.joins(other));
            if count > 0 && (sum > bytes || !joins) {
                break;
            }
            count += 1;
        }
        let taken: Vec<_> = self.documents.drain(..count).collect();
        self.bytes -= taken.iter().map(|document| document.bytes().len()).sum::<usize>();
        taken
    }

    /// Back to the front, in their order.
    fn put_back(&mut self, documents: Vec<Queued>) {
        for document in documents.into_iter().rev() {
            self.bytes += document.bytes().len();
            self.documents.push_front(document);
        }
    }
}

async fn wait_until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
