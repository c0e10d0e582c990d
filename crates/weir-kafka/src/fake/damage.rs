//! What happens to logs behind the back of their readers.

use bytes::Bytes;

use super::FakeCluster;

impl FakeCluster {
    /// Retention takes the records of a partition below `offset`.
    pub fn delete_below(&self, topic: &str, partition: usize, offset: i64) {
        self.with_log(topic, partition, |log| log.start_offset = offset);
    }

    /// Flips a bit in the last byte of a batch of a partition, counted from 0; a second time mends it.
    ///
    /// # Panics
    /// If there is no such batch.
    pub fn flip_a_bit(&self, topic: &str, partition: usize, batch: usize) {
        self.with_log(topic, partition, |log| {
            let mut bytes = log.batches[batch].to_vec();
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
            log.batches[batch] = Bytes::from(bytes);
        });
    }
}
