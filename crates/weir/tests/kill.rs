//! The real binary, killed under load again and again: nothing that had a receipt may be missing.
//!
//! The account is independent of Weir's own counters: lines are numbered by the sender, finished files are read by
//! `weir_lab::read_files`, and the only thing believed of the agent is how many events it called durable before it died.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use weir_lab::sender::{Input, Progress, SendOptions, StampOptions};
use weir_lab::{Sequences, Target, read_files, send};

const KILLS: u16 = 50;
/// The promise for a restart (P6), and how long the test waits for one.
const RESTART_MAX: Duration = Duration::from_secs(10);

struct Rig {
    folder: tempfile::TempDir,
    input: u16,
    admin: u16,
}

/// A running agent; killed when dropped, so that a failing test leaves nothing behind.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port()
}

impl Rig {
    fn new() -> Self {
        let rig = Self { folder: tempfile::tempdir().expect("a folder"), input: free_port(), admin: free_port() };
        let root = rig.folder.path().display();
        let toml = format!(
            "[agent]\nadmin = '127.0.0.1:{}'\nlog_level = 'warn'\n\
             [sources.in]\ntype = 'syslog'\nlisten = ['tcp://127.0.0.1:{}']\nlanes = 1\nchannels = ['spool']\n\
             [channels.spool]\ntype = 'file'\npath = '{root}/log'\nsegment_bytes = '4 MiB'\ncapacity_bytes = '4 GiB'\n\
             [sinks.out]\ntype = 'files'\nchannel = 'spool'\npath = '{root}/files'\nroll_time = '100 ms'\n",
            rig.admin, rig.input
        );
        std::fs::write(rig.config(), toml).expect("written");
        rig
    }

    fn config(&self) -> std::path::PathBuf {
        self.folder.path().join("agent.toml")
    }

    /// Starts the agent and waits until it answers.
    fn start(&self) -> Running {
        let child =
            Command::new(env!("CARGO_BIN_EXE_weir")).arg("run").arg(self.config()).stderr(Stdio::inherit()).spawn();
        let running = Running(child.expect("the binary starts"));
        let started = Instant::now();
        while self.status().is_none() {
            assert!(started.elapsed() < RESTART_MAX, "the agent is back within {RESTART_MAX:?}");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        running
    }

    fn status(&self) -> Option<serde_json::Value> {
        let answer = ureq::get(format!("http://127.0.0.1:{}/status", self.admin)).call().ok()?;
        serde_json::from_reader(answer.into_body().into_reader()).ok()
    }

    /// Events the agent calls durable since its start.
    fn durable(&self) -> Option<u64> {
        self.status()?["sources"][0]["durable"].as_u64()
    }
}

/// One life of the agent: load until it dies at a moment drawn from `random`. What it had acknowledged, what was sent.
fn life(rig: &Rig, producer: u16, random: &mut fastrand::Rng) -> (u64, Sequences) {
    let agent = rig.start();
    let mut options = SendOptions::new(Target::Tcp(format!("127.0.0.1:{}", rig.input)));
    options.stamp = Some(StampOptions { first_producer: producer, ..StampOptions::default() });
    options.events_per_second = Some(20_000.0);
    options.input = Input::Synth { seed: u64::from(producer), options: Default::default() };
    let progress = Progress::new();
    let (durable, report) = std::thread::scope(|scope| {
        let sending = scope.spawn(|| send(&options, &progress));
        let mut durable = 0;
        let mut first = None;
        let life = Duration::from_millis(random.u64(50..800));
        // The clock of a life starts with its first receipt, so that each has something to lose.
        while first.is_none_or(|first: Instant| first.elapsed() < life) {
            if let Some(count) = rig.durable() {
                durable = count;
                if count > 0 && first.is_none() {
                    first = Some(Instant::now());
                }
            }
            std::thread::park_timeout(Duration::from_millis(random.u64(1..20)));
        }
        drop(agent);
        progress.stop();
        (durable, sending.join().expect("no panic"))
    });
    (durable, report.map(|report| report.sequences()).unwrap_or_default())
}

fn drain(rig: &Rig) {
    let agent = rig.start();
    let deadline = Instant::now() + Duration::from_secs(60);
    while rig.status().is_none_or(|status| status["groups"][0]["backlog_events"] != 0) {
        assert!(Instant::now() < deadline, "the backlog is drained: {:?}", rig.status());
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let terminated = Command::new("kill").arg(agent.0.id().to_string()).status().expect("kill runs");
    assert!(terminated.success());
    let mut agent = agent;
    assert!(agent.0.wait().expect("it ends").success(), "an orderly end with a closed ledger");
}

fn leftovers(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("the folder of files");
    entries.flatten().filter(|entry| entry.file_name().to_string_lossy().ends_with(".tmp")).count()
}

/// Scenario: the running agent is killed with SIGKILL 50 times under load, at random moments, recovery included; each
/// life gets lines of a producer of its own; at last the backlog is drained and the files are counted.
/// Guarantees: no event that had a receipt is missing, none is in the files twice, none was never sent; the agent is back
/// within ten seconds each time; no temporary file is left.
#[test]
fn killed_agent_keeps_every_receipt() {
    let rig = Rig::new();
    let seed =
        std::env::var("WEIR_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("WEIR_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut acknowledged, mut sent) = (Sequences::new(), Sequences::new());
    for producer in 1..=KILLS {
        let (durable, sequences) = life(&rig, producer, &mut random);
        acknowledged.add_range(producer, 0, durable - 1);
        for (producer, runs) in sequences.producers() {
            for (first, last) in runs.runs() {
                sent.add_range(producer, first, last);
            }
        }
        if random.u8(0..5) == 0 {
            // Killed again in the middle of its recovery.
            drop(Running(
                Command::new(env!("CARGO_BIN_EXE_weir")).arg("run").arg(rig.config()).spawn().expect("starts"),
            ));
        }
    }
    drain(&rig);
    let files = rig.folder.path().join("files");
    let account = read_files(&files).expect("the files can be read").account;
    let verdict = account.verdict(&acknowledged, None);
    println!("{}", serde_json::to_string_pretty(&verdict).expect("JSON"));
    assert_eq!(verdict.lost, 0, "seed {seed}: {verdict:?}");
    assert_eq!((verdict.duplicates, verdict.damaged, verdict.unstamped), (0, 0, 0), "seed {seed}: {verdict:?}");
    assert!(verdict.acknowledged > u64::from(KILLS), "every life acknowledged something");
    // A sender that was cut off may not know of its last events; none may come from nowhere.
    let unknown = account.seen().minus(&sent).producers().map(|(_, runs)| runs.count()).max().unwrap_or(0);
    assert!(unknown <= 10_000, "at most what one socket holds is unknown to a sender that was cut off: {unknown}");
    assert_eq!(leftovers(&files), 0);
}
