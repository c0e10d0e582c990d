//! Which collection an event goes to: a fixed one, one that a header names, or one of a day.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use weir_event::{Column, EventBatch, Numbers, names};

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// An event that happened longer before its arrival goes by its arrival, where no retention says how old it may be: clocks
/// that were never set (1970, 2000, a year of manufacture) must not make a collection for each of their days.
const BACK_DAYS: u64 = 30;

/// Names of collections, some of them by time.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) default: String,
    pub(super) header: Option<String>,
    pub(super) allowed: Vec<String>,
    /// How long a collection of a time is kept.
    pub(super) retention_days: Option<u64>,
}

impl Places {
    /// Whether the default has times in its name.
    pub(super) fn is_timed(&self) -> bool {
        self.default.contains('%')
    }

    /// Checks the name; only the escapes that grow from left to right are allowed, so that names sort as times do.
    pub(super) fn fault(&self) -> Option<String> {
        let mut rest = self.default.as_str();
        let mut expected = "Ymd".chars();
        while let Some((_, behind)) = rest.split_once('%') {
            let escape = behind.chars().next();
            if escape.is_none() || escape != expected.next() {
                return Some(
                    "times in a collection's name are %Y, %Y and %m, or %Y, %m and %d, in this order".to_owned(),
                );
            }
            rest = &behind[1..];
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '%');
        (!self.default.chars().all(is_plain) || self.default.is_empty())
            .then(|| "a collection's name has letters, digits, -, _ and . only".to_owned())
    }

    /// The name at a time.
    pub(super) fn at(&self, time: Timestamp) -> String {
        time.to_zoned(TimeZone::UTC).strftime(&self.default).to_string()
    }

    /// The day (or month, or year) that a name stands for, as its first moment; `None` for a name that is not one of these.
    pub(super) fn time_of(&self, name: &str) -> Option<Timestamp> {
        let broken = jiff::fmt::strtime::parse(&self.default, name).ok()?;
        let date = jiff::civil::date(broken.year()?, broken.month().unwrap_or(1), broken.day().unwrap_or(1));
        let time = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
        // Not `logs-2026-1-2`, which reads the same.
        (self.at(time) == name).then_some(time)
    }

    /// The last moment of what a name stands for.
    fn end_of(&self, name: &str) -> Option<Timestamp> {
        let date = self.time_of(name)?.to_zoned(TimeZone::UTC).date();
        let last = match (self.default.contains("%d"), self.default.contains("%m")) {
            (true, _) => date,
            (false, true) => date.last_of_month(),
            (false, false) => date.last_of_year(),
        };
        Some(last.tomorrow().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp())
    }

    /// The name of the oldest collection that is kept, `newest` being the newest that there is. Ages count from now, or from
    /// the end of the newest if that is earlier: a clock that has jumped ahead makes nothing old by itself.
    fn oldest(&self, newest: &str, now: Timestamp) -> Option<String> {
        let age = days(self.retention_days?)?;
        let reference = self.end_of(newest)?.min(now);
        // The collection of the limit's own day still has younger events.
        Some(self.at(reference.checked_sub(age).ok()?))
    }

    /// What is to become of these collections, all of the pattern.
    pub(super) fn expired<'a>(&self, names: &[&'a str], now: Timestamp) -> Expired<'a> {
        let newest = names.iter().copied().max();
        let Some(oldest) = newest.and_then(|newest| self.oldest(newest, now)) else { return Expired::Over(Vec::new()) };
        let over: Vec<_> = names.iter().copied().filter(|name| *name < oldest.as_str()).collect();
        match over.len() > 2 && names.len() - over.len() < 2 {
            true => Expired::TooMany(over.len()),
            false => Expired::Over(over),
        }
    }

    /// Finds the columns of a batch, once for all of its events. `newest` is the newest collection of the pattern that there
    /// is, as far as that is known.
    pub(super) fn bind<'a>(&'a self, batch: &'a EventBatch, now: Timestamp, newest: Option<&str>) -> BoundPlaces<'a> {
        let arrival = Timestamp::from_millisecond(batch.arrival_ms()).unwrap_or(now);
        let tomorrow = now.saturating_add(DAY).unwrap_or(now);
        // A topic knows no arrival but the newest time in a batch, which may be that of a wrong clock; unless it is ours
        // that is wrong, as a collection of days to come tells.
        let is_behind = newest.and_then(|newest| self.time_of(newest)).is_some_and(|time| time > tomorrow);
        let arrival = if arrival > tomorrow && !is_behind { now } else { arrival };
        let back = days(self.retention_days.unwrap_or(BACK_DAYS)).unwrap_or(DAY);
        BoundPlaces {
            places: self,
            batch,
            header: self.header.as_deref().and_then(|header| batch.column(header)),
            times: batch.numbers(names::TIMESTAMP.as_str()),
            sound: arrival.checked_sub(back).unwrap_or(arrival)..=arrival.saturating_add(DAY).unwrap_or(arrival),
            arrival,
            oldest: newest.and_then(|newest| self.oldest(newest, now)),
            names: HashMap::new(),
        }
    }
}

/// Which collections have to go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Expired<'a> {
    /// These.
    Over(Vec<&'a str>),
    /// So many, and only one would be left: that is what it looks like when a clock has jumped. They go as soon as there is
    /// one more that is young.
    TooMany(usize),
}

fn days(count: u64) -> Option<SignedDuration> {
    Some(SignedDuration::from_hours(i64::try_from(count).ok()?.checked_mul(24)?))
}

/// Places over a batch.
pub(super) struct BoundPlaces<'a> {
    places: &'a Places,
    batch: &'a EventBatch,
    header: Option<&'a Column>,
    times: Numbers<'a>,
    /// An event with a time out of these goes by its arrival. Nothing here depends on when it is asked: an event that comes
    /// again must go to the same collection, or it is there twice.
    sound: RangeInclusive<Timestamp>,
    arrival: Timestamp,
    /// Older collections are deleted.
    oldest: Option<String>,
    /// By day since 1970: a batch has few.
    names: HashMap<i64, String>,
}

impl BoundPlaces<'_> {
    /// The collection of an event; `None` if that has been deleted, or would be at once: it is older than the retention.
    pub(super) fn of(&mut self, row: usize) -> Option<&str> {
        if let Some(value) = self.header.and_then(|column| self.batch.value(column, row))
            && let Some(name) = self.places.allowed.iter().find(|name| name.as_bytes() == &*value)
        {
            return Some(name);
        }
        if !self.places.is_timed() {
            return Some(&self.places.default);
        }
        let time = self.times.get(row).and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok());
        let time = time.filter(|time| self.sound.contains(time)).unwrap_or(self.arrival);
        let day = time.as_second().div_euclid(86_400);
        let name = self.names.entry(day).or_insert_with(|| self.places.at(time));
        self.oldest.as_ref().is_none_or(|oldest| name.as_str() >= oldest.as_str()).then_some(name.as_str())
    }
}
