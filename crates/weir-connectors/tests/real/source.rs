//! Source `kafka` against real brokers: agents that share a topic, one of which is killed; a channel that is full for long.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use weir_codec::record_batch::{Compression, Encoder, EncoderOptions};
use weir_config::{Diagnostics, Document};
use weir_connectors::io_thread::IoThread;
use weir_connectors::registry;
use weir_engine::channel::{AppendError, Channel, ChannelError, ChannelUsage, Cursor};
use weir_engine::ledger::SourceLedger;
use weir_engine::outlet::Outlet;
use weir_engine::receipt::ReceiptTicket;
use weir_engine::selector::Selector;
use weir_engine::source::SourceContext;
use weir_engine::stop::StopSignal;
use weir_event::EventBatch;
use weir_kafka::{Cluster, ClusterOptions, Producer, ProducerOptions};
use weir_servers::kafka::{self, Version};

use crate::look::{committed, connect};

/// In a child process: the options of the source it is to run.
pub(crate) const CHILD_VARIABLE: &str = "WEIR_TEST_SOURCE_OPTIONS";

const PARTITIONS: i32 = 12;
const BATCH_EVENTS: i64 = 50;
/// By when the partitions of a killed process are taken over: a session of 6 s until the coordinator misses it, a heartbeat
/// until the other hears of that, the join; with as much again for a busy machine.
const TAKE_OVER_MAX: Duration = Duration::from_secs(18);
/// Longest wait for anything: three session timeouts and the starts of members on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

type Ranges = BTreeMap<i32, Vec<(i64, i64)>>;

/// A channel that hands every batch to `taken` and then gives the receipt.
struct Collecting<F> {
    taken: F,
    is_full: Arc<AtomicBool>,
}

impl<F: Fn(&EventBatch) + Send + Sync> Channel for Collecting<F> {
    fn name(&self) -> &str {
        "c"
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn try_append(&self, batch: &EventBatch, ticket: ReceiptTicket) -> Result<(), AppendError> {
        if self.is_full.load(Relaxed) {
            return Err(AppendError::Full(ticket));
        }
        (self.taken)(batch);
        ticket.complete(Ok(()));
        Ok(())
    }

    fn wait_for_room(&self, timeout: Duration) -> bool {
        if self.is_full.load(Relaxed) {
            std::thread::park_timeout(timeout.min(Duration::from_millis(20)));
        }
        !self.is_full.load(Relaxed)
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

/// A source running in this process.
struct Running {
    ledger: Arc<SourceLedger>,
    stop: StopSignal,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Running {
    fn start(options: &str, channel: Arc<dyn Channel>) -> Self {
        let toml =
            format!("[channels.c]\ntype = 'memory'\n[sources.in]\ntype = 'kafka'\nchannels = ['c']\n{options}\n");
        let registry = registry();
        let (document, mut diagnostics) = Document::parse(&[("test.toml", &toml)]);
        let (config, found) = document.check(&registry.catalogue(), &|_| None);
        diagnostics.append(found);
        assert!(!diagnostics.has_errors(), "{}", diagnostics.render(false));
        let kafka = registry.sources.iter().find(|kind| kind.spec.name == "kafka").expect("registered");
        let spec = (kafka.parse)(&config.sources[0], &mut Diagnostics::new()).expect("sound options");
        let lanes = spec.start(&SourceContext { name: "in".into() }).expect("starts");
        let (ledger, stop) = (Arc::new(SourceLedger::default()), StopSignal::new());
        let threads = lanes.into_iter().map(|lane| {
            let selector = Selector::replicating(vec![channel.clone()], Vec::new());
            let outlet = Outlet::new(Vec::new(), selector, ledger.clone(), stop.clone());
            let stop = stop.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(lane.run(outlet, stop)).expect("no fault");
            })
        });
        Self { threads: threads.collect(), ledger, stop }
    }

    fn stop(self) {
        self.stop.give(Duration::from_secs(20));
        self.threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    }

    fn fault(&self, kind: &str) -> u64 {
        self.ledger.faults.snapshot().get(kind).copied().unwrap_or(0)
    }
}

/// Partition, first offset, offset behind the last of a batch, which has no gaps in these tests.
fn range(batch: &EventBatch) -> (i32, i64, i64) {
    let partition = batch.numbers("partition").get(0).expect("set by the source");
    let offsets = batch.numbers("offset");
    let (first, last) = (offsets.get(0).expect("set"), offsets.get(batch.len() - 1).expect("set"));
    assert_eq!(last - first + 1, batch.len() as i64);
    (partition as i32, first, last + 1)
}

/// The child: writes a line per batch before it gives the receipt, so that whoever kills it knows what it had.
pub(crate) fn child(options: &str) {
    let taken = |batch: &EventBatch| {
        let (partition, first, end) = range(batch);
        let mut out = std::io::stdout().lock();
        writeln!(out, "{partition} {first} {end}").and_then(|()| out.flush()).expect("the parent reads");
    };
    let running = Running::start(options, Arc::new(Collecting { taken, is_full: Arc::default() }));
    // Until standard input ends, or somebody kills it.
    let _ = std::io::stdin().lines().count();
    running.stop();
}

/// A child process with what it has taken.
struct Agent {
    child: Child,
    taken: Arc<Mutex<Ranges>>,
    reader: std::thread::JoinHandle<()>,
}

impl Agent {
    fn start(options: &str) -> Result<Self, Failed> {
        let mut child = Command::new(std::env::current_exe()?)
            .env(CHILD_VARIABLE, options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let taken: Arc<Mutex<Ranges>> = Arc::default();
        let (lines, into) = (BufReader::new(child.stdout.take().ok_or("no output")?).lines(), taken.clone());
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let numbers: Vec<i64> = line.split(' ').filter_map(|number| number.parse().ok()).collect();
                // A killed child may leave half a line: of that it had no receipt.
                let &[partition, first, end] = numbers.as_slice() else { continue };
                let mut taken = into.lock().unwrap_or_else(PoisonError::into_inner);
                taken.entry(partition as i32).or_default().push((first, end));
            }
        });
        Ok(Self { child, taken, reader })
    }

