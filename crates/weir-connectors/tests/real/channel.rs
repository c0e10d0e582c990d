//! Channel `kafka` against real brokers: an edge that writes, hubs that share what it writes, come, go and are killed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use weir_connectors::io_thread::IoThread;
use weir_connectors::registry;
use weir_kafka::{Cluster, OffsetAt};
use weir_servers::kafka::{self, Version};
use weir_testkit::agent::TestAgent;

use crate::hub::{Acked, HOLD, Hub};
use crate::look::{committed, connect};

const PARTITIONS: u32 = 12;
/// Longest wait for anything: several session timeouts and the starts of members on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// Session timeout of the agents.
const SESSION: &str = "6 s";
/// By when the partitions of a killed agent are taken over: a session until the coordinator misses it, a heartbeat until the
/// other hears of that, the join; with as much again for a busy machine.
const TAKE_OVER_MAX: Duration = Duration::from_secs(18);
/// How far commits of the agents are apart.
const COMMIT_INTERVAL: Duration = Duration::from_millis(200);
/// Events per second that the edge writes.
const RATE: u64 = 20_000;
/// How long the storm lasts, how long the shortest stay, and how many come at least.
const STORM: Duration = Duration::from_secs(30);
const GUST: Duration = Duration::from_secs(1);
const GUSTS_MIN: u32 = 8;

/// One broker with short sessions and topic `t` of twelve partitions, and a look at it from outside.
struct Ground<'a> {
    server: &'a kafka::Cluster,
    cluster: Cluster,
    io: IoThread,
}

