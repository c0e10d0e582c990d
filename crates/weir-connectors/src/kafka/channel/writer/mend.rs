//! Batches that brokers refused as they were.

use bytes::Bytes;
use weir_codec::record_batch::{
    BatchHeader, DecodeError, Decoder, DecoderOptions, EncodeError, EncodedBatch, Encoder, EncoderOptions,
};
use weir_event::{ABSENT_I64, ArenaPool, EventBatch, HeaderName, names};

/// Where the time of an event goes that brokers do not take as the time of a record.
const TIME_REFUSED: HeaderName = HeaderName::from_static("weir.timestamp");

/// What was changed about the times of a batch, because brokers refuse times too far from their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Times {
    AsGiven,
    /// Times later than this are in a header instead, milliseconds since 1970 UTC.
    Until(i64),
    /// All are.
    None,
}

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

/// The batch with times in a header: an event is kept though its device's clock is wrong.
pub(super) fn with_times(batch: EncodedBatch, times: Times) -> Result<EncodedBatch, MendError> {
    let (mut events, mut encoder) = open(batch)?;
    let given = events.timestamps();
    let given: Vec<i64> = (0..events.len()).map(|row| given.get(row).unwrap_or(ABSENT_I64)).collect();
    let is_taken = |time: i64| match times {
        Times::AsGiven => true,
        Times::Until(latest) => time <= latest,
        Times::None => false,
    };
    let either =
        |taken: bool| given.iter().map(|time| if is_taken(*time) == taken { *time } else { ABSENT_I64 }).collect();
    let (kept, refused) = (either(true), either(false));
    events.set_i64(names::TIMESTAMP, kept);
    events.set_i64(TIME_REFUSED, refused);
    Ok(encoder.encode(&events, Vec::new())?)
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
        for (times, kept) in [(Times::Until(2), [Some(1), Some(2), None]), (Times::None, [None; 3])] {
            let (events, _) = open(with_times(batch(vec![1, 2, 3]), times).expect("mended")).expect("whole");
            assert_eq!((0..3).map(|row| events.timestamp_ms(row)).collect::<Vec<_>>(), kept);
            assert_eq!(events.header(2, "weir.timestamp").as_deref(), Some(&b"3"[..]));
        }
    }
}
