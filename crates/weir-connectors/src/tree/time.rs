//! Time in paths: the letters of Flume's escapes, rounding, and which events share a directory.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

const MINUTE_S: i64 = 60;
const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;

/// Stretches of time that are remembered: events arrive nearly in order, so that two are the rule and eight are plenty
/// for stragglers of several devices.
const RECENT_MAX: usize = 8;

/// A letter after `%`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TimeLetter(char);

impl TimeLetter {
    /// The letters there are, for messages. `%c` and `%D` stand for several and are taken apart by the template.
    pub(crate) const ALL: &str = "Y y m n d e j H k I l M S s t a A b B p z c D";

    /// `None` for a letter without a meaning.
    pub(crate) fn new(letter: char) -> Option<Self> {
        "YymndejHkIlMSstaAbBpz".contains(letter).then_some(Self(letter))
    }

    /// How long the text of the letter stays the same, in milliseconds, time zone changes aside.
    pub(crate) fn unit_ms(self) -> i64 {
        match self.0 {
            't' => 1,
            's' | 'S' => 1_000,
            'M' => MINUTE_S * 1_000,
            'H' | 'k' | 'I' | 'l' | 'p' => HOUR_S * 1_000,
            _ => DAY_S * 1_000,
        }
    }
}

/// Rounding down of times, on the clock of the time zone: 10 minutes is :00, :10, :20 and so on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rounding {
    /// One second, minute or hour.
    unit_s: i64,
    /// How many of them; restarts with the next larger unit, as in Flume.
    value: i64,
}

impl Rounding {
    /// `None` unless it is whole seconds or minutes up to 60, or hours up to 24.
    pub(crate) fn new(every: Duration) -> Option<Self> {
        let seconds = i64::try_from(every.as_secs()).ok()?;
        if every.subsec_nanos() != 0 || seconds == 0 {
            return None;
        }
        let (unit_s, value, value_max) = match seconds {
            _ if seconds % HOUR_S == 0 => (HOUR_S, seconds / HOUR_S, 24),
            _ if seconds % MINUTE_S == 0 => (MINUTE_S, seconds / MINUTE_S, 60),
            _ => (1, seconds, 60),
        };
        (value <= value_max).then_some(Self { unit_s, value })
    }

    fn period(self) -> i64 {
        if self.unit_s == HOUR_S { 24 } else { 60 }
    }

    /// `local_s` rounded down.
    fn apply(self, local_s: i64) -> i64 {
        let units = local_s.div_euclid(self.unit_s);
        let into_period = units.rem_euclid(self.period());
        (units - into_period % self.value) * self.unit_s
    }

    /// The longest stretch whose times surely round to the same.
    fn stretch_ms(self) -> i64 {
        let whole = self.period() % self.value == 0;
        self.unit_s * 1_000 * if whole { self.value } else { 1 }
    }
}

/// A moment taken apart, for the letters.
pub(crate) struct Moment {
    ms: i64,
    rounded_s: i64,
    local: DateTime,
    offset: Offset,
}

