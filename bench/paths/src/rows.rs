//! The rows, their targets, and how each is run.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;
use weir_codec::synth::SynthOptions;
use weir_lab::files::read_files;
use weir_lab::sender::{Input, Limit, Progress, SendOptions};
use weir_lab::{Target, send};
use weir_servers::ports;

use crate::agent::Agent;
use crate::brokers::{Brokers, PARTITIONS};
use crate::fresh;
use crate::meter::{Figures, Meter, delivered, durable};
use crate::{Failure, Options};

/// Senders of a row, each a thread of the bench.
const CONNECTIONS: usize = 2;
/// Rate and length of the row for freshness.
const FRESH_EVENTS_PER_SECOND: f64 = 50_000.0;
const FRESH_SECONDS: u64 = 20;
/// Only what is sent after this counts: joining a group and asking for metadata are no part of freshness.
const FRESH_FROM_MS: i64 = 5000;

/// A row and what it has to reach.
#[derive(Clone, Copy, Debug, Serialize)]
struct Row {
    path: &'static str,
    events_per_second_min: f64,
    agent_cpu_per_million_max: Option<f64>,
    #[serde(skip)]
    run: fn(&mut Bench<'_>) -> Result<Figures, Failure>,
}

const ROWS: [Row; 4] = [
    Row {
        path: "tcp syslog -> file channel -> sink kafka R=3",
        events_per_second_min: 0.45e6,
        agent_cpu_per_million_max: Some(0.9),
        run: |bench| bench.edge(EDGE_WITH_FILE),
    },
    Row {
        path: "tcp syslog -> channel kafka R=3",
        events_per_second_min: 0.6e6,
        agent_cpu_per_million_max: None,
        run: |bench| bench.edge(EDGE_WITHOUT_FILE),
    },
    Row {
        path: "channel kafka -> files",
        events_per_second_min: 1e6,
        agent_cpu_per_million_max: None,
        run: |bench| bench.hub(),
    },
    Row {
        path: "source kafka -> memory -> null",
        events_per_second_min: 4e6,
        agent_cpu_per_million_max: Some(0.25),
        run: |bench| bench.reading(),
    },
];

const EDGE_WITH_FILE: &str = "channels = ['spool']
[channels.spool]
type = 'file'
path = '@FOLDER/spool'
capacity_bytes = '8 GiB'
compression = 'lz4'
[sinks.hub]
type = 'kafka'
channel = 'spool'
brokers = @BROKERS
topic = '@TOPIC'
";
const EDGE_WITHOUT_FILE: &str = "channels = ['hub']
[channels.hub]
type = 'kafka'
brokers = @BROKERS
topic = '@TOPIC'
";

/// What came of a row.
#[derive(Serialize)]
struct Measured {
    #[serde(flatten)]
    row: Row,
    #[serde(flatten)]
    figures: Figures,
}

/// Runs all rows that were asked for.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let mut bench = Bench { options, brokers: Brokers::start()? };
    if options.warm > 0 {
        eprintln!("warming the brokers");
        let (events, topic) = (options.warm / 2, bench.brokers.new_topic(3)?);
        bench.fill(&topic, events)?;
        bench.read(&topic, events)?;
        bench.brokers.delete(&topic)?;
    }
    if !options.json {
        heading(options);
    }
    let mut all = Vec::new();
    for row in ROWS.into_iter().filter(|row| row.path.contains(&options.only)) {
        eprintln!("{}", row.path);
        let measured = Measured { row, figures: (row.run)(&mut bench)? };
        if !options.json {
            print(&measured);
        }
        all.push(measured);
    }
    let fresh = if "freshness".contains(&options.only) { Some(bench.freshness()?) } else { None };
    match (&fresh, options.json) {
        (Some(fresh), false) => fresh.print(),
        (fresh, true) => {
            println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "rows": all, "freshness": fresh }))?)
        }
        (None, false) => {}
    }
    Ok(())
}

struct Bench<'a> {
    options: &'a Options,
    brokers: Brokers,
}

