//! JSON values.

use bytes::{BufMut as _, BytesMut};

const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// A string; what is not UTF-8 is replaced.
pub(super) fn text(out: &mut BytesMut, value: &[u8]) {
    out.reserve(value.len() + 2);
    out.put_u8(b'"');
    for chunk in value.utf8_chunks() {
        escaped(out, chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.put_slice(REPLACEMENT);
        }
    }
    out.put_u8(b'"');
}

/// Copies stretches without anything to escape as a whole.
fn escaped(out: &mut BytesMut, valid: &[u8]) {
    let mut from = 0;
    for (at, byte) in valid.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.put_slice(&valid[from..at]);
        from = at + 1;
        match *byte {
            b'"' => out.put_slice(b"\\\""),
            b'\\' => out.put_slice(b"\\\\"),
            b'\n' => out.put_slice(b"\\n"),
            b'\r' => out.put_slice(b"\\r"),
            b'\t' => out.put_slice(b"\\t"),
            control => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                out.put_slice(b"\\u00");
                out.put_u8(DIGITS[usize::from(control >> 4)]);
                out.put_u8(DIGITS[usize::from(control & 15)]);
            }
        }
    }
    out.put_slice(&valid[from..]);
}

/// A number.
pub(super) fn number(out: &mut BytesMut, value: i64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.put_u8(b'-');
    }
    out.put_slice(&digits[at..]);
}

/// A time as Solr reads it: `"2026-11-23T08:00:00.123Z"`.
pub(super) fn time(out: &mut BytesMut, milliseconds: i64) {
    let (days, rest) = (milliseconds.div_euclid(86_400_000), milliseconds.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    out.put_u8(b'"');
    // Solr wants a sign before a year of more than four digits.
    if year > 9999 {
        out.put_u8(b'+');
    }
    if (0..=9999).contains(&year) {
        padded(out, year as u64, 4);
    } else {
        number(out, year);
    }
    for (before, value, digits) in [
        (b'-', month, 2),
        (b'-', day, 2),
        (b'T', (rest / 3_600_000) as u64, 2),
        (b':', (rest / 60_000 % 60) as u64, 2),
        (b':', (rest / 1000 % 60) as u64, 2),
        (b'.', (rest % 1000) as u64, 3),
    ] {
        out.put_u8(before);
        padded(out, value, digits);
    }
    out.put_slice(b"Z\"");
}

fn padded(out: &mut BytesMut, value: u64, digits: u32) {
    for place in (0..digits).rev() {
        out.put_u8(b'0' + (value / 10_u64.pow(place) % 10) as u8);
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar: years that begin in March make the
/// leap day the last one.
fn civil(days: i64) -> (i64, u64, u64) {
    // 719 468 days from 0000-03-01 to 1970-01-01; 146 097 in 400 years.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u64, day as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8(out.to_vec()).expect("text")
    }

    /// Scenario: times around leap days, before 1970, beyond four digits.
    /// Guarantees: the form that Solr reads.
    #[test]
    fn times() {
        let time = |ms| written(|out| time(out, ms));
        assert_eq!(time(0), "\"1970-01-01T00:00:00.000Z\"");
        assert_eq!(time(-1), "\"1969-12-31T23:59:59.999Z\"");
        assert_eq!(time(951_827_696_789), "\"2000-02-29T12:34:56.789Z\"");
        assert_eq!(time(1_795_423_200_000), "\"2026-11-23T08:40:00.000Z\"");
        assert_eq!(time(253_402_300_800_000), "\"+10000-01-01T00:00:00.000Z\"");
    }

    /// Scenario: any bytes and any number.
    /// Guarantees: what a JSON reader reads is what was written, invalid UTF-8 replaced.
    #[test]
    fn values_are_read_back() {
        proptest::proptest!(|(bytes: Vec<u8>, value: i64)| {
            let read: String = serde_json::from_str(&written(|out| text(out, &bytes))).expect("json");
            assert_eq!(read, String::from_utf8_lossy(&bytes));
            let read: i64 = serde_json::from_str(&written(|out| number(out, value))).expect("json");
            assert_eq!(read, value);
        });
    }
}
