//! The engine as a whole, with a scripted source and scripted sinks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use weir_config::{ComponentConfig, ComponentKind, Diagnostics, Document, Kind, OptionSpec, TypeSpec};
use weir_event::EventBatch;

use super::{Agent, Plan};
use crate::channel::{ReadLimit, file_channel_type, memory_channel_type};
use crate::delivery::{AckToken, Delivery, DeliveryError};
use crate::outlet::Outlet;
use crate::registry::{Registry, SinkType, SourceType};
use crate::sink::{FlushReason, Sink, SinkContext, SinkSpec};
use crate::source::{Source, SourceContext, SourceError, SourceSpec, StartError};
use crate::status::AgentStatus;
use crate::stop::StopSignal;

/// What sinks of all tests have taken, by test and sink: option tables are static, so scripts find their test by name.
static TAKEN: Mutex<BTreeMap<String, Vec<u64>>> = Mutex::new(BTreeMap::new());

static SOURCE: TypeSpec = TypeSpec {
    kind: ComponentKind::Source,
    name: "numbers",
    aliases: &[],
    summary: "numbered events in batches of ten",
    options: &[OptionSpec::defaulted("events", Kind::COUNT, "100", "how many")],
};

static SINK: TypeSpec = TypeSpec {
    kind: ComponentKind::Sink,
    name: "scripted",
    aliases: &[],
    summary: "does what its script says",
    options: &[
        OptionSpec::required("test", Kind::Text, "where to note what was taken"),
        OptionSpec::defaulted("script", Kind::Text, "take", "take | fail N | drop N | reject | hold | reverse | stuck"),
    ],
};

struct Numbers(u64);

impl SourceSpec for Numbers {
    fn memory_bytes(&self) -> u64 {
        1 << 20
    }

    fn start(&self, _: &SourceContext) -> Result<Vec<Box<dyn Source>>, StartError> {
        Ok(vec![Box::new(Self(self.0))])
    }
}

#[async_trait(?Send)]
impl Source for Numbers {
    async fn run(self: Box<Self>, mut outlet: Outlet, _: StopSignal) -> Result<(), SourceError> {
        for first in (0..self.0).step_by(10) {
            let bodies: Vec<_> = (first..(first + 10).min(self.0)).map(|number| number.to_string()).collect();
            let fail = |error: Box<dyn std::error::Error + Send + Sync>| SourceError::new("numbers stopped", error);
            let receipt = outlet.send(EventBatch::from_bodies(&bodies, 1)).map_err(|error| fail(error.into()))?;
            receipt.await.map_err(|error| fail(error.into()))?;
        }
        Ok(())
    }
}

#[derive(Clone)]
struct Script {
    place: String,
    script: String,
}

impl SinkSpec for Script {
    fn memory_bytes(&self) -> u64 {
        0
    }

    fn start(&self, _: &SinkContext) -> Result<Vec<Box<dyn Sink>>, StartError> {
        Ok(vec![Box::new(Scripted { script: self.clone(), failures: 0, held: Vec::new() })])
    }
}

struct Scripted {
    script: Script,
    failures: u64,
    held: Vec<AckToken>,
}

impl Scripted {
    fn take(&self, batches: &[EventBatch]) {
        let number = |body: &[u8]| -> u64 {
            std::str::from_utf8(body).ok().and_then(|text| text.parse().ok()).expect("a number")
        };
        let mut taken = TAKEN.lock();
        let numbers = taken.entry(self.script.place.clone()).or_default();
        for batch in batches {
            numbers.extend((0..batch.len()).map(|row| number(batch.body(row))));
        }
    }
}

#[async_trait(?Send)]
impl Sink for Scripted {
    async fn deliver(&mut self, mut delivery: Delivery) -> Result<(), DeliveryError> {
        let (word, count) = self.script.script.split_once(' ').unwrap_or((&self.script.script, "0"));
        let count: u64 = count.parse().expect("a count");
        match word {
            "fail" if self.failures < count => {
                self.failures += 1;
                return Err(DeliveryError::Retry { message: "scripted failure".into(), after: None, source: None });
            }
            "drop" if self.failures < count => self.failures += 1,
            "reject" => {
                for batch in &delivery.batches {
                    let odd: Vec<_> = (0..batch.len()).filter(|row| batch.body(*row).ends_with(b"3")).collect();
                    delivery.ack.reject(batch, &odd, "ends in 3");
                }
                delivery.ack.ack();
            }
            "hold" | "reverse" => {
                self.take(&delivery.batches);
                self.held.push(delivery.ack);
            }
            "stuck" => std::future::pending::<()>().await,
            _ => {
                self.take(&delivery.batches);
                delivery.ack.ack();
            }
        }
        Ok(())
    }

