//! The hot steps of this crate beside their budget, one core, varied syslog lines of about 190 bytes.
//!
//! `cargo bench -p weir-codec` prints the table; started by `cargo test` (`--test`) it only runs every step once. Every
//! result is hashed and the hash printed, so that no work can be optimised away and a changed result is seen.
#![expect(clippy::print_stdout, reason = "a benchmark reports on its standard output")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use weir_codec::flume_event::{self, Limits};
use weir_codec::framing::{Framer, FramingSpec};
use weir_codec::record_batch::{
    Compression, Decoded, Decoder, DecoderOptions, Encoder, EncoderOptions, HeaderSelection, Recompressor,
};
use weir_codec::synth::{Synth, SynthOptions};
use weir_codec::syslog::{Header, ParseContext, parse_header};
use weir_event::{Arena, ArenaPool, BatchBuilder, EventBatch, Span, names};

/// 2025-11-22 10:00:00 UTC.
const NOW_MS: i64 = 1_763_805_600_000;
/// More than one, so that no branch predictor learns the data by heart.
const BATCHES: usize = 4;

/// How long to measure.
struct Effort {
    events: usize,
    round: Duration,
    rounds: usize,
}

/// About 1 MiB a batch; the fastest of five rounds of 0.2 s, since others may use the machine.
const MEASURED: Effort = Effort { events: 5000, round: Duration::from_millis(200), rounds: 5 };
/// Once through everything.
const TRIED: Effort = Effort { events: 50, round: Duration::ZERO, rounds: 1 };

fn main() {
    let only_try = !std::env::args().any(|argument| argument == "--bench");
    let effort = if only_try { TRIED } else { MEASURED };
    let input: Vec<Input> = (0..BATCHES).map(|seed| Input::new(seed as u64, effort.events)).collect();
    let report = Report { effort, events: input.iter().map(|input| input.lines.len()).sum() };
    report.title(&input);
    framing(&report, &input);
    syslog(&report, &input);
    let headers = "host, Facility, Severity, timestamp";
    let encoded = encode(&report, &format!("encode ({headers})"), Some(60), &input, HeaderSelection::All);
    let bare = encode(&report, "encode (timestamp)", None, &input, HeaderSelection::None);
    decode(&report, &format!("decode ({headers})"), Some(60), &encoded);
    decode(&report, "decode (timestamp)", None, &bare);
    for compression in [Compression::Lz4, Compression::Zstd] {
        recompress(&report, compression, &encoded);
    }
    // 60 and 250 ns of the design.
    compressed(&report, &input, Compression::Lz4, HeaderSelection::All, Some(310));
    compressed(&report, &input, Compression::Lz4, HeaderSelection::None, None);
    for compression in [Compression::Zstd, Compression::Snappy, Compression::Gzip] {
        compressed(&report, &input, compression, HeaderSelection::All, None);
    }
    flume_events(&report, &input);
}

/// Lines, where they are in a stream, and the batch they make.
struct Input {
    stream: Vec<u8>,
    lines: Vec<Span>,
    batch: EventBatch,
}

impl Input {
    fn new(seed: u64, events: usize) -> Self {
        let mut synth = Synth::new(seed, SynthOptions::default());
        let mut stream = Vec::new();
        let mut lines = Vec::new();
        let mut builder = BatchBuilder::new();
        let host = builder.text_column(names::HOST);
        let facility = builder.i64_column(names::FACILITY);
        let severity = builder.i64_column(names::SEVERITY);
        let timestamp = builder.i64_column(names::TIMESTAMP);
        for event in 0..events {
            let start = stream.len();
            let time_ms = NOW_MS + event as i64 / 50;
            let line = synth.line(time_ms, &mut stream);
            lines.push(Span::new(start, stream.len() - start));
            stream.push(b'\n');
            builder.set_text(host, Span::new(start + line.host.start, line.host.len()));
            builder.set_i64(facility, i64::from(line.facility));
            builder.set_i64(severity, i64::from(line.severity));
            builder.set_i64(timestamp, time_ms);
            builder.push(Span::new(start + line.body.start, line.body.len()));
        }
        let batch = builder.seal(Arena::detached(stream.clone()), NOW_MS);
        Self { stream, lines, batch }
    }
}

