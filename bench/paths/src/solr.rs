//! A SolrCloud of two nodes with a collection of two shards, and the row that ends in it.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;
use tokio::runtime::Runtime;
use weir_servers::solr::{Cluster, ClusterOptions, Collection, Role};
use weir_servers::{Control, Tuning};
use weir_solr::{Client, ClientOptions, ClusterState};

use crate::Failure;
use crate::agent::PATIENCE;
use crate::bare::Bare;
use crate::bench::{Bench, HUB, check};
use crate::meter::{Figures, LOOK_EVERY, Meter, delivered_by, until_counted};
use crate::rows::Told;
use crate::topic;

const NODES: u32 = 2;
const COLLECTION: &str = "logs";
/// The group of the sink.
pub(crate) const SEARCH: &str = "search";
/// Of each the agent and the bare loop, in turn.
const ROUNDS: usize = 2;
/// Events of a row are so many documents a turn: Solr takes 20 k/s.
const EVENTS_PER_DOCUMENT: u64 = 20;
/// Counted is the middle of a turn, from this part of its documents on.
pub(crate) const FIRST_COUNTED: f64 = 0.1;
/// Up to this part: at both ends as much is on its way.
pub(crate) const LAST_COUNTED: f64 = 0.9;
const RATIO_MIN: f64 = 0.85;
const CPU_SHARE_MAX: f64 = 0.08;
const SCHEMA: &str = include_str!("../../../configs/solr/schema.xml");
const CONFIGURATION: &str = include_str!("../../../configs/solr/solrconfig.xml");

/// A running Solr; it ends with this.
pub(crate) struct Solr {
    cluster: Cluster,
    runtime: Runtime,
    client: Client,
    /// Documents that must be there.
    expected: AtomicU64,
    turns: AtomicU32,
}

impl Solr {
    /// Starts it, tuned for throughput, and makes the collection with the config set that is shipped: 20 s.
    pub(crate) fn start() -> Result<Self, Failure> {
        let cluster = Cluster::start(ClusterOptions { nodes: NODES, tuning: Tuning::Throughput })?;
        let (schema, configuration) = (SCHEMA.to_owned(), CONFIGURATION.to_owned());
        cluster.create_collection(&Collection { shards: 2, schema, configuration, ..Collection::new(COLLECTION) })?;
        let client = Client::new(ClientOptions::new([cluster.url(1)]))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { cluster, runtime, client, expected: AtomicU64::new(0), turns: AtomicU32::new(0) })
    }

    /// Ids of its processes.
    pub(crate) fn process_ids(&self) -> Vec<u32> {
        let roles = std::iter::once(Role::ZooKeeper).chain((1..=NODES).map(Role::Node));
        roles.filter_map(|role| self.cluster.process_id(role)).collect()
    }

    /// Sets the priority of all its threads, as of `nice`; only the superuser may raise one again.
    pub(crate) fn set_priority(&self, priority: i32) -> Result<(), Failure> {
        for process in self.process_ids() {
            for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
                let thread = thread?.file_name();
                let set = Command::new("renice").args(["-n", &priority.to_string(), "-p"]).arg(&thread).output()?;
                // A thread that has ended meanwhile has none.
                if !set.status.success() && Path::new("/proc").join(&thread).exists() {
                    return Err(format!("renice: {}", set.stderr.escape_ascii()).into());
                }
            }
        }
        Ok(())
    }

    /// What begins the ids of the next turn.
    pub(crate) fn new_prefix(&self) -> String {
        let turn = self.turns.fetch_add(1, Relaxed) + 1;
        // As long as the default, which begins with the id of the topic.
        format!("{turn:016x}")
    }

    /// A sink with ids of its own, with further `options`.
    pub(crate) fn sink(&self, options: &str) -> String {
        let (urls, prefix) = ((1..=NODES).map(|node| self.cluster.url(node)).collect::<Vec<_>>(), self.new_prefix());
        format!(
            "[sinks.search]\ntype = 'solr'\nchannel = 'c'\ngroup = '{SEARCH}'\nurls = {urls:?}\ncollection = '{COLLECTION}'\n\
             id = '{prefix}-%{{weir.partition}}-%{{weir.offset}}'\n{options}"
        )
    }

    /// Waits until as many more can be found.
    pub(crate) fn until_found(&self, more: u64) -> Result<(), Failure> {
        let expected = self.expected.load(Relaxed) + more;
        let deadline = Instant::now() + PATIENCE;
        let mut found = self.found()?;
        while found < expected && Instant::now() < deadline {
            std::thread::sleep(LOOK_EVERY);
            found = self.found()?;
        }
        self.expected.store(expected, Relaxed);
        check("documents in Solr", found, expected)
    }

    fn found(&self) -> Result<u64, Failure> {
        let answer = self.select("q=*:*")?;
        Ok(answer["response"]["numFound"].as_u64().ok_or("Solr does not say how many it found")?)
    }

    /// How many documents can be found of each `step_ms` of their own time, `from_ms` up to `to_ms`.
    pub(crate) fn found_by_time(&self, from_ms: i64, to_ms: i64, step_ms: i64) -> Result<Vec<(i64, u64)>, Failure> {
        let time = |ms| jiff::Timestamp::from_millisecond(ms).map(|time| format!("{time:.3}"));
        let (from, to) = (time(from_ms)?, time(to_ms)?);
        let mut query = format!("q=ts:%5B{from}%20TO%20{to}%5D&facet=true&facet.mincount=1&facet.range=ts");
        // Goes through the documents once, instead of asking for each step.
        write!(query, "&facet.range.method=dv&facet.range.start={from}&facet.range.end={to}")?;
        write!(query, "&facet.range.gap=%2B{step_ms}MILLIS")?;
        let answer = self.select(&query)?;
        let counts = answer["facet_counts"]["facet_ranges"]["ts"]["counts"].as_array();
        let counts = counts.ok_or_else(|| format!("Solr does not count by time: {answer}"))?;
        let pair = |pair: &[Value]| {
            let time: jiff::Timestamp = pair[0].as_str()?.parse().ok()?;
            Some((time.as_millisecond(), pair[1].as_u64()?))
        };
        counts.chunks_exact(2).map(|found| Ok(pair(found).ok_or("a count without a time")?)).collect()
    }

    fn select(&self, query: &str) -> Result<Value, Failure> {
        let answer = self.cluster.get(1, &format!("/{COLLECTION}/select?{query}&rows=0&wt=json"))?.ok()?;
        Ok(serde_json::from_slice(&answer.body)?)
    }

    fn state(&self) -> Result<ClusterState, Failure> {
        Ok(self.runtime.block_on(self.client.cluster_state(Some(COLLECTION)))?)
    }
}

