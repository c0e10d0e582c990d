//! Faults of the network between agents and brokers, made by a packet filter in a network namespace that ends with the
//! trial: the machine's own network is never touched.
//!
//! The trial runs this binary a second time, inside the namespace, with nothing but itself to run. Brokers, agents and load
//! are all in there; packets are dropped or refused on the loopback interface, by the port of a broker.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use weir_kafka::{OffsetAt, Place};
use weir_lab::{Progress, send};
use weir_servers::Unavailable;
use weir_servers::kafka::{Cluster, ClusterOptions, Distribution};
use weir_servers::process::{self, RunError};

use crate::edge::{PARTITIONS, delivered, edge, hub, load, topic};
use crate::support::{Running, eventually, free_port, once_each, show};

/// Set inside the namespace to the one outside, so that faults are never made in that one.
const OUTSIDE: &str = "WEIR_TEST_NETWORK_OUTSIDE";
/// How long the whole may take inside: four times what it takes alone on two cores.
const WHOLE: Duration = Duration::from_secs(600);
/// The promise: so long after a fault is healed events flow again, in every partition, to both ends.
const RECOVERY_MAX: Duration = Duration::from_secs(30);
/// Of the agent behind the topic, so that the longer faults cost it its membership.
const SESSION: Duration = Duration::from_secs(6);
/// A peer that gives so much gives a byte of its answer, not an answer.
const TRICKLE: Duration = Duration::from_secs(1);
/// Name of the consumer group.
const GROUP: &str = "weir";
/// The chain that faults are rules of. Packets are dropped where they come in: one dropped on its way out would be an error
/// of the sender's system call instead of a loss. Both directions of a connection on loopback come in there.
const CHAIN: &str = "inet weir_faults input";

/// Runs a program that has to succeed; what it says otherwise is the error.
fn run(program: &str, arguments: &[&str], input: &str) -> Result<String, String> {
    let patience = Duration::from_secs(10);
    let ran = process::run(program, Command::new(program).args(arguments), input.as_bytes(), patience);
    ran.map(|output| output.text()).map_err(|error| error.to_string())
}

/// The arguments of `unshare` that make a namespace here: root's way, or any user's.
fn ways_in() -> [&'static [&'static str]; 2] {
    [&["--net"], &["--user", "--map-root-user", "--net"]]
}

/// A way into a namespace where the packet filter can be used.
fn way_in() -> Result<&'static [&'static str], Unavailable> {
    let try_out = "ip link set lo up && nft add table inet weir_faults";
    let mut reason = String::new();
    for way in ways_in() {
        match run("unshare", &[way, &["--", "sh", "-c", try_out]].concat(), "") {
            Ok(_) => return Ok(way),
            Err(error) => reason = error.replace('\n', " "),
        }
    }
    let reason = format!(
        "no network namespace with nftables (packages nftables and iproute2, root or user namespaces): {reason}"
    );
    Err(Unavailable { reason })
}

/// What the trial needs besides brokers.
pub(crate) fn needed(kafka: &Result<Distribution, Unavailable>) -> Result<(), Unavailable> {
    kafka.as_ref().map_err(Unavailable::clone)?;
    way_in().map(drop)
}

