//! The three brokers of the bench and their topics.

use weir_kafka::{Cluster as Client, ClusterError, ClusterOptions as ClientOptions, NewTopic, OffsetAt};
use weir_servers::kafka::{Cluster, ClusterOptions};
use weir_servers::{Control, Tuning};

use crate::Failure;

/// Partitions of every topic.
pub(crate) const PARTITIONS: i32 = 12;

const BROKERS: u32 = 3;

/// Running brokers; they end with this.
pub(crate) struct Brokers {
    cluster: Cluster,
    runtime: tokio::runtime::Runtime,
    topics: u32,
}

impl Brokers {
    /// Starts three, tuned for throughput: 5 s.
    pub(crate) fn start() -> Result<Self, Failure> {
        // Deleted topics leave the disk and the page cache at once, so that rows do not pay for those before them.
        let properties = vec![("log.segment.delete.delay.ms".to_owned(), "100".to_owned())];
        let options =
            ClusterOptions { brokers: BROKERS, properties, tuning: Tuning::Throughput, ..ClusterOptions::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { cluster: Cluster::start(options)?, runtime, topics: 0 })
    }

    /// Ids of their processes.
    pub(crate) fn process_ids(&self) -> Vec<u32> {
        (1..=BROKERS).filter_map(|broker| self.cluster.process_id(broker)).collect()
    }

    /// `host:port` of all, separated by commas.
    pub(crate) fn bootstrap(&self) -> String {
        self.cluster.bootstrap()
    }

    /// The addresses as a list in TOML.
    pub(crate) fn list(&self) -> String {
        format!("{:?}", self.cluster.bootstrap().split(',').collect::<Vec<_>>())
    }

    /// A new topic of 12 partitions.
    pub(crate) fn new_topic(&mut self, replicas: i16) -> Result<String, Failure> {
        self.topics += 1;
        let name = format!("paths-{}", self.topics);
        let settings = vec![("min.insync.replicas".to_owned(), (replicas / 2 + 1).to_string())];
        let topic = NewTopic { name: name.clone(), partitions: Some(PARTITIONS), replicas: Some(replicas), settings };
        self.with_client(async |client| client.create_topic(&topic).await.map(drop))?;
        Ok(name)
    }

    /// Events in `topic`.
    pub(crate) fn count(&self, topic: &str) -> Result<u64, Failure> {
        let partitions: Vec<i32> = (0..PARTITIONS).collect();
        let found = self.with_client(async |client| client.offsets(topic, &partitions, OffsetAt::Latest).await)?;
        found.iter().map(|found| Ok(u64::try_from(found.offset.ok_or("a partition without an end")?)?)).sum()
    }

    /// Deletes `topic`; 2 s.
    pub(crate) fn delete(&self, topic: &str) -> Result<(), Failure> {
        self.cluster.tools().topics(&["--delete", "--topic", topic])?;
        Ok(())
    }

    fn with_client<T>(&self, ask: impl AsyncFn(&Client) -> Result<T, ClusterError>) -> Result<T, Failure> {
        Ok(self.runtime.block_on(async {
            let client = Client::connect(ClientOptions::new(self.cluster.bootstrap().split(','))).await?;
            ask(&client).await
        })?)
    }
}
