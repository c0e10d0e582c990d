//! The client of this repository: batches encoded by the codec, sent and fetched whole. One thread does everything.

use std::collections::VecDeque;

use weir_codec::record_batch::{Compression, Decoded, Decoder, DecoderOptions, Encoder, EncoderOptions};
use weir_event::ArenaPool;
use weir_kafka::{Acks, Cluster, ClusterOptions, FetchOptions, Fetcher, Producer, ProducerOptions, Receipt};

use crate::job::{Failure, Job, Stopwatch, Work};
use crate::lines::{BATCH_EVENTS, Lines, PARTITIONS};

/// Receipts kept before the oldest is waited for: more batches than the producer's own limit of 64 MiB holds.
const RECEIPTS_MAX: usize = 1024;

pub(crate) fn run(job: &Job) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let cluster = Cluster::connect(ClusterOptions::new(job.bootstrap.split(','))).await?;
        cluster.topic(&job.topic).await?;
        match job.work {
            Work::Produce { lz4, acks_all } => produce(job, &cluster, lz4, acks_all).await,
            Work::Consume => consume(job, &cluster).await,
        }
    })
}

async fn produce(job: &Job, cluster: &Cluster, lz4: bool, acks_all: bool) -> Result<(), Failure> {
    let lines = Lines::new();
    let bytes = lines.bytes(job.events);
    let acks = if acks_all { Acks::All } else { Acks::Leader };
    let producer = Producer::new(cluster, ProducerOptions { acks, ..ProducerOptions::default() });
    let compression = if lz4 { Compression::Lz4 } else { Compression::None };
    let mut encoder = Encoder::new(EncoderOptions { compression, ..EncoderOptions::default() })?;
    let mut receipts: VecDeque<Receipt> = VecDeque::new();
    let mut watch = Stopwatch::start()?;
    for (index, partition) in (0..job.events / BATCH_EVENTS).zip((0..PARTITIONS).cycle()) {
        let encoded = encoder.encode(lines.batch(index), Vec::new())?;
        receipts.push_back(producer.send(&job.topic, partition, encoded).await?);
        if receipts.len() > RECEIPTS_MAX
            && let Some(oldest) = receipts.pop_front()
        {
            oldest.await?;
        }
        watch.progress(index * BATCH_EVENTS)?;
    }
    for receipt in receipts {
        receipt.await?;
    }
    watch.stop(producer.statistics().records, bytes)
}

async fn consume(job: &Job, cluster: &Cluster) -> Result<(), Failure> {
    let mut fetcher = Fetcher::new(cluster, FetchOptions::default());
    for partition in 0..PARTITIONS {
        fetcher.assign(&job.topic, partition, 0);
    }
    // 5,000 lines are a little less than 1 MiB.
    let mut decoder = Decoder::new(ArenaPool::new(1 << 20, 4), DecoderOptions::default());
    let (mut events, mut bytes) = (0, 0);
    let mut watch = Stopwatch::start()?;
    while events < job.events {
        for batch in fetcher.next().await?.batches {
            let Decoded::Events(batch) = decoder.decode(batch.bytes, None, 0)? else { continue };
            events += batch.len() as u64;
            bytes += batch.body_bytes() as u64;
        }
        watch.progress(events)?;
    }
    watch.stop(events, bytes)
}
