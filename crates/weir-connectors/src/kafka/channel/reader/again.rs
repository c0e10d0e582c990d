//! [`Again`]: reading ranges a second time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use weir_kafka::{Cluster, FetchError, FetchOptions, Fetched, FetchedBatch, Fetcher, OffsetAt};

use super::starts::Whereabouts;
use super::stay::end_of;
use crate::kafka::runtime::IoThread;

/// How long a broker waits for records that are not there: they are, unless they were deleted.
const WAIT: Duration = Duration::from_millis(10);
/// Bytes of one answer: some deliveries, so that what comes back in a row costs one request.
const ANSWER_BYTES: usize = 2 << 20;
/// Questions underway: one, and those that nobody waits for any more.
const QUESTIONS_MAX: usize = 4;
/// How long what a broker sent ahead is kept.
const IDLE: Duration = Duration::from_secs(1);

/// What is at an offset.
pub(super) enum Found {
    /// Batches from it on, and the end of what they cover.
    Batches(VecDeque<FetchedBatch>, u64),
    /// Nothing up to there, ever again.
    Gone(u64),
    /// It could not be had now.
    Failed(String),
}

struct Question {
    partition: u32,
    offset: u64,
    answer: std::sync::mpsc::SyncSender<Found>,
}

/// Asks for batches, on behalf of a lane that waits for them. Keeps what the last answer had beyond the question.
pub(super) struct Again {
    questions: mpsc::Sender<Question>,
    patience: Duration,
    kept: Option<Kept>,
}

struct Kept {
    partition: u32,
    from: u64,
    to: u64,
    batches: VecDeque<FetchedBatch>,
}

impl Again {
    pub(super) fn start(io: &IoThread, cluster: &Cluster, whereabouts: Whereabouts, read_committed: bool) -> Self {
        let (questions, inbox) = mpsc::channel(QUESTIONS_MAX);
        let patience = cluster.options().connection.request_timeout;
        let options = FetchOptions {
            bytes_max: ANSWER_BYTES,
            partition_bytes_max: ANSWER_BYTES,
            wait_max: WAIT,
            read_committed,
            ..FetchOptions::default()
        };
        let cluster = cluster.clone();
        let answerer = async move {
            Answerer { fetcher: Fetcher::new(&cluster, options), cluster, whereabouts, patience, open: None }
                .run(inbox)
                .await;
        };
        io.spawn(answerer);
        Self { questions, patience, kept: None }
    }

    /// What is at `offset` and behind it; from memory if the last answer had it. Blocks for a request timeout at most.
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
        let (answer, reply) = std::sync::mpsc::sync_channel(1);
        if self.questions.try_send(Question { partition, offset, answer }).is_err() {
            return Found::Failed("the channel is closed, or its brokers have not answered for long".to_owned());
        }
        // A moment more than the other side takes: its answer says why.
        let found = reply.recv_timeout(self.patience * 2);
        let found = found.unwrap_or_else(|_| Found::Failed("brokers do not answer".to_owned()));
        if let Found::Batches(batches, to) = &found {
            self.kept = Some(Kept { partition, from: offset, to: *to, batches: batches.clone() });
        }
        found
    }
}

/// The other side: a fetcher with one partition at a time.
struct Answerer {
    fetcher: Fetcher,
    cluster: Cluster,
    whereabouts: Whereabouts,
    patience: Duration,
    /// The partition that is open, and where its next batches begin.
    open: Option<(u32, u64)>,
}

impl Answerer {
    async fn run(mut self, mut inbox: mpsc::Receiver<Question>) {
        loop {
            let question = match timeout(IDLE, inbox.recv()).await {
                Ok(Some(question)) => question,
                Ok(None) => return,
                Err(_) => {
                    self.close();
                    // Nothing is kept any more, so this may take as long as it likes.
                    let Some(question) = inbox.recv().await else { return };
                    question
                }
            };
            let found = match timeout(self.patience, self.find(question.partition, question.offset)).await {
                Ok(found) => found,
                Err(_) => Found::Failed("brokers do not answer".to_owned()),
            };
            if !matches!(found, Found::Batches(..)) {
                self.close();
            }
            // A lane that was stopped does not wait any more.
            let _ = question.answer.try_send(found);
        }
    }

    async fn find(&mut self, partition: u32, offset: u64) -> Found {
        if self.open != Some((partition, offset)) {
            self.close();
            let Ok(from) = i64::try_from(offset) else { return Found::Gone(u64::MAX) };
            self.fetcher.assign(&self.whereabouts.topic, partition.cast_signed(), from);
            self.open = Some((partition, offset));
        }
        match self.fetcher.next().await {
            Ok(Fetched { batches, next_offset, .. }) => {
                let next = u64::try_from(next_offset).unwrap_or_default();
                self.open = Some((partition, next));
                Found::Batches(batches.into(), next)
            }
            Err(FetchError::OutOfRange { .. }) => self.gone(partition, offset).await,
            Err(fault) => Found::Failed(weir_engine::chain(&fault)),
        }
    }

    async fn gone(&self, partition: u32, offset: u64) -> Found {
        let first = self.whereabouts.offsets(&self.cluster, &[partition], OffsetAt::Earliest).await;
        match first {
            // Above the end: the topic lost it, or was made anew.
            Ok(first) => match first.get(&partition).copied() {
                Some(first) if first > offset => Found::Gone(first),
                _ => Found::Gone(u64::MAX),
            },
            Err(error) => Found::Failed(weir_engine::chain(&error)),
        }
    }

    fn close(&mut self) {
        if let Some((partition, _)) = self.open.take() {
            let topic: Arc<str> = self.whereabouts.topic.as_str().into();
            self.fetcher.unassign(&topic, partition.cast_signed());
        }
    }
}