    async fn flush(&mut self, reason: FlushReason) -> Result<(), DeliveryError> {
        if self.script.script == "reverse" || reason != FlushReason::Shutdown {
            while let Some(ack) = self.held.pop() {
                ack.ack();
            }
        }
        Ok(())
    }
}

fn registry() -> Registry {
    let source = |config: &ComponentConfig, _: &mut Diagnostics| -> Option<Arc<dyn SourceSpec>> {
        Some(Arc::new(Numbers(config.options.count("events"))))
    };
    let sink = |config: &ComponentConfig, _: &mut Diagnostics| -> Option<Arc<dyn SinkSpec>> {
        let place = format!("{} {}", config.options.text("test"), config.name);
        Some(Arc::new(Script { place, script: config.options.text("script").into() }))
    };
    Registry {
        sources: vec![SourceType { spec: &SOURCE, parse: source }],
        interceptors: vec![],
        channels: vec![memory_channel_type(), file_channel_type()],
        sinks: vec![SinkType { spec: &SINK, parse: sink }],
    }
}

fn plan(toml: &str) -> Result<Plan, String> {
    let registry = registry();
    let (document, mut diagnostics) = Document::parse(&[("test.toml", toml)]);
    let (config, found) = document.check(&registry.catalogue(), &|_| None);
    diagnostics.append(found);
    Plan::new(&config, &registry, &mut diagnostics)
        .filter(|_| !diagnostics.has_errors())
        .ok_or_else(|| diagnostics.render(false))
}

fn start(toml: &str) -> Agent {
    Agent::start(plan(toml).expect("a sound configuration")).expect("starts")
}

