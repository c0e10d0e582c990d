//! Brokers that die, freeze and come back.

use std::collections::BTreeMap;
use std::time::Duration;

use libtest_mimic::Failed;
use weir_codec::record_batch::Compression;
use weir_kafka::{Cluster, ClusterOptions, FetchOptions, Producer, ProducerOptions};
use weir_servers::Control;
use weir_servers::kafka;

use crate::account::{batch, on_runtime, read_topic};

const PARTITIONS: i32 = 6;
const BATCH_EVENTS: usize = 100;
/// Batches between two faults.
const STRETCH: usize = 300;

/// Scenario: three brokers with three copies and two required; while batches flow, one broker is killed, started again, a
/// second frozen for longer than the others are patient, and let go on.
/// Guarantees: by sequence accounting, every event is in the log exactly once, and each partition has them in the order of
/// sending.
pub(crate) fn brokers_die_and_freeze() -> Result<(), Failed> {
    let options = kafka::ClusterOptions { brokers: 3, ..kafka::ClusterOptions::default() };
    kafka::Cluster::with(options, |server| {
        let properties = vec![("min.insync.replicas".to_owned(), "2".to_owned())];
        let partitions = PARTITIONS as u32;
        server.create_topic(&kafka::Topic { partitions, replication: 3, properties, ..kafka::Topic::new("t") })?;
        on_runtime(async {
            let mut options = ClusterOptions::new(server.bootstrap().split(','));
            // A frozen broker is noticed by silence alone.
            options.connection.request_timeout = Duration::from_secs(5);
            options.connection.connect_timeout = Duration::from_secs(3);
            let cluster = Cluster::connect(options).await?;
            let limits = ProducerOptions { replication_timeout: Duration::from_secs(3), ..ProducerOptions::default() };
            let producer = Producer::new(&cluster, limits);
            let mut sent = Sent::default();
            sent.stretch(&producer).await?;
            server.kill(1)?;
            sent.stretch(&producer).await?;
            server.restart(1)?;
            sent.stretch(&producer).await?;
            server.until_in_sync();
            server.pause(2)?;
            sent.stretch(&producer).await?;
            server.resume(2)?;
            sent.stretch(&producer).await?;
            server.until_in_sync();
            assert!(producer.statistics().attempts_failed > 0, "the faults were not noticed");
            let found = read_topic(&cluster, "t", FetchOptions::default()).await?;
            for (partition, expected) in &sent.bodies {
                let found = found.get(partition).ok_or("a partition is missing")?;
                let lost = expected.iter().filter(|body| !found.contains(body)).count();
                assert_eq!((lost, found.len()), (0, expected.len()), "partition {partition}: lost, present");
                assert_eq!(found, expected, "partition {partition}: order");
            }
            Ok(())
        })
    })
}

/// What was acknowledged.
#[derive(Default)]
struct Sent {
    next: usize,
    bodies: BTreeMap<i32, Vec<String>>,
}

impl Sent {
    async fn stretch(&mut self, producer: &Producer) -> Result<(), Failed> {
        let mut receipts = Vec::new();
        for _ in 0..STRETCH {
            let partition = self.next as i32 % PARTITIONS;
            let bodies: Vec<String> = (0..BATCH_EVENTS).map(|event| format!("{}-{event}", self.next)).collect();
            self.next += 1;
            receipts.push(producer.send("t", partition, batch(&bodies, Compression::Lz4)?).await?);
            self.bodies.entry(partition).or_default().extend(bodies);
        }
        for receipt in receipts {
            receipt.await?;
        }
        Ok(())
    }
}
