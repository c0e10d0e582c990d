//! Records of one partition with everything in them, to write and to compare.

use std::collections::BTreeMap;
use std::sync::Arc;

use libtest_mimic::Failed;
use weir_codec::record_batch::{Compression, Decoder, DecoderOptions, EncodedBatch, Encoder, EncoderOptions};
use weir_event::{ArenaPool, ChannelId, EventBatch, HeaderName, Span, TextColumn, names};
use weir_kafka::{Cluster, FetchOptions, Fetcher};

pub(crate) const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// A record; `None` where there is a null that events can tell from an empty text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Record {
    pub(crate) offset: u64,
    pub(crate) key: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// What `partition` holds from offset `from` to before `until`, by a fetcher with `options`. CRCs are checked; offsets must
/// ascend.
pub(crate) async fn read(
    cluster: &Cluster,
    topic: &str,
    (from, until): (i64, i64),
    options: FetchOptions,
) -> Result<Vec<Record>, Failed> {
    let mut fetcher = Fetcher::new(cluster, options);
    fetcher.assign(topic, 0, from);
    let mut decoder = Decoder::new(ArenaPool::new(1 << 20, 2), DecoderOptions::default());
    let mut found: Vec<Record> = Vec::new();
    let mut next_offset = from;
    while next_offset < until {
        let fetched = fetcher.next().await?;
        for batch in fetched.batches {
            let decoded = decoder.decode(batch.bytes, Some(ChannelId { log: 0, partition: 0 }), 0)?;
            let events = decoded.into_events().ok_or("a control batch")?;
            for record in (0..events.len()).map(|row| record(&events, row)) {
                assert!(found.last().is_none_or(|last| last.offset < record.offset), "offsets ascend");
                // The first batch starts before the offset if that is in its middle.
                if record.offset >= from as u64 {
                    found.push(record);
                }
            }
        }
        assert!(fetched.next_offset > next_offset, "every answer leads on");
        next_offset = fetched.next_offset;
    }
    assert!(found.last().is_none_or(|last| last.offset < next_offset as u64));
    Ok(found)
}

fn record(events: &EventBatch, row: usize) -> Record {
    let text = |name: &str| events.header(row, name).map(|value| String::from_utf8_lossy(&value).into_owned());
    let headers = events.columns().iter().map(|(name, _)| name.as_str());
    let headers = headers.filter(|name| *name != "key" && *name != "timestamp");
    Record {
        offset: events.origin().and_then(|origin| origin.offset(row)).unwrap_or(u64::MAX),
        key: text("key"),
        headers: headers.filter_map(|name| Some((name.to_owned(), text(name)?))).collect(),
        body: String::from_utf8_lossy(events.body(row)).into_owned(),
    }
}

/// A batch of `records`, all of one time; their offsets do not matter yet.
pub(crate) fn encode(records: &[Record], timestamp_ms: i64, compression: Compression) -> Result<EncodedBatch, Failed> {
    let bodies: Vec<_> = records.iter().map(|record| &record.body).collect();
    let mut events = EventBatch::from_bodies(&bodies, 0);
    events.set_i64(names::TIMESTAMP, vec![timestamp_ms; records.len()]);
    events.set_text(names::KEY, column(records.iter().map(|record| record.key.as_deref())));
    let mut header_names: Vec<_> = records.iter().flat_map(|record| record.headers.keys()).collect();
    header_names.sort();
    header_names.dedup();
    for name in header_names {
        let values = records.iter().map(|record| record.headers.get(name).map(String::as_str));
        events.set_text(HeaderName::new(name), column(values));
    }
    let mut encoder = Encoder::new(EncoderOptions { compression, ..EncoderOptions::default() })?;
    Ok(encoder.encode(&events, Vec::new())?)
}

fn column<'a>(values: impl Iterator<Item = Option<&'a str>>) -> TextColumn {
    let mut arena = Vec::new();
    let mut span = |value: Option<&str>| {
        let Some(value) = value else { return Span::ABSENT };
        arena.extend_from_slice(value.as_bytes());
        Span::new(arena.len() - value.len(), value.len())
    };
    let spans = values.map(&mut span).collect();
    TextColumn { arena: arena.into(), spans: Arc::new(spans) }
}

/// Records with and without keys and headers, an empty one of each among them.
pub(crate) fn assorted(label: &str, first_offset: u64) -> Vec<Record> {
    let record = |number: u64| Record {
        offset: first_offset + number,
        key: [None, Some(format!("key-{number}")), Some(String::new())][(number % 3) as usize].clone(),
        headers: match number % 4 {
            0 => BTreeMap::new(),
            1 => BTreeMap::from([("host".to_owned(), "fw1".to_owned())]),
            2 => BTreeMap::from([("empty".to_owned(), String::new()), ("host".to_owned(), "f\u{fc}nf".to_owned())]),
            _ => BTreeMap::from([("only".to_owned(), number.to_string())]),
        },
        body: if number.is_multiple_of(5) { String::new() } else { format!("{label} event {number} \u{2713}") },
    };
    (0..60).map(record).collect()
}
