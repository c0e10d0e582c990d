//! What the writer makes is read back; what is damaged is said.

use std::io::Cursor;
use std::sync::LazyLock;

use proptest::prelude::*;
use weir_event::{ABSENT_I64, BatchBuilder, EventBatch, HeaderName, names};

use super::*;
use crate::{Codec, Encoder, FileState, Format, Layout, Rows, SequenceCompression, SequenceValue};

const CODECS: [Codec; 6] = [Codec::None, Codec::Gzip(6), Codec::Snappy, Codec::Lz4, Codec::Zstd(3), Codec::Bzip2(1)];
const LAYOUTS: [Layout; 9] = [
    Layout::Text,
    Layout::Json,
    Layout::Sequence(SequenceValue::Writable, SequenceCompression::Record),
    Layout::Sequence(SequenceValue::Writable, SequenceCompression::Block),
    Layout::Sequence(SequenceValue::Text, SequenceCompression::Record),
    Layout::Sequence(SequenceValue::Text, SequenceCompression::Block),
    Layout::AvroFlume,
    Layout::AvroSyslog,
    Layout::Parquet,
];

/// An event as it is compared.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Event {
    body: Vec<u8>,
    time_ms: Option<i64>,
    headers: Vec<(String, String)>,
}

fn formats() -> impl Iterator<Item = Format> {
    LAYOUTS.into_iter().flat_map(|layout| CODECS.into_iter().filter_map(move |codec| Format::new(layout, codec).ok()))
}

/// Writes a batch in blocks of at most `rows` events.
fn write(format: Format, batch: &EventBatch, rows: usize) -> Vec<u8> {
    let mut encoder = Encoder::new(format).expect("a codec");
    let mut file = FileState::new(vec![("weir.agent".to_owned(), "edge".to_owned())]);
    let (writer, mut bytes) = (Rows::new(format, batch), Vec::new());
    for begin in (0..batch.len()).step_by(rows) {
        let (mut gathered, block) = (Vec::new(), begin..batch.len().min(begin + rows));
        block.clone().for_each(|row| writer.write(row, &mut gathered));
        bytes.extend_from_slice(encoder.block(&mut file, &gathered, block.len() as u64).expect("a block"));
    }
    bytes.extend_from_slice(encoder.end(&mut file, vec![("weir.end".to_owned(), "1".to_owned())]).expect("an end"));
    bytes
}

fn packing(codec: Codec) -> Packing {
    codec.suffix().strip_prefix('.').map_or(Packing::None, |suffix| Packing::of_suffix(suffix).expect("a packing"))
}

/// Reads a file, and says how many events there were if it is damaged.
fn read(format: Format, bytes: &[u8]) -> (Vec<Event>, Result<(), ReadError>) {
    read_within(format, bytes, Limits::default())
}

fn read_within(format: Format, bytes: &[u8], limits: Limits) -> (Vec<Event>, Result<(), ReadError>) {
    let mut events = Vec::new();
    let mut each = |event: StoredEvent<'_>| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = event.headers.iter().map(|(name, value)| (text(name), text(value))).collect();
        events.push(Event { body: event.body.to_vec(), time_ms: event.time_ms, headers });
    };
    let result = match format.layout() {
        Layout::Text | Layout::Json => {
            let layout = if format.layout() == Layout::Text { Lines::Text } else { Lines::Json };
            lines(layout, unpacked(packing(format.codec()), bytes, limits).expect("tables"), limits, &mut each)
        }
        Layout::Sequence(..) => sequence(bytes, limits, &mut each),
        Layout::AvroFlume | Layout::AvroSyslog => avro(bytes, limits, &mut each),
        Layout::Parquet => parquet(Cursor::new(bytes), limits, &mut each),
    };
    (events, result)
}

fn bodies(events: &[Event]) -> Vec<&[u8]> {
    events.iter().map(|event| &event.body[..]).collect()
}

/// Text has no place for line feeds within a body.
fn fits(format: Format, bodies: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let as_it_is = |body: &Vec<u8>| format.layout() != Layout::Text || !body.contains(&b'\n');
    bodies.iter().filter(|body| as_it_is(body)).cloned().collect()
}

/// Bodies of every kind: empty, with line feeds, no UTF-8, alike, larger than a block of snappy and than a page of Parquet.
fn many() -> Vec<Vec<u8>> {
    let mut bodies = vec![Vec::new(), b"two\nlines\n".to_vec(), vec![0xff, 0, 0xfe], "\u{e4}\"\\\u{1}".into()];
    bodies.extend((0..2_000).map(|number| format!("event {number} of host fw{}", number % 7).into_bytes()));
    bodies.extend(std::iter::repeat_n(b"the same again".to_vec(), 500));
    let mut random = fastrand::Rng::with_seed(7);
    bodies.push((0..300_000).map(|_| random.u8(..)).collect());
    bodies.extend((0..100_u32).map(|number| vec![number as u8; 10 * number as usize]));
    bodies.push(vec![b'x'; 5 << 18]);
    bodies.push(b"the last".to_vec());
    bodies
}

