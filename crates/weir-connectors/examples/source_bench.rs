//! How fast source `kafka` reads: a broker of its own, a topic of lz4 batches of 5,000 syslog lines, memory channel, null
//! sink. Prints events per second and CPU seconds of this process per million events, for each of three runs.
//!
//! `cargo run --release -p weir-connectors --example source_bench -- [million events, default 8] [lanes, default 2]`
#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::time::{Duration, Instant};

use weir_codec::record_batch::{Compression, Encoder, EncoderOptions};
use weir_codec::synth::{Synth, SynthOptions};
use weir_connectors::kafka::runtime::IoThread;
use weir_connectors::registry;
use weir_event::EventBatch;
use weir_kafka::{Cluster, ClusterOptions, Producer, ProducerOptions};
use weir_servers::kafka;
use weir_testkit::agent::TestAgent;

const BATCH_EVENTS: usize = 5_000;
const PARTITIONS: u32 = 12;
const RUNS: u32 = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse());
    let (events, lanes) = (number(8)? * 1_000_000, number(2)?);
    let options = kafka::ClusterOptions { tuning: kafka::Tuning::Throughput, ..kafka::ClusterOptions::default() };
    let server = kafka::Cluster::start(options)?;
    server.create_topic(&kafka::Topic { partitions: PARTITIONS, ..kafka::Topic::new("t") })?;
    fill(&server.bootstrap(), events)?;
    for run in 0..RUNS {
        read(&server.bootstrap(), events, lanes, run)?;
    }
    Ok(())
}

/// Writes the topic; batches repeat after the first 48, for making lines is not what is measured.
fn fill(bootstrap: &str, events: u64) -> Result<(), Box<dyn Error>> {
    let options = EncoderOptions { compression: Compression::Lz4, ..EncoderOptions::default() };
    let mut encoder = Encoder::new(options)?;
    let mut synth = Synth::new(1, SynthOptions::default());
    let bootstrap = bootstrap.to_owned();
    let mut batches = Vec::new();
    for _ in 0..48 {
        let lines: Vec<Vec<u8>> = (0..BATCH_EVENTS)
            .map(|_| {
                let mut line = Vec::new();
                synth.line(1_795_341_600_000, &mut line);
                line
            })
            .collect();
        batches.push(encoder.encode(&EventBatch::from_bodies(&lines, 0), Vec::new())?);
    }
    let bytes: usize = batches.iter().map(|batch| batch.as_bytes().len()).sum();
    println!("{} bytes per event as stored", bytes / (48 * BATCH_EVENTS));
    let io = IoThread::start("fill")?;
    let filled = io.wait_for(async move {
        let cluster = Cluster::connect(ClusterOptions::new(bootstrap.split(','))).await?;
        let producer = Producer::new(&cluster, ProducerOptions::default());
        let mut receipts = std::collections::VecDeque::new();
        for number in 0..events as usize / BATCH_EVENTS {
            let batch = batches[number % batches.len()].clone();
            receipts.push_back(producer.send("t", (number % PARTITIONS as usize) as i32, batch).await?);
            if receipts.len() > 64 {
                receipts.pop_front().ok_or("none")?.await?;
            }
        }
        for receipt in receipts {
            receipt.await?;
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    });
    filled.ok_or("the task panicked")?.map_err(|error| error.to_string())?;
    Ok(())
}

fn read(bootstrap: &str, events: u64, lanes: u64, run: u32) -> Result<(), Box<dyn Error>> {
    let toml = format!(
        "[agent]\nmemory = '2 GiB'\n[sources.in]\ntype = 'kafka'\nbrokers = ['{bootstrap}']\ntopics = ['t']\n\
         consumer_group = 'bench-{run}'\nlanes = {lanes}\nchannels = ['c']\n[channels.c]\ntype = 'memory'\n\
         [sinks.out]\ntype = 'null'\nchannel = 'c'\n"
    );
    let agent = TestAgent::start(&toml, &registry());
    let delivered = || agent.group().delivered;
    while delivered() == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let (begin, cpu, before) = (Instant::now(), cpu_seconds(), delivered());
    while delivered() < events {
        std::thread::sleep(Duration::from_millis(2));
    }
    let (seconds, cpu) = (begin.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let millions = (events - before) as f64 / 1e6;
    println!("run {run}: {:.2} M events/s, {:.3} CPU s per million", millions / seconds, cpu / millions);
    let report = agent.stop();
    if !report.is_clean() {
        return Err(format!("the books do not balance: {report:?}").into());
    }
    Ok(())
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    // SAFETY: the structure is plain numbers, for which zero is a value, and the call fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
