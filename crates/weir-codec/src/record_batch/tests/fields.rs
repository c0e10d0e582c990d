//! Single rules of the mapping between events and records.

use weir_event::{ChannelId, Offsets, Origin};

use super::*;

const CHANNEL: ChannelId = ChannelId { log: 4, partition: 2 };

/// A record with one-byte lengths, fields as given; lengths of -1 are nulls.
fn record(
    timestamp_delta: i8,
    offset_delta: i8,
    key: Option<&str>,
    value: Option<&str>,
    headers: &[(&str, Option<&str>)],
) -> Vec<u8> {
    fn number(out: &mut Vec<u8>, value: i8) {
        assert!((-64..64).contains(&value), "one byte");
        out.push(((value << 1) ^ (value >> 7)) as u8);
    }
    fn text(out: &mut Vec<u8>, text: Option<&str>) {
        number(out, text.map_or(-1, |text| text.len() as i8));
        out.extend_from_slice(text.unwrap_or_default().as_bytes());
    }
    let mut fields = vec![0];
    number(&mut fields, timestamp_delta);
    number(&mut fields, offset_delta);
    text(&mut fields, key);
    text(&mut fields, value);
    number(&mut fields, headers.len() as i8);
    for (name, value) in headers {
        text(&mut fields, Some(name));
        text(&mut fields, *value);
    }
    let mut out = Vec::new();
    number(&mut out, fields.len() as i8);
    out.extend(fields);
    out
}

/// A batch at offset 100 with room for ten offsets, base timestamp 1000, largest timestamp 5000.
fn stored(records: &[Vec<u8>], attributes: i16) -> Bytes {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes.extend(records.iter().flatten());
    let header = BatchHeader {
        base_offset: 100,
        batch_length: 0,
        partition_leader_epoch: 0,
        crc: 0,
        attributes,
        last_offset_delta: 9,
        base_timestamp: 1000,
        max_timestamp: 5000,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: records.len() as i32,
    };
    EncodedBatch::finish(bytes, header).into_bytes().into()
}

fn offsets(deltas: &[i8]) -> Result<Offsets, DecodeError> {
    let records: Vec<_> = deltas.iter().map(|delta| record(0, *delta, None, Some("x"), &[])).collect();
    let decoded = decoder(DecoderOptions::default()).decode(stored(&records, 0), Some(CHANNEL), 0)?;
    let batch = decoded.into_events().expect("events");
    let Origin { channel, offsets } = batch.origin().expect("a channel was given").clone();
    assert_eq!(channel, CHANNEL);
    Ok(offsets)
}

/// Scenario: batches as written, and batches whose records a compaction thinned out.
/// Guarantees: contiguous offsets stay one number, gaps are kept; what does not ascend within the batch is refused.
#[test]
fn offsets_survive_compaction() {
    assert_eq!(offsets(&[0, 1, 2]), Ok(Offsets::Contiguous { first: 100 }));
    assert_eq!(offsets(&[7, 8, 9]), Ok(Offsets::Contiguous { first: 107 }));
    assert_eq!(offsets(&[0, 1, 4, 5]), Ok(Offsets::Explicit([100, 101, 104, 105].into())));
    assert_eq!(offsets(&[3, 9]), Ok(Offsets::Explicit([103, 109].into())));
    assert_eq!(offsets(&[]), Ok(Offsets::Contiguous { first: 100 }));
    for damaged in [&[1, 1][..], &[2, 1], &[-1, 0], &[0, 10], &[0, 5, 4]] {
        let refused = offsets(damaged);
        assert!(matches!(refused, Err(DecodeError::Record { fault: RecordFault::Offset, .. })), "{damaged:?}");
    }
}

/// Scenario: timestamps by the producer, none, some, and by the broker.
/// Guarantees: an event has exactly what its record says; a column nobody has does not exist.
#[test]
fn timestamps_follow_the_record_or_the_broker() {
    let two = |first, second| [record(first, 0, None, Some("a"), &[]), record(second, 1, None, Some("b"), &[])];
    let batch = decode(stored(&two(0, -3), 0)).expect("a batch");
    assert_eq!((batch.timestamp_ms(0), batch.timestamp_ms(1)), (Some(1000), Some(997)));
    let by_broker = decode(stored(&two(0, -3), 1 << 3)).expect("a batch");
    assert_eq!((by_broker.timestamp_ms(0), by_broker.timestamp_ms(1)), (Some(5000), Some(5000)));
    let mut some = EventBatch::from_bodies(&["a", "b", "c"], 0);
    some.set_i64(names::TIMESTAMP, vec![ABSENT_I64, i64::MAX, 12]);
    let encoded = encoder(Compression::None, HeaderSelection::All).encode(&some, Vec::new()).expect("it fits");
    let header = BatchHeader::parse(encoded.as_bytes()).expect("a header");
    assert_eq!((header.base_timestamp, header.max_timestamp), (i64::MAX, i64::MAX));
    assert_eq!(events(&decode(encoded.into_bytes()).expect("what was encoded")), events(&some));
    let none = EventBatch::from_bodies(&["a"], 0);
    let encoded = encoder(Compression::None, HeaderSelection::All).encode(&none, Vec::new()).expect("it fits");
    let header = BatchHeader::parse(encoded.as_bytes()).expect("a header");
    assert_eq!((header.base_timestamp, header.max_timestamp), (-1, -1));
    assert!(decode(encoded.into_bytes()).expect("what was encoded").column("timestamp").is_none());
}

