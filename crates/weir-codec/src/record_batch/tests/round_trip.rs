//! Random batches there and back.

use super::*;

fn selections() -> impl Strategy<Value = HeaderSelection> {
    prop_oneof![
        2 => Just(HeaderSelection::All),
        1 => Just(HeaderSelection::None),
        1 => prop::collection::vec("[a-e]|host", 0..3).prop_map(HeaderSelection::List),
    ]
}

/// What must come back of `event`.
fn expected(event: Event, selection: &HeaderSelection) -> Event {
    let selected = |name: &str| match selection {
        HeaderSelection::All => true,
        HeaderSelection::None => false,
        HeaderSelection::List(names) => names.iter().any(|listed| listed == name),
    };
    let headers =
        event.headers.into_iter().filter(|(name, _)| name == "key" || name == "timestamp" || selected(name)).collect();
    Event { body: event.body, headers }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Scenario: one encoder and one decoder take batches of any shape, one after the other, through every compression.
    /// Guarantees: bodies, keys, timestamps and selected headers come back; the header of the batch is right.
    #[test]
    fn every_batch_comes_back(batches in prop::collection::vec(any_batch(), 1..4), selection in selections()) {
        for compression in COMPRESSIONS {
            let mut encoder = encoder(compression, selection.clone());
            let mut decoder = decoder(DecoderOptions::default());
            let mut buffer = vec![1; 10];
            for batch in &batches {
                let encoded = encoder.encode(batch, buffer).expect("small and not empty");
                prop_assert_eq!(encoded.record_count() as usize, batch.len());
                let header = BatchHeader::parse(encoded.as_bytes()).expect("a header");
                prop_assert_eq!(header.last_offset_delta as usize, batch.len() - 1);
                prop_assert_eq!(header.compression(), Some(compression));
                let max = (0..batch.len()).filter_map(|row| batch.timestamp_ms(row)).max();
                prop_assert_eq!(header.max_timestamp, max.unwrap_or(-1));
                let stored = Bytes::copy_from_slice(encoded.as_bytes());
                let decoded = decoder.decode(stored, None, 77).expect("what was encoded");
                let decoded = decoded.into_events().expect("events");
                let all: Vec<_> = events(batch).into_iter().map(|event| expected(event, &selection)).collect();
                prop_assert_eq!(events(&decoded), all);
                prop_assert_eq!(decoded.arrival_ms(), 77);
                buffer = encoded.into_bytes();
            }
        }
    }
}

/// Scenario: a batch far larger than a block of any compression, of text and of noise.
/// Guarantees: it comes back; text shrinks and noise hardly grows.
#[test]
fn many_blocks_come_back() {
    let mut random = fastrand::Rng::with_seed(11);
    let text: Vec<String> = (0..9000)
        .map(|event| {
            format!("%ASA-6-302013: Built outbound TCP connection {event} for outside:10.1.2.{}/443", event % 251)
        })
        .collect();
    let noise: Vec<Vec<u8>> = (0..3000).map(|_| std::iter::repeat_with(|| random.u8(..)).take(300).collect()).collect();
    let batches = [(EventBatch::from_bodies(&text, 0), 0.5), (EventBatch::from_bodies(&noise, 0), 1.05)];
    for compression in &COMPRESSIONS[1..] {
        for (batch, ratio_max) in &batches {
            let encoded = encoder(*compression, HeaderSelection::All).encode(batch, Vec::new()).expect("it fits");
            let bytes = encoded.as_bytes().len();
            assert!(bytes < (batch.body_bytes() as f64 * ratio_max) as usize, "{compression:?}: {bytes} bytes");
            assert_eq!(events(&decode(encoded.into_bytes()).expect("what was encoded")), events(batch));
        }
    }
}

/// Scenario: an uncompressed batch is decoded.
/// Guarantees: bodies, keys and headers are spans into the stored bytes; nothing was copied.
#[test]
fn uncompressed_batches_are_not_copied() {
    let mut batch = EventBatch::from_bodies(&["up", "down"], 0);
    batch.set_constant(names::KEY, "k");
    batch.set_constant(names::HOST, "fw1");
    let encoded = encoder(Compression::None, HeaderSelection::All).encode(&batch, Vec::new()).expect("it fits");
    let stored = Bytes::from(encoded.into_bytes());
    let decoded = decode(stored.clone()).expect("what was encoded");
    assert_eq!(decoded.body_arena().as_ptr(), stored.as_ptr());
    for name in ["key", "host"] {
        let Some(Column::Text(text)) = decoded.column(name) else { panic!("no text column {name}") };
        assert_eq!(text.arena.as_ptr(), stored.as_ptr());
    }
}

/// Scenario: a batch without events; levels that a compression does not have.
/// Guarantees: refused by name.
#[test]
fn impossible_requests_are_refused() {
    let none: [&str; 0] = [];
    let empty = EventBatch::from_bodies(&none, 0);
    let refused = encoder(Compression::None, HeaderSelection::All).encode(&empty, Vec::new());
    assert_eq!(refused.err(), Some(EncodeError::Empty));
    let level = |compression, level| {
        Encoder::new(EncoderOptions { compression, level: Some(level), headers: HeaderSelection::All }).err()
    };
    assert_eq!(level(Compression::Lz4, 1), Some(InvalidLevel::NotSupported { compression: Compression::Lz4 }));
    assert!(matches!(level(Compression::Gzip, 10), Some(InvalidLevel::OutOfRange { from: 0, to: 9, .. })));
    assert!(level(Compression::Zstd, -5).is_none() && level(Compression::Gzip, 0).is_none());
}

/// Scenario: a lane is made on one thread and runs on another.
/// Guarantees: encoder and decoder may go along; this compiles.
#[test]
fn encoders_and_decoders_move_between_threads() {
    fn moves<T: Send>(_: T) {}
    moves(encoder(Compression::Zstd, HeaderSelection::All));
    moves(decoder(DecoderOptions::default()));
}
