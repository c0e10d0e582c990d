//! Events to record batches that a topic takes: none larger than it allows.

use weir_codec::record_batch::{Compression, EncodeError, EncodedBatch, Encoder, EncoderOptions, InvalidLevel};
use weir_event::EventBatch;

use super::record::RecordSpec;

/// Makes record batches. One per thread.
pub(crate) struct BatchEncoder {
    encoder: Encoder,
    record: RecordSpec,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    /// Record batches with what went into them, in the order of the events.
    pub(crate) encoded: Vec<EncodedBatch>,
    /// Single events that are larger than a whole batch may be; with their size, bytes.
    pub(crate) too_large: Vec<(EventBatch, usize)>,
}

impl BatchEncoder {
    /// An encoder of records as `record` says.
    ///
    /// # Errors
    /// If the compression does not have the level.
    pub(crate) fn new(record: RecordSpec, compression: Compression, level: Option<i32>) -> Result<Self, InvalidLevel> {
        let options = EncoderOptions { compression, level, headers: record.headers.clone() };
        Ok(Self { encoder: Encoder::new(options)?, record })
    }

    /// Encodes `batch`, in several pieces if one would be larger than `bytes_max`.
    ///
    /// # Errors
    /// [`EncodeError::Compress`] if the library behind the compression fails.
    pub(crate) fn encode(
        &mut self,
        batch: &EventBatch,
        bytes_max: usize,
        pieces: &mut Pieces,
    ) -> Result<(), EncodeError> {
        if batch.is_empty() {
            return Ok(());
        }
        match self.record.sent(batch) {
            Ok(values) => self.pieces(batch, &values, bytes_max, pieces),
            Err(_) if batch.len() > 1 => {
                let middle = batch.len() / 2;
                self.encode(&batch.slice(0..middle), bytes_max, pieces)?;
                self.encode(&batch.slice(middle..batch.len()), bytes_max, pieces)
            }
            Err(error) => {
                pieces.too_large.push((batch.clone(), error.bytes));
                Ok(())
            }
        }
    }

    /// `values` are the events of `batch` as they become records.
    fn pieces(
        &mut self,
        batch: &EventBatch,
        values: &EventBatch,
        bytes_max: usize,
        pieces: &mut Pieces,
    ) -> Result<(), EncodeError> {
        let bytes = match self.encoder.encode(values, Vec::new()) {
            Ok(encoded) if encoded.as_bytes().len() <= bytes_max => {
                pieces.encoded.push(encoded);
                return Ok(());
            }
            Ok(encoded) => encoded.as_bytes().len(),
            Err(EncodeError::TooLarge { bytes, .. }) => bytes,
            Err(error) => return Err(error),
        };
        if batch.len() == 1 {
            pieces.too_large.push((batch.clone(), bytes));
            return Ok(());
        }
        // As many parts as fit by their average, one more for those above it; at least two, so that it ends.
        let parts = (bytes / bytes_max.max(1) + 1).clamp(2, batch.len());
        let rows = batch.len().div_ceil(parts);
        for first in (0..batch.len()).step_by(rows) {
            let range = first..(first + rows).min(batch.len());
            self.pieces(&batch.slice(range.clone()), &values.slice(range), bytes_max, pieces)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use weir_codec::record_batch::{Decoder, DecoderOptions, HeaderSelection};
    use weir_event::ArenaPool;

    use super::super::record::Format;
    use super::*;

    /// Scenario: events of very different sizes, one of them larger than a batch may be.
    /// Guarantees: no piece is over the limit, every event is in exactly one piece, in order, and the large one is apart.
    #[test]
    fn pieces_stay_below_the_limit() {
        let bodies: Vec<Vec<u8>> = (0..200)
            .map(|number: usize| vec![b'a' + (number % 26) as u8; if number == 77 { 5_000 } else { number * 3 }])
            .collect();
        let batch = EventBatch::from_bodies(&bodies, 0);
        let record = RecordSpec { format: Format::Raw, headers: HeaderSelection::All };
        let mut encoder = BatchEncoder::new(record, Compression::None, None).expect("no level");
        let mut pieces = Pieces::default();
        encoder.encode(&batch, 3_000, &mut pieces).expect("encodes");
        let mut decoder = Decoder::new(ArenaPool::new(1 << 16, 1), DecoderOptions::default());
        let mut found = Vec::new();
        for encoded in pieces.encoded {
            assert!(encoded.as_bytes().len() <= 3_000);
            let decoded = decoder.decode(Bytes::from(encoded.into_bytes()), None, 0).expect("whole");
            let events = decoded.into_events().expect("events");
            found.extend((0..events.len()).map(|row| events.body(row).to_vec()));
        }
        let [(large, bytes)] = &pieces.too_large[..] else { panic!("one event is too large") };
        assert_eq!((large.body(0), large.len()), (&bodies[77][..], 1));
        assert!(*bytes > 5_000);
        let expected: Vec<_> =
            bodies.iter().enumerate().filter(|(number, _)| *number != 77).map(|(_, body)| body.clone()).collect();
        assert_eq!(found, expected);
    }
}
