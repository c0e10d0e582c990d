//! Milliseconds to the two timestamp forms of syslog.

/// Writes timestamps as text, in UTC, computing the date only when the second changes: about 3 ns otherwise.
#[derive(Clone, Debug)]
pub struct TimeText {
    second: i64,
    /// `2025-11-22T10:00:00.123456Z` in its longest form; the fraction is rewritten on each call.
    rfc5424: [u8; 27],
    /// `Nov 22 10:00:00`.
    rfc3164: [u8; 15],
}

/// Length of [`TimeText::rfc5424_millis`].
const MILLIS_BYTES: usize = 24;
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
/// 9999-12-31T23:59:59Z: years have four digits in both forms.
const LAST_SECOND: i64 = 253_402_300_799;

impl Default for TimeText {
    fn default() -> Self {
        Self::new()
    }
}

impl TimeText {
    /// At 1970-01-01.
    #[must_use]
    pub fn new() -> Self {
        let mut text = Self { second: 0, rfc5424: *b"0000-00-00T00:00:00.000000Z", rfc3164: *b"Jan  1 00:00:00" };
        text.write_second(0);
        text
    }

    /// `2025-11-22T10:00:00.123Z`. Times before 1970 or after 9999 become the nearest representable one.
    pub fn rfc5424_millis(&mut self, time_ms: i64) -> &[u8; 24] {
        let millis = self.advance(time_ms);
        write_digits(&mut self.rfc5424[20..23], millis);
        self.rfc5424[23] = b'Z';
        self.rfc5424.first_chunk::<MILLIS_BYTES>().expect("27 bytes hold 24")
    }

    /// `2025-11-22T10:00:00.123456Z`, with `micros` (0..=999) below the milliseconds.
    pub fn rfc5424_micros(&mut self, time_ms: i64, micros: u32) -> &[u8; 27] {
        let millis = self.advance(time_ms);
        write_digits(&mut self.rfc5424[20..23], millis);
        write_digits(&mut self.rfc5424[23..26], micros);
        self.rfc5424[26] = b'Z';
        &self.rfc5424
    }

    /// `Nov 22 10:00:00`, the day padded with a space.
    pub fn rfc3164(&mut self, time_ms: i64) -> &[u8; 15] {
        self.advance(time_ms);
        &self.rfc3164
    }

    /// Brings both texts to the second of `time_ms`; returns the milliseconds inside it.
    fn advance(&mut self, time_ms: i64) -> u32 {
        let time_ms = time_ms.clamp(0, LAST_SECOND * 1000 + 999);
        let second = time_ms / 1000;
        if second != self.second {
            self.write_second(second);
        }
        (time_ms % 1000) as u32
    }

    fn write_second(&mut self, second: i64) {
        self.second = second;
        let (year, month, day) = civil_date(second / 86_400);
        let in_day = (second % 86_400) as u32;
        let clock = [in_day / 3600, in_day / 60 % 60, in_day % 60];
        write_digits(&mut self.rfc5424[0..4], year);
        write_digits(&mut self.rfc5424[5..7], month);
        write_digits(&mut self.rfc5424[8..10], day);
        self.rfc3164[0..3].copy_from_slice(MONTHS[month as usize - 1]);
        write_digits(&mut self.rfc3164[4..6], day);
        if day < 10 {
            self.rfc3164[4] = b' ';
        }
        for (i, value) in clock.into_iter().enumerate() {
            write_digits(&mut self.rfc5424[11 + 3 * i..13 + 3 * i], value);
            write_digits(&mut self.rfc3164[7 + 3 * i..9 + 3 * i], value);
        }
    }
}

/// Year, month 1..=12 and day 1..=31 of a day counted from 1970-01-01, not before it.
///
/// Years are taken to start on 1 March, so that the leap day is the last of its year; 400 years have 146 097 days.
fn civil_date(day_from_1970: i64) -> (u32, u32, u32) {
    let day = day_from_1970 + 719_468; // days from 0000-03-01 to 1970-01-01
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year as u32, month as u32, day_of_month as u32)
}

/// `value` right-aligned in `out`, padded with zeros; digits that do not fit are cut on the left.
pub(super) fn write_digits(out: &mut [u8], mut value: u32) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}
