//! [`Fetcher`].

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{FetchRequest, FetchResponse};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::batches::split;
use super::request::{Key, Wanted, fetch_request};
use super::session::Session;
use super::{FetchError, FetchOptions, Fetched, FetcherStatistics};
use crate::connection::Connection;
use crate::links::{Links, Way};
use crate::{Cluster, ClusterError, ConnectionError, ErrorClass, ErrorCode};

/// A broker's wait while other partitions of it have batches that were not taken yet, or pause after an error: long
/// enough not to spin, short enough not to keep those waiting.
const SHORT_WAIT: Duration = Duration::from_millis(10);
/// A broker's wait while other partitions of it are paused: they may go on at any moment, and would wait for the answer, but
/// they may also stay paused for long.
const MEDIUM_WAIT: Duration = Duration::from_millis(50);

/// First version of Fetch in which the broker compares what was read with its log.
const COMPARING: i16 = 12;
/// Leader epochs of a partition that are remembered: enough for as many elections between two fetches.
const EPOCHS_MAX: usize = 8;

/// A partition being read.
struct Reading {
    offset: i64,
    /// Leader epochs of what was read, ascending, each with the offset of its first batch.
    epochs: Vec<(i32, i64)>,
    /// Changes with every assignment, so that late answers to an earlier one are known.
    assignment: u64,
    paused: bool,
    rest: Rest,
    /// A replica the leader has named, and how long to believe it.
    replica: Option<(i32, Instant)>,
    pause_until: Option<Instant>,
    failures: u32,
}

impl Reading {
    fn remember(&mut self, epochs: Vec<(i32, i64)>) {
        for (epoch, start) in epochs {
            if self.epochs.last().is_none_or(|(last, _)| *last < epoch) {
                self.epochs.push((epoch, start));
            }
        }
        let over = self.epochs.len().saturating_sub(EPOCHS_MAX);
        self.epochs.drain(..over);
    }

    /// Where the log and what was read part, if its leader has what was read up to `end_offset` of `epoch` at most.
    fn intact_to(&self, epoch: i32, end_offset: i64) -> i64 {
        let later = self.epochs.iter().find(|(read, _)| *read > epoch);
        later.map_or(self.offset, |(_, start)| *start).min(end_offset)
    }
}

/// Why a partition is not fetched now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// It is to be fetched.
    Wanted,
    InFlight,
    /// Its batches wait to be taken.
    Buffered,
    /// An error was handed out.
    Stopped,
}

enum Event {
    Answered {
        broker: i32,
        connection: Connection,
        asked: Vec<(Key, u64)>,
        answer: Result<FetchResponse, ConnectionError>,
    },
    Dialled {
        broker: i32,
        result: Result<Connection, ClusterError>,
    },
    Refreshed,
}

/// Fetches from any number of partitions.
pub struct Fetcher {
    cluster: Cluster,
    options: FetchOptions,
    readings: BTreeMap<Key, Reading>,
    ready: VecDeque<Result<Fetched, FetchError>>,
    links: Links,
    /// By broker, each with the connection it ends with.
    sessions: HashMap<i32, (Connection, Session)>,
    assignments: u64,
    refreshing: bool,
    stale: bool,
    refresh_at: Instant,
    statistics: FetcherStatistics,
    events: mpsc::UnboundedSender<Event>,
    inbox: mpsc::UnboundedReceiver<Event>,
}

impl Fetcher {
    /// A fetcher without partitions.
    #[must_use]
    pub fn new(cluster: &Cluster, options: FetchOptions) -> Self {
        // Holds at most one event per broker and one about metadata.
        let (events, inbox) = mpsc::unbounded_channel();
        Self {
            links: Links::new(cluster.clone(), 1),
            refresh_at: Instant::now() + cluster.options().metadata_age_max,
            cluster: cluster.clone(),
            options,
            readings: BTreeMap::new(),
            ready: VecDeque::new(),
            sessions: HashMap::new(),
            assignments: 0,
            refreshing: false,
            stale: false,
            statistics: FetcherStatistics::default(),
            events,
            inbox,
        }
    }

    /// Reads a partition from `offset` on, whatever was read of it before; batches not taken yet are dropped.
    pub fn assign(&mut self, topic: &str, partition: i32, offset: i64) {
        self.unassign(topic, partition);
        self.assignments += 1;
        let reading = Reading {
            offset,
            epochs: Vec::new(),
            assignment: self.assignments,
            paused: false,
            rest: Rest::Wanted,
            replica: None,
            pause_until: None,
            failures: 0,
        };
        self.readings.insert((Arc::from(topic), partition), reading);
    }