impl Bench<'_> {
    /// Syslog over TCP into a topic of three copies, from the first byte sent until the topic holds everything.
    fn edge(&mut self, channel: &str) -> Result<Figures, Failure> {
        let (events, topic) = (self.options.events, self.brokers.new_topic(3)?);
        let (folder, port) = (tempfile::tempdir()?, ports::free(1)?[0]);
        let sections = format!("[sources.in]\ntype = 'syslog'\nlisten = ['tcp://127.0.0.1:{port}']\n{channel}");
        let agent = self.agent(&folder, "edge", &sections, &topic)?;
        let to_topic = if channel == EDGE_WITH_FILE { delivered } else { durable };
        let mut load = SendOptions::new(Target::Tcp(format!("127.0.0.1:{port}")));
        load.connections = CONNECTIONS;
        load.limit = Limit { events: Some(events), duration: None };
        let meter = Meter::begin(&agent)?;
        let figures = std::thread::scope(|scope| {
            let progress = Progress::new();
            let sending = scope.spawn(move || send(&load, &progress));
            let figures = meter.end(&agent, events, to_topic)?;
            sending.join().map_err(|_| "a sender panicked")??;
            Ok::<_, Failure>(figures)
        })?;
        agent.stop()?;
        check("in the topic", self.brokers.count(&topic)?, events)?;
        self.brokers.delete(&topic)?;
        Ok(figures)
    }

    /// A topic into files, from the first file to the last.
    fn hub(&mut self) -> Result<Figures, Failure> {
        let (events, topic) = (self.options.events, self.brokers.new_topic(1)?);
        self.fill(&topic, events)?;
        let folder = tempfile::tempdir()?;
        let sections = "[channels.c]\ntype = 'kafka'\nbrokers = @BROKERS\ntopic = '@TOPIC'\nstart = 'earliest'\n\
             [sinks.archive]\ntype = 'files'\nchannel = 'c'\npath = '@FOLDER/files'\nroll_bytes = '16 MiB'\nroll_time = '500 ms'\n";
        let agent = self.agent(&folder, "hub", sections, &topic)?;
        let figures = Meter::begin_at_first(&agent, delivered)?.end(&agent, events, delivered)?;
        agent.stop()?;
        check("lines in files", read_files(&folder.path().join("files"))?.totals.lines, events)?;
        self.brokers.delete(&topic)?;
        Ok(figures)
    }

    /// A topic into nothing.
    fn reading(&mut self) -> Result<Figures, Failure> {
        let (events, topic) = (self.options.events, self.brokers.new_topic(1)?);
        self.fill(&topic, events)?;
        let figures = self.read(&topic, events)?;
        self.brokers.delete(&topic)?;
        Ok(figures)
    }

    /// Lets an agent write `events` to `topic`.
    fn fill(&self, topic: &str, events: u64) -> Result<(), Failure> {
        let folder = tempfile::tempdir()?;
        let sections = format!(
            "[sources.in]\ntype = 'generate'\nrate = 'unlimited'\nevents = {events}\nlanes = 2\nchannels = ['c']\n\
             [channels.c]\ntype = 'kafka'\nbrokers = @BROKERS\ntopic = '@TOPIC'\ncompression = 'lz4'\nacks = 'leader'\nidempotent = false\n"
        );
        let agent = self.agent(&folder, "fill", &sections, topic)?;
        Meter::begin(&agent)?.end(&agent, events, durable)?;
        agent.stop()?;
        check("in the topic", self.brokers.count(topic)?, events)
    }

    /// Reads `events` from `topic` into nothing.
    fn read(&self, topic: &str, events: u64) -> Result<Figures, Failure> {
        let folder = tempfile::tempdir()?;
        let sections = "[sources.in]\ntype = 'kafka'\nbrokers = @BROKERS\ntopics = ['@TOPIC']\nconsumer_group = '@TOPIC-null'\n\
             start = 'earliest'\nchannels = ['c']\n[channels.c]\ntype = 'memory'\n[sinks.out]\ntype = 'null'\nchannel = 'c'\n";
        let agent = self.agent(&folder, "read", sections, topic)?;
        let figures = Meter::begin_at_first(&agent, delivered)?.end(&agent, events, delivered)?;
        agent.stop()?;
        Ok(figures)
    }

    /// How old events are when they are in the topic and in finished files, at a moderate rate.
    fn freshness(&mut self) -> Result<Freshness, Failure> {
        eprintln!("freshness");
        let (topic, folder, port) = (self.brokers.new_topic(3)?, tempfile::tempdir()?, ports::free(1)?[0]);
        let sections = format!("[sources.in]\ntype = 'syslog'\nlisten = ['tcp://127.0.0.1:{port}']\nkeep_fields = 'all'\n{EDGE_WITH_FILE}");
        let edge = self.agent(&folder, "edge", &sections, &topic)?;
        let sections = "[channels.c]\ntype = 'kafka'\nbrokers = @BROKERS\ntopic = '@TOPIC'\nstart = 'earliest'\n\
             [sinks.archive]\ntype = 'files'\nchannel = 'c'\npath = '@FOLDER/files'\nroll_time = '500 ms'\n";
        let hub = self.agent(&folder, "hub", sections, &topic)?;
        let mut load = SendOptions::new(Target::Tcp(format!("127.0.0.1:{port}")));
        load.connections = CONNECTIONS;
        load.events_per_second = Some(FRESH_EVENTS_PER_SECOND);
        load.limit = Limit { events: None, duration: Some(Duration::from_secs(FRESH_SECONDS)) };
        load.input = Input::Synth { seed: 1, options: SynthOptions { rfc5424_share: 1.0, ..SynthOptions::default() } };
        let from_ms = fresh::now_ms() + FRESH_FROM_MS;
        let (stop, bootstrap) = (AtomicBool::new(false), self.brokers.bootstrap());
        let (events, mut in_topic) = std::thread::scope(|scope| {
            let reading = scope.spawn(|| fresh::read_topic(&bootstrap, &topic, PARTITIONS, from_ms, &stop));
            let sent = send(&load, &Progress::new());
            let arrived = sent.map_err(Failure::from).and_then(|report| {
                Meter::begin(&hub)?.end(&hub, report.events, delivered)?;
                Ok(report.events)
            });
            stop.store(true, Relaxed);
            let read = reading.join().map_err(|_| "the reader panicked")??;
            Ok::<_, Failure>((arrived?, read))
        })?;
        edge.stop()?;
        hub.stop()?;
        let files = folder.path().join("files");
        check("lines in files", read_files(&files)?.totals.lines, events)?;
        let mut in_files = fresh::read_files(&files, from_ms, line_time)?;
        self.brokers.delete(&topic)?;
        Ok(Freshness {
            events: in_files.len(),
            to_topic_p99_ms: in_topic.p99_ms()?,
            to_file_p99_ms: in_files.p99_ms()?,
        })
    }

    fn agent(&self, folder: &tempfile::TempDir, name: &str, sections: &str, topic: &str) -> Result<Agent, Failure> {
        let folder = folder.path();
        let sections = sections
            .replace("@FOLDER", &folder.display().to_string())
            .replace("@BROKERS", &self.brokers.list())
            .replace("@TOPIC", topic);
        Agent::start(&self.options.weir, folder, name, &sections)
    }
}

