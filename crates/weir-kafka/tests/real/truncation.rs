//! A log that loses its end.

use std::time::Duration;

use libtest_mimic::Failed;
use weir_codec::record_batch::Compression;
use weir_kafka::{
    Acks, Cluster, ClusterOptions, FetchError, FetchOptions, Fetcher, Partition, Producer, ProducerOptions,
};
use weir_servers::Control;
use weir_servers::kafka;

use crate::account::{batch, on_runtime};

const BATCH_EVENTS: usize = 10;

/// Scenario: of two copies one is killed, then more is written and read, then the other is killed and the first comes back,
/// which is allowed to lead without what it has missed; it takes new records at the offsets of those that were lost.
/// Guarantees: a reader is told that the log was cut back and to where, before any record of the new leader; from there it
/// reads on.
pub(crate) fn readers_are_told() -> Result<(), Failed> {
    let options = kafka::ClusterOptions { brokers: 3, ..kafka::ClusterOptions::default() };
    kafka::Cluster::with(options, |server| {
        let property = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let properties = vec![property("min.insync.replicas", "1"), property("unclean.leader.election.enable", "true")];
        server.create_topic(&kafka::Topic { replication: 2, properties, ..kafka::Topic::new("t") })?;
        on_runtime(async {
            let mut options = ClusterOptions::new(server.bootstrap().split(','));
            options.connection.connect_timeout = Duration::from_secs(3);
            let cluster = Cluster::connect(options).await?;
            let first = partition(&cluster).await?;
            let leader = first.leader.ok_or("nobody leads")?;
            let follower = *first.replicas.iter().find(|replica| **replica != leader).ok_or("one copy")?;
            let mut fetcher = Fetcher::new(&cluster, FetchOptions::default());
            fetcher.assign("t", 0, 0);
            produce(&cluster, 10).await?;
            read_to(&mut fetcher, 100).await?;
            server.kill(follower as u32)?;
            produce(&cluster, 5).await?;
            // Not before the dead one is out of the ISR.
            read_to(&mut fetcher, 150).await?;
            server.kill(leader as u32)?;
            server.restart(follower as u32)?;
            produce(&cluster, 2).await?;
            assert_eq!(partition(&cluster).await?.leader, Some(follower));
            match fetcher.next().await {
                Err(FetchError::Truncated { offset: 150, intact_to: 100, .. }) => {}
                other => return Err(format!("not told, but {other:?}").into()),
            }
            fetcher.assign("t", 0, 100);
            read_to(&mut fetcher, 120).await
        })
    })
}

async fn partition(cluster: &Cluster) -> Result<Partition, Failed> {
    cluster.refresh(&["t"]).await?;
    Ok(cluster.topic("t").await?.partitions.first().cloned().ok_or("no partition")?)
}

/// By a producer of its own, with the leader's word alone.
async fn produce(cluster: &Cluster, batches: usize) -> Result<(), Failed> {
    let producer = Producer::new(cluster, ProducerOptions { acks: Acks::Leader, ..ProducerOptions::default() });
    for _ in 0..batches {
        producer.send("t", 0, batch(&["body"; BATCH_EVENTS], Compression::None)?).await?.await?;
    }
    Ok(())
}

async fn read_to(fetcher: &mut Fetcher, offset: i64) -> Result<(), Failed> {
    while fetcher.next().await?.next_offset < offset {}
    Ok(())
}
