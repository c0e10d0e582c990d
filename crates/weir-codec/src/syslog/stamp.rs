//! Timestamps, as standards and devices write them.
//!
//! Every function takes the line and where the timestamp starts, and gives milliseconds since 1970 UTC and the first
//! byte after it; `None` if it is not that form. A timestamp has to be followed by a blank, a colon or the line's end.

use super::context::{DAY_MS, HOUR_MS, MINUTE_MS, ParseContext, SECOND_MS, days_from_civil, days_in_month};
use super::zone::{numeric_zone, zone_word};

/// A timestamp that was read.
#[derive(Clone, Copy)]
pub(super) struct Stamp {
    /// Milliseconds since 1970 UTC.
    pub(super) ms: i64,
    /// First byte after the timestamp, its zone word and its year.
    pub(super) end: usize,
}

/// Three letters of a month and its index, at `(second + third letter) % 32`, where no two months meet.
const MONTHS: [(u32, u8); 32] = {
    let names = [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    // No letters are 0, so empty places match nothing.
    let mut table = [(0, 0); 32];
    let mut index = 0;
    while index < 12 {
        let [first, second, third] = *names[index];
        let place = (second as usize + third as usize) % 32;
        assert!(table[place].0 == 0);
        table[place] = (u32::from_le_bytes([first, second, third, 0]), index as u8);
        index += 1;
    }
    table
};

const MONTH_REST: [&[u8]; 12] =
    [b"uary", b"ruary", b"ch", b"il", b"", b"e", b"y", b"ust", b"tember", b"ober", b"ember", b"ember"];

/// Index 0..=11 of a month given by three letters in any case.
#[inline]
fn month_index(letters: [u8; 3]) -> Option<usize> {
    let [first, second, third] = letters.map(|letter| letter | 0x20);
    let (name, index) = MONTHS[(second as usize + third as usize) % 32];
    (name == u32::from_le_bytes([first, second, third, 0])).then_some(index as usize)
}

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// The eight bytes with '0' taken from digits and `pattern`'s own byte from separators; `None` if a digit is not one
/// or a separator differs. `pattern` has '0' where a digit stands.
#[inline]
fn digits_in(text: [u8; 8], pattern: &[u8; 8]) -> Option<u64> {
    let mut beyond = [0; 8];
    let mut index = 0;
    while index < 8 {
        // Sets the high bit of everything above 9 in a digit's place, above 0 in a separator's.
        beyond[index] = if pattern[index] == b'0' { 0x80 - 10 } else { 0x80 - 1 };
        index += 1;
    }
    let digits = u64::from_le_bytes(text) ^ u64::from_le_bytes(*pattern);
    // Bytes with the high bit already set are caught by the second operand; only they can carry into a neighbour.
    ((digits.wrapping_add(u64::from_le_bytes(beyond)) | digits) & HIGH_BITS == 0).then_some(digits)
}

/// Byte `place` of the result is the number that digits `place` and `place + 1` form.
#[inline]
fn pairs(digits: u64) -> [u8; 8] {
    // At most 9 * 10 + 9 in each byte: no carry.
    (digits.wrapping_mul(10).wrapping_add(digits >> 8)).to_le_bytes()
}

/// `hh:mm:ss` to milliseconds. 60 seconds are allowed: leap seconds are sent.
#[inline]
fn clock_ms(text: [u8; 8]) -> Option<i64> {
    let [hour, _, _, minute, _, _, second, _] = pairs(digits_in(text, b"00:00:00")?);
    (hour < 24 && minute < 60 && second <= 60)
        .then(|| i64::from(hour) * HOUR_MS + i64::from(minute) * MINUTE_MS + i64::from(second) * SECOND_MS)
}

/// `Mmm dd hh:mm:ss` and a blank, behind which neither year nor zone stands: nearly every line of RFC 3164.
/// [`named_month`] reads the others.
#[inline]
pub(super) fn plain(line: &[u8], at: usize, context: &ParseContext) -> Option<Stamp> {
    let text: &[u8; 17] = line.get(at..)?.first_chunk()?;
    let [m0, m1, m2, b' ', tens, ones, b' ', h0, h1, c0, i0, i1, c1, s0, s1, b' ', next] = *text else {
        return None;
    };
    if next.is_ascii_digit() {
        // An address, unless four digits stand alone: then it may be a year.
        if year_after(line, at + 15).is_some() {
            return None;
        }
    } else if next.is_ascii_uppercase() && zone_word(line, at + 15).is_some() || matches!(next, b'+' | b'-') {
        return None;
    }
    let tens = if tens == b' ' { 0 } else { tens.wrapping_sub(b'0') };
    let ones = ones.wrapping_sub(b'0');
    if tens > 3 || ones > 9 {
        return None;
    }
    let month = month_index([m0, m1, m2])?;
    let clock = clock_ms([h0, h1, c0, i0, i1, c1, s0, s1])?;
    let in_month_ms = day_of_month_ms(month, i64::from(tens) * 10 + i64::from(ones))? + clock;
    Some(Stamp { ms: context.nearest(month, in_month_ms), end: at + 15 })
}

/// Milliseconds from the start of a month to its day `day`, which may be February 29 as the year is not known.
#[inline]
fn day_of_month_ms(month: usize, day: i64) -> Option<i64> {
    // 2000 is a leap year.
    (1..=days_in_month(2000, month as i64 + 1)).contains(&day).then(|| (day - 1) * DAY_MS)
}

/// Everything with a month's name: an optional `*` or `.` (clock not in step) and year before it, the name short or
/// in full, one or two blanks, the day, an optional year, the clock with an optional fraction, AM or PM if there was a
/// year, an optional year, an optional zone.
#[cold]
pub(super) fn named_month(line: &[u8], mut at: usize, context: &ParseContext) -> Option<Stamp> {
    if matches!(line.get(at), Some(b'*' | b'.')) {
        at += 1;
    }
    let mut year = None;
    if let Some((number, 4)) = number(line, at)
        && line.get(at + 4) == Some(&b' ')
    {
        year = Some(number as i64);
        at += 5;
    }
    let month = month_index(*line.get(at..)?.first_chunk()?)?;
    at += 3;
    if line.get(at).is_some_and(u8::is_ascii_alphabetic) {
        let rest = MONTH_REST[month];
        line[at..].starts_with(rest).then_some(())?;
        at += rest.len();
    }
    at = blanks(line, at)?;
    let (day, day_digits @ 1..=2) = number(line, at)? else {
        return None;
    };
    at = blanks(line, at + day_digits)?;
    if let Some((number, 4)) = number(line, at)
        && year.is_none()
    {
        year = Some(number as i64);
        at = blanks(line, at + 4)?;
    }
    let mut clock = clock_ms(*line.get(at..)?.first_chunk()?)?;
    at += 8;
    if year.is_some() && matches!(line.get(at..at + 3), Some(b" AM" | b" PM")) {
        let afternoon = line[at + 1] == b'P';
        clock = clock % (12 * HOUR_MS) + if afternoon { 12 * HOUR_MS } else { 0 };
        at += 3;
    }
    let (fraction_ms, after) = fraction(line, at);
    at = after;
    if year.is_none()
        && let Some((number, after)) = year_after(line, at)
    {
        (year, at) = (Some(number), after);
    }
    let zone = numeric_zone(line, at).filter(|(_, after)| ends(line, *after)).or_else(|| zone_word(line, at));
    at = zone.map_or(at, |(_, after)| after);
    ends(line, at).then_some(())?;
    let shift_ms = zone.map_or(0, |(offset_ms, _)| context.local_offset_ms() - offset_ms);
    let of_day = clock + fraction_ms;
    let ms = match year {
        Some(year) if (1..=days_in_month(year, month as i64 + 1)).contains(&(day as i64)) => {
            days_from_civil(year, month as i64 + 1, day as i64) * DAY_MS + of_day - context.local_offset_ms() + shift_ms
        }
        Some(_) => return None,
        None => context.nearest(month, day_of_month_ms(month, day as i64)? + of_day + shift_ms),
    };
    Some(Stamp { ms, end: at })
}

/// `yyyy-mm-ddThh:mm:ss` with optional fraction and zone, as in RFC 5424 and ISO 8601; a blank may stand for the T.
#[inline]
pub(super) fn iso(line: &[u8], at: usize, context: &ParseContext) -> Option<Stamp> {
    let text: &[u8; 19] = line.get(at..)?.first_chunk()?;
    let [y0, y1, y2, y3, d0, m0, m1, d1, t0, t1, b'T' | b't' | b' ', clock @ ..] = *text else {
        return None;
    };
    let [century, _, of_century, _, _, month, _, _] = pairs(digits_in([y0, y1, y2, y3, d0, m0, m1, d1], b"0000-00-")?);
    let (tens, ones) = (t0.wrapping_sub(b'0'), t1.wrapping_sub(b'0'));
    if tens > 3 || ones > 9 || !(1..=12).contains(&month) {
        return None;
    }
    let (year, month, day) =
        (i64::from(century) * 100 + i64::from(of_century), i64::from(month), i64::from(tens * 10 + ones));
    if !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    let clock = clock_ms(clock)?;
    let (fraction_ms, after) = fraction(line, at + 19);
    let (offset_ms, end) = match line.get(after) {
        Some(b'Z' | b'z') => (0, after + 1),
        Some(b'+' | b'-') => numeric_zone(line, after)?,
        _ => (context.local_offset_ms(), after),
    };
    ends(line, end)
        .then(|| Stamp { ms: days_from_civil(year, month, day) * DAY_MS + clock + fraction_ms - offset_ms, end })
}

/// Seconds since 1970 with an optional fraction, ten digits; or milliseconds, thirteen.
#[cold]
pub(super) fn epoch(line: &[u8], at: usize) -> Option<Stamp> {
    let (number, digits) = number(line, at)?;
    let (fraction_ms, end) = fraction(line, at + digits);
    let ms = match digits {
        10 => number as i64 * SECOND_MS + fraction_ms,
        13 if end == at + digits => number as i64,
        _ => return None,
    };
    ends(line, end).then_some(Stamp { ms, end })
}

/// A number of at most 18 digits, and how many it has.
#[inline]
pub(super) fn number(line: &[u8], at: usize) -> Option<(u64, usize)> {
    let digits = line.get(at..)?.iter().take(19).take_while(|byte| byte.is_ascii_digit()).count();
    let value = line[at..at + digits].iter().fold(0_u64, |value, byte| value.wrapping_mul(10) + u64::from(byte - b'0'));
    (1..=18).contains(&digits).then_some((value, digits))
}

/// At least one blank, and the first byte after all of them.
pub(super) fn blanks(line: &[u8], at: usize) -> Option<usize> {
    let count = line.get(at..)?.iter().take_while(|byte| **byte == b' ').count();
    (count > 0).then_some(at + count)
}

#[inline]
fn ends(line: &[u8], at: usize) -> bool {
    matches!(line.get(at), None | Some(b' ' | b'\t' | b':'))
}

/// `.123456` or `,123` cut to milliseconds, and the first byte after it; zero if there is none.
#[inline]
fn fraction(line: &[u8], at: usize) -> (i64, usize) {
    let Some([b'.' | b',', digits @ ..]) = line.get(at..) else {
        return (0, at);
    };
    let mut ms = 0;
    let mut weight = 100;
    let mut count = 0;
    while let Some(byte @ b'0'..=b'9') = digits.get(count) {
        ms += i64::from(byte - b'0') * weight;
        weight /= 10;
        count += 1;
    }
    if count == 0 { (0, at) } else { (ms, at + 1 + count) }
}

/// ` yyyy` after the clock: a year of this era that stands alone. A host of four digits does not exist in practice.
#[inline]
fn year_after(line: &[u8], at: usize) -> Option<(i64, usize)> {
    let [b' ', b'1' | b'2', y1, y2, y3, rest @ ..] = line.get(at..)? else {
        return None;
    };
    if !(y1.is_ascii_digit() && y2.is_ascii_digit() && y3.is_ascii_digit()) {
        return None;
    }
    if !matches!(rest, [] | [b':'] | [b' ', ..] | [b':', b' ', ..]) {
        return None;
    }
    let (year, _) = number(line, at + 1)?;
    (1970..=2100).contains(&year).then_some((year as i64, at + 5))
}
