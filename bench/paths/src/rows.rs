//! The rows and their targets, and how those with rates alone are run.

use serde::Serialize;
use serde_json::Value;
use weir_lab::files::read_files;
use weir_lab::sender::{Limit, Progress, SendOptions};
use weir_lab::{Target, send};
use weir_servers::ports;

use crate::bench::{Bench, HUB, check};
use crate::hdfs::TEXT;
use crate::meter::{Figures, Meter, delivered, durable};
use crate::{Failure, Options};

/// Senders of a row, each a thread of the bench.
pub(crate) const CONNECTIONS: usize = 2;

/// A row.
struct Row {
    path: &'static str,
    run: fn(&mut Bench<'_>) -> Result<Told, Failure>,
}

/// What is told of a row: behind its name, and as JSON.
pub(crate) struct Told {
    text: String,
    json: Value,
}

impl Told {
    /// Figures, and the words for them.
    pub(crate) fn new(text: String, figures: &impl Serialize) -> Result<Self, Failure> {
        Ok(Self { text, json: serde_json::to_value(figures)? })
    }
}

/// Those that start no further servers first, so that nothing else runs beside them.
const ROWS: [Row; 14] = [
    Row {
        path: "tcp syslog -> file channel -> sink kafka R=3",
        run: |bench| rated(0.45e6, Some(0.9), bench.edge(EDGE_WITH_FILE)?),
    },
    Row { path: "tcp syslog -> channel kafka R=3", run: |bench| rated(0.6e6, None, bench.edge(EDGE_WITHOUT_FILE)?) },
    Row { path: "channel kafka -> files", run: |bench| rated(1e6, None, bench.hub()?) },
    Row { path: "source kafka -> memory -> null", run: |bench| rated(4e6, Some(0.25), bench.reading()?) },
    Row { path: "freshness at 50 k/s in topic and files", run: |bench| bench.freshness_in_files() },
    Row { path: "channel kafka -> local files, beside Flume", run: |bench| bench.beside_flume() },
    Row { path: "channel kafka -> hdfs R=1, text", run: |bench| rated(0.5e6, Some(0.6), bench.hub_to_hdfs(TEXT)?) },
    Row { path: "channel kafka -> hdfs R=3, text gzip", run: |bench| packed(bench, "compression = 'gzip'\n") },
    Row { path: "channel kafka -> hdfs R=3, text zstd", run: |bench| packed(bench, "compression = 'zstd'\n") },
    Row {
        path: "channel kafka -> hdfs R=3, sequence snappy",
        run: |bench| packed(bench, "format = 'sequence_writable'\ncompression = 'snappy'\n"),
    },
    Row {
        path: "channel kafka -> hdfs R=3, sequence zstd",
        run: |bench| packed(bench, "format = 'sequence_writable'\ncompression = 'zstd'\n"),
    },
    Row { path: "channel kafka -> solr, beside a bare loop", run: |bench| bench.beside_bare_loop() },
    Row { path: "channel kafka -> hdfs and 5 % to solr", run: |bench| bench.beside_solr() },
    Row { path: "freshness at 20 k/s in hdfs and solr", run: |bench| bench.freshness_in_destinations() },
];

/// An edge that keeps events on its disk before they go to the topic.
pub(crate) const EDGE_WITH_FILE: &str = "channels = ['spool']
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

/// What came of a row that is a rate, and what it has to reach.
#[derive(Serialize)]
struct Rated {
    events_per_second_min: f64,
    agent_cpu_per_million_max: Option<f64>,
    #[serde(flatten)]
    figures: Figures,
}

fn rated(
    events_per_second_min: f64,
    agent_cpu_per_million_max: Option<f64>,
    figures: Figures,
) -> Result<Told, Failure> {
    let text = format!(
        "{:>7.2} {:>9.2} {:>10.3} {:>9} {:>11.0}  {}",
        figures.events_per_second / 1e6,
        events_per_second_min / 1e6,
        figures.agent_cpu_per_million,
        agent_cpu_per_million_max.map_or_else(String::new, |most| format!("{most:.2}")),
        figures.agent_memory_mib,
        figures.servers_text(),
    );
    Told::new(text, &Rated { events_per_second_min, agent_cpu_per_million_max, figures })
}

fn packed(bench: &mut Bench<'_>, options: &str) -> Result<Told, Failure> {
    rated(0.5e6, Some(1.2), bench.hub_to_hdfs(&format!("replication = 3\n{options}"))?)
}

/// Runs all rows that were asked for.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let rows: Vec<&Row> = ROWS.iter().filter(|row| row.path.contains(&options.only)).collect();
    if rows.is_empty() {
        let names = ROWS.map(|row| row.path).join("\n  ");
        return Err(format!("no row has {:?} in its name; there are\n  {names}", options.only).into());
    }
    let mut bench = Bench::start(options)?;
    if !options.json {
        heading(options);
    }
    let mut all = Vec::new();
    for Row { path, run } in rows {
        eprintln!("{path}");
        let Told { text, mut json } = run(&mut bench)?;
        if !options.json {
            println!("{path:<46} {text}");
        }
        json["path"] = Value::from(*path);
        all.push(json);
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "rows": all }))?);
    }
    Ok(())
}

