//! One topic, two destinations: HDFS and SolrCloud, with an agent that is killed again and again.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::Failed;
use weir_servers::kafka::{self, Topic};
use weir_servers::solr::Collection;
use weir_servers::{hdfs, solr};

use crate::support::{Running, eventually, show};

/// Lives of the hub that end by SIGKILL.
const KILLS: u64 = 30;
const PARTITIONS: u32 = 4;
/// What cold servers that share two cores with everything else follow easily.
const EVENTS_PER_SECOND: u32 = 1_500;
const SCHEMA: &str = include_str!("../../../../configs/solr/schema.xml");
const CONFIGURATION: &str = include_str!("../../../../configs/solr/solrconfig.xml");

/// The servers of the trial.
struct Servers<'a> {
    kafka: &'a kafka::Cluster,
    hdfs: &'a hdfs::Cluster,
    solr: &'a solr::Cluster,
}

fn with_servers(test: impl FnOnce(&Servers<'_>) -> Result<(), Failed>) -> Result<(), Failed> {
    // A member that was killed is missed after two seconds, so that thirty lives fit into minutes.
    let properties = [
        ("group.consumer.min.session.timeout.ms", "1000"),
        ("group.consumer.session.timeout.ms", "2000"),
        ("group.consumer.min.heartbeat.interval.ms", "200"),
        ("group.consumer.heartbeat.interval.ms", "200"),
    ];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    kafka::Cluster::with(kafka::ClusterOptions { properties, ..Default::default() }, |kafka| {
        kafka.create_topic(&Topic { partitions: PARTITIONS, ..Topic::new("t") })?;
        let options = hdfs::ClusterOptions { datanodes: 2, replication: 2, ..Default::default() };
        hdfs::Cluster::with(options, |hdfs| {
            solr::Cluster::with(solr::ClusterOptions::default(), |solr| {
                let (schema, configuration) = (SCHEMA.to_owned(), CONFIGURATION.to_owned());
                let logs = Collection { shards: 2, replicas: 1, schema, configuration, ..Collection::new("logs") };
                solr.create_collection(&logs)?;
                test(&Servers { kafka, hdfs, solr })
            })
        })
    })
}

impl Servers<'_> {
    fn brokers(&self) -> Vec<String> {
        self.kafka.bootstrap().split(',').map(str::to_owned).collect()
    }

    fn edge(&self, folder: &Path) -> Result<Running, Failed> {
        let sections = format!(
            "[sources.in]\ntype = 'generate'\nrate = '{EVENTS_PER_SECOND}/s'\nbatch_events = 100\nchannels = ['c']\n\
             [channels.c]\ntype = 'kafka'\nbrokers = {:?}\ntopic = 't'\n",
            self.brokers()
        );
        Running::start(folder, "edge", &sections)
    }

    fn hub(&self, folder: &Path) -> Result<Running, Failed> {
        let sections = format!(
            "[channels.c]\ntype = 'kafka'\nbrokers = {:?}\ntopic = 't'\ncommit_interval = '200 ms'\n\
             [sinks.archive]\ntype = 'hdfs'\nchannel = 'c'\ngroup = 'hdfs'\npath = '{}/events/%Y-%m-%d/%H'\ntime = 'arrival'\n\
             roll_time = '300 ms'\nhadoop_conf = '{}'\n\
             [sinks.search]\ntype = 'solr'\nchannel = 'c'\ngroup = 'solr'\nurls = ['{}', '{}']\ncollection = 'logs'\n",
            self.brokers(),
            self.hdfs.url(),
            self.hdfs.configuration().display(),
            self.solr.url(1),
            self.solr.url(2),
        );
        Running::start(folder, "hub", &sections)
    }
}

/// Events that group `name` of the hub has delivered in this life, or left out because they were there.
fn done(status: &serde_json::Value, name: &str) -> Option<u64> {
    let group = status["groups"].as_array()?.iter().find(|group| group["group"] == name)?;
    let dropped = group["dropped"].as_object()?.values().filter_map(serde_json::Value::as_u64).sum::<u64>();
    Some(group["delivered"].as_u64()? + dropped)
}

/// Scenario: events come into a topic at a steady rate; an agent takes them to HDFS and to Solr, and is killed with SIGKILL
/// thirty times, each time a bit later after its first deliveries; a last one finishes. Then `weir verify` compares.
/// Guarantees: every offset of the topic is in the files exactly once and in the documents exactly once; no file in
/// progress is left.
pub(crate) fn a_hub_killed_thirty_times_is_proven() -> Result<(), Failed> {
    with_servers(|servers| {
        let folder = tempfile::tempdir()?;
        let edge = servers.edge(folder.path())?;
        for life in 0..KILLS {
            let hub = servers.hub(folder.path())?;
            // In turn: while HDFS has got something, while Solr has; and now and then before anything was delivered.
            match life % 5 {
                0 | 1 => hub.until("files", |status| (done(status, "hdfs")? > 0).then_some(()))?,
                2 | 3 => hub.until("documents", |status| (done(status, "solr")? > 0).then_some(()))?,
                _ => {}
            }
            std::thread::park_timeout(Duration::from_millis(life * 37 % 500));
            drop(hub);
        }
        edge.stop()?;
        let hub = servers.hub(folder.path())?;
        // Not asked of the hub: it does not know of partitions that its predecessor still counts as the owner of.
        let mut last = None;
        let proven = eventually("everything is at both ends", || {
            last = verified(servers);
            last.clone().filter(|report| report["is_proven"] == true)
        });
        proven.inspect_err(|_| show(&format!("{last:#?}")))?;
        hub.stop()?;
        let report = verified(servers).ok_or("weir verify says nothing")?;
        show(&format!("killed {KILLS} times: {report}"));
        assert_eq!(report["is_proven"], true, "{report:#}");
        assert_eq!(report["hdfs"]["in_progress"], 0, "{report:#}");
        assert!(report["topic"]["events"].as_u64() > Some(10_000), "{report:#}");
        Ok(())
    })
}

/// What `weir verify` says.
fn verified(servers: &Servers<'_>) -> Option<serde_json::Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["verify", "--json", "--brokers", &servers.kafka.bootstrap(), "--topic", "t"])
        .args(["--hdfs", &format!("{}/events", servers.hdfs.url()), "--hadoop-conf"])
        .arg(servers.hdfs.configuration())
        .args(["--solr", &format!("{}/logs", servers.solr.url(1))])
        .output()
        .ok()?;
    if output.stdout.is_empty() {
        show(&String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).ok()
}
