//! librdkafka as Rust programs use it: through the crate `rdkafka`, a message at a time.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use crate::job::{Failure, Job, Stopwatch, Work};
use crate::lines::{BATCH_EVENTS, Lines, PARTITIONS};
use crate::settings;

/// A flush that takes longer has failed: ten times the time of a run.
const FLUSH: Duration = Duration::from_secs(300);
/// While the queue of the producer is full.
const PAUSE: Duration = Duration::from_millis(5);
/// A consumer that gets nothing for so long has failed.
const SILENCE: Duration = Duration::from_secs(60);

pub(crate) fn run(job: &Job) -> Result<(), Failure> {
    match job.work {
        Work::Produce { lz4, acks_all } => produce(job, lz4, acks_all),
        Work::Consume => consume(job),
    }
}

fn config(settings: &[(&str, &str)]) -> ClientConfig {
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn produce(job: &Job, lz4: bool, acks_all: bool) -> Result<(), Failure> {
    let lines = Lines::new();
    let bytes = lines.bytes(job.events);
    let producer: BaseProducer = config(&settings::producer(job, lz4, acks_all)).create()?;
    let mut watch = Stopwatch::start()?;
    for (index, partition) in (0..job.events / BATCH_EVENTS).zip((0..PARTITIONS).cycle()) {
        let batch = lines.batch(index);
        for row in 0..batch.len() {
            let mut record = BaseRecord::<(), [u8]>::to(&job.topic).partition(partition).payload(batch.body(row));
            while let Err((error, refused)) = producer.send(record) {
                match error {
                    KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => producer.poll(PAUSE),
                    error => return Err(error.into()),
                }
                record = refused;
            }
        }
        producer.poll(Duration::ZERO);
        watch.progress(index * BATCH_EVENTS)?;
    }
    producer.flush(FLUSH)?;
    watch.stop(job.events, bytes)
}

fn consume(job: &Job) -> Result<(), Failure> {
    let consumer: BaseConsumer = config(&settings::consumer(job)).create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(&job.topic, partition, Offset::Beginning)?;
    }
    let (mut events, mut bytes) = (0, 0);
    let mut watch = Stopwatch::start()?;
    consumer.assign(&list)?;
    while events < job.events {
        let message = consumer.poll(SILENCE).ok_or("nothing comes any more")??;
        events += 1;
        bytes += message.payload_len() as u64;
        if events % BATCH_EVENTS == 0 {
            watch.progress(events)?;
        }
    }
    watch.stop(events, bytes)
}
