//! Which shard an id belongs to: Solr's `compositeId` router.
//!
//! An id is hashed whole, unless it has `!` in it: then the parts before give the upper bits of the hash, so that documents
//! with the same prefix are in one shard. `prefix/BITS!rest` says how many bits. What Solr computes is computed here bit for
//! bit, oddities included; a trial compares the two.

use crate::murmur3::murmur3;

const SEPARATOR: u8 = b'!';
/// Bits that each leading part gives where there is one of them, and where there are two.
const BITS_OF_ONE: u32 = 16;
const BITS_OF_TWO: u32 = 8;

/// The hash of an id, by which its shard is found. One pass over the id, no allocation.
#[must_use]
pub fn id_hash(id: &[u8]) -> u32 {
    let Some(first) = id.iter().position(|byte| *byte == SEPARATOR) else { return murmur3(id) };
    let (parts, count) = parts(id, first);
    match count {
        3 => {
            let (one, one_bits) = leading(parts[0], BITS_OF_TWO);
            let (two, two_bits) = leading(parts[1], BITS_OF_TWO);
            let both_bits = one_bits.wrapping_add(two_bits);
            let upper = upper_mask(one_bits);
            let middle = upper ^ upper_mask(both_bits);
            let lower = if both_bits == 32 { 0 } else { !(upper | middle) };
            (murmur3(one) & upper) | (murmur3(two) & middle) | (murmur3(parts[2]) & lower)
        }
        _ => {
            let (one, bits) = leading(parts[0], BITS_OF_ONE);
            let lower = if bits == 32 { 0 } else { u32::MAX.wrapping_shr(bits) };
            (murmur3(one) & upper_mask(bits)) | (murmur3(parts[1]) & lower)
        }
    }
}

/// The parts of an id with at least one separator, the first of which is at `first`, and how many count. Separators
/// beyond the second are part of the last part; one at the very end leaves an empty part behind it. At least two count.
fn parts(id: &[u8], first: usize) -> ([&[u8]; 3], usize) {
    let last = id.len() - 1;
    let (head, rest) = (&id[..first], &id[first + 1..]);
    let mut parts: [&[u8]; 3] = [head, &[], &[]];
    let mut count = 1;
    if first < last {
        match rest.iter().position(|byte| *byte == SEPARATOR) {
            None => (parts[1], count) = (rest, 2),
            Some(at) if first + 1 + at == last => {
                if at > 0 {
                    (parts[1], count) = (&rest[..at], 2);
                }
            }
            Some(at) => ([parts[1], parts[2]], count) = ([&rest[..at], &rest[at + 1..]], 3),
        }
    }
    if id.ends_with(&[SEPARATOR]) && count < 3 {
        count += 1;
    }
    (parts, count)
}

/// A leading part without its number of bits, and that number.
fn leading(part: &[u8], default: u32) -> (&[u8], u32) {
    let Some(slash) = part.iter().position(|byte| *byte == b'/').filter(|at| *at > 0) else { return (part, default) };
    let digits = &part[slash + 1..];
    let mut bits = 0_i32;
    for digit in digits {
        bits = bits.wrapping_mul(10).wrapping_add(i32::from(*digit) - i32::from(b'0'));
    }
    // Solr takes -1 for what it cannot read, and shifts by that.
    let is_number = digits.iter().all(u8::is_ascii_digit) && bits <= 32;
    (&part[..slash], if is_number { bits } else { -1 }.cast_unsigned())
}

/// The upper `bits` bits. Shifts count modulo 32, as they do in Java.
fn upper_mask(bits: u32) -> u32 {
    if bits == 0 { 0 } else { u32::MAX.wrapping_shl(32_u32.wrapping_sub(bits)) }
}

#[cfg(test)]
mod tests {
    use super::id_hash;

    /// Scenario: the example in the documentation of Solr's router, and ids at the edges of the rule.
    /// Guarantees: prefix bits above, the rest below; nothing panics.
    #[test]
    fn prefixes_give_the_upper_bits() {
        assert_eq!(id_hash(b"contact!0000000KISS"), 0b1101_1111_1011_1011_1110_0010_0110_0000);
        assert_eq!(id_hash(b"contact!a") >> 16, id_hash(b"contact!b") >> 16);
        assert_eq!(id_hash(b"contact/4!a") >> 28, id_hash(b"contact!b") >> 28);
        for odd in ["!", "!!", "a!", "!a", "a!b!", "a!!", "!!!", "a/!b", "a/99!b", "a/x!b", "/4!b", "a/32!b", "a/0!b"] {
            let _ = id_hash(odd.as_bytes());
        }
    }
}