impl Bench<'_> {
    /// Syslog over TCP into a topic of three copies, from the first byte sent until the topic holds everything.
    fn edge(&mut self, channel: &str) -> Result<Figures, Failure> {
        let (events, topic) = (self.options.events, self.brokers.new_topic(3)?);
        let (folder, port) = (tempfile::tempdir()?, ports::free(1)?[0]);
        let sections = format!("[sources.in]\ntype = 'syslog'\nlisten = ['tcp://127.0.0.1:{port}']\n{channel}");
        let (servers, agent) = (self.servers(), self.agent(&folder, "edge", &sections, &topic)?);
        let to_topic = if channel == EDGE_WITH_FILE { delivered } else { durable };
        let mut load = SendOptions::new(Target::Tcp(format!("127.0.0.1:{port}")));
        load.connections = CONNECTIONS;
        load.limit = Limit { events: Some(events), duration: None };
        let meter = Meter::begin(&agent, &servers)?;
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
        let (events, topic) = (self.options.events, self.filled_topic()?);
        let folder = tempfile::tempdir()?;
        let sink = "[sinks.archive]\ntype = 'files'\nchannel = 'c'\npath = '@FOLDER/files'\nroll_bytes = '16 MiB'\nroll_time = '500 ms'\n";
        let (servers, agent) = (self.servers(), self.agent(&folder, "hub", &format!("{HUB}{sink}"), &topic)?);
        let figures = Meter::begin_at(&agent, &servers, 1, delivered)?.end(&agent, events, delivered)?;
        agent.stop()?;
        check("lines in files", read_files(&folder.path().join("files"))?.totals.lines, events)?;
        Ok(figures)
    }

    /// A topic into nothing.
    fn reading(&mut self) -> Result<Figures, Failure> {
        let topic = self.filled_topic()?;
        self.read(&topic, self.options.events)
    }
}

fn heading(options: &Options) {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "{cores} cores, load {}, all servers on this machine; warm: brokers {:.1} M events, HDFS {:.1} M, Solr {:.2} M documents; {:.1} M events a row",
        load.split(' ').take(3).collect::<Vec<_>>().join(" "),
        options.warm as f64 / 1e6,
        options.warm as f64 / 4e6,
        options.solr_warm as f64 / 1e6,
        options.events as f64 / 1e6
    );
    println!(
        "Kafka 4.3.1 with three brokers, HDFS 3.4.3 with three DataNodes, Solr 9.10.1 with two nodes; CPU is seconds per million events"
    );
    println!(
        "{:<46} {:>7} {:>9} {:>10} {:>9} {:>11}  {}",
        "path", "M/s", "at least", "agent CPU", "at most", "memory MiB", "CPU of servers"
    );
}
