//! Stored batches compressed as they are.

use super::*;

fn recompressor(compression: Compression) -> Recompressor {
    Recompressor::new(compression, None).expect("no level is always right")
}

fn plain(batch: &EventBatch) -> Vec<u8> {
    let mut encoded = encoder(Compression::None, HeaderSelection::All).encode(batch, Vec::new()).expect("it fits");
    encoded.stamp(Stamp {
        base_offset: 1000,
        partition_leader_epoch: 3,
        producer_id: 9,
        producer_epoch: 2,
        base_sequence: 40,
    });
    encoded.into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Scenario: batches of any shape are stored uncompressed and then compressed by each compression, one after the other.
    /// Guarantees: they decode to the same events; the header is the stored one but for compression, length and CRC.
    #[test]
    fn recompressed_batches_are_the_same(batches in prop::collection::vec(any_batch(), 1..4)) {
        for compression in COMPRESSIONS {
            let mut recompressor = recompressor(compression);
            let mut buffer = vec![1; 10];
            for batch in &batches {
                let stored = plain(batch);
                let compressed = recompressor.recompress(&stored, buffer).expect("one whole batch");
                prop_assert_eq!(compressed.record_count() as usize, batch.len());
                let header = BatchHeader::parse(compressed.as_bytes()).expect("a header");
                let expected = BatchHeader {
                    attributes: compression.id(),
                    batch_length: header.batch_length,
                    crc: header.crc,
                    ..BatchHeader::parse(&stored).expect("a header")
                };
                prop_assert_eq!(header, expected);
                prop_assert!(crc_is_valid(compressed.as_bytes()));
                let decoded = decode(Bytes::copy_from_slice(compressed.as_bytes())).expect("a batch");
                prop_assert_eq!(events(&decoded), events(&decode(stored).expect("a batch")));
                buffer = compressed.into_bytes();
            }
        }
    }
}

/// Scenario: a compressed batch, a control batch, a damaged one, a cut one, two at once, and no batch.
/// Guarantees: each is refused with its reason; damage is not covered up by a new checksum.
#[test]
fn other_batches_are_not_recompressed() {
    let mut recompressor = recompressor(Compression::Lz4);
    let mut refused = |stored: &[u8]| recompressor.recompress(stored, Vec::new()).map(|_| "a batch").unwrap_err();
    let stored = plain(&EventBatch::from_bodies(&["up", "down"], 0));
    let compressed = encoder(Compression::Zstd, HeaderSelection::All)
        .encode(&EventBatch::from_bodies(&["up"], 0), Vec::new())
        .expect("it fits");
    assert_eq!(
        refused(compressed.as_bytes()),
        RecompressError::Compressed { base_offset: 0, id: Compression::Zstd.id() }
    );
    let header = BatchHeader::parse(&stored).expect("a header");
    let control = EncodedBatch::finish(stored.clone(), BatchHeader { attributes: 1 << 5, ..header });
    assert_eq!(refused(control.as_bytes()), RecompressError::Control { base_offset: 1000 });
    let mut damaged = stored.clone();
    *damaged.last_mut().expect("not empty") ^= 1;
    assert_eq!(refused(&damaged), RecompressError::Crc { base_offset: 1000 });
    let expected = stored.len();
    assert_eq!(refused(&stored[..expected - 1]), RecompressError::Size { have: expected - 1, expected });
    assert_eq!(refused(&stored.repeat(2)), RecompressError::Size { have: 2 * expected, expected });
    assert_eq!(refused(&[0; 100]), RecompressError::Header(HeaderError::Magic { magic: 0 }));
    assert!(matches!(Recompressor::new(Compression::Lz4, Some(1)).err(), Some(InvalidLevel::NotSupported { .. })));
}
