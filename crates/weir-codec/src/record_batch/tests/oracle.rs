//! An independent implementation of the format reads our batches, and we read its.
//!
//! Its own compressions are off; where another library for a compression exists, that is what is between the two.

use std::io::{Read, Write};

use bytes::BytesMut;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression as OtherCompression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use super::*;

fn other(compression: Compression) -> OtherCompression {
    match compression {
        Compression::None => OtherCompression::None,
        Compression::Gzip => OtherCompression::Gzip,
        Compression::Snappy => OtherCompression::Snappy,
        Compression::Lz4 => OtherCompression::Lz4,
        Compression::Zstd => OtherCompression::Zstd,
    }
}

/// The stream of snappy-java, taken apart by its description.
fn snappy_java(bytes: &[u8]) -> Vec<u8> {
    assert_eq!(&bytes[..16], b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
    let mut rest = &bytes[16..];
    let mut out = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let (block, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        out.extend(snap::raw::Decoder::new().decompress_vec(block).expect("a snappy block"));
        rest = after;
    }
    out
}

fn decompress(compression: OtherCompression, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match compression {
        OtherCompression::None => out.extend_from_slice(bytes),
        OtherCompression::Gzip => {
            flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).expect("gzip");
        }
        OtherCompression::Snappy => out = snappy_java(bytes),
        OtherCompression::Lz4 => {
            lz4_flex::frame::FrameDecoder::new(bytes).read_to_end(&mut out).expect("lz4, header checksum included");
        }
        OtherCompression::Zstd => out = zstd::stream::decode_all(bytes).expect("zstd"),
    }
    out
}

/// Compresses as other clients do: variant 0 in the plain form, variant 1 in one that we never write.
fn compress(compression: OtherCompression, bytes: &[u8], variant: u8) -> Vec<u8> {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    let raw_snappy = || snap::raw::Encoder::new().compress_vec(bytes).expect("it fits");
    match (compression, variant) {
        (OtherCompression::None, _) => bytes.to_vec(),
        (OtherCompression::Gzip, 0) => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(bytes).and_then(|()| gzip.finish()).expect("gzip")
        }
        (OtherCompression::Gzip, _) => {
            // Two members, the first with a file name and a comment.
            let (head, tail) = bytes.split_at(bytes.len() / 2);
            let builder = flate2::GzBuilder::new().filename("records").comment("half");
            let mut first = builder.write(Vec::new(), flate2::Compression::best());
            let mut out = first.write_all(head).and_then(|()| first.finish()).expect("gzip");
            out.extend(compress(compression, tail, 0));
            out
        }
        (OtherCompression::Snappy, 0) => {
            let mut out = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
            for chunk in bytes.chunks(32 << 10) {
                let block = snap::raw::Encoder::new().compress_vec(chunk).expect("it fits");
                out.extend_from_slice(&(block.len() as u32).to_be_bytes());
                out.extend(block);
            }
            out
        }
        (OtherCompression::Snappy, _) => raw_snappy(),
        (OtherCompression::Lz4, _) => {
            let info = match variant {
                0 => FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent),
                _ => FrameInfo::new()
                    .block_size(BlockSize::Max64KB)
                    .block_mode(BlockMode::Linked)
                    .block_checksums(true)
                    .content_checksum(true)
                    .content_size(Some(bytes.len() as u64)),
            };
            let mut lz4 = FrameEncoder::with_frame_info(info, Vec::new());
            lz4.write_all(bytes).expect("lz4");
            lz4.finish().expect("lz4")
        }
        (OtherCompression::Zstd, 0) => zstd::bulk::compress(bytes, 1).expect("zstd"),
        // A stream, which does not say its size.
        (OtherCompression::Zstd, _) => zstd::stream::encode_all(bytes, 20).expect("zstd"),
    }
}

/// What the other implementation sees in a batch.
fn read_by_other(stored: &[u8]) -> Vec<Record> {
    let mut bytes = Bytes::copy_from_slice(stored);
    let decompress = |bytes: &mut Bytes, compression| Ok(Bytes::from(decompress(compression, bytes)));
    RecordBatchDecoder::decode_with_custom_compression(&mut bytes, Some(decompress)).expect("a batch").records
}