/// Scenario: the `timestamp` header is text, for some events no number.
/// Guarantees: numbers become the timestamps of records, the rest none.
#[test]
fn timestamps_are_read_from_text() {
    let mut batch = EventBatch::from_bodies(&["a", "b", "c"], 0);
    batch.set_text(names::TIMESTAMP, text_column(&[Some(b"1234".to_vec()), Some(b"noon".to_vec()), None]));
    let encoded = encoder(Compression::None, HeaderSelection::All).encode(&batch, Vec::new()).expect("it fits");
    let decoded = decode(encoded.into_bytes()).expect("what was encoded");
    assert_eq!((0..3).map(|row| decoded.timestamp_ms(row)).collect::<Vec<_>>(), [Some(1234), None, None]);
}

/// Scenario: null keys, values and header values.
/// Guarantees: a null key is no header; a null value is an empty body, a null header value an empty text.
#[test]
fn nulls_are_absent_or_empty() {
    let records = [
        record(0, 0, None, None, &[("a", None)]),
        record(0, 1, Some(""), Some("x"), &[]),
        record(0, 2, Some("k"), Some(""), &[("a", Some("1"))]),
    ];
    let batch = decode(stored(&records, 0)).expect("a batch");
    let header = |row, name| batch.header(row, name).map(|value| String::from_utf8_lossy(&value).into_owned());
    assert_eq!([header(0, "key"), header(1, "key"), header(2, "key")], [None, Some("".into()), Some("k".into())]);
    assert_eq!([header(0, "a"), header(1, "a"), header(2, "a")], [Some("".into()), None, Some("1".into())]);
    assert_eq!([batch.body(0), batch.body(1), batch.body(2)], [&b""[..], b"x", b""]);
}

/// Scenario: record headers are called `key` and `timestamp`, or a name comes twice.
/// Guarantees: the fields of the record come first, the headers fill in; the last of equal names counts.
#[test]
fn reserved_and_repeated_names_are_settled() {
    let headers = [("key", Some("h")), ("timestamp", Some("42")), ("a", Some("1")), ("a", Some("2"))];
    let no_timestamp = -1 - 40;
    let records = [record(0, 0, Some("k"), Some("x"), &headers), record(no_timestamp, 1, None, Some("x"), &headers)];
    let mut bytes = stored(&records, 0).to_vec();
    bytes[27..35].copy_from_slice(&40_i64.to_be_bytes());
    let options = DecoderOptions { verify_crc: false, ..DecoderOptions::default() };
    let batch = decoder(options).decode(bytes.into(), None, 0).expect("a batch").into_events().expect("events");
    let header = |row, name| batch.header(row, name).map(|value| String::from_utf8_lossy(&value).into_owned());
    assert_eq!([header(0, "key"), header(1, "key")], [Some("k".into()), Some("h".into())]);
    assert_eq!([batch.timestamp_ms(0), batch.timestamp_ms(1)], [Some(40), Some(42)]);
    assert_eq!([header(0, "a"), header(1, "a")], [Some("2".into()), Some("2".into())]);
}

/// Scenario: neighbouring records have other headers, in another order, or none.
/// Guarantees: each event has its own; columns stay few.
#[test]
fn changing_headers_keep_their_rows() {
    let records = [
        record(0, 0, None, Some("x"), &[("host", Some("a")), ("app", Some("b"))]),
        record(0, 1, None, Some("x"), &[("app", Some("c"))]),
        record(0, 2, None, Some("x"), &[]),
        record(0, 3, None, Some("x"), &[("app", Some("d")), ("host", Some("e")), ("hosts", Some("f"))]),
    ];
    let batch = decode(stored(&records, 0)).expect("a batch");
    assert_eq!(batch.columns().len(), 4, "host, app, hosts, timestamp");
    let all = |name| (0..4).map(|row| batch.header(row, name).map(|value| value.into_owned())).collect::<Vec<_>>();
    assert_eq!(all("host"), [Some(b"a".to_vec()), None, None, Some(b"e".to_vec())]);
    assert_eq!(all("app"), [Some(b"b".to_vec()), Some(b"c".to_vec()), None, Some(b"d".to_vec())]);
    assert_eq!(all("hosts"), [None, None, None, Some(b"f".to_vec())]);
}

/// Scenario: a control batch, an undefined compression, bytes after the batch or after its last record.
/// Guarantees: the first is told apart, the others are refused.
#[test]
fn other_batches_are_told_apart() {
    let one = [record(0, 0, None, Some("x"), &[])];
    let control = decoder(DecoderOptions::default()).decode(stored(&one, 1 << 5), None, 0).expect("a control batch");
    assert!(matches!(control, Decoded::Control(header) if header.base_offset == 100));
    assert_eq!(decode(stored(&one, 5)).err(), Some(DecodeError::Compression { base_offset: 100, id: 5 }));
    let two = [&stored(&one, 0)[..], &stored(&one, 0)[..]].concat();
    assert!(matches!(decode(two), Err(DecodeError::Size { have, expected }) if have == 2 * expected));
    let followed_by_zeros = [&one[0][..], &[0; 7]].concat();
    let says_one = stored(&[followed_by_zeros], 0);
    assert_eq!(decode(says_one).err(), Some(DecodeError::Trailing { base_offset: 100, bytes: 7 }));
    let says_two = stored(&[one[0].clone(), vec![0; 7]], 0);
    assert!(matches!(decode(says_two), Err(DecodeError::Record { record: 1, fault: RecordFault::Number, .. })));
}