    /// Stops reading a partition; batches not taken yet are dropped.
    pub fn unassign(&mut self, topic: &str, partition: i32) {
        self.readings.remove(&(Arc::from(topic), partition));
        self.ready.retain(|item| {
            let (name, index) = match item {
                Ok(fetched) => (&fetched.topic, fetched.partition),
                Err(error) => error.place(),
            };
            (&**name, index) != (topic, partition)
        });
    }

    /// Pauses or resumes a partition: a paused one is not fetched, but what was fetched already still comes.
    pub fn set_paused(&mut self, topic: &str, partition: i32, paused: bool) {
        if let Some(reading) = self.readings.get_mut(&(Arc::from(topic), partition)) {
            reading.paused = paused;
        }
    }

    /// What this fetcher has done so far.
    #[must_use]
    pub fn statistics(&self) -> FetcherStatistics {
        self.statistics
    }

    /// The next batches of any partition; waits until there are some. Cancellation safe.
    ///
    /// # Errors
    /// [`FetchError`] if a partition cannot be read further. What passes (an unreachable broker, an election) is waited
    /// out here.
    pub async fn next(&mut self) -> Result<Fetched, FetchError> {
        loop {
            while let Ok(event) = self.inbox.try_recv() {
                self.handle(event);
            }
            let now = Instant::now();
            // Before the return, so that brokers work while the caller does.
            let item = self.ready.pop_front();
            if let Some(Ok(fetched)) = &item {
                self.taken(fetched.topic.clone(), fetched.partition);
            }
            let wake = self.round(now);
            if let Some(item) = item {
                return item;
            }
            tokio::select! {
                event = self.inbox.recv() => if let Some(event) = event { self.handle(event) },
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    fn taken(&mut self, topic: Arc<str>, partition: i32) {
        if let Some(reading) = self.readings.get_mut(&(topic, partition))
            && reading.rest == Rest::Buffered
        {
            reading.rest = Rest::Wanted;
        }
    }

    /// Sends what can be sent; gives the time to look again.
    fn round(&mut self, now: Instant) -> Instant {
        let age_max = self.cluster.options().metadata_age_max;
        if now >= self.refresh_at {
            self.refresh_at = now + age_max;
            self.stale = true;
        }
        let mut wake = self.refresh_at;
        let mut plans: HashMap<i32, Vec<Key>> = HashMap::new();
        // Brokers with partitions that will want to be fetched before a long wait is over.
        let mut waits: HashMap<i32, Duration> = HashMap::new();
        for (key, reading) in &mut self.readings {
            let Some(broker) = broker_of(&self.cluster, key, reading, now) else {
                self.stale = true;
                continue;
            };
            match (reading.rest, reading.pause_until.filter(|until| now < *until)) {
                (Rest::Wanted, Some(until)) => {
                    wake = wake.min(until);
                    waits.insert(broker, SHORT_WAIT);
                }
                (Rest::Wanted, None) if !reading.paused => plans.entry(broker).or_default().push(key.clone()),
                (Rest::Buffered, _) => {
                    waits.insert(broker, SHORT_WAIT);
                }
                // Paused.
                (Rest::Wanted, None) => {
                    waits.entry(broker).or_insert(MEDIUM_WAIT);
                }
                _ => {}
            }
        }
        for (broker, keys) in plans {
            match self.links.way(broker, now) {
                Way::Open => self.request(broker, keys, waits.get(&broker).copied()),
                Way::Busy => {}
                Way::Pause(until) => wake = wake.min(until),
                Way::Dial => self.dial(broker),
            }
        }
        if self.stale && !self.refreshing {
            self.refresh();
        }
        wake
    }

    fn request(&mut self, broker: i32, keys: Vec<Key>, wait_max: Option<Duration>) {
        let Some(connection) = self.links.enter(broker) else {
            return;
        };
        let wait = wait_max.unwrap_or(self.options.wait_max).min(self.options.wait_max);
        let mut asked = Vec::with_capacity(keys.len());
        let mut wanted = Vec::with_capacity(keys.len());
        // A random start, so that with more than fits into an answer each partition has its turn.
        let start = fastrand::usize(..keys.len().max(1));
        let (late, early) = keys.split_at(start);
        let comparing = connection.version::<FetchRequest>().is_ok_and(|version| version >= COMPARING);
        for key in early.iter().chain(late) {
            let Some(reading) = self.readings.get_mut(key) else { continue };
            reading.rest = Rest::InFlight;
            let leader_epoch = match self.cluster.partition(&key.0, key.1) {
                Ok(Some(partition)) => partition.leader_epoch,
                _ => -1,
            };
            let last_epoch = reading.epochs.last().filter(|_| comparing).map_or(-1, |(epoch, _)| *epoch);
            wanted.push(Wanted { key: key.clone(), offset: reading.offset, leader_epoch, last_epoch });
            asked.push((key.clone(), reading.assignment));
        }
        let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        let terms = self.session(broker, &connection).prepare(wanted);
        let request = fetch_request(&self.options, wait_ms, terms);
        let timeout = wait + self.cluster.options().connection.request_timeout;
        self.statistics.requests += 1;
        let events = self.events.clone();
        tokio::spawn(async move {
            let answer = connection.call(&request, timeout).await;
            // Nobody listens if the fetcher was dropped.
            let _ = events.send(Event::Answered { broker, connection, asked, answer });
        });
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Answered { broker, connection, asked, answer } => self.settle(broker, &connection, asked, answer),
            Event::Dialled { broker, result } => {
                if result.is_err() {
                    self.stale = true;
                    // The leader may be reachable although this replica is not.
                    for reading in self.readings.values_mut() {
                        reading.replica = reading.replica.filter(|(replica, _)| *replica != broker);
                    }
                }
                self.links.dialled(broker, result);
            }
            Event::Refreshed => self.refreshing = false,
        }
    }

    /// The session over a connection, a new one if the last was over another.
    fn session(&mut self, broker: i32, connection: &Connection) -> &mut Session {
        let fresh = || (connection.clone(), Session::new(connection.version::<FetchRequest>().unwrap_or(0)));
        let entry = self.sessions.entry(broker).or_insert_with(fresh);
        if !entry.0.is_same(connection) {
            *entry = fresh();
        }
        &mut entry.1
    }

    fn settle(
        &mut self,
        broker: i32,
        connection: &Connection,
        asked: Vec<(Key, u64)>,
        answer: Result<FetchResponse, ConnectionError>,
    ) {
        let quiet_ms = answer.as_ref().map_or(0, |answer| u64::try_from(answer.throttle_time_ms).unwrap_or(0));
        let quiet = Duration::from_millis(quiet_ms);
        self.statistics.throttled += quiet;
        self.links.leave(broker, connection, quiet);
        let mut parts: HashMap<(String, i32), PartitionData> = HashMap::new();
        let silence = match answer {
            Ok(answer) => {
                let code = ErrorCode::from_wire(answer.error_code);
                let session = self.sessions.get_mut(&broker).filter(|(current, _)| current.is_same(connection));
                let lost = Err(code.unwrap_or(ErrorCode::NETWORK_EXCEPTION));
                let silence = session.map_or(lost, |(_, session)| session.answered(answer.session_id, code));
                // A broker may throttle a client by an empty answer.
                let emptied = code.is_none() && quiet_ms > 0 && answer.responses.is_empty();
                for topic in answer.responses {
                    let name = topic.topic.to_string();
                    let data = topic.partitions.into_iter();
                    parts.extend(data.map(|part| ((name.clone(), part.partition_index), part)));
                }
                self.statistics.requests_failed += u64::from(code.is_some());
                if emptied { Ok(()) } else { silence }
            }
            Err(error) => {
                self.stale = true;
                self.statistics.requests_failed += 1;
                tracing::debug!(broker, error = &error as &dyn std::error::Error, "a fetch failed");
                Err(ErrorCode::NETWORK_EXCEPTION)
            }
        };
        for (key, assignment) in asked {
            if self.readings.get(&key).is_none_or(|reading| reading.assignment != assignment) {
                continue;
            }
            match (parts.remove(&(key.0.to_string(), key.1)), silence) {
                (Some(part), _) => self.settle_partition(broker, &key, part),
                (None, Err(code)) => self.fail(&key, code),
                (None, Ok(())) => self.nothing_new(&key),
            }
        }
    }

    fn nothing_new(&mut self, key: &Key) {
        if let Some(reading) = self.readings.get_mut(key) {
            reading.failures = 0;
            reading.rest = Rest::Wanted;
        }
    }

    fn settle_partition(&mut self, broker: i32, key: &Key, part: PartitionData) {
        if let Some(code) = ErrorCode::from_wire(part.error_code) {
            return self.fail(key, code);
        }
        let age_max = self.cluster.options().metadata_age_max;
        let Some(reading) = self.readings.get_mut(key) else { return };
        reading.failures = 0;
        reading.rest = Rest::Wanted;
        if part.preferred_read_replica.0 >= 0 {
            reading.replica = Some((part.preferred_read_replica.0, Instant::now() + age_max));
        }
        let (topic, partition, offset) = (key.0.clone(), key.1, reading.offset);
        if part.diverging_epoch.end_offset >= 0 {
            if reading.replica.take().is_none() {
                let intact_to = reading.intact_to(part.diverging_epoch.epoch, part.diverging_epoch.end_offset);
                reading.rest = Rest::Stopped;
                self.ready.push_back(Err(FetchError::Truncated { topic, partition, offset, intact_to }));
            }
            // A replica may lack what the leader has; nothing is said before the leader was asked.
            return;
        }
        let records = part.records.unwrap_or_default();
        self.statistics.bytes += records.len() as u64;
        if reading.replica.is_some_and(|(replica, _)| replica == broker) {
            self.statistics.bytes_from_replicas += records.len() as u64;
        }
        let aborted = self.options.read_committed.then(|| part.aborted_transactions.unwrap_or_default());
        let split = match split(records, offset, aborted) {
            Ok(split) => split,
            Err(source) => {
                reading.rest = Rest::Stopped;
                self.ready.push_back(Err(FetchError::NotABatch { topic, partition, offset, source }));
                return;
            }
        };
        if split.next_offset == offset {
            return;
        }
        reading.offset = split.next_offset;
        reading.remember(split.epochs);
        reading.rest = Rest::Buffered;
        self.ready.push_back(Ok(Fetched {
            topic,
            partition,
            batches: split.batches,
            next_offset: split.next_offset,
            high_watermark: part.high_watermark,
            last_stable_offset: part.last_stable_offset,
            log_start_offset: part.log_start_offset,
        }));
    }

    fn fail(&mut self, key: &Key, code: ErrorCode) {
        let Some(reading) = self.readings.get_mut(key) else { return };
        reading.rest = Rest::Wanted;
        reading.failures += 1;
        reading.pause_until = Some(Instant::now() + self.cluster.options().pause(reading.failures));
        if reading.replica.take().is_some() {
            // As above: the leader is asked first.
            reading.pause_until = None;
            return;
        }
        if code == ErrorCode::OFFSET_OUT_OF_RANGE && !reading.epochs.is_empty() {
            // A broker that knows nothing of the epoch says the same; without it, the code means what it says.
            reading.epochs.clear();
            reading.pause_until = None;
            return;
        }
        let (topic, partition) = (key.0.clone(), key.1);
        let error = match code.class() {
            _ if code == ErrorCode::OFFSET_OUT_OF_RANGE => {
                FetchError::OutOfRange { topic, partition, offset: reading.offset }
            }
            ErrorClass::RejectBatch => FetchError::Refused { topic, partition, code },
            class => {
                self.stale |= class == ErrorClass::RefreshMetadata;
                return;
            }
        };
        reading.rest = Rest::Stopped;
        self.ready.push_back(Err(error));
    }

    fn dial(&self, broker: i32) {
        let (cluster, events) = (self.cluster.clone(), self.events.clone());
        tokio::spawn(async move {
            let result = cluster.dial(broker).await;
            let _ = events.send(Event::Dialled { broker, result });
        });
    }

    fn refresh(&mut self) {
        self.stale = false;
        self.refreshing = true;
        let mut topics: Vec<Arc<str>> = self.readings.keys().map(|(topic, _)| topic.clone()).collect();
        topics.dedup();
        let (cluster, events) = (self.cluster.clone(), self.events.clone());
        tokio::spawn(async move {
            let names: Vec<&str> = topics.iter().map(|topic| &**topic).collect();
            if let Err(error) = cluster.refresh(&names).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "no metadata; trying on");
                tokio::time::sleep(cluster.options().pause(1)).await;
            }
            let _ = events.send(Event::Refreshed);
        });
    }
}

/// Whom to ask for a partition; `None` if nobody leads it as far as is known.
fn broker_of(cluster: &Cluster, key: &Key, reading: &mut Reading, now: Instant) -> Option<i32> {
    reading.replica = reading.replica.filter(|(_, until)| now < *until);
    let leader = || cluster.leader(&key.0, key.1).ok().flatten();
    reading.replica.map(|(replica, _)| replica).or_else(leader)
}
