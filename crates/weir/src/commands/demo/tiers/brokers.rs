//! The brokers between the tiers: our own, or those that the user names; and the topic on them.

use std::future::Future;
use std::time::{Duration, UNIX_EPOCH};

use tokio::runtime::{Builder, Runtime};
use weir_kafka::{ClusterError, ClusterOptions, NewTopic, OffsetAt};
use weir_servers::Control;
use weir_servers::kafka::{Cluster, ClusterOptions as ServerOptions};
use weir_servers::{StartError, Watch};

use crate::commands::demo::view::say;
use crate::exit::Failure;
use crate::signals::Signals;

/// Two per broker: each leads some, and the hub takes them in turn.
const PARTITIONS: i32 = 6;
/// As many copies as there are brokers, up to this.
const REPLICAS_MAX: usize = 3;
/// The broker that `--kill` kills: any will do, and it is not the first that clients ask.
const VICTIM: u32 = 2;
/// What is asked here takes milliseconds, or as long as an election after a broker was killed.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is said after a Ctrl-C that came too soon.
pub(crate) const STOPPED: &str = "stopped before the servers were ready";
/// Between looks for Ctrl-C.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Brokers with a new topic.
pub(crate) struct Brokers {
    /// Those that end with the demo; `None` if the user named others.
    own: Option<Cluster>,
    addresses: Vec<String>,
    topic: String,
    replicas: usize,
    killed: Option<u32>,
    /// Drives `client` while it is waited for.
    runtime: Runtime,
    client: weir_kafka::Cluster,
}

impl Brokers {
    /// Starts three, unless some are `named`, and makes the topic. 5 to 15 s; as long as a fetch takes the first time.
    pub(crate) fn start(named: &[String], signals: &Signals) -> Result<Self, Failure> {
        let is_cancelled = || signals.stop_was_asked();
        let own = named.is_empty().then(|| start_own(&Watch::new(&say, &is_cancelled))).transpose();
        let own = own.map_err(|error| match error {
            StartError::Cancelled => Failure::new(STOPPED),
            StartError::Unavailable(missing) => Failure::new(format!(
                "three local brokers cannot be started: {missing}; or name brokers that run: --brokers HOST:PORT,..."
            )),
            error => Failure::because("three local brokers did not start", &error),
        });
        Self::with_topic(own?, named, signals)
    }

    /// Makes the topic on `own`, if there are some, else on those that are `named`.
    pub(crate) fn with_topic(own: Option<Cluster>, named: &[String], signals: &Signals) -> Result<Self, Failure> {
        let addresses = match &own {
            Some(cluster) => cluster.bootstrap().split(',').map(str::to_owned).collect(),
            None => named.to_vec(),
        };
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::because("the client of the brokers did not start", &error))?;
        let options = ClusterOptions::new(addresses.iter().map(String::as_str));
        let unreachable = format!("the brokers {} cannot be asked", addresses.join(", "));
        let client = until(&runtime, Some(signals), &unreachable, weir_kafka::Cluster::connect(options))?;
        // A topic of its own in a cluster that others use.
        let topic = match &own {
            Some(_) => "weir-demo".to_owned(),
            None => format!("weir-demo-{}", UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis())),
        };
        let replicas = client.brokers().len().clamp(1, REPLICAS_MAX);
        // One may be missing: what is acknowledged is then still on two.
        let in_sync = if replicas >= REPLICAS_MAX { 2 } else { 1 };
        let wanted = NewTopic {
            name: topic.clone(),
            partitions: Some(PARTITIONS),
            replicas: Some(i16::try_from(replicas).expect("replicas are at most REPLICAS_MAX")),
            settings: vec![("min.insync.replicas".to_owned(), in_sync.to_string())],
        };
        until(&runtime, Some(signals), &format!("the topic {topic} cannot be made"), client.create_topic(&wanted))?;
        Ok(Self { own, addresses, topic, replicas, killed: None, runtime, client })
    }

    /// host:port of each.
    pub(crate) fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// The name of the topic.
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// The broker that was killed, if one was.
    pub(crate) fn killed(&self) -> Option<u32> {
        self.killed
    }

    /// One line about them.
    pub(crate) fn describe(&self) -> String {
        format!(
            "topic {}, {PARTITIONS} partitions, on {} broker(s) each, at {}",
            self.topic,
            self.replicas,
            self.addresses.join(",")
        )
    }

    /// Kills one of our own (SIGKILL), once; what to tell about it.
    pub(crate) fn kill_one(&mut self) -> String {
        self.killed = Some(VICTIM);
        match self.own.as_ref().map(|cluster| cluster.kill(VICTIM)) {
            None => "brokers that were named are not killed".to_owned(),
            Some(Ok(())) => format!("kill -9 of broker {VICTIM}: what it led is led by others in some seconds"),
            Some(Err(error)) => error.to_string(),
        }
    }

    /// Events in the topic, as the brokers count them: the topic is new, so what ends at an offset has as many events.
    pub(crate) fn count(&self) -> Result<u64, Failure> {
        let partitions: Vec<_> = (0..PARTITIONS).collect();
        let what = format!("the events in topic {} cannot be counted", self.topic);
        let asked = self.client.offsets(&self.topic, &partitions, OffsetAt::Latest);
        let ends = until(&self.runtime, None, &what, asked)?;
        Ok(ends.iter().filter_map(|found| u64::try_from(found.offset?).ok()).sum())
    }

    /// What stays behind when the demo ends.
    pub(crate) fn leftover(&self) -> Option<String> {
        let stays = || format!("the topic {} stays in the cluster; kafka-topics --delete removes it", self.topic);
        self.own.is_none().then(stays)
    }
}

/// Starts three brokers.
pub(crate) fn start_own(watch: &Watch<'_>) -> Result<Cluster, StartError> {
    Cluster::start_watched(ServerOptions { brokers: 3, ..ServerOptions::default() }, watch)
}

/// Waits for `asked`; `what` is to be told if it fails. With `signals`, Ctrl-C ends the wait.
fn until<T>(
    runtime: &Runtime,
    signals: Option<&Signals>,
    what: &str,
    asked: impl Future<Output = Result<T, ClusterError>>,
) -> Result<T, Failure> {
    let stopped = async {
        while !signals.is_some_and(Signals::stop_was_asked) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    runtime.block_on(async {
        tokio::select! {
            outcome = asked => outcome.map_err(|error| Failure::because(what, &error)),
            () = stopped => Err(Failure::new(STOPPED)),
            () = tokio::time::sleep(PATIENCE) => Err(Failure::new(format!("{what}: no answer in {PATIENCE:?}"))),
        }
    })
}
