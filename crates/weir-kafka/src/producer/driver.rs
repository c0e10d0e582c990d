//! [`Driver`]: the task that owns the queues.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use kafka_protocol::messages::{InitProducerIdRequest, ProduceRequest, ProduceResponse, ProducerId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::ProducerOptions;
use super::frame::{Part, produce_frame};
use super::handle::{Appended, Command, SendError, Sender, Shared};
use super::queue::{Entry, Outcome, Queue, Verdict, Want};
use super::session::Identity;
use crate::connection::Connection;
use crate::links::{Links, Way};
use crate::{Cluster, ClusterError, ConnectionError, ErrorClass, ErrorCode};

/// A partition with something to do, now or once.
struct Place {
    topic: Arc<str>,
    partition: i32,
    queue: Queue<Sender>,
    /// As of metadata generation `Driver::seen`.
    leader: Option<i32>,
}

/// A batch of a request: its place and its key in the queue there.
struct Sent {
    place: usize,
    key: u64,
}

enum Event {
    Answered { broker: i32, connection: Connection, sent: Vec<Sent>, answer: Result<ProduceResponse, ConnectionError> },
    Dialled { broker: i32, result: Result<Connection, ClusterError> },
    Identified(Result<Identity, ClusterError>),
    Refreshed(Result<(), ClusterError>),
}

/// Something asked for in the background, at most once at a time.
#[derive(Default)]
struct Asking {
    busy: bool,
    failures: u32,
    not_before: Option<Instant>,
}

impl Asking {
    /// Whether to ask now; when to look again otherwise.
    fn may_start(&mut self, now: Instant, wake: &mut Wake) -> bool {
        if self.busy {
            return false;
        }
        if let Some(until) = self.not_before.filter(|until| now < *until) {
            wake.at(until);
            return false;
        }
        self.busy = true;
        true
    }

    fn ended(&mut self, failed: bool, pause: impl FnOnce(u32) -> Duration) {
        self.busy = false;
        self.failures = if failed { self.failures + 1 } else { 0 };
        self.not_before = failed.then(|| Instant::now() + pause(self.failures));
    }
}

/// The next time there is something to do without an event.
struct Wake(Option<Instant>);

impl Wake {
    fn at(&mut self, time: Instant) {
        self.0 = Some(self.0.map_or(time, |earlier| earlier.min(time)));
    }
}

pub(super) struct Driver {
    cluster: Cluster,
    options: ProducerOptions,
    shared: Arc<Shared>,
    places: Vec<Place>,
    index: HashMap<Arc<str>, HashMap<i32, usize>>,
    links: Links,
    identity: Option<Identity>,
    identifying: Asking,
    refreshing: Asking,
    /// Whether some leader is unknown or may have moved.
    stale: bool,
    /// Metadata generation of the leaders in `places`.
    seen: u64,
    /// First place of the next round, so that all get their turn.
    turn: usize,
    events: mpsc::UnboundedSender<Event>,
    inbox: mpsc::UnboundedReceiver<Event>,
}

impl Driver {
    pub(super) fn new(cluster: Cluster, options: ProducerOptions, shared: Arc<Shared>) -> Self {
        // Holds at most one event per request in flight, broker and background question.
        let (events, inbox) = mpsc::unbounded_channel();
        Self {
            links: Links::new(cluster.clone(), options.requests_in_flight_max),
            cluster,
            options,
            shared,
            places: Vec::new(),
            index: HashMap::new(),
            identity: None,
            identifying: Asking::default(),
            refreshing: Asking::default(),
            stale: false,
            seen: 0,
            turn: 0,
            events,
            inbox,
        }
    }

