//! Variable-length integers of record batches: zigzag, seven bits a byte, least significant group first.

/// Bytes of the longest one: 64 bits in groups of seven.
pub(crate) const VARINT_BYTES_MAX: usize = 10;

/// Maps numbers of small magnitude, of either sign, to small unsigned ones.
#[inline]
pub(crate) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline]
const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Encoded size of a value, in bytes. No branch and no division: `x * 9 + 73 >> 6` equals `x / 7 + 1` for 0..=63.
#[inline]
pub(crate) const fn varint_bytes(value: i64) -> usize {
    let last_bit = (zigzag(value) | 1).leading_zeros() ^ 63;
    ((last_bit * 9 + 73) >> 6) as usize
}

/// Encoded size of a length, in bytes.
#[inline]
pub(crate) const fn length_bytes(length: usize) -> usize {
    varint_bytes(length as i64)
}

/// Reads the varint at `*at` and moves `*at` behind it; `None` if it runs past the end of `bytes` or past 64 bits.
#[inline(always)]
pub(crate) fn read_varint(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let first = *bytes.get(*at)?;
    if first < 0x80 {
        *at += 1;
        return Some(unzigzag(u64::from(first)));
    }
    let second = *bytes.get(*at + 1)?;
    if second < 0x80 {
        *at += 2;
        return Some(unzigzag(u64::from(first & 0x7f) | u64::from(second) << 7));
    }
    read_long(bytes, at)
}

/// The values of three bytes and more: rare in events of syslog size, so kept out of the callers.
#[inline(never)]
fn read_long(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let mut value = 0;
    for (index, byte) in bytes.get(*at..)?.iter().take(VARINT_BYTES_MAX).enumerate() {
        // The tenth byte holds the 64th bit and nothing else.
        if index + 1 == VARINT_BYTES_MAX && *byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            *at += index + 1;
            return Some(unzigzag(value));
        }
    }
    None
}

/// Reads a length: `Some(None)` is a null (-1).
#[inline(always)]
pub(crate) fn read_length(bytes: &[u8], at: &mut usize) -> Option<Option<usize>> {
    match read_varint(bytes, at)? {
        -1 => Some(None),
        length => usize::try_from(length).ok().map(Some),
    }
}
