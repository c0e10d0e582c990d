//! Tests of the encoder and decoder together.
//!
//! | file | what |
//! |---|---|
//! | `round_trip.rs` | random batches through every compression and header selection |
//! | `oracle.rs` | batches of an independent implementation of the format, and ours read by it |
//! | `recompress.rs` | stored batches compressed as they are |
//! | `damage.rs` | arbitrary, mutated and truncated bytes; limits |
//! | `fields.rs` | single rules: timestamps, offsets, nulls, control batches, reserved names |

mod damage;
mod fields;
mod oracle;
mod recompress;
mod round_trip;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use weir_event::{ABSENT_I64, ArenaPool, Column, EventBatch, HeaderName, Span, TextColumn, names};

use super::*;

const COMPRESSIONS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// One event, spelled out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Event {
    pub(crate) body: Vec<u8>,
    pub(crate) headers: BTreeMap<String, Vec<u8>>,
}

pub(crate) fn events(batch: &EventBatch) -> Vec<Event> {
    let event = |row| {
        let value = |(name, column): &(HeaderName, Column)| {
            batch.value(column, row).map(|value| (name.to_string(), value.into_owned()))
        };
        Event { body: batch.body(row).to_vec(), headers: batch.columns().iter().filter_map(value).collect() }
    };
    (0..batch.len()).map(event).collect()
}

fn encoder(compression: Compression, headers: HeaderSelection) -> Encoder {
    Encoder::new(EncoderOptions { compression, level: None, headers }).expect("no level is always right")
}

fn decoder(options: DecoderOptions) -> Decoder {
    Decoder::new(ArenaPool::new(4096, 2), options)
}

fn decode(stored: impl Into<Bytes>) -> Result<EventBatch, DecodeError> {
    let decoded = decoder(DecoderOptions::default()).decode(stored.into(), None, 0)?;
    Ok(decoded.into_events().expect("no control batch"))
}

pub(crate) fn text_column(values: &[Option<Vec<u8>>]) -> TextColumn {
    let mut arena = Vec::new();
    let span = |value: &Option<Vec<u8>>| {
        let Some(value) = value else {
            return Span::ABSENT;
        };
        arena.extend_from_slice(value);
        Span::new(arena.len() - value.len(), value.len())
    };
    let spans = values.iter().map(span).collect();
    TextColumn { arena: arena.into(), spans: Arc::new(spans) }
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..40),
        4 => "[a-z ]{60,300}".prop_map(String::into_bytes),
        1 => (0_usize..70_000, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ]
}

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![2 => 0_i64..30, 1 => any::<i64>(), 1 => -1000_i64..1000, 1 => Just(ABSENT_I64), 1 => Just(i64::MAX)]
}

fn column(rows: usize) -> impl Strategy<Value = Column> {
    let text = prop::option::weighted(0.8, prop::collection::vec(any::<u8>(), 0..30));
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60).prop_map(|value| Column::Constant(value.into())),
        prop::collection::vec(number(), rows).prop_map(|values| Column::I64(Arc::new(values))),
        prop::collection::vec(text, rows).prop_map(|values| Column::Text(text_column(&values))),
    ]
}

pub(crate) fn header_name() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-e]", 2 => "host|Facility|flume.syslog.status", 1 => "[a-z]{15,50}", 1 => Just(String::new())]
}

prop_compose! {
    /// A batch of any shape, often a window of a larger one. Timestamps -1 are left out: a record cannot tell them
    /// from none.
    pub(crate) fn any_batch()(rows in 1_usize..40)(
        bodies in prop::collection::vec(body(), rows),
        headers in prop::collection::btree_map(header_name(), column(rows), 0..5),
        key in prop::option::of(column(rows)),
        timestamps in prop::option::of(prop::collection::vec(number(), rows)),
        window in (0..rows).prop_flat_map(move |start| (Just(start), start + 1..=rows)),
    ) -> EventBatch {
        let mut columns: Vec<_> = headers.into_iter().map(|(name, column)| (HeaderName::new(&name), column)).collect();
        columns.extend(key.map(|column| (names::KEY, column)));
        let known = |value: i64| if value == -1 { 7 } else { value };
        columns.extend(timestamps.map(|values| {
            (names::TIMESTAMP, Column::I64(Arc::new(values.into_iter().map(known).collect())))
        }));
        let bodies = bodies.into_iter().map(Some).collect::<Vec<_>>();
        EventBatch::new(text_column(&bodies), columns, 5).slice(window.0..window.1)
    }
}
