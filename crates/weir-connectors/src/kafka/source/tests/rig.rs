//! A fake cluster, a channel whose receipts the test gives, and sources between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::LocalSet;
use weir_codec::record_batch::{Compression, Encoder, EncoderOptions};
use weir_config::{Diagnostics, Document};
use weir_engine::channel::{AppendError, Channel, ChannelError, ChannelUsage, Cursor};
use weir_engine::ledger::SourceLedger;
use weir_engine::outlet::Outlet;
use weir_engine::receipt::{ReceiptFailure, ReceiptTicket};
use weir_engine::registry::Registry;
use weir_engine::selector::Selector;
use weir_engine::source::{SourceContext, SourceError};
use weir_engine::stop::StopSignal;
use weir_event::EventBatch;
use weir_kafka::fake::{ApiKey, FakeCluster};
use weir_kafka::{Cluster, ClusterOptions, Place, Producer, ProducerOptions};
use weir_testkit::wait::eventually;

use crate::io_thread::IoThread;
use crate::registry;

/// Events of a batch that a test produces.
pub(super) const BATCH: i64 = 10;

/// Brokers, and a client of the test's own.
pub(super) struct Kafka {
    // Before the thread, on which its tasks run.
    pub(super) fake: FakeCluster,
    cluster: Cluster,
    io: IoThread,
}

impl Kafka {
    /// One broker with topic `t`.
    pub(super) fn start(partitions: usize) -> Self {
        let io = IoThread::start("fake-kafka").expect("a thread");
        let fake = io.wait_for(FakeCluster::start(1)).expect("started");
        fake.create_topic("t", partitions);
        let options = ClusterOptions { retry_pause: Duration::from_millis(1), ..ClusterOptions::new(fake.bootstrap()) };
        let cluster = io.wait_for(async move { Cluster::connect(options).await }).expect("ran").expect("a cluster");
        Self { fake, cluster, io }
    }

    /// Appends batches of ten events whose bodies are their offsets, from `first` on.
    pub(super) fn produce(&self, topic: &str, partition: i32, batches: i64) {
        self.produce_events(topic, partition, batches, |first| {
            let bodies: Vec<String> = (first..first + BATCH).map(|offset| offset.to_string()).collect();
            EventBatch::from_bodies(&bodies, 0)
        });
    }

    /// Appends batches as `events` makes them of the offset of their first event.
    pub(super) fn produce_events(&self, topic: &str, partition: i32, batches: i64, events: impl Fn(i64) -> EventBatch) {
        let options = EncoderOptions { compression: Compression::Lz4, ..EncoderOptions::default() };
        let mut encoder = Encoder::new(options).expect("no level to be wrong");
        let before = self.fake.batches(topic, partition as usize).len() as i64;
        let encoded: Vec<_> = (before..before + batches)
            .map(|batch| encoder.encode(&events(batch * BATCH), Vec::new()).expect("encoded"))
            .collect();
        let (cluster, topic) = (self.cluster.clone(), topic.to_owned());
        let produced = self.io.wait_for(async move {
            cluster.refresh(&[&topic]).await.expect("metadata");
            let producer = Producer::new(&cluster, ProducerOptions::default());
            for batch in encoded {
                producer.send(&topic, partition, batch).await.expect("open").await.expect("written");
            }
        });
        produced.expect("produced");
    }

    /// Requests by which members show that they live.
    pub(super) fn heartbeats(&self) -> usize {
        let keys = [ApiKey::ConsumerGroupHeartbeat, ApiKey::Heartbeat, ApiKey::JoinGroup];
        keys.into_iter().map(|key| self.fake.requests(key)).sum()
    }

    /// The committed offset of a partition of `t` in group `g`.
    pub(super) fn committed(&self, partition: i32) -> Option<i64> {
        let cluster = self.cluster.clone();
        let places = [Place { topic: "t".into(), partition }];
        let found = self.io.wait_for(async move { cluster.committed("g", &places).await });
        found.expect("ran").expect("offsets").first().and_then(|found| found.offset)
    }
}