    /// Runs until no handle is left.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let age_max = self.cluster.options().metadata_age_max;
        let mut old_at = Instant::now() + age_max;
        loop {
            let now = Instant::now();
            if now >= old_at {
                self.stale = true;
                old_at = now + age_max;
            }
            let mut wake = Wake(Some(old_at));
            self.round(now, &mut wake);
            let next = wake.0.unwrap_or(old_at);
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.accept(command),
                    None => return,
                },
                event = self.inbox.recv() => {
                    if let Some(event) = event {
                        self.handle(event);
                    }
                }
                () = tokio::time::sleep_until(next) => {}
            }
            // What has come in meanwhile goes into the same round, and so into the same requests.
            while let Ok(command) = commands.try_recv() {
                self.accept(command);
            }
            while let Ok(event) = self.inbox.try_recv() {
                self.handle(event);
            }
        }
    }

    fn accept(&mut self, command: Command) {
        let Command { topic, partition, batch, sender } = command;
        let known = self.index.get(&topic).and_then(|partitions| partitions.get(&partition)).copied();
        let place = known.unwrap_or_else(|| {
            let place = self.places.len();
            self.index.entry(topic.clone()).or_default().insert(partition, place);
            let queue = Queue::new(self.options.idempotent, self.options.requests_in_flight_max);
            let leader = self.cluster.leader(&topic, partition).unwrap_or_default();
            self.places.push(Place { topic, partition, queue, leader });
            place
        });
        self.places[place].queue.push(batch, sender);
    }

    fn handle(&mut self, event: Event) {
        let cluster = self.cluster.clone();
        let pause = |failures| cluster.options().pause(failures);
        match event {
            Event::Answered { broker, connection, sent, answer } => self.settle(broker, &connection, sent, answer),
            Event::Dialled { broker, result } => {
                // Unreachable: perhaps it is gone for good and others lead.
                self.stale |= result.is_err();
                self.links.dialled(broker, result);
            }
            Event::Identified(result) => {
                self.identifying.ended(result.is_err(), pause);
                match result {
                    Ok(identity) => {
                        self.identity = Some(identity);
                        self.places.iter_mut().for_each(|place| place.queue.identify(identity));
                    }
                    Err(ClusterError::Refused { code, .. }) if code.class() == ErrorClass::RejectBatch => {
                        (0..self.places.len()).for_each(|place| self.give_back(place, code));
                    }
                    Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "no producer id; trying on"),
                }
            }
            Event::Refreshed(result) => {
                self.refreshing.ended(result.is_err(), pause);
                if let Err(error) = result {
                    self.stale = true;
                    tracing::warn!(error = &error as &dyn std::error::Error, "no metadata; trying on");
                }
            }
        }
    }

    /// Sends what can be sent, and asks for what is missing.
    fn round(&mut self, now: Instant, wake: &mut Wake) {
        self.look_up_leaders();
        let mut identity_missing = false;
        loop {
            let ready = self.ready(now, wake, &mut identity_missing);
            if ready.is_empty() {
                break;
            }
            for (leader, places) in ready {
                self.request(leader, places);
            }
        }
        if identity_missing && self.identifying.may_start(now, wake) {
            self.ask_identity();
        }
        if self.stale && self.refreshing.may_start(now, wake) {
            self.ask_metadata();
        }
        self.publish_loads();
    }

    /// The partitions that can send now, by leader.
    fn ready(&mut self, now: Instant, wake: &mut Wake, identity_missing: &mut bool) -> HashMap<i32, Vec<usize>> {
        let mut ready: HashMap<i32, Vec<usize>> = HashMap::new();
        let count = self.places.len();
        self.turn = if count == 0 { 0 } else { (self.turn + 1) % count };
        for index in (0..count).map(|step| (self.turn + step) % count) {
            let place = &mut self.places[index];
            let mut want = place.queue.want(now);
            if let (Want::Identity { not }, Some(identity)) = (want, self.identity)
                && not != Some(identity.id)
            {
                place.queue.identify(identity);
                want = place.queue.want(now);
            }
            match want {
                Want::Nothing => continue,
                Want::Identity { .. } => {
                    *identity_missing = true;
                    continue;
                }
                Want::Pause(until) => {
                    wake.at(until);
                    continue;
                }
                Want::Send => {}
            }
            let Some(leader) = place.leader else {
                self.stale = true;
                continue;
            };
            match self.links.way(leader, now) {
                Way::Open => ready.entry(leader).or_default().push(index),
                Way::Busy => {}
                Way::Pause(until) => wake.at(until),
                Way::Dial => self.dial(leader),
            }
        }
        ready
    }

    /// Sends one request with a batch of each of `places`, as far as they fit.
    fn request(&mut self, leader: i32, mut places: Vec<usize>) {
        let Some(connection) = self.links.enter(leader) else {
            return;
        };
        let mut bytes = 0;
        places.retain(|place| {
            let next = self.places[*place].queue.next_bytes();
            let fits = bytes == 0 || bytes + next <= self.options.request_bytes_max;
            bytes += if fits { next } else { 0 };
            fits
        });
        // In the order of the slice, so that each can be borrowed apart; sorting by topic comes after.
        places.sort_unstable();
        let mut sent = Vec::with_capacity(places.len());
        let mut parts = Vec::with_capacity(places.len());
        let mut wanted = places.iter().peekable();
        for (index, place) in self.places.iter_mut().enumerate() {
            if wanted.next_if(|wanted| **wanted == index).is_none() {
                continue;
            }
            if let Some((key, batch)) = place.queue.take() {
                sent.push(Sent { place: index, key });
                parts.push(Part { topic: &place.topic, partition: place.partition, batch });
            }
        }
        parts.sort_by(|a, b| a.topic.cmp(b.topic));
        self.shared.counters.requests.fetch_add(1, Relaxed);
        let pending = connection.version::<ProduceRequest>().and_then(|version| {
            let frame = produce_frame(&connection, version, &self.options, &parts);
            connection.submit::<ProduceRequest>(frame, version)
        });
        // A broker that waits for replicas answers at the end of that wait; half of it more is for the way.
        let patience = self.options.replication_timeout.mul_f64(1.5);
        let timeout = self.cluster.options().connection.request_timeout.max(patience);
        let events = self.events.clone();
        tokio::spawn(async move {
            let answer = match pending {
                Ok(pending) => pending.answer::<ProduceRequest>(timeout).await,
                Err(error) => Err(error),
            };
            // The driver is gone only when nobody waits any more.
            let _ = events.send(Event::Answered { broker: leader, connection, sent, answer });
        });
    }

    fn settle(
        &mut self,
        broker: i32,
        connection: &Connection,
        sent: Vec<Sent>,
        answer: Result<ProduceResponse, ConnectionError>,
    ) {
        let quiet_ms = answer.as_ref().map_or(0, |answer| u64::try_from(answer.throttle_time_ms).unwrap_or(0));
        self.shared.counters.throttled_ms.fetch_add(quiet_ms, Relaxed);
        self.links.leave(broker, connection, Duration::from_millis(quiet_ms));
        let mut verdicts: HashMap<(&str, i32), Verdict> = HashMap::new();
        match &answer {
            Err(error) => tracing::debug!(broker, error = error as &dyn std::error::Error, "a produce request failed"),
            Ok(answer) => {
                for topic in &answer.responses {
                    for partition in &topic.partition_responses {
                        let verdict = match ErrorCode::from_wire(partition.error_code) {
                            None => Verdict::Appended { base_offset: partition.base_offset },
                            Some(code) => Verdict::Refused(code),
                        };
                        verdicts.insert((topic.name.as_str(), partition.index), verdict);
                    }
                }
            }
        }
        for Sent { place, key } in sent {
            let at = &mut self.places[place];
            // A partition the answer is silent about is as good as lost.
            let verdict = verdicts.get(&(&*at.topic, at.partition)).copied().unwrap_or(Verdict::Lost);
            let pause = |failures| Instant::now() + self.cluster.options().pause(failures);
            if let Some(outcome) = at.queue.settle(key, verdict, pause) {
                self.conclude(place, outcome);
            }
        }
    }

    fn conclude(&mut self, place: usize, outcome: Outcome<Sender>) {
        let counters = &self.shared.counters;
        match outcome {
            Outcome::Done { entry, base_offset } => {
                counters.batches.fetch_add(1, Relaxed);
                counters.records.fetch_add(u64::from(entry.batch.record_count()), Relaxed);
                counters.bytes.fetch_add(entry.batch.as_bytes().len() as u64, Relaxed);
                counters.repeats.fetch_add(u64::from(base_offset.is_none()), Relaxed);
                // A receipt that was dropped wants no answer.
                let _ = entry.sender.receipt.send(Ok(Appended { base_offset: base_offset.filter(|at| *at >= 0) }));
            }
            Outcome::Refused { entry, code } => self.refuse(place, entry, code),
            Outcome::Again { refresh } => {
                counters.attempts_failed.fetch_add(1, Relaxed);
                self.stale |= refresh;
            }
        }
    }

    fn refuse(&self, place: usize, entry: Entry<Sender>, code: ErrorCode) {
        self.shared.counters.refused.fetch_add(1, Relaxed);
        let Place { topic, partition, .. } = &self.places[place];
        let refused = SendError::Refused { topic: topic.clone(), partition: *partition, code, batch: entry.batch };
        let _ = entry.sender.receipt.send(Err(refused));
    }

    fn give_back(&mut self, place: usize, code: ErrorCode) {
        for entry in self.places[place].queue.take_all() {
            self.refuse(place, entry, code);
        }
    }

    /// Takes over what metadata says since the last look.
    fn look_up_leaders(&mut self) {
        let generation = self.cluster.generation();
        if generation == self.seen {
            return;
        }
        self.seen = generation;
        for index in 0..self.places.len() {
            let place = &mut self.places[index];
            let found = self.cluster.leader(&place.topic, place.partition);
            place.leader = found.unwrap_or_default();
            // A topic that does not exist may come; one that exists without this partition, or may not be written, is a
            // fault of the caller.
            let exists = self.cluster.cached_topic(&place.topic).is_some();
            if let Err(code) = found
                && (exists || code.class() == ErrorClass::RejectBatch)
            {
                self.give_back(index, code);
            }
        }
    }

    fn dial(&self, broker: i32) {
        let (cluster, events) = (self.cluster.clone(), self.events.clone());
        tokio::spawn(async move {
            let result = cluster.dial(broker).await;
            let _ = events.send(Event::Dialled { broker, result });
        });
    }

    fn ask_identity(&self) {
        let (cluster, events) = (self.cluster.clone(), self.events.clone());
        tokio::spawn(async move {
            let request = InitProducerIdRequest::default()
                .with_transactional_id(None)
                .with_transaction_timeout_ms(i32::MAX)
                .with_producer_id(ProducerId(-1))
                .with_producer_epoch(-1);
            let identity = match cluster.call_any(&request).await {
                Err(error) => Err(error),
                Ok(response) => match ErrorCode::from_wire(response.error_code) {
                    None => Ok(Identity { id: response.producer_id.0, epoch: response.producer_epoch }),
                    Some(code) => {
                        Err(ClusterError::Refused { what: "asking for a producer id".to_owned(), code, detail: None })
                    }
                },
            };
            let _ = events.send(Event::Identified(identity));
        });
    }

    fn ask_metadata(&mut self) {
        self.stale = false;
        let topics: Vec<Arc<str>> = self.index.keys().cloned().collect();
        let (cluster, events) = (self.cluster.clone(), self.events.clone());
        tokio::spawn(async move {
            let names: Vec<&str> = topics.iter().map(|topic| &**topic).collect();
            let _ = events.send(Event::Refreshed(cluster.refresh(&names).await));
        });
    }

    fn publish_loads(&self) {
        let mut loads = self.shared.loads.lock().unwrap_or_else(PoisonError::into_inner);
        loads.clear();
        for place in &self.places {
            if let Some(leader) = place.leader {
                *loads.entry(leader).or_default() += place.queue.bytes();
            }
        }
    }
}
