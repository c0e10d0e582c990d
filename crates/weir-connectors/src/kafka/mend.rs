//! Batches that brokers refused as they were.

use std::time::Duration;

use bytes::Bytes;
use weir_codec::record_batch::{
    BatchHeader, DecodeError, Decoder, DecoderOptions, EncodeError, EncodedBatch, Encoder, EncoderOptions,
};
use weir_event::{ABSENT_I64, ArenaPool, EventBatch, HeaderName, names};

/// Where the time of an event goes that brokers do not take as the time of a record.
const TIME_REFUSED: HeaderName = HeaderName::from_static("weir.timestamp");

/// Times that are further ahead are surely among the refused ones: brokers take an hour unless told otherwise, less a
/// difference of clocks.
const AHEAD_MAX: Duration = Duration::from_secs(55 * 60);

/// INVALID_TIMESTAMP: brokers refuse times too far from their own.
pub(super) const INVALID_TIMESTAMP: i16 = 32;

/// Why a batch could not be mended; none of it is expected of what was just encoded.
#[derive(Debug, thiserror::Error)]
pub(super) enum MendError {
    #[error("a batch of this agent cannot be read")]
    Decode(#[from] DecodeError),
    #[error("a batch cannot be encoded anew")]
    Encode(#[from] EncodeError),
}

/// The two halves of a batch of more than one record.
pub(super) fn halves(batch: EncodedBatch) -> Result<Vec<EncodedBatch>, MendError> {
    let (events, mut encoder) = open(batch)?;
    let middle = events.len() / 2;
    [0..middle, middle..events.len()]
        .into_iter()
        .map(|rows| Ok(encoder.encode(&events.slice(rows), Vec::new())?))
        .collect()
}

/// The batch with the times in a header that [`move_times`] moves; `None` if there is none left.
pub(super) fn without_refused_times(batch: EncodedBatch, now_ms: i64) -> Result<Option<EncodedBatch>, MendError> {
    let (mut events, mut encoder) = open(batch)?;
    if !move_times(&mut events, now_ms) {
        return Ok(None);
    }
    Ok(Some(encoder.encode(&events, Vec::new())?))
}

/// Moves the times of events that brokers refused into a header: an event is kept though its device's clock is wrong.
/// Those far ahead if there are any, else all; `false` if no event has a time.
pub(super) fn move_times(events: &mut EventBatch, now_ms: i64) -> bool {
    let latest = now_ms.saturating_add(AHEAD_MAX.as_millis() as i64);
    let (given, before) = (events.timestamps(), events.numbers(TIME_REFUSED.as_str()));
    let given: Vec<Option<i64>> = events.rows().map(|row| given.get(row)).collect();
    let any_ahead = given.iter().flatten().any(|time| *time > latest);
    let moves = |time: i64| !any_ahead || time > latest;
    let moved = given.iter().zip(events.rows());
    let moved: Vec<i64> = moved
        .map(|(time, row)| time.filter(|time| moves(*time)).or_else(|| before.get(row)).unwrap_or(ABSENT_I64))
        .collect();
    let kept = given.iter().map(|time| time.filter(|time| !moves(*time)).unwrap_or(ABSENT_I64)).collect();
    if given.iter().flatten().next().is_none() {
        return false;
    }
    events.set_i64(names::TIMESTAMP, kept);
    events.set_i64(TIME_REFUSED, moved);
    true
}

/// The records of a batch as events, whatever they were made of, and an encoder that makes such a batch of them.
fn open(batch: EncodedBatch) -> Result<(EventBatch, Encoder), MendError> {
    let bytes = batch.into_bytes();
    let header = BatchHeader::parse(&bytes).map_err(DecodeError::from)?;
    let mut decoder = Decoder::new(ArenaPool::new(bytes.len(), 1), DecoderOptions::trusted());
    let decoded = decoder.decode(Bytes::from(bytes), None, 0)?;
    let events = decoded.into_events().unwrap_or_else(|| EventBatch::from_bodies::<&[u8]>(&[], 0));
    let options = EncoderOptions { compression: header.compression().unwrap_or_default(), ..EncoderOptions::default() };
    Ok((events, Encoder::new(options).expect("without a level there is no invalid one")))
}

#[cfg(test)]
mod tests {
    use weir_codec::record_batch::Compression;

    use super::*;

    fn batch(times: Vec<i64>) -> EncodedBatch {
        let bodies: Vec<String> = (0..times.len()).map(|row| format!("event {row}")).collect();
        let mut events = EventBatch::from_bodies(&bodies, 0);
        events.set_constant(names::HOST, "fw1");
        events.set_constant(names::KEY, "k");
        events.set_i64(names::TIMESTAMP, times);
        let options = EncoderOptions { compression: Compression::Lz4, ..EncoderOptions::default() };
        Encoder::new(options).expect("no level").encode(&events, Vec::new()).expect("small")
    }

    /// Scenario: a batch is cut in two; its times are partly, then wholly refused.
    /// Guarantees: bodies, keys, headers and compression stay; refused times are in a header, the others in their field.
    #[test]
    fn mended_batches_keep_their_events() {
        let halves = halves(batch(vec![1, 2, 3])).expect("halves");
        assert_eq!(halves.iter().map(EncodedBatch::record_count).collect::<Vec<_>>(), vec![1, 2]);
        let mut rows = Vec::new();
        for half in halves {
            let compression = BatchHeader::parse(half.as_bytes()).expect("a header").compression();
            assert_eq!(compression, Some(Compression::Lz4));
            let (events, _) = open(half).expect("whole");
            let host = events.header(0, "host").map(|host| host.into_owned());
            assert_eq!((host.as_deref(), events.header(0, "key").as_deref()), (Some(&b"fw1"[..]), Some(&b"k"[..])));
            rows.extend((0..events.len()).map(|row| (events.body(row).to_vec(), events.timestamp_ms(row))));
        }
        assert_eq!(rows.iter().map(|row| row.1).collect::<Vec<_>>(), vec![Some(1), Some(2), Some(3)]);
        assert_eq!(rows[2].0, b"event 2");
        let (now, ahead) = (1_000_000_000, i64::MAX / 2);
        let mut refused = batch(vec![1, ahead, 3]);
        for kept in [[Some(1), None, Some(3)], [None; 3]] {
            refused = without_refused_times(refused, now).expect("mended").expect("there are times");
            let (events, _) =
                open(EncodedBatch::from_bytes(refused.as_bytes().to_vec()).expect("a header")).expect("whole");
            assert_eq!((0..3).map(|row| events.timestamp_ms(row)).collect::<Vec<_>>(), kept);
            assert_eq!(events.header(1, "weir.timestamp").as_deref(), Some(ahead.to_string().as_bytes()));
        }
        assert!(without_refused_times(refused, now).expect("readable").is_none(), "no time is left");
    }
}
