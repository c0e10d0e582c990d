//! Batches as they are at rest: record batches, for destinations that keep the same form.

use std::ops::Range;

use bytes::Bytes;
use weir_codec::record_batch::{BatchHeader, DecodeError, Decoder};
use weir_event::{ChannelId, EventBatch};

/// One whole record batch of a channel, its checksum verified. It can go on as it is, which spares a decoder, an encoder
/// and the compression in between.
#[derive(Clone)]
pub struct StoredBatch {
    /// The batch, a slice of a buffer that others may share.
    pub bytes: Bytes,
    /// Its header. Producer fields are the channel's own.
    pub header: BatchHeader,
    /// The channel it comes from.
    pub channel: ChannelId,
    /// When its events reached Weir, milliseconds since 1970 UTC.
    pub arrival_ms: i64,
}

impl StoredBatch {
    /// Number of events.
    #[must_use]
    pub fn events(&self) -> u64 {
        u64::try_from(self.header.record_count).unwrap_or_default()
    }

    /// Offsets of its events, gaps included.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        let first = u64::try_from(self.header.base_offset).unwrap_or_default();
        first..first + u64::try_from(self.header.last_offset_delta).unwrap_or_default() + 1
    }

    /// The time of its first event, its arrival if that has none: about the oldest, without looking at the others.
    #[must_use]
    pub fn oldest_ms(&self) -> i64 {
        if self.header.base_timestamp < 0 { self.arrival_ms } else { self.header.base_timestamp }
    }

    /// Its events, with their origin.
    ///
    /// # Errors
    /// [`DecodeError`] if it was written by a newer version.
    pub fn decode(&self, decoder: &mut Decoder) -> Result<EventBatch, DecodeError> {
        let decoded = decoder.decode(self.bytes.clone(), Some(self.channel), self.arrival_ms)?;
        Ok(decoded.into_events().unwrap_or_else(|| EventBatch::from_bodies::<&[u8]>(&[], self.arrival_ms)))
    }
}

/// Shows counts, not events.
impl std::fmt::Debug for StoredBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoredBatch({:?} {:?}, {} bytes)", self.channel, self.range(), self.bytes.len())
    }
}
