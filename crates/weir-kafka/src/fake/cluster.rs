//! [`FakeCluster`].

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::fetches::FetchSessions;
use super::groups::Group;
use super::log::Log;
use super::serve::serve;

/// Largest batch of a topic unless set otherwise.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// What a broker does with one request instead of serving it normally.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing else: serve it.
    Serve,
    /// Answers every part of it with this error code, and does nothing.
    Refuse(i16),
    /// The same, but says it once of the request as a whole. Of Fetch and OffsetFetch; else like `Refuse`.
    RefuseWhole(i16),
    /// Does what was asked, then answers with this error code.
    ServeThenRefuse(i16),
    /// Waits first.
    Delay(Duration),
    /// Serves it and asks the client to be silent for as long.
    Throttle(Duration),
    /// Closes the connection, and does nothing.
    Disconnect,
    /// Does what was asked, then closes the connection without an answer.
    ServeThenDisconnect,
    /// Does nothing and never answers.
    Ignore,
    /// Answers to a request that was not asked.
    Garble,
}

/// Brokers in this process. They end when it is dropped.
pub struct FakeCluster {
    pub(super) shared: Arc<Shared>,
    tasks: Vec<AbortHandle>,
}

pub(super) struct Shared {
    pub(super) addresses: Vec<(i32, u16)>,
    state: Mutex<State>,
    /// Told of every append.
    pub(super) appended: Notify,
}

pub(super) struct State {
    pub(super) topics: BTreeMap<String, Vec<Log>>,
    /// How often topics were made anew.
    remade: HashMap<String, u128>,
    pub(super) groups: HashMap<String, Group>,
    pub(super) fetch_sessions: FetchSessions,
    pub(super) next_producer_id: i64,
    pub(super) members: u64,
    pub(super) versions: HashMap<i16, (i16, i16)>,
    pub(super) password: Option<String>,
    pub(super) session_ms: i64,
    scripts: HashMap<i16, VecDeque<Step>>,
    counts: HashMap<i16, usize>,
}

impl State {
    /// An id for a topic, which is different for different names of up to 14 bytes, and not 0; another each time it is made
    /// anew.
    pub(super) fn topic_id(&self, name: &str) -> u128 {
        let id = name.bytes().fold(1, |id, byte| id << 8 | u128::from(byte));
        id | self.remade.get(name).copied().unwrap_or(0) << 120
    }
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request and takes the next step of its script.
    pub(super) fn step(&self, key: ApiKey) -> Step {
        let mut state = self.state();
        *state.counts.entry(key as i16).or_default() += 1;
        state.scripts.get_mut(&(key as i16)).and_then(VecDeque::pop_front).unwrap_or(Step::Serve)
    }
}

impl FakeCluster {
    /// Starts `brokers` brokers with ids from 1 on, on ports the system chooses.
    ///
    /// # Panics
    /// If no port can be opened on 127.0.0.1.
    pub async fn start(brokers: usize) -> Self {
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for id in (1..).take(brokers) {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port of the loopback address is free");
            addresses.push((id, listener.local_addr().expect("a bound socket has an address").port()));
            listeners.push((id, listener));
        }
        let state = State {
            topics: BTreeMap::new(),
            remade: HashMap::new(),
            groups: HashMap::new(),
            fetch_sessions: FetchSessions::default(),
            next_producer_id: 1_000,
            members: 0,
            versions: HashMap::new(),
            password: None,
            session_ms: 0,
            scripts: HashMap::new(),
            counts: HashMap::new(),
        };
        let shared = Arc::new(Shared { addresses, state: Mutex::new(state), appended: Notify::new() });
        let serving = |(id, listener)| tokio::spawn(serve(shared.clone(), id, listener)).abort_handle();
        let tasks = listeners.into_iter().map(serving).collect();
        Self { shared, tasks }
    }

    /// The addresses to start from.
    #[must_use]
    pub fn bootstrap(&self) -> Vec<String> {
        self.shared.addresses.iter().map(|(_, port)| format!("127.0.0.1:{port}")).collect()
    }

