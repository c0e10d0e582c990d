//! `N SP` before a frame of RFC 6587.

/// Longest run of digits that is still read as a count: 2^32 has ten, and anything longer is not a length.
const COUNT_DIGITS_MAX: usize = 10;

/// The start of a frame on an octet-counted connection.
pub(super) enum Prefix {
    /// `N SP`: the prefix's length and the count.
    Count { prefix_bytes: usize, count: u64 },
    /// Could become a count with more bytes.
    Unfinished,
    /// Not a count.
    Other,
}

/// Reads `N SP` at the start of `bytes`. A count has at most ten digits or, with `any_length`, is absurd beyond those.
#[inline]
pub(super) fn prefix(bytes: &[u8], any_length: bool) -> Prefix {
    if let Some((prefix_bytes, count)) = short_prefix(bytes) {
        return Prefix::Count { prefix_bytes, count };
    }
    let mut count = 0_u64;
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b'0' if index == 0 => return Prefix::Other,
            b'0'..=b'9' if index < COUNT_DIGITS_MAX => count = count * 10 + u64::from(byte - b'0'),
            b'0'..=b'9' if any_length => {
                return Prefix::Count { prefix_bytes: 0, count: u64::MAX };
            }
            b' ' if index > 0 => {
                return Prefix::Count { prefix_bytes: index + 1, count };
            }
            _ => return Prefix::Other,
        }
    }
    Prefix::Unfinished
}

/// `N SP` with one to three digits, where most counts are, read without a branch per digit: their number changes from
/// message to message, and a branch guessed wrong costs more than all of this.
#[inline]
fn short_prefix(bytes: &[u8]) -> Option<(usize, u64)> {
    let word = u32::from_le_bytes(*bytes.first_chunk()?);
    // The lowest zero byte of the difference is the blank; the formula finds the lowest one exactly.
    let difference = word ^ 0x2020_2020;
    let blank = difference.wrapping_sub(0x0101_0101) & !difference & 0x8080_8080;
    let digits = blank.trailing_zeros() / 8;
    if !(1..=3).contains(&digits) {
        return None;
    }
    // The digits move to the upper bytes, behind zeros that count as leading ones.
    let padded = (word ^ 0x3030_3030) << (8 * (4 - digits));
    if (padded.wrapping_add(0x7676_7676) | padded) & 0x8080_8080 != 0 || word & 0xff == u32::from(b'0') {
        return None;
    }
    let [_, hundreds, tens, ones] = padded.to_le_bytes().map(u64::from);
    Some((digits as usize + 1, hundreds * 100 + tens * 10 + ones))
}
