//! [`Again`]: reading ranges a second time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use weir_kafka::{Cluster, FetchError, FetchOptions, Fetched, FetchedBatch, Fetcher, OffsetAt};

use super::starts::Whereabouts;
use super::stay::end_of;
use crate::io_thread::IoThread;

/// How long a broker waits for records that are not there: they are, unless they were deleted.
const WAIT: Duration = Duration::from_millis(10);
/// Bytes of one answer: some deliveries, so that what comes back in a row costs one request.
const ANSWER_BYTES: usize = 1 << 20;
/// How long a lane waits for an answer, and everything of its group with it. A question that is not answered by then goes
/// on: its answer is there when it is asked again.
const PATIENCE: Duration = Duration::from_secs(1);
/// Questions that go on at a time, each of another partition; the oldest gives way.
const OPEN_MAX: usize = 4;
/// How long what a broker sent ahead is kept.
const IDLE: Duration = Duration::from_secs(1);
/// Most that answers take: those of questions that go on, the last one, and what came ahead of its next question.
pub(super) const AGAIN_BYTES: usize = (OPEN_MAX + 2) * ANSWER_BYTES;

/// What is at an offset.
pub(super) enum Found {
    /// Batches from it on, and the end of what they cover.
    Batches(VecDeque<FetchedBatch>, u64),
    /// Nothing up to there, ever again.
    Gone(u64),
    /// It could not be had now.
    Failed(String),
}

/// A question about an offset of a partition.
struct Question {
    offset: u64,
    answer: SyncSender<Found>,
}

/// Asks for batches, on behalf of a lane that waits for them. Keeps what the last answer had beyond the question. Each
/// partition is asked for by a task of its own: one whose brokers are silent holds up no other.
pub(super) struct Again {
    runtime: Handle,
    cluster: Cluster,
    options: FetchOptions,
    whereabouts: Whereabouts,
    asked: BTreeMap<u32, Asked>,
    /// Questions so far.
    questions: u64,
    kept: Option<Kept>,
}

/// The task that asks for a partition; it ends with this.
struct Asked {
    questions: mpsc::Sender<Question>,
    task: AbortHandle,
    open: Option<Open>,
}

/// A question without an answer.
struct Open {
    /// Counts questions, so that the oldest is known.
    number: u64,
    offset: u64,
    reply: Receiver<Found>,
}

struct Kept {
    partition: u32,
    from: u64,
    to: u64,
    batches: VecDeque<FetchedBatch>,
}

impl Again {
    pub(super) fn start(io: &IoThread, cluster: &Cluster, whereabouts: Whereabouts, read_committed: bool) -> Self {
        let options = FetchOptions {
            bytes_max: ANSWER_BYTES,
            partition_bytes_max: ANSWER_BYTES,
            wait_max: WAIT,
            read_committed,
            ..FetchOptions::default()
        };
        Self {
            runtime: io.handle().clone(),
            cluster: cluster.clone(),
            options,
            whereabouts,
            asked: BTreeMap::new(),
            questions: 0,
            kept: None,
        }
    }

    /// What is at `offset` and behind it; from memory if the last answer had it. Blocks for [`PATIENCE`] at most.
    pub(super) fn read(&mut self, partition: u32, offset: u64) -> Found {
        if let Some(kept) = &mut self.kept
            && (kept.partition == partition && kept.from <= offset && offset < kept.to)
        {
            while kept.batches.front().is_some_and(|batch| end_of(batch) <= offset) {
                kept.batches.pop_front();
            }
            return Found::Batches(kept.batches.clone(), kept.to);
        }
        self.kept = None;
        let Some(asked) = self.ask(partition, offset) else {
            return Found::Failed("the channel is closed".to_owned());
        };
        let found = asked.open.as_ref().map(|open| open.reply.recv_timeout(PATIENCE));
        match found {
            Some(Err(RecvTimeoutError::Timeout)) => Found::Failed("brokers have not answered yet".to_owned()),
            Some(Ok(found)) => {
                asked.open = None;
                if let Found::Batches(batches, to) = &found {
                    self.kept = Some(Kept { partition, from: offset, to: *to, batches: batches.clone() });
                }
                found
            }
            Some(Err(RecvTimeoutError::Disconnected)) | None => {
                self.asked.remove(&partition);
                Found::Failed("the channel is closed".to_owned())
            }
        }
    }