fn framing(report: &Report, input: &[Input]) {
    let step = || {
        let mut frames = 0_usize;
        for input in input {
            let mut framer = Framer::new(FramingSpec::default());
            let consumed = framer.frames(&input.stream, 0, &mut |frame| frames += black_box(frame).span.len as usize);
            black_box(consumed).expect("newline framing is never out of step");
        }
        frames as u64
    };
    // Of the design's 70, 50 are the kernel's.
    let bytes = report.measure("framing", Some(20), step);
    print_hash("sum of frame lengths", bytes);
}

fn syslog(report: &Report, input: &[Input]) {
    let context = ParseContext::new(NOW_MS, 0);
    let lines = |header: fn(Header) -> u64| {
        let lines = input.iter().flat_map(|input| input.lines.iter().filter_map(|line| line.of(&input.stream)));
        lines.map(|line| header(black_box(parse_header(line, &context)))).fold(0, u64::wrapping_add)
    };
    let step = || lines(|header| u64::from(header.message.start) ^ header.timestamp_ms.unwrap_or_default() as u64);
    let sum = report.measure("syslog header", Some(60), step);
    print_hash("sum of timestamps and lengths", sum);
}

fn encode(
    report: &Report,
    name: &str,
    budget_ns: Option<u32>,
    input: &[Input],
    headers: HeaderSelection,
) -> Vec<Bytes> {
    let mut encoder = encoder(Compression::None, headers);
    let mut buffers = vec![Vec::new(); input.len()];
    report.measure(name, budget_ns, || encode_all(&mut encoder, input, &mut buffers));
    print_hash("hash of the batches", hash(buffers.iter().map(Vec::as_slice)));
    buffers.into_iter().map(Bytes::from).collect()
}

fn encode_all(encoder: &mut Encoder, input: &[Input], buffers: &mut [Vec<u8>]) {
    for (input, buffer) in input.iter().zip(buffers) {
        let encoded = encoder.encode(&input.batch, std::mem::take(buffer)).expect("about 1 MiB of events");
        *buffer = encoded.into_bytes();
    }
}

fn encoder(compression: Compression, headers: HeaderSelection) -> Encoder {
    Encoder::new(EncoderOptions { compression, level: None, headers }).expect("no level is always right")
}

fn decode(report: &Report, name: &str, budget_ns: Option<u32>, stored: &[Bytes]) {
    let mut decoder = Decoder::new(ArenaPool::new(2 << 20, BATCHES), DecoderOptions::default());
    let step = || {
        let mut batches: [Option<EventBatch>; BATCHES] = Default::default();
        for (batch, stored) in batches.iter_mut().zip(stored) {
            let decoded = decoder.decode(stored.clone(), None, NOW_MS).expect("what was encoded");
            *batch = Decoded::into_events(decoded);
        }
        batches
    };
    let batches = report.measure(name, budget_ns, step);
    let batches = || batches.iter().flatten();
    let bodies = batches().flat_map(|batch| (0..batch.len()).map(|row| batch.body(row)));
    let columns: usize = batches().map(|batch| batch.columns().len()).sum();
    print_hash(&format!("{columns} columns, hash of the bodies"), hash(bodies));
}

/// With the timestamp there are four headers in each.
fn flume_events(report: &Report, input: &[Input]) {
    let encode = || -> Vec<EventBatch> {
        input.iter().map(|input| flume_event::encode(&input.batch).expect("about 1 MiB of events")).collect()
    };
    let encoded = report.measure("flume event: encode", Some(120), encode);
    print_hash("hash of the bodies", hash(bodies(&encoded)));
    let decode = || -> Vec<EventBatch> {
        encoded.iter().map(|batch| flume_event::decode(batch, Limits::default()).batch).collect()
    };
    let decoded = report.measure("flume event: decode", Some(120), decode);
    print_hash("hash of the bodies", hash(bodies(&decoded)));
}

fn bodies(batches: &[EventBatch]) -> impl Iterator<Item = &[u8]> {
    batches.iter().flat_map(|batch| (0..batch.len()).map(|row| batch.body(row)))
}