/// A channel that keeps what it gets; receipts come when the test says so.
#[derive(Default)]
pub(super) struct HeldChannel {
    taken: Mutex<Vec<EventBatch>>,
    tickets: Mutex<Vec<(EventBatch, ReceiptTicket)>>,
    holds: AtomicBool,
    is_full: AtomicBool,
    refuses: AtomicBool,
}

impl HeldChannel {
    /// Keeps receipts back from now on.
    pub(super) fn hold(&self) {
        self.holds.store(true, SeqCst);
    }

    /// Gives all receipts, and those to come at once.
    pub(super) fn release(&self) {
        self.holds.store(false, SeqCst);
        self.complete(|_| true, || Ok(()));
    }

    /// Gives the receipts of batches whose first body is one of these.
    pub(super) fn settle(&self, first_bodies: &[&str]) {
        self.complete(|batch| first_bodies.iter().any(|body| batch.body(0) == body.as_bytes()), || Ok(()));
    }

    /// Lets the receipts fail that are held.
    pub(super) fn fail(&self) {
        let failure = || Err(ReceiptFailure { channel: "c".into(), reason: "disk gone".into() });
        self.complete(|_| true, failure);
    }

    fn complete(&self, which: impl Fn(&EventBatch) -> bool, outcome: impl Fn() -> Result<(), ReceiptFailure>) {
        let (these, others) = self.tickets.lock().drain(..).partition::<Vec<_>, _>(|(batch, _)| which(batch));
        self.tickets.lock().extend(others);
        these.into_iter().for_each(|(_, ticket)| ticket.complete(outcome()));
    }

    pub(super) fn set_full(&self, is_full: bool) {
        self.is_full.store(is_full, SeqCst);
    }

    /// Refuses batches for good from now on, or takes them again.
    pub(super) fn set_refuses(&self, refuses: bool) {
        self.refuses.store(refuses, SeqCst);
    }

    /// Batches whose receipts are held back.
    pub(super) fn held(&self) -> usize {
        self.tickets.lock().len()
    }

    /// All batches that were taken so far.
    pub(super) fn batches(&self) -> Vec<EventBatch> {
        self.taken.lock().clone()
    }

    /// Offsets of the events of a partition, in the order they came.
    pub(super) fn offsets(&self, partition: i32) -> Vec<i64> {
        let partition = partition.to_string();
        let mut offsets = Vec::new();
        for batch in self.taken.lock().iter() {
            let of_it = |row: &usize| batch.header(*row, "partition").as_deref() == Some(partition.as_bytes());
            offsets.extend((0..batch.len()).filter(of_it).filter_map(|row| batch.numbers("offset").get(row)));
        }
        offsets
    }

    #[track_caller]
    pub(super) fn until(&self, what: &str, partition: i32, offsets: impl AsRef<[i64]>) {
        eventually(what, || self.offsets(partition).len() >= offsets.as_ref().len());
        assert_eq!(self.offsets(partition), offsets.as_ref(), "{what}");
    }
}

