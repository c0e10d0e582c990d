//! The rows for freshness: events over TCP at a moderate rate, and how old they are where they can be read.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;
use weir_codec::synth::SynthOptions;
use weir_lab::files::read_files;
use weir_lab::sender::{Input, Limit, Progress, SendOptions};
use weir_lab::{Target, send};
use weir_servers::ports;

use crate::Failure;
use crate::agent::Agent;
use crate::ages::{self, now_ms};
use crate::bench::{Bench, HUB, check};
use crate::hdfs::ARCHIVE;
use crate::meter::{Figures, Reading, delivered, delivered_by, done_by, until_counted};
use crate::rows::{CONNECTIONS, EDGE_WITH_FILE, Told};
use crate::solr::SEARCH;

/// Only what is sent after this counts: joining a group and asking for metadata are no part of freshness.
const FROM_MS: i64 = 5000;
/// Rate and length for topic and files.
const FILES_EVENTS_PER_SECOND: f64 = 50_000.0;
const FILES_TIME: Duration = Duration::from_secs(20);
const TOPIC_P99_MS_MAX: i64 = 250;
const FILES_P99_MS_MAX: i64 = 1500;
/// Rate and length for HDFS and Solr.
const DESTINATIONS_EVENTS_PER_SECOND: f64 = 20_000.0;
const DESTINATIONS_TIME: Duration = Duration::from_secs(40);
const ROLL_TIME_MS: i64 = 5000;
/// Files have this and `ROLL_TIME_MS`.
const HDFS_MS_MAX: i64 = 2000;
const SEARCHABLE_P99_MS_MAX: i64 = 5000;
/// 2,000 of 20,000.
const SAMPLE: &str = "sample = 10\n";

/// Ages in the topic and in finished files.
#[derive(Serialize)]
struct Files {
    /// Events looked at in files.
    events: usize,
    to_topic_p99_ms: i64,
    to_topic_p99_ms_max: i64,
    to_file_p99_ms: i64,
    to_file_p99_ms_max: i64,
}

/// Ages in finished files of HDFS and in what Solr finds.
#[derive(Serialize)]
struct Destinations {
    events: usize,
    documents: usize,
    to_hdfs_p99_ms: i64,
    to_hdfs_highest_ms: i64,
    to_hdfs_ms_max: i64,
    searchable_p99_ms: i64,
    searchable_highest_ms: i64,
    searchable_p99_ms_max: i64,
    /// Those of both agents together.
    figures: Figures,
}

/// The agent that takes lines over TCP, and what sends them.
struct Edge {
    agent: Agent,
    load: SendOptions,
    /// When events begin to count.
    from_ms: i64,
}

