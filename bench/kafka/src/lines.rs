//! The lines that both clients send: the same bytes, made before the clock runs.

use weir_codec::synth::{Synth, SynthOptions};
use weir_event::EventBatch;

/// Events in a batch, as in the table.
pub(crate) const BATCH_EVENTS: u64 = 5_000;
/// Partitions of every topic.
pub(crate) const PARTITIONS: i32 = 12;
/// Different batches, sent round robin: 100,000 lines, 19 MB, more than a compressor's window or a processor's cache
/// holds, so that no client has an easier time than in life.
const BATCHES: u64 = 20;
/// Time of the first line, Unix milliseconds; each is a millisecond after the one before.
const FIRST_MS: i64 = 1_760_000_000_000;

/// Ready-made batches of synthetic syslog.
pub(crate) struct Lines {
    batches: Vec<EventBatch>,
}

impl Lines {
    /// 100,000 lines; 30 ms.
    pub(crate) fn new() -> Self {
        Self { batches: (0..BATCHES).map(batch).collect() }
    }

    /// The batch with number `index`; the numbers go on for ever, the batches repeat.
    pub(crate) fn batch(&self, index: u64) -> &EventBatch {
        &self.batches[(index % BATCHES) as usize]
    }

    /// Bytes of the bodies of the first `events`, a multiple of [`BATCH_EVENTS`].
    pub(crate) fn bytes(&self, events: u64) -> u64 {
        (0..events / BATCH_EVENTS).map(|index| self.batch(index).body_bytes() as u64).sum()
    }
}

fn batch(seed: u64) -> EventBatch {
    let mut synth = Synth::new(seed, SynthOptions::default());
    let bodies: Vec<Vec<u8>> = (0..BATCH_EVENTS as i64)
        .map(|index| {
            let mut line = Vec::new();
            synth.line(FIRST_MS + index, &mut line);
            line
        })
        .collect();
    EventBatch::from_bodies(&bodies, FIRST_MS)
}