    fn taken(&self) -> Ranges {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Partitions of which it took something at `offset` or behind.
    fn partitions_since(&self, offset: i64) -> BTreeSet<i32> {
        let is_recent = |ranges: &Vec<(i64, i64)>| ranges.iter().any(|(_, end)| *end > offset);
        self.taken().into_iter().filter(|(_, ranges)| is_recent(ranges)).map(|(partition, _)| partition).collect()
    }

    fn kill(mut self) -> Result<Ranges, Failed> {
        self.child.kill()?;
        self.end()
    }

    fn stop(mut self) -> Result<Ranges, Failed> {
        drop(self.child.stdin.take());
        self.end()
    }

    fn end(mut self) -> Result<Ranges, Failed> {
        self.child.wait()?;
        self.reader.join().map_err(|_| "the reader panicked")?;
        Ok(std::mem::take(&mut *self.taken.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Writes a batch into every partition for each number it gets; ends with the sender.
fn produce(io: &IoThread, bootstrap: &str, rounds: mpsc::Receiver<usize>) -> mpsc::Receiver<()> {
    let (done, finished) = mpsc::channel();
    let bootstrap: Vec<String> = bootstrap.split(',').map(str::to_owned).collect();
    let handle = io.handle().clone();
    std::thread::spawn(move || {
        let connected = handle.block_on(async { Cluster::connect(ClusterOptions::new(bootstrap)).await });
        let cluster = connected.expect("a cluster");
        let producer = handle.block_on(async { Producer::new(&cluster, ProducerOptions::default()) });
        let options = EncoderOptions { compression: Compression::Lz4, ..EncoderOptions::default() };
        let mut encoder = Encoder::new(options).expect("no level");
        let bodies = [[b'x'; 190]; BATCH_EVENTS as usize];
        for count in rounds {
            for _ in 0..count {
                let mut receipts = Vec::new();
                for partition in 0..PARTITIONS {
                    let batch = encoder.encode(&EventBatch::from_bodies(&bodies, 0), Vec::new()).expect("encoded");
                    receipts.push(handle.block_on(producer.send("t", partition, batch)).expect("open"));
                }
                receipts.into_iter().for_each(|receipt| {
                    handle.block_on(receipt).expect("written");
                });
            }
            // Nobody listens once the test has ended.
            let _ = done.send(());
        }
    });
    finished
}

fn until(what: &str, condition: impl Fn() -> bool) -> Result<(), Failed> {
    within(PATIENCE, what, condition)
}

fn within(patience: Duration, what: &str, condition: impl Fn() -> bool) -> Result<(), Failed> {
    let deadline = Instant::now() + patience;
    while !condition() {
        if Instant::now() > deadline {
            return Err(format!("waited {patience:?} for: {what}").into());
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Ok(())
}

/// Runs `work` with one broker that has short sessions and a topic `t` of twelve partitions.
fn with_topic(version: Version, work: impl FnOnce(&kafka::Cluster) -> Result<(), Failed>) -> Result<(), Failed> {
    let properties = [
        ("group.min.session.timeout.ms", "2000"),
        ("group.consumer.min.session.timeout.ms", "2000"),
        ("group.consumer.session.timeout.ms", "6000"),
        ("group.consumer.min.heartbeat.interval.ms", "200"),
        ("group.consumer.heartbeat.interval.ms", "500"),
    ];
    let known = if version.has_consumer_protocol() { properties.len() } else { 1 };
    let properties =
        properties[..known].iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let options = kafka::ClusterOptions { version, properties, ..kafka::ClusterOptions::default() };
    kafka::Cluster::with(options, |server| {
        server.create_topic(&kafka::Topic { partitions: PARTITIONS as u32, ..kafka::Topic::new("t") })?;
        work(server)
    })
}

fn options(server: &kafka::Cluster) -> String {
    let brokers: Vec<String> = server.bootstrap().split(',').map(str::to_owned).collect();
    format!(
        "brokers = {brokers:?}\ntopics = ['t']\nconsumer_group = 'g'\nsession_timeout = '6 s'\n\
         commit_interval = '200 ms'\nmetadata_age = '5 s'"
    )
}

/// Scenario: two processes in one group over twelve partitions, events coming all the time; one process is killed.
/// Guarantees: six partitions each; after the kill the other has all twelve within three session timeouts; every event was
/// taken by somebody, in order, and twice only what the killed one had not committed.
pub(crate) fn agents_share_and_take_over(version: Version) -> Result<(), Failed> {
    with_topic(version, |server| {
        let io = IoThread::start("test-producer")?;
        let (rounds, receiver) = mpsc::channel();
        let produced = produce(&io, &server.bootstrap(), receiver);
        let written = AtomicUsize::new(0);
        let write = |count: usize| -> Result<i64, Failed> {
            rounds.send(count)?;
            produced.recv_timeout(PATIENCE)?;
            Ok((written.fetch_add(count, Relaxed) + count) as i64 * BATCH_EVENTS)
        };
        write(20)?;
        let (first, second) = (Agent::start(&options(server))?, Agent::start(&options(server))?);
        until("the partitions are even", || {
            let before = written.load(Relaxed) as i64 * BATCH_EVENTS;
            let Ok(end) = write(1) else { return false };
            let both = || (first.partitions_since(before), second.partitions_since(before));
            until("the round is read", || both().0.len() + both().1.len() >= PARTITIONS as usize).is_ok()
                && end > before
                && both().0.len() == 6
                && both().1.len() == 6
                && both().0.is_disjoint(&both().1)
        })?;
        write(40)?;
        let killed = first.kill()?;
        let committed = committed(&io, &connect(&io, server)?, "g", PARTITIONS)?;
        let end = write(20)?;
        within(TAKE_OVER_MAX, "the other has everything", || {
            let taken = second.taken();
            (0..PARTITIONS)
                .all(|partition| taken.get(&partition).is_some_and(|r| r.iter().any(|(_, last)| *last == end)))
        })?;
        let other = second.stop()?;
        for partition in 0..PARTITIONS {
            let of = |ranges: &Ranges| ranges.get(&partition).cloned().unwrap_or_default();
            let (mut all, twice) = (of(&killed), of(&other));
            all.extend(twice);
            all.sort_unstable();
            let mut next = 0;
            let mut repeated = 0;
            for (first, behind) in all {
                assert!(first <= next, "partition {partition}: events {next} to {first} were lost");
                repeated += (next - first).min(behind - first).max(0);
                next = next.max(behind);
            }
            assert_eq!(next, end, "partition {partition}");
            // At most what the killed one had not committed, and as much as is under way when a partition moves.
            let taken = of(&killed).iter().map(|(_, behind)| *behind).max().unwrap_or(0);
            let uncommitted = (taken - committed.get(&(partition as u32)).map_or(0, |offset| *offset as i64)).max(0);
            let limit = uncommitted + 45 * BATCH_EVENTS;
            assert!(repeated <= limit, "partition {partition}: {repeated} events twice, {uncommitted} not committed");
        }
        Ok(())
    })
}

/// Scenario: a channel is full for twice the session timeout while events come; then it takes again.
/// Guarantees: no partition is lost, everything is taken once, in order, and committed.
pub(crate) fn a_slow_channel_keeps_its_partitions(version: Version) -> Result<(), Failed> {
    with_topic(version, |server| {
        let io = IoThread::start("test-producer")?;
        let (rounds, receiver) = mpsc::channel();
        let produced = produce(&io, &server.bootstrap(), receiver);
        rounds.send(40)?;
        produced.recv_timeout(PATIENCE)?;
        let taken: Arc<Mutex<Ranges>> = Arc::default();
        let (into, is_full) = (taken.clone(), Arc::new(AtomicBool::new(false)));
        let take = move |batch: &EventBatch| {
            let (partition, first, end) = range(batch);
            into.lock().unwrap_or_else(PoisonError::into_inner).entry(partition).or_default().push((first, end));
        };
        let channel = Arc::new(Collecting { taken: take, is_full: is_full.clone() });
        is_full.store(true, Relaxed);
        let source = Running::start(&format!("{}\nfetch_memory = '1 MiB'", options(server)), channel);
        until("the lanes wait", || source.ledger.received.load(Relaxed) > 0)?;
        // Time itself is what is tested: twice the session timeout.
        let over = Instant::now() + Duration::from_secs(12);
        until("two session timeouts pass", || Instant::now() > over)?;
        assert_eq!(source.ledger.partitions(0).len(), PARTITIONS as usize);
        is_full.store(false, Relaxed);
        let end = 40 * BATCH_EVENTS;
        until("everything is settled", || source.ledger.partitions(0).iter().all(|one| one.position == end as u64))?;
        assert_eq!(source.fault("partitions lost to the group"), 0);
        source.stop();
        for (partition, ranges) in taken.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let mut next = 0;
            for (first, behind) in ranges {
                assert_eq!(*first, next, "partition {partition}");
                next = *behind;
            }
            assert_eq!(next, end, "partition {partition}");
        }
        Ok(())
    })
}
