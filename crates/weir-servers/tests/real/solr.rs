//! SolrCloud with its ZooKeeper.

use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use weir_servers::Control;
use weir_servers::solr::{Cluster, ClusterOptions, Collection, Role};

/// Scenario: a collection of one shard on both nodes takes events; one node is killed, the other asked and given more; the
/// killed one is started again.
/// Guarantees: what was taken is found, also without the node; the cluster misses it and has it again; it then finds
/// everything, too.
pub(crate) fn finds_events_without_a_node() -> Result<(), Failed> {
    Cluster::with(ClusterOptions::default(), |cluster| {
        cluster.create_collection(&Collection { replicas: 2, ..Collection::new("logs") })?;
        let take = |node, body: &[u8]| {
            cluster.post(node, "/logs/update/json/docs?commit=true", "application/json", body)?.ok()
        };
        let found = |node, expected: u64| -> Result<(), Failed> {
            // `distrib=false`: what this very node has.
            let path = "/logs/select?q=msg:accepted&rows=0&distrib=false";
            let deadline = Instant::now() + Duration::from_secs(60);
            loop {
                let answer = cluster.get(node, path)?.text();
                if answer.contains(&format!("\"numFound\":{expected},")) {
                    return Ok(());
                }
                if Instant::now() > deadline {
                    return Err(format!("node {node} does not find {expected}: {answer}").into());
                }
                std::thread::park_timeout(Duration::from_millis(100));
            }
        };
        take(
            1,
            br#"[{"id": "1", "host": "h1", "severity": 6, "msg": "Accepted password"}, {"id": "2", "msg": "no"}]"#,
        )?;
        found(1, 1)?;
        found(2, 1)?;

        cluster.kill(Role::Node(2))?;
        assert_eq!(cluster.process_id(Role::Node(2)), None);
        cluster.until_live(&[1]);
        take(1, br#"[{"id": "3", "msg": "accepted again"}]"#)?;
        found(1, 2)?;
        cluster.restart(Role::Node(2))?;
        cluster.until_live(&[1, 2]);
        found(2, 2)
    })
}
