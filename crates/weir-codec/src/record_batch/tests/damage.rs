//! Bytes that are not what they should be.

use super::*;

fn unchecked() -> DecoderOptions {
    DecoderOptions { verify_crc: false, decompressed_bytes_max: 1 << 20, ..DecoderOptions::default() }
}

/// Bytes with a header that fits them, so that the records are looked at.
fn with_header(records: &[u8], compression: Compression, count: i32) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes.extend_from_slice(records);
    let header = BatchHeader {
        base_offset: 0,
        batch_length: 0,
        partition_leader_epoch: -1,
        crc: 0,
        attributes: compression.id(),
        last_offset_delta: count.wrapping_sub(1),
        base_timestamp: 0,
        max_timestamp: 0,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: count,
    };
    EncodedBatch::finish(bytes, header).into_bytes()
}

fn compression() -> impl Strategy<Value = Compression> {
    prop::sample::select(&COMPRESSIONS[..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Scenario: arbitrary bytes, bare and behind a header that fits.
    /// Guarantees: no panic; whatever is accepted has the promised number of events.
    #[test]
    fn arbitrary_bytes_do_no_harm(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        compression in compression(),
        count in 0_i32..50,
    ) {
        let mut decoder = decoder(unchecked());
        let _ = decoder.decode(bytes.clone().into(), None, 0);
        let behind_header = with_header(&bytes, compression, count);
        if let Ok(Decoded::Events(batch)) = decoder.decode(behind_header.into(), None, 0) {
            prop_assert_eq!(batch.len(), count as usize);
        }
    }

    /// Scenario: bytes of a valid batch are changed, in every compression, and the CRC is not looked at.
    /// Guarantees: no panic, and the same decoder then decodes the valid batch.
    #[test]
    fn mutated_batches_do_no_harm(
        batch in any_batch(),
        compression in compression(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let encoded = encoder(compression, HeaderSelection::All).encode(&batch, Vec::new()).expect("it fits");
        let valid = encoded.into_bytes();
        let mut damaged = valid.clone();
        for (place, byte) in changes {
            // Behind magic and length, which the test above is about.
            let place = 17 + place.index(damaged.len() - 17);
            damaged[place] = byte;
        }
        let mut decoder = decoder(DecoderOptions { decompressed_bytes_max: 8 << 20, ..unchecked() });
        if let Ok(Decoded::Events(batch)) = decoder.decode(damaged.into(), None, 0) {
            events(&batch);
        }
        let again = decoder.decode(valid.into(), None, 0).expect("the valid batch").into_events().expect("events");
        prop_assert_eq!(events(&again), events(&batch));
    }

    /// Scenario: a valid batch is cut anywhere, first as it is, then with a header that fits what is left.
    /// Guarantees: an error, never a batch with fewer events and never a panic.
    #[test]
    fn truncated_batches_are_refused(
        batch in any_batch(),
        compression in compression(),
        cut in any::<prop::sample::Index>(),
    ) {
        let encoded = encoder(compression, HeaderSelection::All).encode(&batch, Vec::new()).expect("it fits");
        let bytes = encoded.as_bytes();
        let cut = cut.index(bytes.len());
        prop_assert!(decode(bytes[..cut].to_vec()).is_err());
        if cut > HEADER_BYTES {
            let refitted = with_header(&bytes[HEADER_BYTES..cut], compression, batch.len() as i32);
            // What a cut may leave off: the end mark of an LZ4 frame, and the checksum of gzip.
            if let Ok(whole) = decode(refitted) {
                prop_assert_eq!(whole.len(), batch.len());
            }
        }
    }
}

/// Scenario: one bit of a batch changes.
/// Guarantees: the CRC finds it, unless it is told not to look.
#[test]
fn the_crc_is_checked() {
    let batch = EventBatch::from_bodies(&["one", "two"], 0);
    let mut bytes =
        encoder(Compression::None, HeaderSelection::All).encode(&batch, Vec::new()).expect("it fits").into_bytes();
    let last_letter = bytes.len() - 2;
    bytes[last_letter] ^= 1;
    assert_eq!(decode(bytes.clone()).err(), Some(DecodeError::Crc { base_offset: 0 }));
    let decoded = decoder(unchecked()).decode(bytes.into(), None, 0).expect("not checked").into_events();
    assert_eq!(decoded.expect("events").body(1), b"twn");
}

/// Scenario: small batches that decompress to very much.
/// Guarantees: refused by the limit on size and by that on ratio, without the memory being taken.
#[test]
fn decompression_is_limited() {
    let batch = EventBatch::from_bodies(&[vec![b'x'; 2_000_000]], 0);
    for compression in &COMPRESSIONS[1..] {
        let encoded = encoder(*compression, HeaderSelection::All).encode(&batch, Vec::new()).expect("it fits");
        let stored = Bytes::from(encoded.into_bytes());
        let limits = [
            DecoderOptions { decompressed_bytes_max: 1_000_000, ..DecoderOptions::default() },
            DecoderOptions { decompression_ratio_max: 2, ..DecoderOptions::default() },
        ];
        for options in limits {
            let refused = decoder(options).decode(stored.clone(), None, 0);
            let Err(DecodeError::Decompress { source: DecompressError::TooLarge { bytes_max, .. }, .. }) = refused
            else {
                panic!("{compression:?} gave {refused:?}");
            };
            assert!(bytes_max <= 1_000_000);
        }
        let roomy = DecoderOptions { decompressed_bytes_max: 2_000_100, ..DecoderOptions::default() };
        assert!(decoder(roomy).decode(stored, None, 0).is_ok(), "{compression:?} within its limit");
    }
}

/// Scenario: a header promises more records than its bytes, or the limit on memory, can hold.
/// Guarantees: refused before memory is set aside.
#[test]
fn promised_counts_are_checked() {
    let refused = decode(with_header(&[0; 60], Compression::None, 9));
    assert!(matches!(refused, Err(DecodeError::Count { records: 9, bytes: 60, .. })));
    let refused = decode(with_header(&[0; 60], Compression::None, i32::MAX));
    assert!(matches!(refused, Err(DecodeError::Count { .. })));
}

/// Scenario: every record brings new header names; then a batch has more names than the limit.
/// Guarantees: names of earlier batches do not count against a batch; more than the limit is an error that says so.
#[test]
fn header_columns_are_limited() {
    let named = |names: std::ops::Range<usize>| {
        let mut batch = EventBatch::from_bodies(&["body"], 0);
        names.for_each(|name| batch.set_constant(HeaderName::new(&format!("name {name}")), "v"));
        let encoded = encoder(Compression::None, HeaderSelection::All).encode(&batch, Vec::new()).expect("it fits");
        Bytes::from(encoded.into_bytes())
    };
    let mut decoder = decoder(DecoderOptions { columns_max: 20, ..DecoderOptions::default() });
    for batch in 0..50 {
        let names = batch * 20..(batch + 1) * 20;
        let decoded = decoder.decode(named(names), None, 0).expect("20 names").into_events().expect("events");
        assert_eq!(decoded.columns().len(), 20);
    }
    let refused = decoder.decode(named(0..21), None, 0);
    let Err(DecodeError::Record { record: 0, fault, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(fault, RecordFault::Columns { columns_max: 20 });
    let narrow = DecoderOptions { decompressed_bytes_max: 100, ..DecoderOptions::default() };
    let refused = self::decoder(narrow).decode(named(0..12), None, 0);
    assert!(matches!(refused, Err(DecodeError::Record { fault: RecordFault::Columns { .. }, .. })), "{refused:?}");
}