/// Scenario: bodies of every kind in every layout and codec that go together, in one block and in many.
/// Guarantees: the same bodies in the same order.
#[test]
fn every_format_is_read_back() {
    let (mut count, all) = (0, many());
    for format in formats() {
        let wanted = fits(format, &all);
        let batch = EventBatch::from_bodies(&wanted, 1_600_000_000_000);
        for rows in [wanted.len(), 300] {
            let bytes = write(format, &batch, rows);
            let (events, result) = read(format, &bytes);
            result.unwrap_or_else(|error| panic!("{format:?} in blocks of {rows}: {error}"));
            assert!(bodies(&events) == wanted, "{format:?} in blocks of {rows}");
        }
        count += 1;
    }
    // 9 layouts of 6 codecs, without lz4 in both of Avro and bzip2 in Parquet.
    assert_eq!(count, 51);
}

/// Scenario: events with and without a time, with headers that some of them have, in every layout.
/// Guarantees: a SequenceFile gives times, with the arrival in place of a missing one; Avro gives headers, and the times that
/// there were in records of syslog.
#[test]
fn times_and_headers_are_read_back() {
    let mut builder = BatchBuilder::new();
    let zone = builder.text_column(HeaderName::from_static("zone"));
    builder.push(weir_event::Span::new(0, 3));
    builder.set_text(zone, weir_event::Span::new(6, 3));
    builder.push(weir_event::Span::new(3, 3));
    let mut batch = builder.seal(weir_event::Arena::detached(b"onetwodmz".to_vec()), 5);
    batch.set_i64(names::TIMESTAMP, vec![1_700_000_000_123, ABSENT_I64]);
    batch.set_i64(names::SEVERITY, vec![3, 4]);
    for format in formats() {
        let (events, result) = read(format, &write(format, &batch, 10));
        result.expect("readable");
        let times: Vec<_> = events.iter().map(|event| event.time_ms).collect();
        let header = |event: &Event, name: &str| {
            event.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone())
        };
        let zones: Vec<_> = events.iter().map(|event| header(event, "zone")).collect();
        let wanted = match format.layout() {
            Layout::Sequence(..) => [Some(1_700_000_000_123), Some(5)],
            Layout::AvroSyslog => [Some(1_700_000_000_123), None],
            _ => [None, None],
        };
        assert_eq!(times, wanted, "{format:?}");
        let is_avro = matches!(format.layout(), Layout::AvroFlume | Layout::AvroSyslog);
        assert_eq!(zones.iter().flatten().count(), usize::from(is_avro), "{format:?}: {zones:?}");
    }
}

/// Scenario: a large block within small limits; a length of 2 GB in a file of a few bytes.
/// Guarantees: an error that names the length, where it is, and which event is missing.
#[test]
fn lengths_are_limited() {
    let batch = EventBatch::from_bodies(&[&b"small"[..], &[b'x'; 100_000]], 0);
    let limits = Limits { event_bytes_max: 10_000, block_bytes_max: 10_000 };
    for format in formats() {
        let (_, result) = read_within(format, &write(format, &batch, 1), limits);
        let error = result.expect_err("too large");
        assert!(error.is_damage(), "{format:?}: {error}");
        assert_eq!(error.event, 2, "{format:?}: {error}");
    }
    let sequence = Format::new(LAYOUTS[2], Codec::None).expect("a format");
    let mut bytes = write(sequence, &batch, 1);
    let second = bytes.len() - 100_000 - 20;
    bytes.truncate(second);
    bytes.extend_from_slice(&i32::MAX.to_be_bytes());
    bytes.extend_from_slice(&8_u32.to_be_bytes());
    let (events, result) = read(sequence, &bytes);
    assert_eq!(bodies(&events), [b"small"]);
    let text = result.expect_err("too large").to_string();
    assert_eq!(
        text,
        format!("event 2, at byte {second}: a record claims 2147483647 bytes; more than 67108881 are not taken")
    );
}