/// An event as a record of the other implementation.
fn record(row: usize, event: &Event) -> Record {
    let text = |name: &str| event.headers.get(name).map(|value| Bytes::from(value.clone()));
    let number = |name: &str| {
        let text = event.headers.get(name).map(|value| String::from_utf8_lossy(value).into_owned());
        text.map(|text| text.parse().expect("a number"))
    };
    Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset: row as i64,
        sequence: row as i32 - 1,
        timestamp: number("timestamp").unwrap_or(-1),
        key: text("key"),
        value: Some(Bytes::from(event.body.clone())),
        headers: event
            .headers
            .iter()
            .filter(|(name, _)| *name != "key" && *name != "timestamp")
            .map(|(name, value)| (StrBytes::from_string(name.clone()), Some(Bytes::from(value.clone()))))
            .collect(),
    }
}

/// A record of the other implementation as an event.
fn event(record: &Record) -> Event {
    let bytes = |value: &Option<Bytes>| value.clone().unwrap_or_default().to_vec();
    let mut headers: BTreeMap<String, Vec<u8>> =
        record.headers.iter().map(|(name, value)| (name.to_string(), bytes(value))).collect();
    if record.key.is_some() {
        headers.insert("key".into(), bytes(&record.key));
    }
    if record.timestamp != -1 {
        headers.insert("timestamp".into(), record.timestamp.to_string().into_bytes());
    }
    Event { body: bytes(&record.value), headers }
}

/// Keeps timestamps within what the other implementation computes without overflow.
fn bounded(mut batch: EventBatch) -> EventBatch {
    if batch.column("timestamp").is_some() {
        let timestamps = (0..batch.len()).map(|row| batch.timestamp_ms(row).map_or(ABSENT_I64, |value| value >> 2));
        let timestamps = timestamps.map(|value| if value == -1 { 3 } else { value }).collect();
        batch.set_i64(names::TIMESTAMP, timestamps);
    }
    batch
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Scenario: the other implementation reads what we encoded, through another library where there is one.
    /// Guarantees: it finds the same records, offsets, and the CRC that it computes itself.
    #[test]
    fn others_read_what_we_write(batch in any_batch()) {
        let batch = bounded(batch);
        for compression in COMPRESSIONS {
            let mut encoded =
                encoder(compression, HeaderSelection::All).encode(&batch, Vec::new()).expect("small and not empty");
            encoded.stamp(Stamp {
                base_offset: 1000, partition_leader_epoch: 3, producer_id: 9, producer_epoch: 2, base_sequence: 40,
            });
            let records = read_by_other(encoded.as_bytes());
            let found: Vec<Event> = records.iter().map(event).collect();
            prop_assert_eq!(found, events(&batch));
            for (row, record) in records.iter().enumerate() {
                prop_assert_eq!((record.offset, record.producer_id), (1000 + row as i64, 9));
            }
        }
    }

    /// Scenario: we read what the other implementation encoded, in each form that clients use.
    /// Guarantees: the same events.
    #[test]
    fn we_read_what_others_write(batch in any_batch(), variant in 0_u8..2) {
        let expected = events(&bounded(batch));
        let records: Vec<Record> = expected.iter().enumerate().map(|(row, event)| record(row, event)).collect();
        for compression in COMPRESSIONS {
            let options = RecordEncodeOptions { version: 2, compression: other(compression) };
            let mut out = BytesMut::new();
            let compress = |bytes: &mut BytesMut, out: &mut BytesMut, compression| {
                out.extend_from_slice(&compress(compression, bytes, variant));
                Ok(())
            };
            RecordBatchEncoder::encode_with_custom_compression(&mut out, &records, &options, Some(compress))
                .expect("records");
            prop_assert_eq!(events(&decode(out.freeze()).expect("a batch")), expected.clone());
        }
    }
}

/// Scenario: a batch of more than one block of 64 KiB in each form that other clients write.
/// Guarantees: linked blocks find their history, streams without a size their end.
#[test]
fn long_batches_of_others_are_read() {
    let expected: Vec<Event> = (0..4000)
        .map(|row| Event {
            body: format!("event {row} of many, {}", row * 7919 % 4001).into_bytes(),
            ..Event::default()
        })
        .collect();
    let records: Vec<Record> = expected.iter().enumerate().map(|(row, event)| record(row, event)).collect();
    for (compression, variant) in COMPRESSIONS.into_iter().flat_map(|compression| [(compression, 0), (compression, 1)])
    {
        let options = RecordEncodeOptions { version: 2, compression: other(compression) };
        let mut out = BytesMut::new();
        let compress = |bytes: &mut BytesMut, out: &mut BytesMut, compression| {
            out.extend_from_slice(&compress(compression, bytes, variant));
            Ok(())
        };
        RecordBatchEncoder::encode_with_custom_compression(&mut out, &records, &options, Some(compress))
            .expect("records");
        assert_eq!(events(&decode(out.freeze()).expect("a batch")), expected, "{compression:?} {variant}");
    }
}