impl Bench<'_> {
    /// How old events are in the topic and in finished files.
    pub(crate) fn freshness_in_files(&mut self) -> Result<Told, Failure> {
        let (topic, folder) = (self.brokers.new_topic(3)?, tempfile::tempdir()?);
        let sink = "[sinks.archive]\ntype = 'files'\nchannel = 'c'\npath = '@FOLDER/files'\nroll_time = '500 ms'\n";
        let hub = self.agent(&folder, "hub", &format!("{HUB}{sink}"), &topic)?;
        let edge = self.edge_at(FILES_EVENTS_PER_SECOND, FILES_TIME, &topic, &folder)?;
        let (stop, bootstrap) = (AtomicBool::new(false), self.brokers.bootstrap());
        let (events, mut in_topic) = std::thread::scope(|scope| {
            let reading = scope.spawn(|| ages::of_topic(&bootstrap, &topic, edge.from_ms, &stop));
            let arrived = edge.send().and_then(|events| until_counted(&hub, events, delivered).map(|_| events));
            stop.store(true, Relaxed);
            let read = reading.join().map_err(|_| "the reader panicked")??;
            Ok::<_, Failure>((arrived?, read))
        })?;
        edge.agent.stop()?;
        hub.stop()?;
        let files = folder.path().join("files");
        check("lines in files", read_files(&files)?.totals.lines, events)?;
        let mut in_files = ages::of_files(&files, edge.from_ms)?;
        self.brokers.delete(&topic)?;
        let fresh = Files {
            events: in_files.len(),
            to_topic_p99_ms: in_topic.p99_ms()?,
            to_topic_p99_ms_max: TOPIC_P99_MS_MAX,
            to_file_p99_ms: in_files.p99_ms()?,
            to_file_p99_ms_max: FILES_P99_MS_MAX,
        };
        let text = format!(
            "\n    p99: in the topic {} ms (at most {}), in a finished file {} ms (at most {})",
            fresh.to_topic_p99_ms, fresh.to_topic_p99_ms_max, fresh.to_file_p99_ms, fresh.to_file_p99_ms_max
        );
        Told::new(text, &fresh)
    }

    /// How old events are in finished files of HDFS and when Solr finds them.
    pub(crate) fn freshness_in_destinations(&mut self) -> Result<Told, Failure> {
        self.start_hdfs()?;
        self.start_solr()?;
        let (topic, folder) = (self.brokers.new_topic(3)?, tempfile::tempdir()?);
        let (hdfs, solr, servers) = (self.hdfs()?, self.solr()?, self.servers());
        let root = hdfs.new_folder();
        let roll = format!("roll_time = '{ROLL_TIME_MS} ms'\nreplication = 3\n");
        let sinks = format!("{}{}", hdfs.sink(&root, &roll), solr.sink(SAMPLE));
        let hub = self.agent(&folder, "hub", &format!("{HUB}{sinks}"), &topic)?;
        let edge = self.edge_at(DESTINATIONS_EVENTS_PER_SECOND, DESTINATIONS_TIME, &topic, &folder)?;
        let take = || Reading::take(edge.agent.cpu_seconds()? + hub.cpu_seconds()?, &servers);
        let (stop, before) = (AtomicBool::new(false), take()?);
        let (events, appeared, mut searchable) = std::thread::scope(|scope| {
            let listing = scope.spawn(|| ages::watch_hdfs(hdfs, &root, &stop));
            let searching = scope.spawn(|| ages::of_solr(solr, edge.from_ms, &stop));
            let arrived = edge.send().and_then(|events| {
                until_counted(&hub, events, delivered_by(ARCHIVE))?;
                until_counted(&hub, events, done_by(SEARCH))?;
                solr.until_found(delivered_by(SEARCH)(&hub.status()?))?;
                Ok(events)
            });
            stop.store(true, Relaxed);
            let appeared = listing.join().map_err(|_| "the one that lists panicked")??;
            let searchable = searching.join().map_err(|_| "the one that searches panicked")??;
            Ok::<_, Failure>((arrived?, appeared, searchable))
        })?;
        let memory_mib = edge.agent.memory_mib_peak()? + hub.memory_mib_peak()?;
        let figures = before.figures(&take()?, events, &servers, memory_mib);
        edge.agent.stop()?;
        hub.stop()?;
        check("events in files of HDFS", hdfs.count(&root)?, events)?;
        let mut in_hdfs = ages::of_hdfs(hdfs, &root, &appeared, edge.from_ms)?;
        hdfs.delete(&root)?;
        self.brokers.delete(&topic)?;
        let fresh = Destinations {
            events: in_hdfs.len(),
            documents: searchable.len(),
            to_hdfs_p99_ms: in_hdfs.p99_ms()?,
            to_hdfs_highest_ms: in_hdfs.max_ms(),
            to_hdfs_ms_max: ROLL_TIME_MS + HDFS_MS_MAX,
            searchable_p99_ms: searchable.p99_ms()?,
            searchable_highest_ms: searchable.max_ms(),
            searchable_p99_ms_max: SEARCHABLE_P99_MS_MAX,
            figures,
        };
        Told::new(fresh.text(), &fresh)
    }

    /// An agent with a spool in front of `topic`, and lines with their time for it.
    fn edge_at(
        &self,
        events_per_second: f64,
        time: Duration,
        topic: &str,
        folder: &tempfile::TempDir,
    ) -> Result<Edge, Failure> {
        let port = ports::free(1)?[0];
        let source =
            format!("[sources.in]\ntype = 'syslog'\nlisten = ['tcp://127.0.0.1:{port}']\nkeep_fields = 'all'\n");
        let agent = self.agent(folder, "edge", &format!("{source}{EDGE_WITH_FILE}"), topic)?;
        let mut load = SendOptions::new(Target::Tcp(format!("127.0.0.1:{port}")));
        load.connections = CONNECTIONS;
        load.events_per_second = Some(events_per_second);
        load.limit = Limit { events: None, duration: Some(time) };
        load.input = Input::Synth { seed: 1, options: SynthOptions { rfc5424_share: 1.0, ..SynthOptions::default() } };
        Ok(Edge { agent, load, from_ms: now_ms() + FROM_MS })
    }
}

impl Edge {
    /// Sends everything; how many lines that were.
    fn send(&self) -> Result<u64, Failure> {
        Ok(send(&self.load, &Progress::new())?.events)
    }
}

impl Destinations {
    fn text(&self) -> String {
        format!(
            "\n    searchable: p99 {} ms (at most {}), highest {} ms, of {} documents\
             \n    in a finished file of HDFS, rolled every {} s: p99 {} ms, highest {} ms (at most {})\
             \n    CPU s per million events: both agents {:.2} ({})",
            self.searchable_p99_ms,
            self.searchable_p99_ms_max,
            self.searchable_highest_ms,
            self.documents,
            ROLL_TIME_MS / 1000,
            self.to_hdfs_p99_ms,
            self.to_hdfs_highest_ms,
            self.to_hdfs_ms_max,
            self.figures.agent_cpu_per_million,
            self.figures.servers_text(),
        )
    }
}