fn until(agent: &Agent, what: &str, condition: impl Fn(&AgentStatus) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition(&agent.status()) {
        assert!(Instant::now() < deadline, "waited for {what}: {:#?}", agent.status());
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

fn taken(place: &str) -> Vec<u64> {
    TAKEN.lock().get(place).cloned().unwrap_or_default()
}

fn pipeline(test: &str, script: &str) -> String {
    format!(
        "[agent]\nshutdown_deadline = '5 s'\n[sources.in]\ntype = 'numbers'\nchannels = ['c']\n[channels.c]\ntype = 'memory'\n[sinks.out]\ntype = 'scripted'\ntest = '{test}'\nscript = '{script}'\nchannel = 'c'\nbatch_bytes = '4 KiB'\n"
    )
}

/// Scenario: the sink refuses the first three deliveries with an error; then one that drops tokens instead.
/// Guarantees: everything is delivered once, in order, after as many retries.
#[test]
fn refused_deliveries_come_again() {
    for (test, script) in [("fail", "fail 3"), ("drop", "drop 3")] {
        let agent = start(&pipeline(test, script));
        until(&agent, "all delivered", |status| status.groups[0].delivered == 100);
        agent.stop();
        let report = agent.join();
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(report.status.groups[0].retries, 3);
        assert_eq!(taken(&format!("{test} out")), (0..100).collect::<Vec<_>>());
        assert_eq!(report.status.groups[0].last_failure, None, "a success clears it");
    }
}

/// Scenario: the sink holds all tokens, then answers the last one first.
/// Guarantees: the position moves over the contiguous prefix only; nothing is delivered twice.
#[test]
fn answers_in_any_order_release_a_prefix() {
    let agent = start(&pipeline("reverse", "reverse"));
    until(&agent, "all taken", |_| taken("reverse out").len() == 100);
    assert_eq!(agent.status().groups[0].backlog_events, 100, "taken is not acknowledged");
    agent.stop();
    let report = agent.join();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.status.groups[0].delivered, 100);
    assert_eq!(taken("reverse out").len(), 100);
}

/// Scenario: the destination refuses some events for good; with a dead letter channel, and without.
/// Guarantees: with one they are in it with the reason and the rest is delivered; without one nothing is lost, the
/// sink is held up, and health says what to do.
#[test]
fn refused_events_go_to_the_dead_letter_channel_or_nowhere() {
    let toml = pipeline("reject", "reject") + "dead_letter = 'dead'\n[channels.dead]\ntype = 'memory'\n";
    let agent = start(&toml);
    until(&agent, "all settled", |status| status.groups[0].delivered + status.groups[0].dead_lettered == 100);
    let dead = agent.channel("dead").expect("the channel").cursor("test").expect("a cursor");
    let chunk = { dead }.read(ReadLimit::events(1 << 20)).expect("read").expect("dead letters");
    assert_eq!(chunk.batches[0].body(0), b"3");
    assert_eq!(chunk.batches[0].header(0, "weir.dead_letter.reason").as_deref(), Some(&b"ends in 3"[..]));
    agent.stop();
    let report = agent.join();
    assert_eq!((report.status.groups[0].dead_lettered, report.status.ledger.closes), (10, true), "{report:?}");

    let agent = start(&pipeline("reject nowhere", "reject").replace("'5 s'", "'100 ms'"));
    until(&agent, "health tells", |status| status.health.degraded.iter().any(|why| why.contains("dead_letter = ")));
    agent.stop();
    let report = agent.join();
    assert_eq!(report.status.groups[0].backlog_events, 100, "nothing is lost while the agent runs");
    assert_eq!(report.lost_in_memory, 100, "and what a memory channel loses at the end is told");
    assert!(!report.is_clean());
}

/// Scenario: two sinks of one group, and one of another.
/// Guarantees: the two share the events; the other gets all of them.
#[test]
fn groups_share_inside_and_repeat_outside() {
    let sinks: String = [("a", "shared"), ("b", "shared"), ("c", "own")]
        .iter()
        .map(|(name, group)| format!("[sinks.{name}]\ntype = 'scripted'\ntest = 'groups'\nchannel = 'c'\ngroup = '{group}'\nbatch_bytes = '4 KiB'\n"))
        .collect();
    let toml = format!(
        "[sources.in]\ntype = 'numbers'\nevents = 1000\nchannels = ['c']\n[channels.c]\ntype = 'memory'\n{sinks}"
    );
    let agent = start(&toml);
    until(&agent, "both groups are through", |status| status.groups.iter().all(|group| group.delivered == 1000));
    agent.stop();
    assert!(agent.join().is_clean());
    let mut shared = [taken("groups a"), taken("groups b")].concat();
    shared.sort_unstable();
    assert_eq!(shared, (0..1000).collect::<Vec<_>>());
    assert_eq!(taken("groups c"), (0..1000).collect::<Vec<_>>());
}

/// Scenario: a sink that never returns, on a durable channel; the agent is stopped and started again with a good one.
/// Guarantees: the stop ends at its deadline and tells of the lane; nothing is lost; the second run delivers everything.
#[test]
fn a_stuck_sink_cannot_hold_up_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let toml = |script: &str| {
        pipeline("stuck", script)
            .replace(
                "type = 'memory'",
                &format!(
                    "type = 'file'\npath = '{}'\nsegment_bytes = '1 MiB'\ncapacity_bytes = '64 MiB'",
                    folder.path().display()
                ),
            )
            .replace("'5 s'", "'200 ms'")
    };
    let agent = start(&toml("stuck"));
    until(&agent, "all durable", |status| status.sources[0].durable == 100);
    agent.stop();
    let report = agent.join();
    assert!(report.troubles.iter().any(|trouble| trouble.contains("out-0")), "{report:?}");
    assert!(report.status.ledger.closes && report.lost_in_memory == 0, "{report:?}");
    // The stuck lane keeps the log of this process open only through its cursor; the log itself is closed.
    let agent = start(&toml("take").replace("type = 'numbers'", "type = 'numbers'\nevents = 0"));
    until(&agent, "the rest is delivered", |status| status.groups[0].delivered == 100);
    agent.stop();
    assert!(agent.join().is_clean());
    assert_eq!(taken("stuck out"), (0..100).collect::<Vec<_>>());
}

/// Scenario: an optional channel that is full beside a required one that is not.
/// Guarantees: the source is not held up; the required channel has everything; the miss is counted.
#[test]
fn optional_channels_never_hold_up_a_source() {
    let toml = pipeline("optional", "take")
        .replace("channels = ['c']", "channels = ['c', 'extra']\nselector = { optional = ['extra'] }")
        + "[channels.extra]\ntype = 'memory'\ncapacity_events = 20\n";
    let agent = start(&toml);
    until(&agent, "all delivered", |status| status.groups[0].delivered == 100);
    agent.stop();
    let report = agent.join();
    assert!(report.is_clean(), "{report:?}");
    let missed: u64 = report.status.sources[0].faults.values().sum();
    assert_eq!(missed + report.status.channels.iter().find(|c| c.name == "extra").expect("there").appended, 100);
    assert!(missed > 0);
}