/// Scenario: files of other kinds, and files whose end is missing or doubled, in each layout.
/// Guarantees: an error that says so; only layouts whose blocks stand alone end cleanly where a block does.
#[test]
fn what_is_no_such_file_is_said() {
    let batch = EventBatch::from_bodies(&["one", "two", "three"], 0);
    let said = |layout, bytes: &[u8]| {
        let (_, result) = read(Format::new(layout, Codec::None).expect("a format"), bytes);
        result.expect_err("damaged").to_string()
    };
    let file = |layout| write(Format::new(layout, Codec::None).expect("a format"), &batch, 2);
    for layout in &LAYOUTS[2..] {
        for bytes in [&b""[..], b"one\ntwo\n", b"SE", b"SEQ\x05", &[0; 100]] {
            let text = said(*layout, bytes);
            assert!(text.starts_with("event 1, at byte "), "{layout:?}: {text}");
        }
        let whole = file(*layout);
        let text = said(*layout, &whole[..whole.len() - 1]);
        assert!(text.contains(if *layout == Layout::Parquet { "not finished" } else { "cut off" }), "{text}");
        assert!(said(*layout, &[&whole[..], b"x"].concat()).starts_with("event "), "{layout:?}");
    }
    assert_eq!(
        said(Layout::Text, b"one\ntw"),
        "event 2, at byte 4: the line does not end: it is cut off, or longer than 67108864 bytes"
    );
    assert!(said(Layout::Json, b"{}\n").contains("without a body"));
    assert!(said(Layout::Json, b"{\"body_base64\":\"!\"}\n").contains("not base64"));
    let other = String::from_utf8_lossy(&file(LAYOUTS[2])).replace("io.LongWritable", "io.NullWritable").into_bytes();
    assert!(said(LAYOUTS[2], &other).contains("org.apache.hadoop.io.NullWritable"));
}

/// A format, bodies, and a file of them.
type Sample = (Format, Vec<Vec<u8>>, Vec<u8>);

/// Small files of every format.
static FILES: LazyLock<Vec<Sample>> = LazyLock::new(|| {
    let mut all: Vec<Vec<u8>> = vec![Vec::new(), b"a\nb".to_vec(), vec![0xff; 3]];
    all.extend((0..40).map(|number| format!("event {} of 10.0.0.{number}", number / 3).into_bytes()));
    let file = |format| {
        let bodies = fits(format, &all);
        let bytes = write(format, &EventBatch::from_bodies(&bodies, 1_600_000_000_000), 15);
        (format, bodies, bytes)
    };
    formats().map(file).collect()
});

/// Whether every byte of what a block holds is behind a sum.
fn has_sums(format: Format) -> bool {
    let is_container = !matches!(format.layout(), Layout::Text | Layout::Json);
    matches!(format.codec(), Codec::Gzip(_) | Codec::Zstd(_) | Codec::Bzip2(_)) && !is_container
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Scenario: a file of any format, cut off anywhere.
    /// Guarantees: what comes is a beginning of the bodies, in order; none of them is made up.
    #[test]
    fn a_beginning_gives_a_beginning(index in any::<prop::sample::Index>(), end in any::<prop::sample::Index>()) {
        let (format, wanted, bytes) = index.get(&FILES);
        let (events, result) = read(*format, &bytes[..end.index(bytes.len())]);
        let found = bodies(&events);
        prop_assert!(wanted.starts_with(&found.iter().map(|body| body.to_vec()).collect::<Vec<_>>()), "{:?}", format);
        if let Err(error) = result {
            prop_assert!(error.is_damage() && error.event == found.len() as u64 + 1, "{:?}: {}", format, error);
        }
    }

    /// Scenario: a file of any format with some bytes changed.
    /// Guarantees: no panic; an error counts the events that came before it, and names a place in the file. Lines in gzip,
    /// zstd and bzip2 are the same, or it is an error.
    #[test]
    fn changed_bytes_do_no_harm(
        index in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..4),
    ) {
        let (format, wanted, bytes) = index.get(&FILES);
        let mut changed = bytes.clone();
        for (place, change) in changes {
            changed[place.index(bytes.len())] ^= change;
        }
        let (events, result) = read(*format, &changed);
        match result {
            Ok(()) if has_sums(*format) => prop_assert_eq!(&bodies(&events), wanted, "{:?}", format),
            Ok(()) => {}
            Err(error) => {
                prop_assert_eq!(error.event, events.len() as u64 + 1, "{:?}: {}", format, error);
                let is_line = matches!(format.layout(), Layout::Text | Layout::Json);
                prop_assert!(is_line || error.at <= bytes.len() as u64, "{:?}: {}", format, error);
            }
        }
    }

    /// Scenario: any bytes, also behind the beginning of a valid file, as a file of any format.
    /// Guarantees: no panic, and an end.
    #[test]
    fn any_bytes_do_no_harm(
        index in any::<prop::sample::Index>(),
        begin in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..200),
        end in any::<prop::sample::Index>(),
        is_pure: bool,
    ) {
        let (format, _, bytes) = index.get(&FILES);
        let _ = read(*format, &noise);
        let (begin, end) = if is_pure { (0, bytes.len()) } else { (begin.index(bytes.len()), end.index(bytes.len())) };
        let _ = read(*format, &[&bytes[..begin], &noise, &bytes[end..]].concat());
    }
}