    /// Keeps nothing of a partition: what was answered is damaged, and another replica may have it whole.
    pub(super) fn forget(&mut self, partition: u32) {
        self.kept = None;
        self.asked.remove(&partition);
    }

    /// Has the question asked, if it is not already.
    fn ask(&mut self, partition: u32, offset: u64) -> Option<&mut Asked> {
        let is_open = |asked: &Asked| asked.open.as_ref().is_some_and(|open| open.offset == offset);
        if !self.asked.get(&partition).is_some_and(is_open) {
            // One that was asked something else and has not answered is of no use; nor is what others were sent ahead.
            let is_idle = |asked: &Asked| asked.open.is_none() && !asked.task.is_finished();
            let idle = self.asked.remove(&partition).filter(is_idle);
            self.asked.retain(|_, asked| asked.open.is_some());
            self.make_room();
            let mut asked = idle.unwrap_or_else(|| self.begin(partition));
            let (answer, reply) = sync_channel(1);
            asked.questions.try_send(Question { offset, answer }).ok()?;
            self.questions += 1;
            asked.open = Some(Open { number: self.questions, offset, reply });
            self.asked.insert(partition, asked);
        }
        self.asked.get_mut(&partition)
    }

    fn make_room(&mut self) {
        while self.asked.len() >= OPEN_MAX {
            let number = |asked: &Asked| asked.open.as_ref().map_or(0, |open| open.number);
            let oldest = self.asked.iter().min_by_key(|(_, asked)| number(asked)).map(|(partition, _)| *partition);
            oldest.and_then(|partition| self.asked.remove(&partition));
        }
    }

    fn begin(&self, partition: u32) -> Asked {
        let (questions, inbox) = mpsc::channel(1);
        let (cluster, options) = (self.cluster.clone(), self.options.clone());
        let whereabouts = self.whereabouts.clone();
        let answerer = async move {
            let fetcher = Fetcher::new(&cluster, options);
            Answerer { fetcher, cluster, whereabouts, partition, open: None }.run(inbox).await;
        };
        Asked { questions, task: self.runtime.spawn(answerer).abort_handle(), open: None }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The other side: a fetcher with one partition.
struct Answerer {
    fetcher: Fetcher,
    cluster: Cluster,
    whereabouts: Whereabouts,
    partition: u32,
    /// Where the next batches begin, if the partition is open.
    open: Option<u64>,
}

impl Answerer {
    /// Answers until it is not asked for a while: what a broker sent ahead is gone then, too.
    async fn run(mut self, mut inbox: mpsc::Receiver<Question>) {
        let patience = self.cluster.options().connection.request_timeout;
        while let Ok(Some(Question { offset, answer })) = timeout(IDLE, inbox.recv()).await {
            let found = match timeout(patience, self.find(offset)).await {
                Ok(found) => found,
                Err(_) => Found::Failed("brokers do not answer".to_owned()),
            };
            if !matches!(found, Found::Batches(..)) {
                self.close();
            }
            // A lane that was stopped does not wait any more.
            let _ = answer.try_send(found);
        }
    }

    async fn find(&mut self, offset: u64) -> Found {
        if self.open != Some(offset) {
            let Ok(from) = i64::try_from(offset) else { return Found::Gone(u64::MAX) };
            self.fetcher.assign(&self.whereabouts.topic, self.partition.cast_signed(), from);
            self.open = Some(offset);
        }
        match self.fetcher.next().await {
            Ok(Fetched { batches, next_offset, .. }) => {
                let next = u64::try_from(next_offset).unwrap_or_default();
                self.open = Some(next);
                Found::Batches(batches.into(), next)
            }
            Err(FetchError::OutOfRange { .. }) => self.gone(offset).await,
            Err(fault) => Found::Failed(weir_engine::chain(&fault)),
        }
    }

    async fn gone(&self, offset: u64) -> Found {
        let first = self.whereabouts.offsets(&self.cluster, &[self.partition], OffsetAt::Earliest).await;
        match first {
            // Above the end: the topic lost it, or was made anew.
            Ok(first) => match first.get(&self.partition).copied() {
                Some(first) if first > offset => Found::Gone(first),
                _ => Found::Gone(u64::MAX),
            },
            Err(error) => Found::Failed(weir_engine::chain(&error)),
        }
    }

    fn close(&mut self) {
        self.open = None;
        self.fetcher.unassign(&self.whereabouts.topic, self.partition.cast_signed());
    }
}