/// Ages at 50,000 events a second.
#[derive(Serialize)]
struct Freshness {
    /// Events looked at in files.
    events: usize,
    to_topic_p99_ms: i64,
    to_file_p99_ms: i64,
}

/// When a line of RFC 5424 says it was made, milliseconds since 1970.
fn line_time(line: &str) -> Option<i64> {
    let stamp = line.split(' ').nth(1)?;
    Some(stamp.parse::<jiff::Timestamp>().ok()?.as_millisecond())
}

impl Freshness {
    fn print(&self) {
        println!(
            "freshness at 50 k/s, p99: in the topic {} ms (at most 250), in a finished file {} ms (at most 1500)",
            self.to_topic_p99_ms, self.to_file_p99_ms
        );
    }
}

fn check(what: &str, found: u64, expected: u64) -> Result<(), Failure> {
    if found == expected { Ok(()) } else { Err(format!("{found} {what} instead of {expected}").into()) }
}

fn heading(options: &Options) {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "{cores} cores, load {}, three brokers of Kafka 4.3.1 on this machine, {:.0} M events warm, {:.0} M events a row",
        load.split(' ').take(3).collect::<Vec<_>>().join(" "),
        options.warm as f64 / 1e6,
        options.events as f64 / 1e6
    );
    println!("{:<46} {:>7} {:>9} {:>10} {:>9} {:>11}", "path", "M/s", "at least", "agent CPU", "at most", "memory MiB");
}

fn print(Measured { row, figures }: &Measured) {
    println!(
        "{:<46} {:>7.2} {:>9.2} {:>10.3} {:>9} {:>11.0}",
        row.path,
        figures.events_per_second / 1e6,
        row.events_per_second_min / 1e6,
        figures.agent_cpu_per_million,
        row.agent_cpu_per_million_max.map_or_else(String::new, |most| format!("{most:.2}")),
        figures.agent_memory_mib,
    );
}
