//! The Solr sink on a real SolrCloud, with the config set that is shipped.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use weir_connectors::registry;
use weir_servers::Control;
use weir_servers::solr::{Cluster, ClusterOptions, Collection, Role};
use weir_testkit::agent::TestAgent;

/// In a child process: the configuration of the agent it is to run.
pub(crate) const CHILD_VARIABLE: &str = "WEIR_TEST_SOLR";
const SCHEMA: &str = include_str!("../../../../configs/solr/schema.xml");
const CONFIGURATION: &str = include_str!("../../../../configs/solr/solrconfig.xml");
/// Whatever happens, events flow again by then, on a machine that others use too.
const PATIENCE: Duration = Duration::from_secs(180);

/// Runs the agent that a trial has started this binary for, until it is killed.
pub(crate) fn child(toml: &str) {
    let _agent = TestAgent::start(toml, &registry());
    loop {
        std::thread::park();
    }
}

/// Shows the figures of a trial.
#[expect(clippy::print_stdout, reason = "for whoever runs the trial; the runner shows it where it is wanted")]
fn show(text: &str) {
    println!("{text}");
}

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed::from(error.to_string())
}

fn until(what: &str, condition: impl FnMut() -> bool) -> Result<Duration, Failed> {
    within(PATIENCE, what, condition)
}

