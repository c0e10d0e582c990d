//! A look at brokers from outside.

use std::collections::BTreeMap;

use libtest_mimic::Failed;
use weir_connectors::io_thread::IoThread;
use weir_kafka::{Cluster, ClusterOptions, Place};
use weir_servers::kafka;

/// A client of the brokers, on `io`.
pub(crate) fn connect(io: &IoThread, server: &kafka::Cluster) -> Result<Cluster, Failed> {
    let bootstrap: Vec<String> = server.bootstrap().split(',').map(str::to_owned).collect();
    Ok(io.wait_for(Cluster::connect(ClusterOptions::new(bootstrap))).ok_or("a panic")??)
}

/// What a group has committed of the first `partitions` of topic `t`; 0 where it has nothing.
pub(crate) fn committed(
    io: &IoThread,
    cluster: &Cluster,
    group: &'static str,
    partitions: i32,
) -> Result<BTreeMap<u32, u64>, Failed> {
    let cluster = cluster.clone();
    let found = io.wait_for(async move {
        let place = |partition| Place { topic: "t".into(), partition };
        cluster.committed(group, &(0..partitions).map(place).collect::<Vec<_>>()).await
    });
    let found = found.ok_or("a panic")??;
    Ok(found.iter().map(|found| (found.place.partition as u32, found.offset.unwrap_or(0) as u64)).collect())
}
