//! The client of this repository: batches encoded by the codec, sent and fetched whole. One thread encodes, one
//! does the rest; reading takes one.

use std::collections::VecDeque;

use tokio::sync::mpsc;
use weir_codec::record_batch::{
    Compression, Decoded, Decoder, DecoderOptions, EncodeError, EncodedBatch, Encoder, EncoderOptions,
};
use weir_event::ArenaPool;
use weir_kafka::{Acks, Cluster, ClusterOptions, FetchOptions, Fetcher, Producer, ProducerOptions, Receipt};

use crate::job::{Failure, Job, Stopwatch, Work};
use crate::lines::{BATCH_EVENTS, Lines, PARTITIONS};

/// Receipts kept before the oldest is waited for: more batches than the producer's own limit of 64 MiB holds.
const RECEIPTS_MAX: usize = 1024;
/// Batches encoded and not yet sent.
const ENCODED_AHEAD: usize = 4;

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
    let encoder = Encoder::new(EncoderOptions { compression, ..EncoderOptions::default() })?;
    let mut watch = Stopwatch::start()?;
    let mut batches = encode(lines, encoder, job.events / BATCH_EVENTS);
    let mut receipts: VecDeque<Receipt> = VecDeque::new();
    let mut sent = 0;
    for partition in (0..PARTITIONS).cycle() {
        let Some(batch) = batches.recv().await else { break };
        receipts.push_back(producer.send(&job.topic, partition, batch?).await?);
        if receipts.len() > RECEIPTS_MAX
            && let Some(oldest) = receipts.pop_front()
        {
            oldest.await?;
        }
        sent += BATCH_EVENTS;
        watch.progress(sent)?;
    }
    for receipt in receipts {
        receipt.await?;
    }
    watch.stop(producer.statistics().records, bytes)
}

/// Encodes `count` batches on a thread of its own, a few ahead of whoever sends them.
fn encode(lines: Lines, mut encoder: Encoder, count: u64) -> mpsc::Receiver<Result<EncodedBatch, EncodeError>> {
    let (ready, batches) = mpsc::channel(ENCODED_AHEAD);
    std::thread::spawn(move || {
        let mut encode = |index| encoder.encode(lines.batch(index), Vec::new());
        // A receiver that is gone has failed and says so itself.
        (0..count).try_for_each(|index| ready.blocking_send(encode(index)))
    });
    batches
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
