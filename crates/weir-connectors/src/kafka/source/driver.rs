//! The driver: one task that reads for the whole source, and knows how far each partition is.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};
use weir_engine::chain;
use weir_engine::ledger::SourceLedger;
use weir_engine::receipt::ReceiptFailure;
use weir_engine::source::SourceError;
use weir_engine::stop::StopSignal;
use weir_kafka::{Cluster, ClusterOptions, Commit, Fetcher, Place};

use super::config::KafkaSourceSpec;
use super::credit::Credits;
use super::member::{Ask, Keeping};
use super::partition::{Owned, Phase};
use super::topics;
use super::watch::Watch;
use super::work::{Event, Work};
use crate::kafka::connection::connect;

/// Longest time between looks at what has a time of its own: rests, deadlines, lag.
const TICK_MAX: Duration = Duration::from_secs(1);
/// What the last commit and the leave may take beyond the deadline of a stop.
const FAREWELL: Duration = Duration::from_secs(1);

/// What the driver is made of before there is a connection.
pub(super) struct Driver {
    pub(super) name: String,
    pub(super) spec: KafkaSourceSpec,
    pub(super) cluster: ClusterOptions,
    pub(super) credits: Arc<Credits>,
    pub(super) lanes: Vec<mpsc::UnboundedSender<Work>>,
    pub(super) events: mpsc::UnboundedSender<Event>,
    pub(super) inbox: mpsc::UnboundedReceiver<Event>,
}

/// Partitions that are being given up.
pub(super) struct Revoking {
    pub(super) places: Vec<Place>,
    /// What is not settled then is read again by the next owner.
    pub(super) until: Instant,
}

/// The driver at work.
pub(super) struct Reader {
    pub(super) name: String,
    pub(super) spec: KafkaSourceSpec,
    pub(super) cluster: Cluster,
    pub(super) credits: Arc<Credits>,
    pub(super) lanes: Vec<mpsc::UnboundedSender<Work>>,
    pub(super) events: mpsc::UnboundedSender<Event>,
    pub(super) ledger: Arc<SourceLedger>,
    pub(super) fetcher: Fetcher,
    pub(super) partitions: BTreeMap<Place, Owned>,
    /// The last epoch given out.
    pub(super) epoch: u64,
    pub(super) is_paused: bool,
    pub(super) is_committing: bool,
    /// Times that partitions were lost, as far as was heard.
    pub(super) lost: u64,
    pub(super) revoking: Option<Revoking>,
    pub(super) is_stopping: bool,
    /// To the membership; `None` before the topics are known.
    pub(super) asks: Option<mpsc::UnboundedSender<Ask>>,
    pub(super) watch: Watch,
    /// Why the source ends, once it must.
    pub(super) fault: Option<SourceError>,
}

impl Driver {
    /// Reads until the agent stops, or until the group refuses this member for ever.
    pub(super) async fn run(self, ledger: Arc<SourceLedger>, stop: StopSignal) -> Result<(), SourceError> {
        let Self { name, spec, cluster, credits, lanes, events, inbox } = self;
        let brokers = spec.connection.brokers();
        let failed = |error: &weir_kafka::ClusterError| {
            warn!(source = %name, error = %chain(error), "no broker answers; trying on");
            ledger.faults.add("failed connections", 1);
            ledger.set_trouble("connection", Some(format!("no broker of {brokers} answers: {}", chain(error))));
        };
        let connected = tokio::select! {
            connected = connect(&cluster, failed) => connected,
            () = stop.given() => return Ok(()),
        };
        let cluster = connected.map_err(|error| SourceError::new("the Kafka client cannot be set up", error))?;
        ledger.set_trouble("connection", None);
        info!(source = %name, brokers, "connected to the Kafka cluster");
        let metadata_age = spec.connection.metadata_age();
        tokio::spawn(topics::watch(cluster.clone(), spec.topics.clone(), metadata_age, events.clone()));
        let reader = Reader {
            fetcher: Fetcher::new(&cluster, spec.fetch_options()),
            watch: Watch::new(),
            name,
            spec,
            cluster,
            credits,
            lanes,
            events,
            ledger,
            partitions: BTreeMap::new(),
            epoch: 0,
            is_paused: false,
            is_committing: false,
            lost: 0,
            revoking: None,
            is_stopping: false,
            asks: None,
            fault: None,
        };
        reader.run(inbox, stop).await
    }
}

