//! How fast the log takes batches, and what that costs: four threads append 512 KiB batches for three seconds.
//!
//! `cargo run --release -p weir-log --example append [DIRECTORY]`; the directory (default: a new one under the system's
//! temporary directory) decides which disk is measured. Prints MB/s, syncs per second and CPU seconds per GiB.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use weir_codec::record_batch::{BatchHeader, EncodedBatch, HEADER_BYTES};
use weir_log::{Log, LogOptions, RealDisk};

const THREADS: usize = 4;
const BATCH_BYTES: usize = 512 << 10;
const RUN: Duration = Duration::from_secs(3);
/// Log lines of some 190 bytes in a batch.
const RECORDS: i32 = 2600;

fn encode(mut buffer: Vec<u8>, content: &[u8]) -> EncodedBatch {
    buffer.resize(HEADER_BYTES, 0);
    buffer.extend_from_slice(content);
    let header = BatchHeader {
        base_offset: 0,
        batch_length: 0,
        partition_leader_epoch: -1,
        crc: 0,
        attributes: 0,
        last_offset_delta: RECORDS - 1,
        base_timestamp: 0,
        max_timestamp: 0,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: RECORDS,
    };
    EncodedBatch::finish(buffer, header)
}

/// CPU seconds of this process, user and system, from the kernel's accounting.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    // Fields 14 and 15 of the file, counted behind the name; a tick is 10 ms on Linux.
    (ticks(11) + ticks(12)) / 100.0
}

fn append_until(log: &Log, content: &[u8], deadline: Instant, durable_bytes: &Arc<AtomicU64>) {
    while Instant::now() < deadline {
        let batch = encode(log.buffer(), content);
        let durable_bytes = durable_bytes.clone();
        let done = Box::new(move |outcome: Result<(), _>| {
            if outcome.is_ok() {
                durable_bytes.fetch_add(BATCH_BYTES as u64, Ordering::Relaxed);
            }
        });
        if log.append(batch, 0, done).is_err() && !log.wait_for_room(Duration::from_secs(10)) {
            return;
        }
    }
}

fn measure(dir: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let (log, _) = Log::open(Arc::new(RealDisk), dir, LogOptions::default())?;
    let content: Vec<u8> = (0..BATCH_BYTES - HEADER_BYTES).map(|index| (index % 251) as u8).collect();
    let durable_bytes = Arc::new(AtomicU64::new(0));
    let (started, cpu_before) = (Instant::now(), cpu_seconds());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| append_until(&log, &content, started + RUN, &durable_bytes));
        }
    });
    let status = log.status();
    log.close()?;
    let (seconds, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu_before);
    let bytes = durable_bytes.load(Ordering::Relaxed) as f64;
    Ok(format!(
        "{:.0} MB/s durable, {:.0} syncs/s of {:.1} ms, {:.2} CPU s per GiB ({:.3} per million 200-byte events)",
        bytes / 1e6 / seconds,
        status.sync_count as f64 / seconds,
        status.sync_time.as_secs_f64() * 1e3 / status.sync_count.max(1) as f64,
        cpu / (bytes / f64::from(1 << 30)),
        cpu / (bytes / 200e6),
    ))
}

#[expect(clippy::print_stdout, reason = "a measuring program tells its result on standard output")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let named = std::env::args().nth(1).map(PathBuf::from);
    let dir = named.clone().unwrap_or_else(|| std::env::temp_dir().join(format!("weir-append-{}", std::process::id())));
    let outcome = measure(&dir);
    if named.is_none() {
        std::fs::remove_dir_all(&dir)?;
    }
    println!("{}", outcome?);
    Ok(())
}
