//! [`ParseContext`]: what a timestamp without year or zone is completed with.

pub(super) const SECOND_MS: i64 = 1_000;
pub(super) const MINUTE_MS: i64 = 60 * SECOND_MS;
pub(super) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;

/// The moment and the zone in which lines are read. Made once per batch, so that no line costs a look at a clock.
///
/// A timestamp without a year gets the current one; if that is more than a month in the future, the year before; if it
/// is more than 11 months in the past, the year after. So a line of December 31 that arrives in January stays in
/// December, and one of January 1 from a clock that is ahead does not fall back by a year.
#[derive(Clone, Debug)]
pub struct ParseContext {
    local_offset_ms: i64,
    /// UTC milliseconds at local midnight of the first of each month: last year, this year, next year.
    month_start_ms: [[i64; 12]; 3],
    latest_ms: i64,
    earliest_ms: i64,
}

impl ParseContext {
    /// A context at `now_ms` (milliseconds since 1970 UTC) in a zone `local_offset_seconds` east of UTC. About 100 ns.
    #[must_use]
    pub fn new(now_ms: i64, local_offset_seconds: i32) -> Self {
        // Four-digit years, as in every timestamp that can be completed.
        let now_ms = now_ms.clamp(days_from_civil(1, 1, 1) * DAY_MS, days_from_civil(9998, 12, 31) * DAY_MS);
        let local_offset_ms = i64::from(local_offset_seconds) * SECOND_MS;
        let local_ms = now_ms + local_offset_ms;
        let (year, month, day) = civil_from_days(local_ms.div_euclid(DAY_MS));
        let of_day = local_ms.rem_euclid(DAY_MS);
        let month_start_ms = [year - 1, year, year + 1].map(|year| {
            std::array::from_fn(|index| days_from_civil(year, index as i64 + 1, 1) * DAY_MS - local_offset_ms)
        });
        let shifted = |months: i64| {
            let index = year * 12 + (month - 1) + months;
            let (year, month) = (index.div_euclid(12), index.rem_euclid(12) + 1);
            let day = day.min(days_in_month(year, month));
            days_from_civil(year, month, day) * DAY_MS + of_day - local_offset_ms
        };
        Self { local_offset_ms, month_start_ms, latest_ms: shifted(1), earliest_ms: shifted(-11) }
    }

    /// Milliseconds east of UTC.
    pub(super) fn local_offset_ms(&self) -> i64 {
        self.local_offset_ms
    }

    /// The moment `in_month_ms` after the start of month `month` (0..=11) in the local zone, in the year that fits.
    #[inline]
    pub(super) fn nearest(&self, month: usize, in_month_ms: i64) -> i64 {
        let this_year = self.month_start_ms[1][month] + in_month_ms;
        let year = if this_year > self.latest_ms {
            0
        } else if this_year < self.earliest_ms {
            2
        } else {
            1
        };
        if month == 1 && in_month_ms >= 28 * DAY_MS {
            return self.leap_day(year, in_month_ms);
        }
        self.month_start_ms[year][month] + in_month_ms
    }

    /// February 29 in the year that fits or, if that has none, in a neighbour that has. Where all three have none the
    /// sender's clock is years off; then it is March 1.
    #[cold]
    fn leap_day(&self, year: usize, in_month_ms: i64) -> i64 {
        let is_leap = |year: &usize| {
            let starts = &self.month_start_ms[*year];
            starts[2] - starts[1] == 29 * DAY_MS
        };
        let year = [year, 1, 0, 2].into_iter().find(is_leap).unwrap_or(year);
        self.month_start_ms[year][1] + in_month_ms
    }
}

/// Days since 1970-01-01 of a date of the Gregorian calendar; `month` 1..=12.
#[inline]
pub(super) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years start in March here, so that the leap day is the last one and month lengths follow one formula: five
    // months have 153 days.
    let year = year - i64::from(month <= 2);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719468 days lie between March 1 of year 0 and 1970-01-01.
    year * 365 + leap_days + day_of_year - 719_468
}

/// Year, month 1..=12 and day of a day since 1970-01-01.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    // 400 years have 146097 days. The first guess is at most one year off.
    let mut year = 1970 + (days * 400).div_euclid(146_097);
    while days < days_from_civil(year, 1, 1) {
        year -= 1;
    }
    while days >= days_from_civil(year + 1, 1, 1) {
        year += 1;
    }
    let mut month = 12;
    while days < days_from_civil(year, month, 1) {
        month -= 1;
    }
    (year, month, days - days_from_civil(year, month, 1) + 1)
}

/// Days of a month 1..=12.
#[inline]
pub(super) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: every day of 800 years goes to a date and back.
    /// Guarantees: the calendar has no gap, no repeat, and knows leap years.
    #[test]
    fn days_and_dates_are_inverse() {
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(days_from_civil(2000, 3, 1), 11_017);
        let mut last = civil_from_days(-146_098);
        for days in -146_097..146_097 {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
            let next_day = last.2 < days_in_month(last.0, last.1);
            assert_eq!(day, if next_day { last.2 + 1 } else { 1 });
            last = (year, month, day);
        }
    }
}
