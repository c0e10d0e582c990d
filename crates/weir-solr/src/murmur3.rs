//! MurmurHash3 x86 32 with seed 0: what Solr's `compositeId` router hashes ids with.

/// The hash of `bytes`.
pub(crate) fn murmur3(bytes: &[u8]) -> u32 {
    let (mut hash, (words, tail)) = (0_u32, bytes.as_chunks::<4>());
    for word in words {
        hash = (hash ^ scramble(u32::from_le_bytes(*word))).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    if !tail.is_empty() {
        let mut last = [0; 4];
        last[..tail.len()].copy_from_slice(tail);
        hash ^= scramble(u32::from_le_bytes(last));
    }
    // Lengths are counted in 32 bits, as by everybody else who computes this hash.
    hash ^= bytes.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

fn scramble(word: u32) -> u32 {
    word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

#[cfg(test)]
mod tests {
    use super::murmur3;

    /// Scenario: texts whose hashes Solr's own documentation and the reference implementation give.
    /// Guarantees: the same values.
    #[test]
    fn known_hashes() {
        assert_eq!(murmur3(b""), 0);
        assert_eq!(murmur3(b"contact") as i32, -541_354_036);
        assert_eq!(murmur3(b"0000000KISS") as i32, 2_099_700_320);
        assert_eq!(murmur3(b"Hello, world!"), 0xc036_3e43);
    }
}
