//! Produces synthetic lines as ready-made batches and prints the rate and the CPU time of this process.
//!
//! `produce_bench HOST:PORT[,HOST:PORT...] [EVENTS] [lz4|none|zstd] [1|all] [REPLICAS]`; with nothing else, 2 million events, lz4, acks
//! of the leader alone, one replica. Topic `weir-bench`, 12 partitions, 5,000 events a batch. Encoding is part of what
//! is measured, and measured alone first; generating lines is not. Afterwards the topic is read back once.
#![expect(clippy::print_stdout, reason = "the report of a bench is its output")]

use std::error::Error;
use std::time::Instant;

use weir_codec::record_batch::{Compression, Encoder, EncoderOptions};
use weir_codec::synth::{Synth, SynthOptions};
use weir_event::EventBatch;
use weir_kafka::{
    Acks, Cluster, ClusterError, ClusterOptions, ErrorCode, FetchOptions, Fetcher, NewTopic, OffsetAt, Producer,
    ProducerOptions,
};

const PARTITIONS: i32 = 12;
const BATCH_EVENTS: usize = 5_000;
/// Different batches, sent round robin: enough that compression has no easier time than in life.
const BATCHES: u64 = 20;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let argument = |index: usize| arguments.get(index).map(String::as_str);
    let address = argument(1).ok_or("give the address of a broker")?;
    let events: usize = argument(2).unwrap_or("2000000").parse()?;
    let compression = match argument(3).unwrap_or("lz4") {
        "none" => Compression::None,
        "zstd" => Compression::Zstd,
        _ => Compression::Lz4,
    };
    let acks = if argument(4) == Some("all") { Acks::All } else { Acks::Leader };
    let replicas: i16 = argument(5).unwrap_or("1").parse()?;

    let cluster = Cluster::connect(ClusterOptions::new(address.split(','))).await?;
    let topic = NewTopic {
        name: format!("weir-bench-{replicas}"),
        partitions: Some(PARTITIONS),
        replicas: Some(replicas),
        // 5,000 uncompressed lines are a little more than the 1 MiB of the default.
        settings: vec![("max.message.bytes".to_owned(), (8 << 20).to_string())],
    };
    match cluster.create_topic(&topic).await {
        Ok(_) | Err(ClusterError::Refused { code: ErrorCode::TOPIC_ALREADY_EXISTS, .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let batches: Vec<EventBatch> = (0..BATCHES).map(lines).collect();
    encode(&batches, events, compression)?;
    produce(&cluster, &topic.name, &batches, events, compression, acks).await?;
    consume(&cluster, &topic.name, events).await
}

fn lines(seed: u64) -> EventBatch {
    let mut synth = Synth::new(seed, SynthOptions::default());
    let bodies: Vec<Vec<u8>> = (0..BATCH_EVENTS)
        .map(|index| {
            let mut line = Vec::new();
            synth.line(1_760_000_000_000 + index as i64, &mut line);
            line
        })
        .collect();
    EventBatch::from_bodies(&bodies, 0)
}

/// The share of encoding in what follows.
fn encode(batches: &[EventBatch], events: usize, compression: Compression) -> Result<(), Box<dyn Error>> {
    let mut encoder = Encoder::new(EncoderOptions { compression, ..EncoderOptions::default() })?;
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let mut buffer = Vec::new();
    for index in 0..events / BATCH_EVENTS {
        buffer = encoder.encode(&batches[index % batches.len()], buffer)?.into_bytes();
    }
    report("encoded only", events as f64, started, cpu);
    Ok(())
}

async fn produce(
    cluster: &Cluster,
    topic: &str,
    batches: &[EventBatch],
    events: usize,
    compression: Compression,
    acks: Acks,
) -> Result<(), Box<dyn Error>> {
    let producer = Producer::new(cluster, ProducerOptions { acks, ..ProducerOptions::default() });
    let mut encoder = Encoder::new(EncoderOptions { compression, ..EncoderOptions::default() })?;
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let mut receipts = Vec::new();
    for (index, partition) in (0..events / BATCH_EVENTS).zip((0..PARTITIONS).cycle()) {
        let encoded = encoder.encode(&batches[index % batches.len()], Vec::new())?;
        receipts.push(producer.send(topic, partition, encoded).await?);
    }
    for receipt in receipts {
        receipt.await?;
    }
    report("produced", producer.statistics().records as f64, started, cpu);
    println!("{:?}", producer.statistics());
    Ok(())
}

async fn consume(cluster: &Cluster, topic: &str, events: usize) -> Result<(), Box<dyn Error>> {
    let mut fetcher = Fetcher::new(cluster, FetchOptions::default());
    let partitions: Vec<i32> = (0..PARTITIONS).collect();
    for latest in cluster.offsets(topic, &partitions, OffsetAt::Latest).await? {
        let share = (events / PARTITIONS as usize) as i64;
        fetcher.assign(topic, latest.partition, (latest.offset.unwrap_or(0) - share).max(0));
    }
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let mut seen = 0;
    // What is left over by the division is less than a batch a partition.
    while seen + PARTITIONS as usize * BATCH_EVENTS < events {
        let fetched = fetcher.next().await?;
        seen += fetched.batches.iter().map(|batch| batch.header.record_count as usize).sum::<usize>();
    }
    report("fetched (not decoded)", seen as f64, started, cpu);
    println!("{:?}", fetcher.statistics());
    Ok(())
}

fn report(what: &str, events: f64, started: Instant, cpu: f64) {
    let (seconds, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!(
        "{what} {events} events in {seconds:.2} s: {:.2} M/s, {:.3} CPU s per million",
        events / seconds / 1e6,
        cpu / events * 1e6
    );
}

/// CPU time of this process, user and system, seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 and 15, in clock ticks of 10 ms; the name in field 2 ends with the last parenthesis.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
