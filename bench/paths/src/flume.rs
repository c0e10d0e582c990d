//! The row that Apache Flume is beside: a topic into files of this machine by the sink `hdfs` of either.

use std::path::Path;

use serde::Serialize;
use weir_lab::files::read_files;
use weir_lab::measure;
use weir_servers::Tuning;
use weir_servers::flume::Flume;

use crate::Failure;
use crate::bench::{Bench, HUB, check};
use crate::hdfs::{ARCHIVE, sink, until_begun};
use crate::meter::{Figures, Meter, Reading, Servers, delivered_by};
use crate::rows::Told;

/// Flume takes 10 s for them.
const EVENTS_MAX: u64 = 300_000;
/// As many looks at its files, a tenth of a second apart, without a change: it waits for something.
const QUIET_LOOKS: usize = 10;
/// What is written before this part of all bytes does not count: Java compiles meanwhile.
const WARM_PART: f64 = 1.0 / 3.0;

/// The same path by both.
#[derive(Serialize)]
struct Beside {
    flume_events: u64,
    flume: Figures,
    weir: Figures,
    rate_ratio: f64,
    cpu_ratio: f64,
}

impl Bench<'_> {
    /// A topic into local files, by Flume and then by us.
    pub(crate) fn beside_flume(&mut self) -> Result<Told, Failure> {
        let flume_events = self.options.events.min(EVENTS_MAX);
        let flume = self.by_flume(flume_events)?;
        let weir = self.by_weir()?;
        let rate_ratio = weir.events_per_second / flume.events_per_second;
        let cpu_ratio = flume.agent_cpu_per_million / weir.agent_cpu_per_million;
        let line = |name: &str, figures: &Figures| {
            let Figures { events_per_second, agent_cpu_per_million, agent_memory_mib, .. } = figures;
            let (thousands, servers) = (events_per_second / 1e3, figures.servers_text());
            format!(
                "\n    {name:<6} {thousands:>8.0} k/s, CPU s per million {agent_cpu_per_million:.2} ({servers}), {agent_memory_mib:.0} MiB"
            )
        };
        let text = format!(
            "{}{}\n    weir is {rate_ratio:.1} times as fast and takes 1/{cpu_ratio:.0} of the CPU (flume: {:.1} M events)",
            line("flume", &flume),
            line("weir", &weir),
            flume_events as f64 / 1e6
        );
        Told::new(text, &Beside { flume_events, flume, weir, rate_ratio, cpu_ratio })
    }

    fn by_weir(&mut self) -> Result<Figures, Failure> {
        let (events, topic, folder) = (self.options.events, self.filled_topic()?, tempfile::tempdir()?);
        let root = folder.path().join("files");
        let sink = sink(&format!("file://{}", root.display()), "roll_idle = '500 ms'\n");
        let (servers, agent) = (self.servers(), self.agent(&folder, "hub", &format!("{HUB}{sink}"), &topic)?);
        until_begun(|| Ok(root.join(".weir").exists()))?;
        let figures = Meter::begin(&agent, &servers)?.end(&agent, events, delivered_by(ARCHIVE))?;
        agent.stop()?;
        check("lines in files", read_files(&root)?.totals.lines, events)?;
        Ok(figures)
    }

    fn by_flume(&mut self, events: u64) -> Result<Figures, Failure> {
        let topic = self.brokers.new_topic(1)?;
        self.fill(&topic, events)?;
        let (servers, folder) = (self.servers(), tempfile::tempdir()?);
        let flume = Flume::find_with_hdfs()?.tuned(Tuning::Throughput);
        let mut agent = flume.start(&properties(&self.brokers.bootstrap(), &topic, folder.path()))?;
        let process = agent.process_id();
        let mut looks: Vec<(u64, Reading)> = Vec::new();
        agent.until("the last of its lines", || {
            let written = Some(bytes(folder.path())).filter(|bytes| *bytes > 0)?;
            let cpu_seconds = measure::process(process).ok()?.cpu.total_seconds();
            looks.push((written, Reading::take(cpu_seconds, &servers).ok()?));
            // Lines are read only when nothing was written for a second.
            let before = looks.len().checked_sub(QUIET_LOOKS)?;
            (looks[before].0 == written && lines(folder.path()).ok()? >= events).then_some(())
        })?;
        let memory_mib = measure::process(process)?.resident_peak_bytes as f64 / f64::from(1 << 20);
        agent.stop()?;
        check("lines in Flume's files", lines(folder.path())?, events)?;
        self.brokers.delete(&topic)?;
        warm_part_left_out(&looks, events, &servers, memory_mib)
    }
}

/// The figures from the look at which a third was written to the first at which all was.
fn warm_part_left_out(
    looks: &[(u64, Reading)],
    events: u64,
    servers: &Servers,
    memory_mib: f64,
) -> Result<Figures, Failure> {
    let all = looks.last().ok_or("nobody looked")?.0;
    let first = |bytes: f64| looks.iter().find(|(found, _)| *found as f64 >= bytes).ok_or("it was written at once");
    let ((from, began), (_, ended)) = (first(all as f64 * WARM_PART)?, first(all as f64)?);
    let share = (all - from) as f64 / all as f64;
    if share <= 0.0 {
        return Err("Flume wrote everything between two looks: give it more events".into());
    }
    Ok(began.figures(ended, (events as f64 * share) as u64, servers, memory_mib))
}

/// Bytes that are in files so far.
fn bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// Lines that are in files, those in progress too.
fn lines(folder: &Path) -> Result<u64, Failure> {
    let mut lines = 0;
    for entry in std::fs::read_dir(folder)? {
        lines += std::fs::read(entry?.path())?.iter().filter(|byte| **byte == b'\n').count() as u64;
    }
    Ok(lines)
}

/// As somebody would tune it: large batches, a channel in memory, no checksums beside local files.
fn properties(bootstrap: &str, topic: &str, folder: &Path) -> String {
    format!(
        "a1.sources = in\na1.channels = c\na1.sinks = out\n\
         a1.sources.in.type = org.apache.flume.source.kafka.KafkaSource\na1.sources.in.channels = c\n\
         a1.sources.in.kafka.bootstrap.servers = {bootstrap}\na1.sources.in.kafka.topics = {topic}\n\
         a1.sources.in.kafka.consumer.group.id = {topic}\na1.sources.in.kafka.consumer.auto.offset.reset = earliest\n\
         a1.sources.in.batchSize = 5000\na1.sources.in.batchDurationMillis = 200\n\
         a1.channels.c.type = memory\na1.channels.c.capacity = 50000\na1.channels.c.transactionCapacity = 5000\n\
         a1.sinks.out.type = hdfs\na1.sinks.out.channel = c\na1.sinks.out.hdfs.path = file://{}\n\
         a1.sinks.out.hdfs.fileType = DataStream\na1.sinks.out.hdfs.writeFormat = Text\na1.sinks.out.hdfs.batchSize = 5000\n\
         a1.sinks.out.hdfs.rollInterval = 0\na1.sinks.out.hdfs.rollCount = 0\na1.sinks.out.hdfs.rollSize = 125829120\n\
         a1.sinks.out.hdfs.useRawLocalFileSystem = true\n",
        folder.display()
    )
}
