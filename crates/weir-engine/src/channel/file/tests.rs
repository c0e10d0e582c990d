//! What the file channel adds to the log. The general suite is in `weir-connectors/tests/conformance`.

use std::time::Duration;

use weir_codec::record_batch::Compression;
use weir_event::{EventBatch, names};
use weir_log::LogOptions;

use super::channel::FileChannel;
use crate::channel::{AppendError, Channel, ReadLimit};
use crate::receipt::Receipt;

fn options() -> LogOptions {
    LogOptions { segment_bytes: 1 << 20, capacity_bytes: 64 << 20, batch_bytes_max: 64 << 10, ..LogOptions::default() }
}

fn append(channel: &FileChannel, batch: &EventBatch) -> Result<(), AppendError> {
    let receipt = Receipt::new(|_| {});
    channel.try_append(batch, receipt.ticket())?;
    receipt.arm();
    assert_eq!(receipt.wait(Duration::from_secs(20)), Some(Ok(())));
    Ok(())
}

/// Scenario: batches in every compression, read back after the channel was opened again.
/// Guarantees: bodies, headers, times and arrival are what went in.
#[test]
fn every_compression_survives_a_restart() {
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd, Compression::Snappy, Compression::Gzip]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let mut batch = EventBatch::from_bodies(&["first", "second"], 1_795_341_600_000);
        batch.set_constant(names::HOST, "fw1");
        batch.set_i64(names::TIMESTAMP, vec![7, weir_event::ABSENT_I64]);
        let channel = FileChannel::open("c", folder.path(), options(), compression).expect("opens");
        append(&channel, &batch).expect("room");
        channel.close().expect("closes");
        drop(channel);
        let channel = FileChannel::open("c", folder.path(), options(), compression).expect("opens");
        let mut cursor = channel.cursor("g").expect("a cursor");
        let chunk = cursor.read(ReadLimit::events(1 << 20)).expect("read").expect("a batch");
        let read = &chunk.batches[0];
        assert_eq!((read.body(0), read.body(1)), (&b"first"[..], &b"second"[..]));
        assert_eq!(read.header(1, "host").as_deref(), Some(&b"fw1"[..]));
        assert_eq!((read.timestamp_ms(0), read.timestamp_ms(1)), (Some(7), None));
        assert_eq!(read.arrival_ms(), 1_795_341_600_000);
        assert_eq!(cursor.backlog().oldest_arrival_ms, Some(1_795_341_600_000));
    }
}

/// Scenario: a batch over the log's limit for one batch.
/// Guarantees: it is refused with its ticket, nothing is written; the outlet then sends halves.
#[test]
fn an_oversized_batch_is_handed_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let channel = FileChannel::open("c", folder.path(), options(), Compression::None).expect("opens");
    let big = EventBatch::from_bodies(&vec![vec![b'x'; 1000]; 100], 1);
    assert!(matches!(append(&channel, &big), Err(AppendError::TooLarge { bytes_max: 65_536, .. })));
    append(&channel, &big.slice(0..50)).expect("a half fits");
    assert_eq!(channel.usage().appended, 50);
}

/// Scenario: a batch that is small when compressed and beyond the decoder's usual limits: very many events, very many
/// headers.
/// Guarantees: what the log took it gives back.
#[test]
fn unusual_batches_come_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = LogOptions { segment_bytes: 32 << 20, batch_bytes_max: 8 << 20, ..options() };
    let channel = FileChannel::open("c", folder.path(), limits, Compression::Zstd).expect("opens");
    let mut wide = EventBatch::from_bodies(&["x"], 1);
    for number in 0..300 {
        wide.set_constant(weir_event::HeaderName::new(&format!("header-{number}")), "v");
    }
    let mut long = EventBatch::from_bodies(&vec!["x"; 600_000], 1);
    for number in 0..4 {
        long.set_constant(
            weir_event::HeaderName::new(&format!("a-header-with-a-name-{number}")),
            "and a value of its own",
        );
    }
    append(&channel, &wide).expect("room");
    append(&channel, &long).expect("room");
    let mut cursor = channel.cursor("g").expect("a cursor");
    let mut events = 0;
    while let Some(chunk) = cursor.read(ReadLimit::events(1 << 24)).expect("read") {
        assert!(chunk.lost.is_empty());
        events += chunk.events();
    }
    assert_eq!(events, 600_001);
}
