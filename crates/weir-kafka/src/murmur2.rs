//! [`partition_for_key`]: where Kafka's own producers put a key.

/// Of Kafka's hash; another seed is another hash.
const SEED: u32 = 0x9747_b28c;
/// Multiplier and shift of murmur2.
const MULTIPLIER: u32 = 0x5bd1_e995;
const SHIFT: u32 = 24;

/// The partition that the Java client's default partitioner gives to `key`, so that its producers and this one agree on
/// where the events of a key are; 0 if there are no partitions. Reads the key once, allocates nothing.
#[must_use]
pub fn partition_for_key(key: &[u8], partitions: u32) -> u32 {
    // Without the sign bit: what Java does instead of taking the absolute value.
    (murmur2(key) & (u32::MAX >> 1)).checked_rem(partitions).unwrap_or(0)
}

/// Murmur2 of 32 bits, reading the data as little-endian words.
fn murmur2(data: &[u8]) -> u32 {
    // Java's lengths are 32 bits as well; no key is longer.
    let mut hash = SEED ^ data.len() as u32;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut mixed = u32::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        mixed = (mixed ^ (mixed >> SHIFT)).wrapping_mul(MULTIPLIER);
        hash = hash.wrapping_mul(MULTIPLIER) ^ mixed;
    }
    if !rest.is_empty() {
        let last = rest.iter().rev().fold(0, |last, byte| last << 8 | u32::from(*byte));
        hash = (hash ^ last).wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: the vectors of Kafka's own tests of its hash, with every length of the rest.
    /// Guarantees: the same hashes, so the same partitions; never one that is not there.
    #[test]
    fn hashes_are_those_of_the_java_client() {
        let vectors: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, hash) in vectors {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
            let positive = hash & i32::MAX;
            assert_eq!(partition_for_key(key.as_bytes(), 12), positive.cast_unsigned() % 12);
        }
        assert_eq!((partition_for_key(b"", 1), partition_for_key(b"any", 0)), (0, 0));
    }
}