    /// Creates a topic whose partitions are led by the brokers in turn.
    pub fn create_topic(&self, name: &str, partitions: usize) {
        let leaders = self.shared.addresses.iter().map(|(id, _)| *id).cycle().take(partitions);
        let log = |leader| Log { leader, batch_bytes_max: BATCH_BYTES_MAX, ..Log::default() };
        self.shared.state().topics.insert(name.to_owned(), leaders.map(log).collect());
    }

    /// Deletes a topic and makes it anew: empty, and with another id.
    pub fn remake_topic(&self, name: &str, partitions: usize) {
        *self.shared.state().remade.entry(name.to_owned()).or_default() += 1;
        self.create_topic(name, partitions);
    }

    /// What the next requests of a kind meet, one step each; then they are served again.
    pub fn script(&self, api: ApiKey, steps: impl IntoIterator<Item = Step>) {
        self.shared.state().scripts.entry(api as i16).or_default().extend(steps);
    }

    /// Requests of a kind so far.
    #[must_use]
    pub fn requests(&self, api: ApiKey) -> usize {
        self.shared.state().counts.get(&(api as i16)).copied().unwrap_or(0)
    }

    /// Limits the versions of a request, as an older broker would.
    pub fn limit_versions(&self, api: ApiKey, min: i16, max: i16) {
        self.shared.state().versions.insert(api as i16, (min, max));
    }

    /// From now on user `user` needs this password with SASL PLAIN.
    pub fn require_password(&self, password: &str) {
        self.shared.state().password = Some(password.to_owned());
    }

    /// From now on tells clients that their authentication holds this long, and lets them go on all the same. Whole
    /// milliseconds; zero for no limit.
    pub fn limit_sessions(&self, lifetime: Duration) {
        self.shared.state().session_ms = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
    }

    /// Makes another broker the leader of a partition.
    pub fn move_leader(&self, topic: &str, partition: usize, leader: i32) {
        self.with_log(topic, partition, |log| {
            log.leader = leader;
            log.leader_epoch += 1;
        });
    }

    /// Loses the end of a partition from the batch at `offset` on, as an unclean election does.
    pub fn truncate(&self, topic: &str, partition: usize, offset: i64) {
        self.with_log(topic, partition, |log| log.truncate(offset));
    }

    /// Sets the largest batch of a partition, bytes.
    pub fn limit_batch_bytes(&self, topic: &str, partition: usize, bytes: usize) {
        self.with_log(topic, partition, |log| log.batch_bytes_max = bytes);
    }

    /// Refuses every batch for a partition with this code from now on, as without the right to write to its topic; or none
    /// any more.
    pub fn refuse_batches(&self, topic: &str, partition: usize, code: Option<i16>) {
        self.with_log(topic, partition, |log| log.refuses = code);
    }

    /// Lets the leader of a partition forget what it knows of producers.
    pub fn forget_producers(&self, topic: &str, partition: usize) {
        self.with_log(topic, partition, Log::forget_producers);
    }

    /// Sends fetchers of a partition that name a rack to this broker.
    pub fn prefer_replica(&self, topic: &str, partition: usize, broker: i32) {
        self.with_log(topic, partition, |log| log.preferred_replica = Some(broker));
    }

    /// Makes all brokers forget their fetch sessions, as for lack of room.
    pub fn forget_fetch_sessions(&self) {
        self.shared.state().fetch_sessions.forget();
    }

    /// Partitions that fetch requests have named so far.
    #[must_use]
    pub fn partitions_named(&self) -> usize {
        self.shared.state().fetch_sessions.named
    }

    /// Makes the coordinator forget all members of a group, as when their session timeouts are over.
    pub fn expel_members(&self, group: &str) {
        if let Some(group) = self.shared.state().groups.get_mut(group) {
            group.expel();
        }
    }

    /// The batches in the log of a partition.
    #[must_use]
    pub fn batches(&self, topic: &str, partition: usize) -> Vec<Bytes> {
        let mut batches = Vec::new();
        self.with_log(topic, partition, |log| batches.clone_from(&log.batches));
        batches
    }

    pub(super) fn with_log(&self, topic: &str, partition: usize, change: impl FnOnce(&mut Log)) {
        let mut state = self.shared.state();
        let log = state.topics.get_mut(topic).and_then(|logs| logs.get_mut(partition));
        change(log.expect("the test created the partition"));
    }
}

impl Drop for FakeCluster {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}
