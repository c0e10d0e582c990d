//! The Solr sink on a real SolrCloud.

use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use weir_connectors::registry;
use weir_servers::solr::{Cluster, ClusterOptions, Collection};
use weir_testkit::agent::TestAgent;

/// Documents of a collection that can be found now.
fn found(cluster: &Cluster, collection: &str) -> u64 {
    let answer = cluster.get(1, &format!("/{collection}/select?q=*:*&rows=0&wt=json"));
    let text = answer.map(|answer| answer.text()).unwrap_or_default();
    let number =
        text.split_once("\"numFound\":").map(|(_, rest)| rest.split(',').next().unwrap_or_default().to_owned());
    number.and_then(|number| number.trim().parse().ok()).unwrap_or_default()
}

/// Waits until `count` documents are found.
fn until_found(cluster: &Cluster, collection: &str, count: u64) -> Result<(), Failed> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let now = found(cluster, collection);
        if now == count {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("{now} documents are found, {count} were sent").into());
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

/// Scenario: generated syslog through a memory channel into a collection of two shards on two nodes.
/// Guarantees: every event is found once; the books close.
pub(crate) fn every_event_is_found() -> Result<(), Failed> {
    const EVENTS: u64 = 50_000;
    Cluster::with(ClusterOptions::default(), |cluster| {
        cluster
            .create_collection(&Collection { shards: 2, replicas: 2, ..Collection::new("logs") })
            .map_err(|error| Failed::from(error.to_string()))?;
        let toml = format!(
            "[agent]\nmemory = '2 GiB'\nshutdown_deadline = '60 s'\n[sources.in]\ntype = 'generate'\nrate = 'unlimited'\nevents = {EVENTS}\nchannels = ['c']\n[channels.c]\ntype = 'memory'\n[sinks.out]\ntype = 'solr'\nurls = ['{}']\ncollection = 'logs'\nchannel = 'c'\n[sinks.out.fields]\nts = 'date %{{timestamp}}'\nhost = '%{{host}}'\nfacility = 'int %{{Facility}}'\nseverity = 'int %{{Severity}}'\nmsg = 'text %{{body}}'\n",
            cluster.url(1)
        );
        let started = Instant::now();
        let agent = TestAgent::start(&toml, &registry());
        agent.until_sources_end();
        let report = agent.stop();
        println!("{EVENTS} events in {:?}", started.elapsed());
        if !report.is_clean() || report.status.groups[0].delivered != EVENTS {
            return Err(format!("{:?}", report.status.groups).into());
        }
        until_found(cluster, "logs", EVENTS)
    })
}
