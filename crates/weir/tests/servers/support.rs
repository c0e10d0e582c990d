//! Agents as processes, load, and what a topic holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use weir_codec::record_batch::{Decoder, DecoderOptions};
use weir_event::ArenaPool;
use weir_kafka::{Cluster, ClusterOptions, FetchOptions, Fetcher, OffsetAt};
use weir_lab::{Account, Sequences, Stamp, read_files};
use weir_servers::ports;

/// How long anything may take before a trial gives up: far above what a busy machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Shows the figures of a trial.
#[expect(clippy::print_stdout, reason = "for whoever runs the trial; the runner shows it where it is wanted")]
pub(crate) fn show(text: &str) {
    println!("{text}");
}

/// A port nobody listens on now.
pub(crate) fn free_port() -> Result<u16, Failed> {
    Ok(ports::free(1)?[0])
}

/// Looks until there is something to be found.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T, Failed> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if Instant::now() > deadline {
            return Err(Failed::from(format!("not within {PATIENCE:?}: {what}")));
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A running agent; killed when dropped, so that a failing trial leaves nothing behind.
pub(crate) struct Running {
    child: Child,
    admin: u16,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already, if it was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts an agent on `sections`, which need no `[agent]`, and waits until it answers.
    pub(crate) fn start(folder: &Path, name: &str, sections: &str) -> Result<Self, Failed> {
        let admin = free_port()?;
        let config: PathBuf = folder.join(format!("{name}.toml"));
        let agent =
            format!("[agent]\nname = '{name}'\nadmin = '127.0.0.1:{admin}'\nlog_level = 'warn'\nmemory = '1 GiB'\n");
        std::fs::write(&config, agent + sections)?;
        let child =
            Command::new(env!("CARGO_BIN_EXE_weir")).arg("run").arg(&config).stderr(Stdio::inherit()).spawn()?;
        let running = Self { child, admin };
        eventually(&format!("agent {name} answers"), || running.status())?;
        Ok(running)
    }

    /// Its state; `None` while it does not answer.
    pub(crate) fn status(&self) -> Option<serde_json::Value> {
        let answer = ureq::get(format!("http://127.0.0.1:{}/status", self.admin)).call().ok()?;
        serde_json::from_reader(answer.into_body().into_reader()).ok()
    }

    /// Waits until its state gives something.
    pub(crate) fn until<T>(&self, what: &str, look: impl Fn(&serde_json::Value) -> Option<T>) -> Result<T, Failed> {
        let found = eventually(what, || self.status().and_then(|status| look(&status)));
        found.map_err(|failed| match self.status() {
            Some(status) => Failed::from(format!("{}: {status:#}", failed.message().unwrap_or_default())),
            None => failed,
        })
    }

    /// Events its first source calls durable.
    pub(crate) fn durable(&self) -> u64 {
        self.status().and_then(|status| status["sources"][0]["durable"].as_u64()).unwrap_or(0)
    }

    /// Waits until the first group has nothing left to deliver.
    pub(crate) fn until_drained(&self) -> Result<(), Failed> {
        self.until("nothing waits", |status| (status["groups"][0]["backlog_events"] == 0).then_some(()))
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) -> Result<(), Failed> {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status()?;
        if sent.success() { Ok(()) } else { Err(Failed::from("the agent is gone")) }
    }

    /// Stops it in order: how long that took. An exit code other than 0 is a failure, and so is an agent that stays.
    pub(crate) fn stop(mut self) -> Result<Duration, Failed> {
        let told = Instant::now();
        self.signal("TERM")?;
        let ended = eventually("the agent ends", || self.child.try_wait().transpose())??;
        if ended.success() { Ok(told.elapsed()) } else { Err(Failed::from(format!("the agent ended with {ended}"))) }
    }
}

/// Reads all of a topic that there is now: the account of its stamps, and events by partition.
pub(crate) fn read_topic(brokers: &str, topic: &str) -> Result<(Account, BTreeMap<i32, u64>), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let cluster = Cluster::connect(ClusterOptions::new(brokers.split(','))).await?;
        let partitions: Vec<i32> = (0..).take(cluster.topic(topic).await?.partitions.len()).collect();
        let ends = cluster.offsets(topic, &partitions, OffsetAt::Latest).await?;
        let mut left: BTreeMap<i32, i64> = ends
            .iter()
            .filter(|end| end.offset > Some(0))
            .map(|end| (end.partition, end.offset.unwrap_or(0)))
            .collect();
        let mut fetcher = Fetcher::new(&cluster, FetchOptions::default());
        left.keys().for_each(|partition| fetcher.assign(topic, *partition, 0));
        let (mut account, mut counts) = (Account::new(), BTreeMap::new());
        let mut decoder = Decoder::new(ArenaPool::new(1 << 20, 2), DecoderOptions::default());
        while !left.is_empty() {
            let fetched = fetcher.next().await?;
            for batch in fetched.batches {
                let events = decoder.decode(batch.bytes, None, 0)?.into_events().ok_or("a control batch")?;
                *counts.entry(fetched.partition).or_default() += events.len() as u64;
                for row in 0..events.len() {
                    match Stamp::find(events.body(row)) {
                        Some((stamp, _)) => account.add(stamp.producer, stamp.sequence),
                        None => account.add_unstamped(),
                    }
                }
            }
            left.retain(|partition, end| *partition != fetched.partition || fetched.next_offset < *end);
        }
        Ok((account, counts))
    })
}

/// Looks whether all of `sent`, and nothing else, is once in topic `t` and once in `files` of `folder`: events by partition.
pub(crate) fn once_each(brokers: &str, folder: &Path, sent: &Sequences) -> Result<BTreeMap<i32, u64>, Failed> {
    let (written, counts) = read_topic(brokers, "t")?;
    let read = read_files(&folder.join("files"))?;
    for (place, account) in [("topic", written), ("files", read.account)] {
        let verdict = account.verdict(sent, Some(sent));
        show(&format!("{place}: {}", serde_json::to_string(&verdict)?));
        assert!(verdict.is_sound() && verdict.acknowledged > 100_000, "{place}: {verdict:?}");
        assert_eq!((verdict.duplicates, verdict.unstamped), (0, 0), "{place}: {verdict:?}");
    }
    Ok(counts)
}