impl Channel for HeldChannel {
    fn name(&self) -> &str {
        "c"
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn try_append(&self, batch: &EventBatch, ticket: ReceiptTicket) -> Result<(), AppendError> {
        if self.is_full.load(SeqCst) {
            return Err(AppendError::Full(ticket));
        }
        if self.refuses.load(SeqCst) {
            return Err(AppendError::Closed(ticket));
        }
        self.taken.lock().push(batch.clone());
        match self.holds.load(SeqCst) {
            true => self.tickets.lock().push((batch.clone(), ticket)),
            false => ticket.complete(Ok(())),
        }
        Ok(())
    }

    fn wait_for_room(&self, timeout: Duration) -> bool {
        if self.is_full.load(SeqCst) {
            std::thread::park_timeout(timeout.min(Duration::from_millis(5)));
        }
        !self.is_full.load(SeqCst)
    }

    fn cursor(&self, _: &str) -> Result<Box<dyn Cursor>, ChannelError> {
        unreachable!("no sinks here")
    }

    fn usage(&self) -> ChannelUsage {
        ChannelUsage::default()
    }

    fn close(&self) -> Result<(), ChannelError> {
        Ok(())
    }
}

/// A running source with a channel of its own.
pub(super) struct Running {
    pub(super) channel: Arc<HeldChannel>,
    pub(super) ledger: Arc<SourceLedger>,
    stop: StopSignal,
    threads: Vec<JoinHandle<Result<(), SourceError>>>,
}

/// Checks the options of a source that reads from `brokers`; all that is said about them if they are wrong.
pub(super) fn check(brokers: &[String], options: &str) -> Result<Arc<dyn weir_engine::source::SourceSpec>, String> {
    let toml = format!(
        "[channels.c]\ntype = 'memory'\n[sources.in]\ntype = 'kafka'\nbrokers = {brokers:?}\nchannels = ['c']\n{options}\n"
    );
    let registry: Registry = registry();
    let (document, mut diagnostics) = Document::parse(&[("test.toml", &toml)]);
    let (config, found) = document.check(&registry.catalogue(), &|_| None);
    diagnostics.append(found);
    let kafka = registry.sources.iter().find(|kind| kind.spec.name == "kafka").expect("registered");
    let mut more = Diagnostics::new();
    let spec = config.sources.first().and_then(|source| (kafka.parse)(source, &mut more));
    diagnostics.append(more);
    if diagnostics.has_errors() { Err(diagnostics.render(false)) } else { Ok(spec.expect("no error")) }
}

impl Running {
    /// A member of group `g` that commits often.
    pub(super) fn start(kafka: &Kafka, options: &str) -> Self {
        Self::start_at(&kafka.fake.bootstrap(), &format!("topics = ['t']\n{options}"), Arc::default())
    }

    /// The same, with receipts held back from the beginning.
    pub(super) fn start_held(kafka: &Kafka, options: &str) -> Self {
        let channel = Arc::new(HeldChannel::default());
        channel.hold();
        Self::start_at(&kafka.fake.bootstrap(), &format!("topics = ['t']\n{options}"), channel)
    }

    pub(super) fn start_at(brokers: &[String], options: &str, channel: Arc<HeldChannel>) -> Self {
        let options = format!("consumer_group = 'g'\ncommit_interval = '10 ms'\n{options}");
        let spec = check(brokers, &options).unwrap_or_else(|faults| panic!("{faults}"));
        let lanes = spec.start(&SourceContext { name: "in".into() }).expect("starts");
        let (ledger, stop) = (Arc::new(SourceLedger::default()), StopSignal::new());
        let threads = lanes.into_iter().map(|lane| {
            let selector = Selector::replicating(vec![channel.clone()], Vec::new());
            let outlet = Outlet::new(Vec::new(), selector, ledger.clone(), stop.clone());
            let stop = stop.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                LocalSet::new().block_on(&runtime, lane.run(outlet, stop))
            })
        });
        Self { threads: threads.collect(), channel, ledger, stop }
    }

    /// Stops it in order, with so much time.
    pub(super) fn stop(self, grace: Duration) -> Arc<HeldChannel> {
        self.stop.give(grace);
        for thread in self.threads {
            thread.join().expect("no panic").expect("no fault");
        }
        self.channel
    }

    /// Waits until it ends by itself; the chain of the error that one of its lanes ended with.
    pub(super) fn fault_at_the_end(self) -> String {
        let ended = self.threads.into_iter().map(|thread| thread.join().expect("no panic"));
        let faults: Vec<SourceError> = ended.collect::<Vec<_>>().into_iter().filter_map(Result::err).collect();
        faults.iter().map(|fault| weir_engine::chain(fault)).collect()
    }

    /// Ends it like a crash as far as the group can see: nothing more is settled, and no time is given.
    pub(super) fn crash(self) -> Arc<HeldChannel> {
        self.stop(Duration::ZERO)
    }

    /// Waits until it has the partitions, and has told where it is.
    #[track_caller]
    pub(super) fn until_assigned(&self, partitions: usize) {
        eventually("partitions are assigned", || self.ledger.partitions(0).len() == partitions);
    }

    pub(super) fn fault(&self, kind: &str) -> u64 {
        self.ledger.faults.snapshot().get(kind).copied().unwrap_or(0)
    }
}
