use std::collections::BTreeMap;

use proptest::prelude::*;
use weir_event::{ArenaPool, ChannelId, Column, EventBatch, HeaderName, Offsets, Origin, names};

use super::*;
use crate::record_batch::tests::{Event, any_batch, events, header_name, text_column};
use crate::record_batch::{Decoder, DecoderOptions, Encoder, EncoderOptions};

/// Written by the Java library (Avro 1.11.0 with Flume's own class for the event): a body of five bytes and four headers,
/// in one block; then by its encoder of blocks, which gives sizes.
const FOUR_HEADERS: &[u8] =
    b"\x08\x08host\x06fw1\x12timestamp\x1a1763805600123\x06key\x06k\xc3\xa4\0\0\0\x0aup\n\0\xff";
const FOUR_HEADERS_SIZED: &[u8] =
    b"\x07\x56\x08host\x06fw1\x12timestamp\x1a1763805600123\x06key\x06k\xc3\xa4\0\0\0\x0aup\n\0\xff";
/// By the same encoder with blocks of 64 bytes: counts of either sign, a block for nearly each header.
const FOUR_BLOCKS: &[u8] = b"\x05\x4c\x10header-0\0\x10header-1\x12vvvvvvvvv\x10header-2\x12vvvvvvvvv\
    \x02\x10header-3\x48vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\
    \x01\x5c\x10header-4\x48vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\
    \x02\x10header-5\x5avvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\0\x04ok";

fn batch<B: AsRef<[u8]>>(bodies: &[B]) -> EventBatch {
    EventBatch::from_bodies(bodies, 5)
}

fn text(values: &[Option<&str>]) -> weir_event::TextColumn {
    text_column(&values.iter().map(|value| value.map(|text| text.as_bytes().to_vec())).collect::<Vec<_>>())
}

fn shown(batch: &EventBatch, name: &str) -> Vec<Option<String>> {
    let value = |row| batch.header(row, name).map(|value| String::from_utf8_lossy(&value).into_owned());
    (0..batch.len()).map(value).collect()
}

fn some(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| Some((*value).to_owned())).collect()
}