/// Scenario: see [`faults_between_agents_and_brokers`], which this runs in a namespace of its own under the name `trial`.
/// Guarantees: what happens in there reaches nobody outside, and ends with it.
pub(crate) fn in_a_namespace(trial: &str) -> Result<(), Failed> {
    let here = std::fs::read_link("/proc/self/ns/net")?.into_os_string();
    if std::env::var_os(OUTSIDE).is_some_and(|outside| outside != here) {
        return faults_between_agents_and_brokers();
    }
    let way = way_in().map_err(|error| error.reason)?;
    let mut command = Command::new("unshare");
    command.args(way).args(["--", "sh", "-c", r#"ip link set lo up && exec "$0" --exact "$1""#]);
    command.arg(std::env::current_exe()?).arg(trial).env(OUTSIDE, here);
    match process::run("the trial in its namespace", &mut command, b"", WHOLE) {
        Ok(output) => {
            show(&output.text());
            Ok(())
        }
        Err(RunError::Failed { output, .. } | RunError::TooLong { output, .. }) => {
            Err(Failed::from(format!("{}\n{}", output.stderr, output.text())))
        }
        Err(error) => Err(error.into()),
    }
}

/// The filter, empty unless there is a fault.
struct Filter;

impl Filter {
    fn new() -> Result<Self, Failed> {
        let (table, _) = CHAIN.rsplit_once(' ').ok_or("family, table and chain")?;
        let text =
            format!("add table {table}\nadd chain {CHAIN} {{ type filter hook input priority 0; policy accept; }}\n");
        run("nft", &["-f", "-"], &text)?;
        Ok(Self)
    }

    /// Adds rules; each counts the packets it hits.
    fn fault(&self, rules: &[String]) -> Result<(), Failed> {
        let text: String = rules.iter().map(|rule| format!("add rule {CHAIN} {rule}\n")).collect();
        run("nft", &["-f", "-"], &text)?;
        Ok(())
    }

    /// Removes all rules: how many packets they hit.
    fn heal(&self) -> Result<u64, Failed> {
        let text = run("nft", &[&["list", "chain"], CHAIN.split(' ').collect::<Vec<_>>().as_slice()].concat(), "")?;
        run("nft", &["-f", "-"], &format!("flush chain {CHAIN}\n"))?;
        let counts = text.split("counter packets ").skip(1);
        Ok(counts.filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok()).sum())
    }
}

/// A fault and how long it lasts.
struct Fault {
    name: &'static str,
    rules: Vec<String>,
    lasts: Duration,
}

/// The faults in their order: three of one broker, one of all.
fn faults(one: u16, all: &[u16]) -> Vec<Fault> {
    let all = all.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    let fault = |name, seconds, rules: &[String]| {
        let lasts = Duration::from_secs(seconds);
        Fault { name, rules: rules.to_vec(), lasts }
    };
    let (to, from) = (format!("tcp dport {one} counter"), format!("tcp sport {one} counter"));
    let lossy = |way: &str| format!("tcp {way} {{ {all} }} numgen random mod 100 < 20 counter drop");
    vec![
        fault("blackhole", 20, &[format!("{to} drop"), format!("{from} drop")]),
        fault("answers lost", 20, &[format!("{from} drop")]),
        fault("reset", 10, &[format!("{to} reject with tcp reset")]),
        fault("20 % of packets lost", 15, &[lossy("dport"), lossy("sport")]),
    ]
}

/// A peer that takes connections and gives each a byte a second of an answer that would take minutes.
struct Trickler {
    address: String,
    taken: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Trickler {
    fn start() -> Result<Self, Failed> {
        // The length of an answer, its correlation id, and the beginning of a body that goes on and on.
        const ANSWER: [u8; 12] = [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?.to_string();
        let (taken, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, stopped) = (taken.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut peers: Vec<(TcpStream, usize)> = Vec::new();
            while !stopped.load(Relaxed) {
                while let Ok((peer, _)) = listener.accept() {
                    counted.fetch_add(1, Relaxed);
                    peers.push((peer, 0));
                }
                peers.retain_mut(|(peer, given)| {
                    let byte = ANSWER.get(*given).copied().unwrap_or(0);
                    *given += 1;
                    // An error means that the peer has gone.
                    peer.write_all(&[byte]).is_ok()
                });
                std::thread::park_timeout(TRICKLE);
            }
        });
        Ok(Self { address, taken, stop, thread: Some(thread) })
    }
}

impl Drop for Trickler {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic in there was shown when it happened.
            let _ = thread.join();
        }
    }
}

/// Two agents with brokers between them, the one that trickles named first.
struct Tiers {
    edge: Running,
    hub: Running,
    bootstrap: String,
}