fn with_ground(version: Version, work: impl FnOnce(&Ground<'_>) -> Result<(), Failed>) -> Result<(), Failed> {
    let properties = [
        ("group.min.session.timeout.ms", "2000"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("group.consumer.min.session.timeout.ms", "2000"),
        ("group.consumer.session.timeout.ms", "6000"),
        ("group.consumer.min.heartbeat.interval.ms", "200"),
        ("group.consumer.heartbeat.interval.ms", "200"),
    ];
    let known = if version.has_consumer_protocol() { properties.len() } else { 2 };
    let properties = properties[..known].iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let options = kafka::ClusterOptions { version, properties: properties.collect(), ..Default::default() };
    kafka::Cluster::with(options, |server| {
        server.create_topic(&kafka::Topic { partitions: PARTITIONS, ..kafka::Topic::new("t") })?;
        let io = IoThread::start("test-look")?;
        let cluster = connect(&io, server)?;
        work(&Ground { server, cluster, io })
    })
}

impl Ground<'_> {
    fn options(&self, session: &str) -> String {
        let brokers: Vec<String> = self.server.bootstrap().split(',').map(str::to_owned).collect();
        format!(
            "brokers = {brokers:?}\ntopic = 't'\nsession_timeout = '{session}'\ncommit_interval = '{} ms'",
            COMMIT_INTERVAL.as_millis()
        )
    }

    /// An edge that writes at a steady rate until it is stopped.
    fn edge(&self) -> TestAgent {
        let toml = format!(
            "[agent]\nmemory = '1 GiB'\n[sources.in]\ntype = 'generate'\nrate = '{RATE}/s'\nbatch_events = 200\n\
             channels = ['c']\n[channels.c]\ntype = 'kafka'\n{}\n",
            self.options(SESSION)
        );
        TestAgent::start(&toml, &registry())
    }

    /// Stops the edge: the ends of the partitions, which hold exactly what it was given receipts for.
    fn ends(&self, edge: TestAgent) -> Result<BTreeMap<u32, u64>, Failed> {
        let report = edge.stop();
        assert!(report.is_clean(), "{report:?}");
        let cluster = self.cluster.clone();
        let found = self.io.wait_for(async move {
            let all: Vec<i32> = (0..PARTITIONS as i32).collect();
            cluster.offsets("t", &all, OffsetAt::Latest).await
        });
        let found = found.ok_or("a panic")??;
        let ends: BTreeMap<u32, u64> =
            found.iter().map(|found| (found.partition as u32, found.offset.unwrap_or(0) as u64)).collect();
        assert_eq!(ends.values().sum::<u64>(), report.status.channels[0].appended, "one record for each receipt");
        Ok(ends)
    }

    fn committed(&self) -> Result<BTreeMap<u32, u64>, Failed> {
        committed(&self.io, &self.cluster, "weir", PARTITIONS as i32)
    }

    /// Looks whether everything that is committed now was acknowledged by then.
    fn check_commits(&self, acked: impl Fn() -> Vec<Acked>) -> Result<(), Failed> {
        let committed = self.committed()?;
        // What was acknowledged before the commit has been told by now, and takes a moment through the pipe.
        within(Duration::from_secs(2), "what is committed was acknowledged", || {
            let account = Account::of(&acked());
            committed.iter().all(|(partition, offset)| account.prefix(*partition) >= *offset)
        })
    }
}

/// Shows the figures of a trial.
#[expect(clippy::print_stdout, reason = "for whoever runs the trial; the runner shows it where it is wanted")]
fn show(text: &str) {
    println!("{text}");
}

fn until(what: &str, condition: impl FnMut() -> bool) -> Result<(), Failed> {
    within(PATIENCE, what, condition)
}

fn within(patience: Duration, what: &str, mut condition: impl FnMut() -> bool) -> Result<(), Failed> {
    let deadline = Instant::now() + patience;
    while !condition() {
        if Instant::now() > deadline {
            return Err(format!("waited {patience:?} for: {what}").into());
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Ok(())
}

/// What was acknowledged of each partition: how often each offset.
#[derive(Default)]
struct Account {
    prefixes: BTreeMap<u32, u64>,
    events: u64,
    repeats: u64,
}

impl Account {
    fn of(acked: &[Acked]) -> Self {
        let mut sorted = acked.to_vec();
        sorted.sort_unstable();
        let mut account = Self::default();
        for (partition, first, end) in sorted {
            let prefix = account.prefixes.entry(partition).or_default();
            account.events += end - first;
            account.repeats += end.min(*prefix).saturating_sub(first);
            // Behind a gap nothing counts for the prefix.
            if first <= *prefix {
                *prefix = end.max(*prefix);
            }
        }
        account
    }

    fn prefix(&self, partition: u32) -> u64 {
        self.prefixes.get(&partition).copied().unwrap_or(0)
    }

    fn has_all(&self, ends: &BTreeMap<u32, u64>) -> bool {
        ends.iter().all(|(partition, end)| self.prefix(*partition) == *end)
    }
}

/// The partitions of which a hub has acknowledged something since `mark`.
fn partitions_since(hub: &Hub, mark: usize) -> BTreeSet<u32> {
    hub.acked().iter().skip(mark).map(|(partition, ..)| *partition).collect()
}

/// Waits until each of two hubs has half of the partitions, while events come for all.
fn until_even(first: &Hub, second: &Hub) -> Result<(), Failed> {
    until("six partitions each", || {
        let marks = (first.acked().len(), second.acked().len());
        let halves = || (partitions_since(first, marks.0), partitions_since(second, marks.1));
        let all = || halves().0.union(&halves().1).count() == PARTITIONS as usize;
        within(PATIENCE, "each partition has somebody", all).is_ok() && {
            let (one, other) = halves();
            one.is_disjoint(&other) && one.len() == 6 && other.len() == 6
        }
    })
}

/// Scenario: two agents in one group over twelve partitions while events come; one stops in order and comes back; then
/// the other is killed.
/// Guarantees: six partitions each; an orderly stop and a return repeat nothing; after the kill the other has all twelve
/// within three session timeouts; every event is acknowledged at least once, what the killed one had not committed twice;
/// nothing is committed that was not acknowledged.
pub(crate) fn killed_agents_lose_nothing(version: Version) -> Result<(), Failed> {
    with_ground(version, |ground| {
        let edge = ground.edge();
        let options = ground.options(SESSION);
        let (first, second) = (Hub::start(&options)?, Hub::start(&options)?);
        until_even(&first, &second)?;
        let mut before = second.stop()?;
        ground.check_commits(|| [first.acked(), before.clone()].concat())?;
        let second = Hub::start(&options)?;
        until_even(&first, &second)?;
        let so_far = [first.acked(), second.acked(), before.clone()].concat();
        let repeats = Account::of(&so_far).repeats;
        assert_eq!(repeats, 0, "orderly changes repeat nothing");
        let mark = second.acked().len();
        before.extend(first.kill()?);
        let killed_at = Instant::now();
        within(TAKE_OVER_MAX, "the other has all", || partitions_since(&second, mark).len() == PARTITIONS as usize)?;
        let taken_over = killed_at.elapsed();
        ground.check_commits(|| [second.acked(), before.clone()].concat())?;
        let ends = ground.ends(edge)?;
        until("everything is acknowledged", || Account::of(&[second.acked(), before.clone()].concat()).has_all(&ends))?;
        before.extend(second.stop()?);
        let account = Account::of(&before);
        let Account { events, repeats, .. } = account;
        show(&format!(
            "{version:?}: {events} events, taken over after {taken_over:?}, {repeats} repeated after the kill"
        ));
        assert!(account.has_all(&ends) && ground.committed()? == ends);
        Ok(())
    })
}

/// Scenario: two agents with sinks that hold their tokens, and a third that joins and leaves every second or two for half
/// a minute, while events come.
/// Guarantees: events are acknowledged in every third of it; nothing is committed that was not acknowledged; in the end
/// every event is acknowledged, and what is repeated is no more than what was out or not committed when partitions moved:
/// with each arrival and each departure, what comes in the time that sinks hold tokens and commits are apart.
pub(crate) fn a_storm_of_rebalances(version: Version) -> Result<(), Failed> {
    with_ground(version, |ground| {
        let edge = ground.edge();
        // Heartbeats every third of it, by which the classic protocol tells of a rebalance.
        let options = ground.options("2 s");
        let (first, second) = (Hub::start(&options)?, Hub::start(&options)?);
        until_even(&first, &second)?;
        let mut before = Vec::new();
        let begun = Instant::now();
        let mut thirds = vec![[first.acked(), second.acked()].concat().len()];
        let (mut gusts, mut by_visitors) = (0, 0);
        while begun.elapsed() < STORM || gusts < GUSTS_MIN {
            let third = Hub::start(&options)?;
            // One second, in which a member may not even get a partition, then two.
            let until_leaves = Instant::now() + GUST * (1 + gusts % 2);
            ground.check_commits(|| [first.acked(), second.acked(), third.acked(), before.clone()].concat())?;
            std::thread::park_timeout(until_leaves.saturating_duration_since(Instant::now()));
            let visited = third.stop()?;
            by_visitors += Account::of(&visited).events;
            before.extend(visited);
            gusts += 1;
            if begun.elapsed() > STORM / 3 * thirds.len() as u32 {
                thirds.push([first.acked(), second.acked(), before.clone()].concat().len());
            }
        }
        assert!(
            thirds.len() > 2 && thirds.windows(2).all(|pair| pair[0] < pair[1]),
            "deliveries acknowledged by thirds: {thirds:?}"
        );
        let ends = ground.ends(edge)?;
        let acked = || [first.acked(), second.acked(), before.clone()].concat();
        until("everything is acknowledged", || Account::of(&acked()).has_all(&ends))?;
        ground.check_commits(acked)?;
        before.extend([first.stop()?, second.stop()?].concat());
        let account = Account::of(&before);
        let Account { events, repeats, .. } = account;
        show(&format!(
            "{version:?}: {gusts} joins and leaves, {events} events acknowledged, {by_visitors} by the visitors, {repeats} of them repeats"
        ));
        assert!(by_visitors > 0, "the third one never had a partition");
        let out_max = 2 * u64::from(gusts) * RATE * (HOLD + COMMIT_INTERVAL).as_millis() as u64 / 1_000;
        assert!(repeats <= out_max, "{repeats} repeats, though at most {out_max} were out when partitions moved");
        assert!(account.has_all(&ends) && ground.committed()? == ends);
        Ok(())
    })
}