/// The agent and a loop that does nothing else.
#[derive(Serialize)]
struct Beside {
    documents_per_turn: u64,
    agent: Figures,
    agent_turns: Vec<Figures>,
    bare: Figures,
    bare_turns: Vec<Figures>,
    ratio: f64,
    ratio_min: f64,
    agent_cpu_share: f64,
    agent_cpu_share_max: f64,
    documents_per_server_cpu_second: f64,
}

impl Bench<'_> {
    /// A topic into Solr, beside a bare loop with the same events.
    pub(crate) fn beside_bare_loop(&mut self) -> Result<Told, Failure> {
        self.start_solr()?;
        let documents = (self.options.events / EVENTS_PER_DOCUMENT).max(1);
        let topic = self.brokers.new_topic(1)?;
        self.fill(&topic, documents)?;
        let (mut agent_turns, mut bare_turns) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            agent_turns.push(self.topic_to_solr(&topic, documents)?);
            bare_turns.push(self.bare_loop(&topic, documents)?);
        }
        self.brokers.delete(&topic)?;
        let (agent, bare) = (Figures::of_turns(&agent_turns), Figures::of_turns(&bare_turns));
        let beside = Beside {
            documents_per_turn: documents,
            ratio: agent.events_per_second / bare.events_per_second,
            ratio_min: RATIO_MIN,
            agent_cpu_share: agent.agent_cpu_per_million / agent.cpu_of("solr"),
            agent_cpu_share_max: CPU_SHARE_MAX,
            documents_per_server_cpu_second: 1e6 / agent.cpu_of("solr"),
            agent,
            agent_turns,
            bare,
            bare_turns,
        };
        Told::new(beside.text(), &beside)
    }

    /// So many documents by an agent, before anything is measured.
    pub(crate) fn warm_solr(&mut self) -> Result<(), Failure> {
        let documents = self.options.solr_warm;
        if documents > 0 {
            eprintln!("warming Solr");
            let topic = self.brokers.new_topic(1)?;
            self.fill(&topic, documents)?;
            self.topic_to_solr(&topic, documents)?;
            self.brokers.delete(&topic)?;
        }
        Ok(())
    }

    fn topic_to_solr(&self, topic: &str, documents: u64) -> Result<Figures, Failure> {
        let (solr, servers, folder) = (self.solr()?, self.servers(), tempfile::tempdir()?);
        let agent = self.agent(&folder, "hub", &format!("{HUB}{}", solr.sink("")), topic)?;
        let part = |part: f64| (documents as f64 * part) as u64;
        let meter = Meter::begin_at(&agent, &servers, part(FIRST_COUNTED), delivered_by(SEARCH))?;
        let figures = meter.end(&agent, part(LAST_COUNTED), delivered_by(SEARCH))?;
        until_counted(&agent, documents, delivered_by(SEARCH))?;
        agent.stop()?;
        solr.until_found(documents)?;
        Ok(figures)
    }

    fn bare_loop(&self, topic: &str, documents: u64) -> Result<Figures, Failure> {
        let (solr, servers) = (self.solr()?, self.servers());
        let state = solr.state()?;
        let collection = state.collection(COLLECTION).ok_or("the collection is not there")?;
        let bare = std::cell::RefCell::new(Bare::new(collection, solr.new_prefix()));
        let is_done = || bare.borrow().documents() >= documents;
        topic::read(&self.brokers.bootstrap(), topic, is_done, |events| bare.borrow_mut().add(events))?;
        let figures = bare.into_inner().send(&servers)?;
        solr.until_found(documents)?;
        Ok(figures)
    }
}

impl Beside {
    fn text(&self) -> String {
        let line = |name: &str, figures: &Figures, turns: &[Figures]| {
            let turns = turns.iter().map(|turn| format!("{:.1}", turn.events_per_second / 1e3)).collect::<Vec<_>>();
            let (rate, turns) = (figures.events_per_second / 1e3, turns.join(", "));
            let (cpu, servers) = (figures.agent_cpu_per_million, figures.servers_text());
            format!("\n    {name:<9} {rate:>6.1} k/s ({turns}), CPU s per million {cpu:.2} ({servers})")
        };
        format!(
            "{}{}\n    the agent reaches {:.1} % of the bare loop (at least {:.0}); its CPU is {:.1} % of Solr's (at most {:.0}); {:.1} k documents per CPU second of Solr",
            line("agent", &self.agent, &self.agent_turns),
            line("bare loop", &self.bare, &self.bare_turns),
            100.0 * self.ratio,
            100.0 * self.ratio_min,
            100.0 * self.agent_cpu_share,
            100.0 * self.agent_cpu_share_max,
            self.documents_per_server_cpu_second / 1e3,
        )
    }
}