impl Tiers {
    fn start(folder: &Path, port: u16, first: &str, bootstrap: &str) -> Result<Self, Failed> {
        let brokers = format!("{first},{bootstrap}");
        let channel = format!("consumer_group = '{GROUP}'\nsession_timeout = '{} s'", SESSION.as_secs());
        // The hub first: it waits for its brokers before it answers.
        let hub = hub(folder, &brokers, &channel)?;
        let edge = edge(folder, port, &brokers, "")?;
        Ok(Self { edge, hub, bootstrap: bootstrap.to_owned() })
    }

    /// Where each partition ends, and up to where the hub has its events in files for good. Asked by new connections:
    /// only the agents have to find back.
    fn offsets(&self) -> Result<Offsets, Failed> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut options = weir_kafka::ClusterOptions::new(self.bootstrap.split(','));
            options.connection.connect_timeout = Duration::from_secs(2);
            options.connection.request_timeout = Duration::from_secs(2);
            let cluster = weir_kafka::Cluster::connect(options).await?;
            let partitions: Vec<i32> = (0..).take(PARTITIONS as usize).collect();
            let ends = cluster.offsets("t", &partitions, OffsetAt::Latest).await?;
            let places: Vec<Place> =
                partitions.iter().map(|partition| Place { topic: "t".into(), partition: *partition }).collect();
            let committed = cluster.committed(GROUP, &places).await?;
            Ok(Offsets {
                ends: ends.iter().map(|end| (end.partition, end.offset.unwrap_or(0))).collect(),
                committed: committed.iter().map(|at| (at.place.partition, at.offset.unwrap_or(0))).collect(),
            })
        })
    }

    /// Events that each end has handed on.
    fn delivered(&self) -> (u64, u64) {
        (delivered(&self.edge).unwrap_or(0), delivered(&self.hub).unwrap_or(0))
    }

    /// Waits until every partition has taken events since `before` and the hub has some of these in files: how long each
    /// took since `healed`.
    fn until_flowing(&self, before: &Offsets, healed: Instant) -> Result<(Duration, Duration), Failed> {
        let (mut written, mut read) = (None, None);
        let both = eventually("events flow in every partition, to both ends", || {
            let now = self.offsets().ok()?;
            if all_beyond(&now.ends, &before.ends) {
                written.get_or_insert_with(|| healed.elapsed());
            }
            if all_beyond(&now.committed, &before.ends) {
                read.get_or_insert_with(|| healed.elapsed());
            }
            written.zip(read)
        });
        both.map_err(|failed| {
            let (edge, hub) = (self.edge.status().unwrap_or_default(), self.hub.status().unwrap_or_default());
            format!("{}: edge {edge:#}\nhub {hub:#}", failed.message().unwrap_or_default()).into()
        })
    }
}

/// By partition.
#[derive(Debug)]
struct Offsets {
    ends: BTreeMap<i32, i64>,
    committed: BTreeMap<i32, i64>,
}

fn all_beyond(now: &BTreeMap<i32, i64>, before: &BTreeMap<i32, i64>) -> bool {
    before.iter().all(|(partition, offset)| now.get(partition).is_some_and(|now| now > offset))
}

/// The broker that keeps the group of the hub.
fn coordinator(server: &Cluster) -> Result<u32, Failed> {
    let told = server.tools().groups(&["--describe", "--group", GROUP, "--state"])?.text();
    let words: Vec<&str> = told.split_whitespace().collect();
    let at = |broker| [server.address(broker), format!("({broker})")];
    let found = (1..=3).find(|broker| words.windows(2).any(|pair| pair == at(*broker)));
    found.ok_or_else(|| format!("no coordinator in {told}").into())
}