fn number(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn sized(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

/// An event, its headers in blocks of `per_block`, every other one with its size.
fn avro(headers: &[(String, Vec<u8>)], body: &[u8], per_block: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, block) in headers.chunks(per_block).enumerate() {
        let mut entries = Vec::new();
        for (name, value) in block {
            sized(&mut entries, name.as_bytes());
            sized(&mut entries, value);
        }
        if index % 2 == 0 {
            number(&mut out, block.len() as i64);
        } else {
            number(&mut out, -(block.len() as i64));
            number(&mut out, entries.len() as i64);
        }
        out.extend(entries);
    }
    number(&mut out, 0);
    sized(&mut out, body);
    out
}

/// Scenario: events as the Java library writes them, in one block and in several of each form; the same event is encoded.
/// Guarantees: they are read, headers and body; what we write is what Java writes, to the byte.
#[test]
fn the_java_library_writes_the_same() {
    let decoded = decode(&batch(&[FOUR_HEADERS, FOUR_HEADERS_SIZED, b"\0\0"]), Limits::default());
    assert_eq!(decoded.invalid, 0);
    let decoded = decoded.batch;
    assert_eq!((decoded.body(0), decoded.body(1), decoded.body(2)), (&b"up\n\0\xff"[..], &b"up\n\0\xff"[..], &b""[..]));
    for (name, value) in [("host", "fw1"), ("timestamp", "1763805600123"), ("key", "k\u{e4}"), ("", "")] {
        assert_eq!(shown(&decoded, name), [Some(value.to_owned()), Some(value.to_owned()), None], "{name}");
    }
    assert!(matches!(decoded.column("timestamp"), Some(Column::I64(_))));
    let blocks = decode(&batch(&[FOUR_BLOCKS]), Limits::default()).batch;
    assert_eq!((blocks.body(0), blocks.columns().len()), (&b"ok"[..], 6));
    assert_eq!(shown(&blocks, "header-5"), [Some("v".repeat(45))]);

    let mut ours = batch(&[&b"up\n\0\xff"[..]]);
    ours.set_constant(names::HOST, "fw1");
    ours.set_i64(names::TIMESTAMP, vec![1_763_805_600_123]);
    ours.set_text(names::KEY, text(&[Some("k\u{e4}")]));
    ours.set_constant(HeaderName::new(""), "");
    assert_eq!(encode(&ours).expect("it fits").body(0), FOUR_HEADERS);
    assert_eq!(encode(&batch(&[""])).expect("it fits").body(0), b"\0\0");
}

/// Scenario: bodies, keys and headers of a decoded batch.
/// Guarantees: they are spans of the bytes that were there; key and timestamp are all that is left of encoded columns.
#[test]
fn nothing_is_copied_on_the_way_in() {
    let stored = batch(&[FOUR_HEADERS, FOUR_HEADERS]);
    let decoded = decode(&stored, Limits::default()).batch;
    let arena = stored.body_arena().as_ptr();
    assert_eq!(decoded.body_arena().as_ptr(), arena);
    for name in ["host", "key", ""] {
        let Some(Column::Text(text)) = decoded.column(name) else { panic!("no text column {name}") };
        assert_eq!(text.arena.as_ptr(), arena);
    }
    let encoded = encode(&decoded).expect("it fits");
    let mut left: Vec<_> = encoded.columns().iter().map(|(name, _)| name.to_string()).collect();
    left.sort();
    assert_eq!(left, ["key", "timestamp"]);
}

/// Scenario: headers are in the value, in a column of the record, in both, in some events only; columns are constants,
/// numbers and text of another arena.
/// Guarantees: the value's count, but for the key; a timestamp that is no number gives way to the record's.
#[test]
fn headers_of_the_value_count_except_the_key() {
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, Vec<u8>)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
    };
    let full = pairs(&[("key", "inner"), ("timestamp", "42"), ("topic", "old"), ("host", "a"), ("host", "b")]);
    let few = pairs(&[("key", "inner"), ("timestamp", "noon"), ("offset", "7")]);
    let mut stored = batch(&[avro(&full, b"x", 9), avro(&few, b"y", 9), avro(&[], b"z", 9)]);
    stored.set_text(names::KEY, text(&[Some("outer"), None, None]));
    stored.set_i64(names::TIMESTAMP, vec![1, 2, weir_event::ABSENT_I64]);
    stored.set_constant(HeaderName::new("topic"), "new");
    stored.set_i64(HeaderName::new("offset"), vec![100, 101, 102]);
    stored.set_constant(HeaderName::new("partition"), "3");
    let decoded = decode(&stored, Limits::default()).batch;
    assert_eq!(shown(&decoded, "key"), [Some("outer".into()), Some("inner".into()), None]);
    assert_eq!(shown(&decoded, "timestamp"), [Some("42".into()), Some("2".into()), None]);
    assert_eq!(shown(&decoded, "topic"), some(&["old", "new", "new"]));
    assert_eq!(shown(&decoded, "offset"), some(&["100", "7", "102"]));
    assert_eq!(shown(&decoded, "partition"), some(&["3", "3", "3"]));
    assert_eq!(shown(&decoded, "host"), [Some("b".into()), None, None]);
}

/// Scenario: raw lines, cut events, events with something behind them, negative lengths and an absurd count between good
/// events, in a slice with positions; the result goes over a second hop.
/// Guarantees: each is kept whole and marked, without any of its headers; the good ones, and all positions, are untouched;
/// the mark arrives at the other end.
#[test]
fn what_is_no_event_is_kept_and_marked() {
    let good = avro(&[("host".to_owned(), b"fw1".to_vec())], b"up", 1);
    let bad: [&[u8]; 8] = [
        b"<134>Nov 22 10:00:00 fw1 %ASA-6-302013: Built",
        b"",
        &good[..good.len() - 1],
        &[&good[..], b"\0"].concat(),
        b"\x02\x02a\x01\0\0",
        b"\x02\x02a\x02b\0\x01",
        b"\x01\x02",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\0",
    ];
    let mut bodies = vec![&good[..]];
    bodies.extend(bad);
    bodies.push(&good);
    let channel = ChannelId { log: 1, partition: 2 };
    let origin = Origin { channel, offsets: Offsets::Contiguous { first: 50 } };
    let mut stored = batch(&bodies).with_origin(origin);
    stored.set_text(STATUS, text(&[Some("kept"); 10]));
    let decoded = decode(&stored.slice(1..10), Limits::default());
    assert_eq!((decoded.invalid, decoded.batch.len()), (8, 9));
    assert_eq!(decoded.batch.origin().and_then(|origin| origin.offset(0)), Some(51));
    for (row, body) in bad.iter().enumerate() {
        assert_eq!(decoded.batch.body(row), *body);
    }
    assert_eq!(decoded.batch.body(8), b"up");
    assert_eq!(shown(&decoded.batch, "host")[7..], [None, Some("fw1".to_owned())]);
    assert_eq!(shown(&decoded.batch, STATUS.as_str())[7..], some(&["invalid", "kept"]));
    assert_eq!(decoded.batch.columns().len(), 2);

    let hop = decode(&encode(&decoded.batch).expect("it fits"), Limits::default());
    assert_eq!((hop.invalid, events(&hop.batch)), (0, events(&decoded.batch)));
}