fn within(patience: Duration, what: &str, mut condition: impl FnMut() -> bool) -> Result<Duration, Failed> {
    let started = Instant::now();
    while !condition() {
        if started.elapsed() > patience {
            return Err(format!("waited {patience:?} for: {what}").into());
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    Ok(started.elapsed())
}

/// Two nodes, and a collection of two shards with two replicas each.
fn with_cluster(test: impl FnOnce(&Cluster) -> Result<(), Failed>) -> Result<(), Failed> {
    Cluster::with(ClusterOptions::default(), |cluster| {
        let (schema, configuration) = (SCHEMA.to_owned(), CONFIGURATION.to_owned());
        let collection = Collection { shards: 2, replicas: 2, schema, configuration, ..Collection::new("logs") };
        cluster.create_collection(&collection).map_err(failed)?;
        test(cluster)
    })
}

/// Documents of a collection or alias that can be found now.
fn found(cluster: &Cluster, collection: &str) -> Option<u64> {
    let node = cluster.live_nodes().ok()?.into_iter().min()?;
    let answer = cluster.get(node, &format!("/{collection}/select?q=*:*&rows=0&wt=json")).ok()?;
    let answer: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    answer["response"]["numFound"].as_u64()
}

/// Waits until exactly `count` documents are found, a few times in a row: answers come from different replicas.
fn until_found(cluster: &Cluster, collection: &str, count: u64) -> Result<(), Failed> {
    found_within(PATIENCE, cluster, collection, count)
}

fn found_within(patience: Duration, cluster: &Cluster, collection: &str, count: u64) -> Result<(), Failed> {
    let mut last = None;
    let outcome = within(patience, "the documents are found", || {
        (0..6).all(|_| {
            last = found(cluster, collection);
            last == Some(count)
        })
    });
    outcome.map(drop).map_err(|error| format!("{}: {last:?} of {count}", error.message().unwrap_or_default()).into())
}

/// An agent that makes events as `source` says and sends them to `logs`.
fn toml(cluster: &Cluster, source: &str, channel: &str, sink: &str) -> String {
    format!(
        "[agent]\nmemory = '4 GiB'\nshutdown_deadline = '300 s'\n[sources.in]\ntype = 'generate'\nchannels = ['c']\n{source}\n\
         [channels.c]\n{channel}\n[channels.dead]\ntype = 'memory'\n[sinks.out]\ntype = 'solr'\nchannel = 'c'\n\
         dead_letter = 'dead'\nurls = ['{}', '{}']\n{sink}\n",
        cluster.url(1),
        cluster.url(2)
    )
}

/// Scenario: generated syslog into collections by day, made by the sink with the config set that is shipped.
/// Guarantees: every event is found once under the alias; the books close.
pub(crate) fn every_event_is_found() -> Result<(), Failed> {
    const EVENTS: u64 = 50_000;
    with_cluster(|cluster| {
        let sink = "collection = 'day-%Y-%m-%d'\ncreate = { config_set = 'logs', shards = 2, replicas = 1, alias = 'all', retention_days = 9 }";
        let source = format!("rate = 'unlimited'\nevents = {EVENTS}");
        let agent = TestAgent::start(&toml(cluster, &source, "type = 'memory'", sink), &registry());
        agent.until_sources_end();
        let report = agent.stop();
        if !report.is_clean() || report.status.groups[0].delivered != EVENTS {
            return Err(format!("{:?}", report.status.groups).into());
        }
        until_found(cluster, "all", EVENTS)
    })
}

/// Waits until many more events are delivered, which takes the shards of all of them; returns how long that took.
fn until_flowing(agent: &TestAgent, what: &str) -> Result<(), Failed> {
    // More than may be in flight: so events that were read after the fault are among them.
    let target = agent.group().delivered + 20_000;
    let took = until(what, || agent.group().delivered >= target)
        .inspect_err(|_| show(&format!("{what}: {:?}", agent.group().last_failure)))?;
    show(&format!("{what}: 20 000 events after {took:.1?}, retries {}", agent.group().retries));
    Ok(())
}

fn pause(cluster: &Cluster, time: Duration) -> Result<(), Failed> {
    cluster.pause(Role::Node(2)).map_err(failed)?;
    let paused = Instant::now();
    while paused.elapsed() < time {
        std::thread::park_timeout(Duration::from_millis(100));
    }
    cluster.resume(Role::Node(2)).map_err(failed)
}

/// Scenario: while events come at 3 000 a second a node is killed and comes back; the other one is stopped in order and
/// comes back, so that leaders change; the collection is reloaded; a node is paused for 4 s, then for 12 s.
/// Guarantees: events flow again after each, as soon as Solr takes any; in the end each is found, once.
pub(crate) fn faults() -> Result<(), Failed> {
    with_cluster(|cluster| {
        let sink = "collection = 'logs'\nrequest_timeout = '3 s'";
        let channel = "type = 'memory'\ncapacity_bytes = '512 MiB'\ncapacity_events = 5_000_000";
        let agent = TestAgent::start(&toml(cluster, "rate = '3k/s'", channel, sink), &registry());
        until_flowing(&agent, "no fault")?;
        cluster.kill(Role::Node(2)).map_err(failed)?;
        until_flowing(&agent, "node 2 killed")?;
        cluster.restart(Role::Node(2)).map_err(failed)?;
        until_active(cluster)?;
        until_flowing(&agent, "node 2 back")?;
        cluster.stop(Role::Node(1)).map_err(failed)?;
        until_flowing(&agent, "node 1 stopped")?;
        cluster.restart(Role::Node(1)).map_err(failed)?;
        until_active(cluster)?;
        cluster.get(1, "/admin/collections?action=RELOAD&name=logs&wt=json").map_err(failed)?;
        until_flowing(&agent, "collection reloaded")?;
        // Shorter than its session with ZooKeeper: it leads on without a word.
        pause(cluster, Duration::from_secs(4))?;
        until_flowing(&agent, "node 2 paused for 4 s")?;
        // Longer: others lead meanwhile. Solr 9.10.1 may then be of two minds for good (both cores of a shard take themselves
        // for its leader, and every update gets a 500), which a restart ends.
        pause(cluster, Duration::from_secs(12))?;
        if until_flowing(&agent, "node 2 paused for 12 s").is_err() {
            cluster.restart(Role::Node(2)).map_err(failed)?;
            until_flowing(&agent, "node 2 paused for 12 s, stuck, restarted")?;
        }
        // A replica that Solr does not get back by itself is left out of searches, and no affair of the sink.
        if until_active(cluster).is_err() {
            show("a replica is not back");
        }
        let report = agent.stop();
        let events = report.status.sources[0].durable;
        let group = &report.status.groups[0];
        show(&format!("{events} events, {} delivered, {} deliveries came back", group.delivered, group.retries));
        if !report.is_clean() || group.delivered != events {
            return Err(format!("{group:?}").into());
        }
        // It may also take the paused replica back without what came meanwhile ("We have not yet recovered - but we are now
        // the leader!" in its log, while the other one leads): searches then find that or not, by chance. What was
        // acknowledged is in the leader, from which the replica gets it when its node is started again.
        found_within(PATIENCE / 6, cluster, "logs", events).or_else(|error| {
            show(&format!(
                "a replica is active without having caught up, restarted: {}",
                error.message().unwrap_or_default()
            ));
            cluster.restart(Role::Node(2)).map_err(failed)?;
            until_active(cluster)?;
            until_found(cluster, "logs", events)
        })
    })
}

/// Waits until every replica is active and both shards have leaders.
fn until_active(cluster: &Cluster) -> Result<(), Failed> {
    let is_active = || {
        let answer = cluster.get(1, "/admin/collections?action=CLUSTERSTATUS&collection=logs&wt=json").ok()?;
        let text = answer.text();
        // Four replicas, two shards, and the word once more of the collection or not, by version.
        Some(
            text.matches("\"leader\":\"true\"").count() == 2
                && !text.contains("\"down\"")
                && !text.contains("\"recovering\""),
        )
    };
    // Solr's own affair: on a busy machine replicas take minutes to catch up.
    within(6 * PATIENCE, "every replica is active", || is_active() == Some(true)).map(drop)
}

/// Syslog lines with numbers for hosts; every thousandth has a word instead if there is to be poison.
fn lines(path: &Path, is_poisoned: bool) -> std::io::Result<()> {
    let mut text = String::new();
    for number in 0..5000 {
        let host = if is_poisoned && number % 1000 == 500 { "poison".to_owned() } else { (1000 + number).to_string() };
        let _ = writeln!(
            text,
            "<134>Nov 23 08:00:00 {host} sshd[{number}]: Failed password for user{number} from 10.0.0.7 port 22 ssh2"
        );
    }
    std::fs::write(path, text)
}

/// Rate of one run, and CPU time of this process and of Solr.
struct Run {
    rate: f64,
    own: Duration,
    solr: Duration,
}

/// CPU time of processes: fields 14 and 15 of their stat, in hundredths of a second.
fn cpu(processes: impl IntoIterator<Item = u32>) -> Duration {
    let of = |process: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>()
    };
    Duration::from_millis(10 * processes.into_iter().map(of).sum::<u64>())
}

fn solr_cpu(cluster: &Cluster) -> Duration {
    cpu([1, 2].iter().filter_map(|node| cluster.process_id(Role::Node(*node))))
}

fn run(cluster: &Cluster, input: &Path, events: u64, poison: u64) -> Result<Run, Failed> {
    let source = format!("rate = 'unlimited'\nevents = {events}\ninput = '{}'", input.display());
    // The number arrives as a text; the schema makes it one.
    let sink = "collection = 'logs'\n[sinks.out.fields]\npid = 'string %{host}'\nts = 'date %{timestamp}'\nmessage = 'text %{body}'\n\
                facility = 'int %{Facility}'\nseverity = 'int %{Severity}'";
    let (own, solr, started) = (cpu([std::process::id()]), solr_cpu(cluster), Instant::now());
    let agent = TestAgent::start(&toml(cluster, &source, "type = 'memory'", sink), &registry());
    agent.until_sources_end();
    let report = agent.stop();
    let rate = events as f64 / started.elapsed().as_secs_f64();
    let group = &report.status.groups[0];
    if !report.is_clean() || (group.delivered, group.dead_lettered) != (events - poison, poison) {
        return Err(format!("{group:?}").into());
    }
    Ok(Run { rate, own: cpu([std::process::id()]) - own, solr: solr_cpu(cluster) - solr })
}

/// Scenario: the same events with and without one in a thousand that Solr refuses, in turn.
/// Guarantees: those alone are dead letters, the others are found. Shows the rates, and CPU time of agent and Solr.
pub(crate) fn poison() -> Result<(), Failed> {
    const EVENTS: u64 = 40_000;
    with_cluster(|cluster| {
        let folder = tempfile::tempdir().map_err(failed)?;
        let (clean, poisoned) = (folder.path().join("clean"), folder.path().join("poisoned"));
        lines(&clean, false).map_err(failed)?;
        lines(&poisoned, true).map_err(failed)?;
        let mut expected = 0;
        for round in 0..3 {
            for (name, input, poison) in [("clean", &clean, 0), ("poisoned", &poisoned, EVENTS / 1000)] {
                let Run { rate, own, solr } = run(cluster, input, EVENTS, poison)?;
                let share = 100.0 * own.as_secs_f64() / solr.as_secs_f64();
                show(&format!(
                    "round {round} {name:8} {rate:6.0} events/s, agent's CPU {share:.1} % of Solr's {solr:.1?}"
                ));
                expected += EVENTS - poison;
            }
        }
        until_found(cluster, "logs", expected)
    })
}

/// An agent as a process of its own, killed when dropped.
struct Agent(Child);

impl Agent {
    fn start(toml: &str) -> Result<Self, Failed> {
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.env(CHILD_VARIABLE, toml).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn().map_err(failed)?))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Scenario: an agent with a file channel is killed six times while events are on their way; a last one finishes.
/// Guarantees: the documents are exactly the events of the channel: every offset from 0 to the end, once.
pub(crate) fn killed_agent() -> Result<(), Failed> {
    with_cluster(|cluster| {
        let folder = tempfile::tempdir().map_err(failed)?;
        let channel = format!("type = 'file'\npath = '{}'", folder.path().join("log").display());
        let under_load = toml(cluster, "rate = '4k/s'", &channel, "collection = 'logs'");
        let mut before = 0;
        for _ in 0..6 {
            let agent = Agent::start(&under_load)?;
            until("more documents", || found(cluster, "logs").is_some_and(|now| now > before + 3000))?;
            drop(agent);
            before = found(cluster, "logs").unwrap_or(before);
        }
        let last = toml(cluster, "rate = 'unlimited'\nevents = 1000", &channel, "collection = 'logs'");
        let agent = TestAgent::start(&last, &registry());
        agent.until_sources_end();
        let report = agent.stop();
        if !report.is_clean() || report.status.groups[0].backlog_events > 0 {
            return Err(format!("{:?}", report.status.groups).into());
        }
        let mut offsets = BTreeSet::new();
        until("the documents of every offset", || {
            offsets = self::offsets(cluster).unwrap_or_default();
            offsets.len() as u64 > before && offsets.last().is_some_and(|last| offsets.len() as u64 == last + 1)
        })?;
        show(&format!("{} events, killed 6 times", offsets.len()));
        until_found(cluster, "logs", offsets.len() as u64)
    })
}

/// The offsets in the ids of all documents.
fn offsets(cluster: &Cluster) -> Option<BTreeSet<u64>> {
    let answer = cluster.get(1, "/logs/select?q=*:*&fl=id&rows=1000000&wt=json").ok()?;
    let answer: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    let offset = |document: &serde_json::Value| document["id"].as_str()?.rsplit_once('-')?.1.parse().ok();
    answer["response"]["docs"].as_array()?.iter().map(offset).collect()
}
