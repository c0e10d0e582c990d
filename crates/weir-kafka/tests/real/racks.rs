//! Reading from the replica in the reader's rack (KIP-392).

use libtest_mimic::Failed;
use weir_codec::record_batch::Compression;
use weir_kafka::{Cluster, ClusterOptions, FetchOptions, Fetcher, NewTopic, Producer, ProducerOptions};
use weir_servers::kafka::{self, Version};

use crate::account::{batch, on_runtime};

const BATCHES: i64 = 200;
const BATCH_EVENTS: i64 = 10;

/// Scenario: a partition with a copy on each of two brokers that are in racks of their own; a reader in each rack.
/// Guarantees: both read everything, in order; the one in the leader's rack from the leader, the other from the replica.
pub(crate) fn readers_stay_in_theirs(version: Version) -> Result<(), Failed> {
    let selector = "org.apache.kafka.common.replica.RackAwareReplicaSelector";
    let properties = vec![("replica.selector.class".to_owned(), selector.to_owned())];
    let options = kafka::ClusterOptions { version, brokers: 2, properties, ..kafka::ClusterOptions::default() };
    kafka::Cluster::with(options, |server| {
        on_runtime(async {
            let cluster = Cluster::connect(ClusterOptions::new(server.bootstrap().split(','))).await?;
            let topic = NewTopic { name: "t".to_owned(), partitions: Some(1), replicas: Some(2), settings: Vec::new() };
            cluster.create_topic(&topic).await?;
            let producer = Producer::new(&cluster, ProducerOptions::default());
            for number in 0..BATCHES {
                let bodies: Vec<String> = (0..BATCH_EVENTS).map(|event| format!("{number} {event}")).collect();
                producer.send("t", 0, batch(&bodies, Compression::Lz4)?).await?.await?;
            }
            let leader = cluster.topic("t").await?.partitions[0].leader.ok_or("no leader")?;
            for broker in [1, 2] {
                // Small answers, so that most come after the leader has named the replica.
                let rack = Some(format!("rack{broker}"));
                let options = FetchOptions { rack, partition_bytes_max: 2_000, ..FetchOptions::default() };
                let mut fetcher = Fetcher::new(&cluster, options);
                fetcher.assign("t", 0, 0);
                let mut next = 0;
                while next < BATCHES * BATCH_EVENTS {
                    let fetched = fetcher.next().await?;
                    for batch in &fetched.batches {
                        assert_eq!(batch.header.base_offset, next);
                        next += i64::from(batch.header.record_count);
                    }
                }
                let statistics = fetcher.statistics();
                let expected = if broker == leader { 0 } else { statistics.bytes };
                assert_eq!(statistics.bytes_from_replicas, expected, "leader {leader}, rack {broker}: {statistics:?}");
            }
            Ok(())
        })
    })
}