/// A stored batch for sending: as it is, and the long way.
fn recompress(report: &Report, compression: Compression, stored: &[Bytes]) {
    let codec = format!("{compression:?}").to_lowercase();
    let mut recompressor = Recompressor::new(compression, None).expect("no level is always right");
    let mut buffers = vec![Vec::new(); stored.len()];
    report.measure(&format!("recompress by {codec}"), None, || {
        for (stored, buffer) in stored.iter().zip(&mut buffers) {
            let compressed = recompressor.recompress(stored, std::mem::take(buffer)).expect("an uncompressed batch");
            *buffer = compressed.into_bytes();
        }
    });
    print_hash("hash of the batches", hash(buffers.iter().map(Vec::as_slice)));
    let mut decoder = Decoder::new(ArenaPool::new(2 << 20, BATCHES), DecoderOptions::default());
    let mut encoder = encoder(compression, HeaderSelection::All);
    report.measure(&format!("decode, encode + {codec}"), None, || {
        for (stored, buffer) in stored.iter().zip(&mut buffers) {
            let decoded = decoder.decode(stored.clone(), None, NOW_MS).expect("what was encoded");
            let batch = decoded.into_events().expect("no control batch");
            *buffer = encoder.encode(&batch, std::mem::take(buffer)).expect("about 1 MiB of events").into_bytes();
        }
    });
    print_hash("hash of the batches", hash(buffers.iter().map(Vec::as_slice)));
}

fn compressed(
    report: &Report,
    input: &[Input],
    compression: Compression,
    headers: HeaderSelection,
    budget_ns: Option<u32>,
) {
    let bare = if headers == HeaderSelection::None { " (timestamp)" } else { "" };
    let codec = format!("{compression:?}").to_lowercase();
    let mut encoder = encoder(compression, headers);
    let mut buffers = vec![Vec::new(); input.len()];
    let name = format!("encode + {codec}{bare}");
    report.measure(&name, budget_ns, || encode_all(&mut encoder, input, &mut buffers));
    let bytes: usize = buffers.iter().map(Vec::len).sum();
    let body_bytes: usize = input.iter().map(|input| input.batch.body_bytes()).sum();
    let title = format!("{:.2} times smaller than the bodies, hash of the batches", body_bytes as f64 / bytes as f64);
    print_hash(&title, hash(buffers.iter().map(Vec::as_slice)));
    let stored: Vec<Bytes> = buffers.into_iter().map(Bytes::from).collect();
    decode(report, &format!("{codec} + decode{bare}"), None, &stored);
}

/// Runs steps and prints their rows.
struct Report {
    effort: Effort,
    /// Events that one pass of a step handles.
    events: usize,
}

impl Report {
    fn title(&self, input: &[Input]) {
        let bytes: usize = input.iter().map(|input| input.stream.len()).sum();
        println!("{} events of {} bytes", self.events, bytes / self.events);
        println!("{:<46} {:>10} {:>12} {:>12} {:>12}", "step", "budget ns", "measured ns", "M events/s", "CPU s per M");
    }

    /// Measures `step`, which handles all events once, prints its row and returns its last result.
    fn measure<T>(&self, name: &str, budget_ns: Option<u32>, mut step: impl FnMut() -> T) -> T {
        let mut result = step();
        let mut best = (Duration::MAX, Duration::MAX);
        for _ in 0..self.effort.rounds {
            let mut passes = 0_u32;
            let (start, cpu_start) = (Instant::now(), cpu_time());
            while passes == 0 || start.elapsed() < self.effort.round {
                result = black_box(step());
                passes += 1;
            }
            let wall = start.elapsed() / passes;
            let cpu = cpu_start.zip(cpu_time()).map_or(wall, |(start, end)| end.saturating_sub(start) / passes);
            best = (best.0.min(wall), best.1.min(cpu));
        }
        let per_event = |time: Duration| time.as_secs_f64() / self.events as f64;
        let budget = budget_ns.map_or("-".to_owned(), |budget| budget.to_string());
        let (wall, cpu) = (per_event(best.0), per_event(best.1));
        println!("{name:<46} {budget:>10} {:>12.1} {:>12.2} {:>12.4}", wall * 1e9, 1e-6 / wall, cpu * 1e6);
        result
    }
}

fn print_hash(of: &str, hash: u64) {
    println!("    {of}: {hash:016x}");
}

/// CPU time of this thread so far, to the scheduler's tick; `None` where the kernel does not say.
fn cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// FNV-1a over all bytes and lengths.
fn hash<'a>(parts: impl Iterator<Item = &'a [u8]>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |byte: u64| hash = (hash ^ byte).wrapping_mul(0x0100_0000_01b3);
    for part in parts {
        add(part.len() as u64);
        part.iter().for_each(|byte| add(u64::from(*byte)));
    }
    hash
}
