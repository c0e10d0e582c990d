//! An edge agent: syslog, file channel, Kafka.

use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use weir_lab::sender::{Input, StampOptions};
use weir_lab::{Progress, SendOptions, Sequences, Target, send};
use weir_servers::Control;
use weir_servers::kafka::{Cluster, ClusterOptions, Topic};

use crate::support::{Running, eventually, free_port, once_each, read_topic, show};

pub(crate) const PARTITIONS: u32 = 12;
const EVENTS_PER_SECOND: f64 = 10_000.0;
/// Lives of an agent that is killed.
const KILLS: u16 = 10;
/// By when events flow after a fault, or after it is healed: what README promises.
const FLOWS_WITHIN: Duration = Duration::from_secs(30);
/// How old the position on the disk may be: five times what the log takes, on a busy disk.
const POSITION_AGE_MAX: Duration = Duration::from_millis(250);

pub(crate) fn topic(replication: u32) -> Topic {
    let properties = vec![("min.insync.replicas".to_owned(), replication.div_ceil(2).to_string())];
    Topic { partitions: PARTITIONS, replication, properties, ..Topic::new("t") }
}

/// An agent that takes syslog on `port`. A broker that says nothing is given up soon, so that faults are noticed.
pub(crate) fn edge(folder: &Path, port: u16, brokers: &str, sink: &str) -> Result<Running, Failed> {
    let brokers: Vec<_> = brokers.split(',').collect();
    let sections = format!(
        "[sources.in]\ntype = 'syslog'\nlisten = ['tcp://127.0.0.1:{port}']\nlanes = 1\nchannels = ['spool']\n\
         [channels.spool]\ntype = 'file'\npath = '{}'\ncapacity_bytes = '4 GiB'\ncompression = 'lz4'\n\
         [sinks.hub]\ntype = 'kafka'\nchannel = 'spool'\nbrokers = {brokers:?}\ntopic = 't'\nrequest_timeout = '5 s'\n{sink}\n",
        folder.join("spool").display()
    );
    Running::start(folder, "edge", &sections)
}

/// An agent that takes the topic into files under `folder`. It hears of faults as soon as [`edge`] does.
pub(crate) fn hub(folder: &Path, brokers: &str, channel: &str) -> Result<Running, Failed> {
    let brokers: Vec<_> = brokers.split(',').collect();
    let sections = format!(
        "[channels.topic]\ntype = 'kafka'\nbrokers = {brokers:?}\ntopic = 't'\nrequest_timeout = '5 s'\n{channel}\n\
         [sinks.out]\ntype = 'files'\nchannel = 'topic'\npath = '{}'\nroll_time = '1 s'\n",
        folder.join("files").display()
    );
    Running::start(folder, "hub", &sections)
}

pub(crate) fn load(port: u16, producer: u16) -> SendOptions {
    let mut options = SendOptions::new(Target::Tcp(format!("127.0.0.1:{port}")));
    options.stamp = Some(StampOptions { first_producer: producer, ..StampOptions::default() });
    options.events_per_second = Some(EVENTS_PER_SECOND);
    options.input = Input::Synth { seed: u64::from(producer), options: Default::default() };
    options
}