impl Reader {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Event>, stop: StopSignal) -> Result<(), SourceError> {
        let mut ticks = tokio::time::interval(self.spec.consume.commit_interval.min(TICK_MAX));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_commit = Instant::now();
        loop {
            tokio::select! {
                event = inbox.recv() => {
                    // The driver holds a sender itself. What waits is taken at once: each turn looks at all partitions.
                    let mut next = event;
                    while let Some(event) = next {
                        self.on_event(event);
                        next = inbox.try_recv().ok();
                    }
                }
                fetched = self.fetcher.next() => self.on_fetched(fetched),
                failures = settle(&mut self.partitions) => self.on_receipts_failed(failures),
                () = self.credits.eased() => self.resume(),
                _ = ticks.tick() => {
                    self.resume();
                    self.wake_rested();
                    self.look_around();
                    if last_commit.elapsed() >= self.spec.consume.commit_interval {
                        last_commit = Instant::now();
                        self.commit();
                    }
                }
                () = stop.given(), if !self.is_stopping => self.begin_stopping(),
            }
            self.finish_failing();
            self.finish_revoking();
            let is_drained = self.is_stopping && self.partitions.values().all(Owned::is_drained);
            if is_drained || stop.is_past_deadline() || self.fault.is_some() {
                break;
            }
        }
        self.farewell(&stop).await;
        self.fault.map_or(Ok(()), Err)
    }

    /// Has the member task do something, if there is a membership.
    pub(super) fn ask(&self, ask: Ask) {
        if let Some(asks) = &self.asks {
            // A task that has ended has said why in an event.
            let _ = asks.send(ask);
        }
    }

    /// Joins the group, or changes what it shares.
    pub(super) fn subscribe(&mut self, topics: Vec<String>) {
        if self.asks.is_some() {
            return self.ask(Ask::Topics(topics));
        }
        let (asks, receiver) = mpsc::unbounded_channel();
        let consume = &self.spec.consume;
        let options = consume.group_options(&consume.consumer_group, topics);
        let (cluster, events) = (self.cluster.clone(), self.events.clone());
        let keeping = Keeping { cluster, options, asks: receiver, events, lost: 0 };
        tokio::spawn(keeping.run());
        self.asks = Some(asks);
    }

    pub(super) fn next_epoch(&mut self) -> u64 {
        self.epoch += 1;
        self.epoch
    }

    /// Commits what is settled and not committed, unless a commit is under way.
    fn commit(&mut self) {
        if self.is_committing || self.is_stopping {
            return;
        }
        let commits = self.commits(|_| true);
        if !commits.is_empty() {
            self.is_committing = true;
            self.ask(Ask::Commit { commits, lost: self.lost });
        }
    }

    pub(super) fn commits(&self, of: impl Fn(&Place) -> bool) -> Vec<Commit> {
        let who = format!("weir {} durable={}", self.name, self.ledger.durable.load(Relaxed));
        let owned = self.partitions.values().filter(|owned| of(&owned.place));
        owned.filter_map(|owned| owned.commit(&who)).collect()
    }

    fn wake_rested(&mut self) {
        let now = Instant::now();
        let is_due = |owned: &&Owned| matches!(owned.phase, Phase::Resting { until } if until <= now);
        let due: Vec<Place> = self.partitions.values().filter(is_due).map(|owned| owned.place.clone()).collect();
        for place in due {
            let Some(offset) = self.partitions.get(&place).and_then(|owned| owned.settled) else { continue };
            self.read_from(&place, offset);
        }
    }

    /// Has a partition read from `offset` on with a new epoch.
    pub(super) fn read_from(&mut self, place: &Place, offset: i64) {
        let epoch = self.next_epoch();
        if let Some(owned) = self.partitions.get_mut(place) {
            owned.begin(offset, epoch);
            self.fetcher.assign(&place.topic, place.partition, offset);
            self.fetcher.set_paused(&place.topic, place.partition, self.is_paused);
        }
    }

    fn set_all_paused(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
        for place in self.partitions.keys() {
            self.fetcher.set_paused(&place.topic, place.partition, is_paused);
        }
    }

    pub(super) fn pause(&mut self) {
        if !self.is_paused && self.credits.is_high() {
            self.set_all_paused(true);
        }
        // Credits may have come back before anybody waited for them.
        self.resume();
    }

    fn resume(&mut self) {
        if self.is_paused && self.credits.is_low() {
            self.set_all_paused(false);
        }
    }

    fn begin_stopping(&mut self) {
        self.is_stopping = true;
        self.close_all();
    }

    fn close_all(&mut self) {
        for owned in self.partitions.values_mut() {
            self.fetcher.unassign(&owned.place.topic, owned.place.partition);
            owned.close();
        }
    }

    fn on_receipts_failed(&mut self, failures: Vec<(Place, ReceiptFailure)>) {
        for (place, failure) in failures {
            self.fail(&place, "batches that were not durable", &format!("{failure}, fetching again"));
        }
    }

    /// Commits what is settled and leaves, in the time there is.
    async fn farewell(&mut self, stop: &StopSignal) {
        self.close_all();
        let commits = self.commits(|_| true);
        let committed = commits.len();
        if !commits.is_empty() {
            self.ask(Ask::Commit { commits, lost: self.lost });
        }
        let (done, left) = oneshot::channel();
        self.ask(Ask::Leave(done));
        let until = stop.deadline().map_or_else(Instant::now, |deadline| deadline.max(Instant::now())) + FAREWELL;
        if self.asks.is_some() && tokio::time::timeout_at(until.into(), left).await.is_err() {
            warn!(source = %self.name, partitions = committed,
                "the group's coordinator did not answer before the end; what is not committed will be read again");
        }
        self.ledger.set_partitions(Vec::new());
        info!(source = %self.name, "left the consumer group");
    }
}

/// Waits until receipts settle, and gives those that failed. Cancel safe.
async fn settle(partitions: &mut BTreeMap<Place, Owned>) -> Vec<(Place, ReceiptFailure)> {
    poll_fn(|context| {
        let mut failures = Vec::new();
        let mut has_moved = false;
        for owned in partitions.values_mut() {
            if let Poll::Ready(outcome) = owned.poll_settled(context) {
                has_moved = true;
                failures.extend(outcome.err().map(|failure| (owned.place.clone(), failure)));
            }
        }
        if has_moved { Poll::Ready(failures) } else { Poll::Pending }
    })
    .await
}
