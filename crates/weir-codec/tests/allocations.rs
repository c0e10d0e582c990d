//! Allocations per event on the hot path, counted. A binary of its own, for it brings its own allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::Bytes;
use weir_codec::flume_event::{self, Limits};
use weir_codec::record_batch::{Compression, Decoder, DecoderOptions, Encoder, EncoderOptions, HeaderSelection};
use weir_event::{Arena, ArenaPool, BatchBuilder, EventBatch, HeaderName, Span, names};

/// The system's allocator, counting per thread: what the test harness allocates beside the test is not ours.
struct Counting;

thread_local! {
    // Initialised at compile time and without a destructor, so that touching it allocates nothing itself.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.with(|count| count.set(count.get() + 1));
}

// SAFETY: hands everything to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    // SAFETY: as above.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: the caller keeps the contract of GlobalAlloc; so does the allocator of the system.
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    // SAFETY: as above.
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const EVENTS: usize = 2000;
const ROUNDS: usize = 10;

fn batch() -> EventBatch {
    let mut builder = BatchBuilder::new();
    let host = builder.text_column(names::HOST);
    let facility = builder.i64_column(names::FACILITY);
    let timestamp = builder.i64_column(names::TIMESTAMP);
    let mut arena = Vec::new();
    for event in 0..EVENTS {
        let body = Span::new(arena.len(), 200);
        arena.extend((0..200).map(|byte| b'a' + ((event * 31 + byte * byte) % 26) as u8));
        builder.set_text(host, Span::new(body.start as usize, 6));
        builder.set_i64(facility, (event % 24) as i64);
        builder.set_i64(timestamp, 1_700_000_000_000 + event as i64);
        builder.push(body);
    }
    let mut batch = builder.seal(Arena::detached(arena), 0);
    batch.set_constant(HeaderName::new("site"), "north");
    batch
}

/// Allocations per round of `work`, after a first round that fills scratch memory and pools.
fn allocations_per_round(mut work: impl FnMut()) -> f64 {
    work();
    let before = ALLOCATIONS.get();
    (0..ROUNDS).for_each(|_| work());
    (ALLOCATIONS.get() - before) as f64 / ROUNDS as f64
}

/// Scenario: batches of 2000 events are encoded and decoded again and again, in every compression.
/// Guarantees: encoding into a reused buffer allocates nothing at all; decoding only the columns of its result, fewer
/// than 0.01 per event.
#[test]
fn encoding_and_decoding_hardly_allocate() {
    let batch = batch();
    for compression in [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd]
    {
        let options = EncoderOptions { compression, level: None, headers: HeaderSelection::All };
        let mut encoder = Encoder::new(options).expect("no level is always right");
        let mut buffer = Vec::new();
        let encode = allocations_per_round(|| {
            let encoded = encoder.encode(&batch, std::mem::take(&mut buffer)).expect("it fits");
            buffer = encoded.into_bytes();
        });
        assert_eq!(encode, 0.0, "{compression:?}: allocations per encoded batch");

        let stored = Bytes::from(buffer);
        let mut decoder = Decoder::new(ArenaPool::new(1 << 20, 4), DecoderOptions::default());
        let decode = allocations_per_round(|| {
            let decoded = decoder.decode(stored.clone(), None, 0).expect("what was encoded");
            assert_eq!(decoded.into_events().map(|batch| batch.len()), Some(EVENTS));
        });
        assert!(decode < 0.01 * EVENTS as f64, "{compression:?}: {decode} allocations per decoded batch");
    }
}

/// Scenario: the same for Flume's events.
/// Guarantees: fewer than 8 allocations for each header of the batch, none per event.
#[test]
fn flume_events_hardly_allocate() {
    let batch = batch();
    let encode = allocations_per_round(|| _ = flume_event::encode(&batch).expect("it fits"));
    let allowed = 8.0 * batch.columns().len() as f64;
    assert!(encode < allowed, "{encode} allocations per encoded batch");
    let encoded = flume_event::encode(&batch).expect("it fits");
    let decode = allocations_per_round(|| {
        let decoded = flume_event::decode(&encoded, Limits::default());
        assert_eq!((decoded.batch.len(), decoded.invalid), (EVENTS, 0));
    });
    assert!(decode < allowed, "{decode} allocations per decoded batch");
}