/// Scenario: three brokers, three copies, two required; an agent writes the topic, another takes it into files. Under load one
/// broker is killed; a second is frozen for 30 s, so that too few replicas are left; it goes on, the first comes back, then
/// the third is stopped in order: leaders move.
/// Guarantees: by sequence accounting every event is in the topic exactly once, and in the files exactly once; through both
/// agents events flow within 30 s of each fault that leaves enough replicas, and of each healing; partitions are even.
pub(crate) fn brokers_die_and_nothing_is_lost_or_doubled() -> Result<(), Failed> {
    let options = ClusterOptions { brokers: 3, ..ClusterOptions::default() };
    Cluster::with(options, |server| {
        server.create_topic(&topic(3))?;
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let agent = edge(folder.path(), port, &server.bootstrap(), "")?;
        let hub = hub(folder.path(), &server.bootstrap(), "")?;
        let progress = Progress::new();
        let report = std::thread::scope(|scope| {
            let sending = scope.spawn(|| send(&load(port, 1), &progress));
            let faults = || -> Result<(), Failed> {
                let delivered = |more: u64| -> Result<(), Failed> {
                    let begun = Instant::now();
                    let agents = [("edge", &agent), ("hub", &hub)];
                    let before = agents.map(|(_, agent)| agent.until("it answers", delivered_of));
                    for ((name, agent), before) in agents.into_iter().zip(before) {
                        let enough = before? + more;
                        agent.until("events flow", |status| (delivered_of(status)? >= enough).then_some(()))?;
                        let after = begun.elapsed();
                        if after > FLOWS_WITHIN {
                            let late =
                                format!("{name}: events flowed only after {after:?}, not within {FLOWS_WITHIN:?}");
                            return Err(late.into());
                        }
                    }
                    Ok(())
                };
                delivered(20_000)?;
                server.kill(1)?;
                delivered(20_000)?;
                server.pause(2)?;
                std::thread::sleep(Duration::from_secs(30));
                server.resume(2)?;
                delivered(20_000)?;
                server.restart(1)?;
                server.until_in_sync();
                server.stop(3)?;
                delivered(20_000)?;
                server.restart(3)?;
                delivered(20_000)
            };
            let outcome = faults();
            progress.stop();
            let report = sending.join().map_err(|_| Failed::from("the sender panicked"))?;
            outcome.and_then(|()| Ok(report?))
        })?;
        eventually("everything sent is durable", || (agent.durable() >= report.sequences().count()).then_some(()))?;
        agent.until_drained()?;
        let status = agent.status().ok_or("no status")?;
        agent.stop()?;
        let sent = report.sequences();
        hub.until("everything is in files", |status| (delivered_of(status)? >= sent.count()).then_some(()))?;
        hub.stop()?;
        show(&format!("retries {}", status["groups"][0]["retries"]));
        let counts = once_each(&server.bootstrap(), folder.path(), &sent)?;
        let (least, most) = (counts.values().min(), counts.values().max());
        let even =
            least.zip(most).is_some_and(|(least, most)| counts.len() == PARTITIONS as usize && *most < 3 * least);
        assert!(even, "partitions are about even although brokers were away: {counts:?}");
        Ok(())
    })
}

fn delivered_of(status: &serde_json::Value) -> Option<u64> {
    status["groups"][0]["delivered"].as_u64()
}

pub(crate) fn delivered(agent: &Running) -> Option<u64> {
    delivered_of(&agent.status()?)
}

/// Scenario: the agent is killed with SIGKILL ten times under load and started again.
/// Guarantees: nothing that had a receipt is missing in the topic, and what is there twice is no more than waited when it
/// died, or was delivered in the quarter of a second before.
pub(crate) fn an_agent_killed_repeats_only_what_was_in_flight() -> Result<(), Failed> {
    Cluster::with(ClusterOptions::default(), |server| {
        server.create_topic(&topic(1))?;
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let mut acknowledged = Sequences::new();
        let mut in_flight_max = 0;
        for producer in 1..=KILLS {
            let agent = edge(folder.path(), port, &server.bootstrap(), "in_flight_bytes = '1 MiB'")?;
            let progress = Progress::new();
            let (durable, waiting) = std::thread::scope(|scope| {
                scope.spawn(|| {
                    // Cut off by the death of the agent: that is an error, and meant.
                    let _ = send(&load(port, producer), &progress);
                });
                let outcome = agent.until("events arrive and some are delivered", |status| {
                    let durable = status["sources"][0]["durable"].as_u64()?;
                    (durable > 5_000 + u64::from(producer) * 500 && delivered_of(status)? > 0).then_some(durable)
                });
                let asked = Instant::now();
                let waiting = agent.status().and_then(|status| status["groups"][0]["backlog_events"].as_u64());
                drop(agent);
                let came_since = EVENTS_PER_SECOND * (asked.elapsed() + POSITION_AGE_MAX).as_secs_f64();
                progress.stop();
                outcome.map(|durable| (durable, waiting.unwrap_or(0) + came_since as u64))
            })?;
            acknowledged.add_range(producer, 0, durable - 1);
            // What waited a moment before, what came until it was dead, and what was delivered since the position on the
            // disk was written: more cannot have been out. A life is longer by far, so one that never wrote it shows.
            in_flight_max += waiting;
        }
        let agent = edge(folder.path(), port, &server.bootstrap(), "")?;
        agent.until_drained()?;
        agent.stop()?;
        let (account, _) = read_topic(&server.bootstrap(), "t")?;
        let verdict = account.verdict(&acknowledged, None);
        show(&format!("{} at most {in_flight_max} in flight", serde_json::to_string(&verdict)?));
        assert!(verdict.is_sound(), "{verdict:?}");
        assert!(verdict.duplicates <= in_flight_max, "{verdict:?}");
        Ok(())
    })
}