impl Moment {
    /// Writes the text of `letter`.
    pub(crate) fn write(&self, letter: TimeLetter, out: &mut String) {
        let local = self.local;
        let hour12 = (local.hour() + 11) % 12 + 1;
        let written = match letter.0 {
            'Y' => write!(out, "{:04}", local.year()),
            'y' => write!(out, "{:02}", local.year().rem_euclid(100)),
            'm' => write!(out, "{:02}", local.month()),
            'n' => write!(out, "{}", local.month()),
            'd' => write!(out, "{:02}", local.day()),
            'e' => write!(out, "{}", local.day()),
            'j' => write!(out, "{:03}", local.day_of_year()),
            'H' => write!(out, "{:02}", local.hour()),
            'k' => write!(out, "{}", local.hour()),
            'I' => write!(out, "{hour12:02}"),
            'l' => write!(out, "{hour12}"),
            'M' => write!(out, "{:02}", local.minute()),
            'S' => write!(out, "{:02}", local.second()),
            's' => write!(out, "{}", self.rounded_s),
            't' => write!(out, "{}", self.ms),
            'a' => write!(out, "{}", local.strftime("%a")),
            'A' => write!(out, "{}", local.strftime("%A")),
            'b' => write!(out, "{}", local.strftime("%b")),
            'B' => write!(out, "{}", local.strftime("%B")),
            'p' => write!(out, "{}", if local.hour() < 12 { "AM" } else { "PM" }),
            _ => {
                let minutes = self.offset.seconds() / 60;
                let sign = if minutes < 0 { '-' } else { '+' };
                write!(out, "{sign}{:02}{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
        };
        written.expect("writing to a string cannot fail");
    }
}

/// Cuts time into stretches in which no letter of a template changes.
pub(crate) struct TimeBuckets {
    zone: TimeZone,
    rounding: Option<Rounding>,
    unit_ms: i64,
    /// The stretches met last, the last one first.
    recent: Vec<Range<i64>>,
}

impl TimeBuckets {
    /// `unit_ms`: the smallest [`TimeLetter::unit_ms`] of the template.
    pub(crate) fn new(zone: TimeZone, rounding: Option<Rounding>, unit_ms: i64) -> Self {
        // The epoch in milliseconds is never rounded.
        let unit_ms = match rounding {
            Some(rounding) if unit_ms > 1 => unit_ms.max(rounding.stretch_ms()),
            _ => unit_ms,
        };
        Self { zone, rounding, unit_ms, recent: Vec::with_capacity(RECENT_MAX) }
    }

    /// The start of the stretch that `ms` lies in: what names it. A few nanoseconds where the stretch was met lately.
    #[inline]
    pub(crate) fn key(&mut self, ms: i64) -> i64 {
        match self.recent.iter().position(|stretch| stretch.contains(&ms)) {
            Some(0) => {}
            Some(at) => self.recent[..=at].rotate_right(1),
            None => {
                let stretch = self.stretch(ms);
                self.recent.truncate(RECENT_MAX - 1);
                self.recent.insert(0, stretch);
            }
        }
        self.recent[0].start
    }

    /// The stretch that [`TimeBuckets::key`] was last asked for.
    #[inline]
    pub(crate) fn last(&self) -> Range<i64> {
        self.recent.first().cloned().unwrap_or_default()
    }

    /// The stretch that `ms` lies in.
    pub(crate) fn stretch(&self, ms: i64) -> Range<i64> {
        let at = timestamp(ms);
        let offset_ms = i64::from(self.zone.to_offset(at).seconds()) * 1_000;
        let start = (ms.saturating_add(offset_ms)).div_euclid(self.unit_ms) * self.unit_ms - offset_ms;
        let end = start.saturating_add(self.unit_ms);
        // The offset may change inside; then the letters do, too. A nanosecond more, because a change at this very
        // moment counts as one before it.
        let after = at.checked_add(Duration::from_nanos(1)).unwrap_or(at);
        let changed = self.zone.preceding(after).next().map(|change| change.timestamp().as_millisecond());
        let changes = self.zone.following(at).next().map(|change| change.timestamp().as_millisecond());
        let start = changed.map_or(start, |changed| start.max(changed)).min(ms);
        let end = changes.map_or(end, |changes| end.min(changes)).max(ms.saturating_add(1));
        start..end
    }

    /// Takes `ms` apart.
    pub(crate) fn moment(&self, ms: i64) -> Moment {
        let at = timestamp(ms);
        let offset = self.zone.to_offset(at);
        let local_s = at.as_millisecond().div_euclid(1_000) + i64::from(offset.seconds());
        let rounded_local_s = self.rounding.map_or(local_s, |rounding| rounding.apply(local_s));
        let local = Offset::UTC.to_datetime(timestamp(rounded_local_s.saturating_mul(1_000)));
        Moment { ms, rounded_s: rounded_local_s - i64::from(offset.seconds()), local, offset }
    }
}

/// The moment, or the nearest that a calendar has a date for: years -9999 to 9999.
fn timestamp(ms: i64) -> Timestamp {
    let bound = if ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(ms).unwrap_or(bound)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rendered(zone: &str, rounding: Option<Duration>, ms: i64, letters: &str) -> String {
        let zone = TimeZone::get(zone).expect("a zone");
        let rounding = rounding.map(|every| Rounding::new(every).expect("a valid rounding"));
        let moment = TimeBuckets::new(zone, rounding, 1_000).moment(ms);
        let mut out = String::new();
        for letter in letters.chars() {
            match TimeLetter::new(letter) {
                Some(letter) => moment.write(letter, &mut out),
                None => out.push(letter),
            }
        }
        out
    }

    /// Scenario: known moments in known time zones, on both sides of a change to summer time.
    /// Guarantees: every letter is what Flume writes for it.
    #[test]
    fn letters_are_those_of_flume() {
        // 2023-11-14 22:13:20 UTC, a Tuesday.
        let ms = 1_700_000_000_123;
        assert_eq!(rendered("UTC", None, ms, "Y-m-d H:M:S"), "2023-11-14 22:13:20");
        assert_eq!(rendered("UTC", None, ms, "y n e j k I l p"), "23 11 14 318 22 10 10 PM");
        assert_eq!(rendered("UTC", None, ms, "s t z"), "1700000000 1700000000123 +0000");
        assert_eq!(rendered("UTC", None, ms, "a/A/b/B"), "Tue/Tuesday/Nov/November");
        assert_eq!(rendered("Asia/Kolkata", None, ms, "Y-m-d H:M z"), "2023-11-15 03:43 +0530");
        assert_eq!(rendered("America/New_York", None, ms, "d H z"), "14 17 -0500");
        // 2024-03-31 01:00 UTC: London moves from 01:00 to 02:00.
        assert_eq!(rendered("Europe/London", None, 1_711_846_799_999, "H:M:S z"), "00:59:59 +0000");
        assert_eq!(rendered("Europe/London", None, 1_711_846_800_000, "H:M:S z"), "02:00:00 +0100");
        assert_eq!(rendered("UTC", None, -1, "Y-m-d H:M:S s"), "1969-12-31 23:59:59 -1");
        assert_eq!(rendered("UTC", None, 0, "k l I e n"), "0 12 12 1 1");
        assert_eq!(rendered("UTC", None, i64::MAX, "Y"), "9999");
    }

    /// Scenario: times are rounded by seconds, minutes and hours, by divisors and others, in a zone with half hours.
    /// Guarantees: rounding is on the local clock and starts anew with each larger unit; `%t` is never rounded.
    #[test]
    fn rounding_is_that_of_flume() {
        let ms = 1_700_000_000_123;
        let round = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(rendered("UTC", round(15), ms, "H:M:S s t"), "22:13:15 1699999995 1700000000123");
        assert_eq!(rendered("UTC", round(600), ms, "H:M:S"), "22:10:00");
        assert_eq!(rendered("UTC", round(7 * 60), ms, "H:M:S"), "22:07:00");
        assert_eq!(rendered("UTC", round(6 * 3600), ms, "d H:M:S"), "14 18:00:00");
        assert_eq!(rendered("Asia/Kolkata", round(6 * 3600), ms, "d H:M:S"), "15 00:00:00");
        assert!(Rounding::new(Duration::from_secs(90)).is_none());
        assert!(Rounding::new(Duration::from_secs(25 * 3600)).is_none());
        assert!(Rounding::new(Duration::from_millis(1500)).is_none());
        assert!(Rounding::new(Duration::ZERO).is_none());
    }

    proptest! {
        /// Scenario: any two moments, any unit and rounding, in zones with summer time.
        /// Guarantees: moments of one stretch read the same, and a moment lies in its own stretch.
        #[test]
        fn moments_of_a_stretch_read_the_same(
            ms in 0_i64..2_000_000_000_000,
            share in 0.0..1.0_f64,
            zone in prop::sample::select(vec!["UTC", "Europe/London", "Australia/Lord_Howe", "America/St_Johns"]),
            letters in prop::sample::select(vec!["S", "MH", "Hz", "Ydz", "jep"]),
            round_s in prop::sample::select(vec![None, Some(7), Some(20), Some(420), Some(600), Some(3600), Some(18_000)]),
        ) {
            let rounding = round_s.and_then(|seconds| Rounding::new(Duration::from_secs(seconds)));
            let unit_ms = letters.chars().filter_map(TimeLetter::new).map(TimeLetter::unit_ms).min().expect("letters");
            let buckets = TimeBuckets::new(TimeZone::get(zone).expect("a zone"), rounding, unit_ms);
            let stretch = buckets.stretch(ms);
            prop_assert!(stretch.contains(&ms));
            let other = stretch.start + ((stretch.end - 1 - stretch.start) as f64 * share) as i64;
            let round = round_s.map(Duration::from_secs);
            prop_assert_eq!(rendered(zone, round, ms, letters), rendered(zone, round, other, letters));
        }
    }
}