/// Lets one fault come and go, and shows what it did.
fn endure(fault: &Fault, filter: &Filter, tiers: &Tiers) -> Result<(), Failed> {
    let before = tiers.delivered();
    filter.fault(&fault.rules)?;
    std::thread::sleep(fault.lasts);
    let (during, packets) = (tiers.delivered(), filter.heal()?);
    let healed = Instant::now();
    let ends = eventually("brokers tell offsets", || tiers.offsets().ok())?;
    let (written, read) = tiers.until_flowing(&ends, healed)?;
    show(&format!(
        "{} for {:?}: {packets} packets; {} events written and {} read meanwhile; all partitions written after {:.1} s, read after {:.1} s",
        fault.name,
        fault.lasts,
        during.0 - before.0,
        during.1 - before.1,
        written.as_secs_f64(),
        read.as_secs_f64()
    ));
    // As errors: a panic would leave the load running, and the trial waiting for it.
    if packets == 0 {
        return Err(format!("{}: no packet was hit, so nothing is proved", fault.name).into());
    }
    if written.max(read) > RECOVERY_MAX {
        return Err(format!("{}: {written:?} and {read:?} after it was healed", fault.name).into());
    }
    Ok(())
}

/// Scenario: three brokers, three copies, two required; syslog -> file channel -> sink `kafka`, and channel `kafka` ->
/// files, each told first of a peer that answers a byte a second. Under load the broker that keeps the hub's group is cut
/// off for 20 s, then only its answers are, then its connections are reset for 10 s; then every fifth packet from and to
/// all brokers is lost for 15 s.
/// Guarantees: both agents get past the slow peer; 30 s after each fault at most every partition takes events again and the
/// hub has them in files; by sequence accounting every event is once in the topic and once in the files; both agents stop
/// in order.
fn faults_between_agents_and_brokers() -> Result<(), Failed> {
    // The brokers' own session timeout is what counts in the newer group protocol.
    let session = SESSION.as_millis().to_string();
    let properties =
        [("group.consumer.session.timeout.ms", &*session), ("group.consumer.min.session.timeout.ms", "2000")];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let options = ClusterOptions { brokers: 3, properties, ..ClusterOptions::default() };
    Cluster::with(options, |server| {
        server.create_topic(&topic(3))?;
        let (filter, trickler, folder, port) = (Filter::new()?, Trickler::start()?, tempfile::tempdir()?, free_port()?);
        let started = Instant::now();
        let tiers = Tiers::start(folder.path(), port, &trickler.address, &server.bootstrap())?;
        let progress = Progress::new();
        let report = std::thread::scope(|scope| {
            let sending = scope.spawn(|| send(&load(port, 1), &progress));
            let faults = || -> Result<(), Failed> {
                eventually("events pass both agents", || {
                    let (edge, hub) = tiers.delivered();
                    (edge > 0 && hub > 0).then_some(())
                })?;
                show(&format!("past the slow peer after {:.1} s", started.elapsed().as_secs_f64()));
                let port = |broker| server.address(broker).rsplit(':').next().and_then(|port| port.parse().ok());
                let all: Vec<u16> = (1..=3).filter_map(port).collect();
                let one = port(coordinator(server)?).ok_or("a port")?;
                faults(one, &all).iter().try_for_each(|fault| endure(fault, &filter, &tiers))
            };
            let outcome = faults();
            progress.stop();
            let report = sending.join().map_err(|_| Failed::from("the sender panicked"))?;
            outcome.and_then(|()| Ok(report?))
        })?;
        let sent = report.sequences();
        eventually("everything sent is durable", || (tiers.edge.durable() >= sent.count()).then_some(()))?;
        tiers.edge.until_drained()?;
        eventually("all of the topic is in files", || {
            let offsets = tiers.offsets().ok()?;
            (offsets.committed == offsets.ends).then_some(())
        })?;
        assert!(trickler.taken.load(Relaxed) >= 2, "both agents tried the slow peer first");
        let Tiers { edge, hub, .. } = tiers;
        let stopped = (edge.stop()?, hub.stop()?);
        show(&format!(
            "the agents stopped after {:.1} s and {:.1} s",
            stopped.0.as_secs_f64(),
            stopped.1.as_secs_f64()
        ));
        once_each(&server.bootstrap(), folder.path(), &sent).map(drop)
    })
}