/// Scenario: components that may take more memory than the budget; a file channel without a place.
/// Guarantees: both are errors of the configuration, with the numbers and what to do.
#[test]
fn a_plan_that_cannot_work_is_refused() {
    let over = pipeline("memory", "take").replace("[agent]", "[agent]\nmemory = '32 MiB'");
    let Err(message) = plan(&over) else { panic!("over budget") };
    assert!(message.contains("channel c 64 MiB") && message.contains("set memory = "), "{message}");
    let homeless = pipeline("place", "take").replace("type = 'memory'", "type = 'file'");
    let Err(message) = plan(&homeless) else { panic!("no place") };
    assert!(message.contains("data_dir in [agent]"), "{message}");
}

/// Scenario: a channel that is full by its limit of events while the sink holds every delivery.
/// Guarantees: the sink is told to finish, and events flow again.
#[test]
fn a_sink_that_holds_everything_is_pressed() {
    let toml = pipeline("pressure", "hold").replace("type = 'memory'", "type = 'memory'\ncapacity_events = 20");
    let agent = start(&toml);
    until(&agent, "all taken", |_| taken("pressure out").len() == 100);
    until(&agent, "all delivered", |status| status.groups[0].delivered >= 80);
    agent.stop();
    let report = agent.join();
    assert!(report.status.ledger.closes, "{report:?}");
    assert_eq!(taken("pressure out"), (0..100).collect::<Vec<_>>());
}

/// Scenario: many lanes are stuck when the agent is stopped.
/// Guarantees: the deadline is one for all of them, not one each.
#[test]
fn stuck_lanes_share_one_deadline() {
    let sinks: String = (0..6)
        .map(|n| {
            format!("[sinks.s{n}]\ntype = 'scripted'\ntest = 'many'\nscript = 'stuck'\nchannel = 'c'\ngroup = 'g{n}'\n")
        })
        .collect();
    let toml = format!(
        "[agent]\nshutdown_deadline = '100 ms'\n[sources.in]\ntype = 'numbers'\nchannels = ['c']\n[channels.c]\ntype = 'memory'\n{sinks}"
    );
    let agent = start(&toml);
    until(&agent, "all accepted", |status| status.sources[0].accepted == 100);
    agent.stop();
    let began = Instant::now();
    let report = agent.join();
    assert_eq!(report.troubles.len(), 6, "{:?}", report.troubles);
    // Six waits of more than two seconds each would be twelve.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

/// Scenario: the dead letter channel has a sink of its own, and refused events come while the agent stops.
/// Guarantees: they are delivered before that sink ends; nothing is lost in the memory channel.
#[test]
fn dead_letters_of_the_last_moment_are_delivered() {
    let toml = pipeline("late", "reject")
        + "dead_letter = 'dead'\n[channels.dead]\ntype = 'memory'\n[sinks.morgue]\ntype = 'scripted'\ntest = 'late'\nchannel = 'dead'\n";
    let agent = start(&toml);
    agent.stop();
    let report = agent.join();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(taken("late morgue").len() as u64, report.status.groups[0].dead_lettered);
}

/// Scenario: a dead letter channel that the sink itself reads, and two in one group.
/// Guarantees: both are errors of the configuration.
#[test]
fn dead_letter_channels_are_checked() {
    let round = pipeline("round", "take") + "dead_letter = 'c'\n";
    let Err(message) = plan(&round) else { panic!("round and round") };
    assert!(message.contains("round for ever"), "{message}");
    let sink = |name: &str, dead: &str| {
        format!("[sinks.{name}]\ntype = 'scripted'\ntest = 'x'\nchannel = 'c'\ngroup = 'g'\ndead_letter = '{dead}'\n")
    };
    let toml = format!(
        "[sources.in]\ntype = 'numbers'\nchannels = ['c']\n[channels.c]\ntype = 'memory'\n[channels.d]\ntype = 'memory'\n[channels.e]\ntype = 'memory'\n{}{}",
        sink("a", "d"),
        sink("b", "e")
    );
    let Err(message) = plan(&toml) else { panic!("two for one group") };
    assert!(message.contains("sinks of one group have one dead letter channel"), "{message}");
}