/// Scenario: a batch with more header names than allowed, then one whose columns take more memory than allowed.
/// Guarantees: the events that need more are kept whole and marked, the others have their headers.
#[test]
fn events_beyond_the_limits_stay_as_they_are() {
    let bodies: Vec<_> = (0..10).map(|row| avro(&[(format!("h{row}"), b"v".to_vec())], b"x", 1)).collect();
    let limits = [
        Limits { columns_max: 4, ..Limits::default() },
        Limits { column_bytes_max: 4 * 8 * 10 + 7, ..Limits::default() },
    ];
    for limits in limits {
        let decoded = decode(&batch(&bodies), limits);
        assert_eq!(decoded.invalid, 6, "{limits:?}");
        assert_eq!((decoded.batch.body(3), decoded.batch.body(4)), (&b"x"[..], &bodies[4][..]));
        assert_eq!(decoded.batch.columns().len(), 4 + 1, "four names and the mark");
    }
}

/// What must be there after events were encoded and decoded, the last of equal names counting.
fn headers(pairs: &[(String, Vec<u8>)]) -> BTreeMap<String, Vec<u8>> {
    pairs.iter().cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Scenario: batches of any shape are encoded, then decoded at once, and after a way through record batches.
    /// Guarantees: bodies and headers come back, key and timestamp included; what is in between has fields of records only.
    #[test]
    fn every_batch_comes_back(batch in any_batch()) {
        let encoded = encode(&batch).expect("it fits");
        prop_assert!(encoded.columns().iter().all(|(name, _)| name == "key" || name == "timestamp"));
        let expected = events(&batch);
        let direct = decode(&encoded, Limits::default());
        prop_assert_eq!((direct.invalid, events(&direct.batch)), (0, expected.clone()));
        let record_batch = Encoder::new(EncoderOptions::default()).expect("no level")
            .encode(&encoded, Vec::new()).expect("it fits");
        let mut decoder = Decoder::new(ArenaPool::new(4096, 1), DecoderOptions::default());
        let stored = decoder.decode(record_batch.into_bytes().into(), None, 5).expect("what was encoded");
        let decoded = decode(&stored.into_events().expect("events"), Limits::default());
        prop_assert_eq!((decoded.invalid, events(&decoded.batch)), (0, expected));
    }

    /// Scenario: events by an independent writer that splits their headers into blocks of both kinds, with names that
    /// repeat within an event and differ between events.
    /// Guarantees: each event has its own headers and body.
    #[test]
    fn events_of_others_are_read(
        written in prop::collection::vec((
            prop::collection::vec((header_name(), prop::collection::vec(any::<u8>(), 0..200)), 0..8),
            prop::collection::vec(any::<u8>(), 0..300),
            1_usize..5,
        ), 1..20),
    ) {
        let bodies: Vec<_> = written.iter().map(|(headers, body, per_block)| avro(headers, body, *per_block)).collect();
        let decoded = decode(&batch(&bodies), Limits::default());
        prop_assert_eq!(decoded.invalid, 0);
        let expected: Vec<_> =
            written.into_iter().map(|(pairs, body, _)| Event { body, headers: headers(&pairs) }).collect();
        prop_assert_eq!(events(&decoded.batch), expected);
    }

    /// Scenario: arbitrary bytes, and good events with a byte changed, under small limits.
    /// Guarantees: no panic; every event is either decoded or kept as it was, and counted; columns stay within limits.
    #[test]
    fn any_bytes_are_taken(
        wild in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..10),
        batch in any_batch(), changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..10),
    ) {
        let encoded = encode(&batch).expect("it fits");
        let mut bodies: Vec<Vec<u8>> = (0..encoded.len()).map(|row| encoded.body(row).to_vec()).collect();
        for (place, byte) in changes {
            let row = place % bodies.len();
            // At the front are lengths, at the back mostly a body.
            let at = place / 7 % bodies[row].len().min(80);
            bodies[row][at] = byte;
        }
        bodies.extend(wild);
        let limits = Limits { columns_max: 6, column_bytes_max: 5 * 8 * bodies.len() };
        let decoded = decode(&EventBatch::from_bodies(&bodies, 0), limits);
        prop_assert_eq!(decoded.batch.len(), bodies.len());
        let marked = (0..bodies.len()).filter(|row| decoded.batch.header(*row, STATUS.as_str()).is_some()).count();
        prop_assert!(marked >= decoded.invalid);
        prop_assert!(decoded.batch.columns().len() <= 5 + 2, "the limit, the mark, and timestamps as numbers");
    }
}
