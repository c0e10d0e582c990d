//! Which collection an event goes to: a fixed one, one that a header names, or one of a day.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use weir_event::{Column, EventBatch, Numbers, names};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Names of collections, some of them by time.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) default: String,
    pub(super) header: Option<String>,
    pub(super) allowed: Vec<String>,
    /// How long a collection of a time is kept; events older than that go by their arrival.
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

    /// Names among these whose time is over.
    pub(super) fn expired<'a>(&self, names: impl IntoIterator<Item = &'a str>, now: Timestamp) -> Vec<String> {
        let Some(limit) = self.retention_days.and_then(|days| days_ago(now, days)) else { return Vec::new() };
        // The collection of the limit's own day still has younger events.
        let oldest = self.at(limit);
        let is_over = |name: &&str| self.time_of(name).is_some() && *name < oldest.as_str();
        names.into_iter().filter(is_over).map(str::to_owned).collect()
    }

    /// Finds the columns of a batch, once for all of its events.
    pub(super) fn bind<'a>(&'a self, batch: &'a EventBatch, now: Timestamp) -> BoundPlaces<'a> {
        BoundPlaces {
            places: self,
            batch,
            header: self.header.as_deref().and_then(|header| batch.column(header)),
            times: batch.numbers(names::TIMESTAMP.as_str()),
            latest: now.saturating_add(DAY).unwrap_or(now),
            earliest: self.retention_days.and_then(|days| days_ago(now, days)),
            now,
            names: HashMap::new(),
        }
    }
}

fn days_ago(now: Timestamp, days: u64) -> Option<Timestamp> {
    now.checked_sub(SignedDuration::from_hours(24 * i64::try_from(days).ok()?)).ok()
}

/// Places over a batch.
pub(super) struct BoundPlaces<'a> {
    places: &'a Places,
    batch: &'a EventBatch,
    header: Option<&'a Column>,
    times: Numbers<'a>,
    earliest: Option<Timestamp>,
    latest: Timestamp,
    now: Timestamp,
    /// By day since 1970: a batch has few.
    names: HashMap<i64, String>,
}

impl BoundPlaces<'_> {
    /// The collection of an event.
    pub(super) fn of(&mut self, row: usize) -> &str {
        if let Some(value) = self.header.and_then(|column| self.batch.value(column, row))
            && let Some(name) = self.places.allowed.iter().find(|name| name.as_bytes() == &*value)
        {
            return name;
        }
        if !self.places.is_timed() {
            return &self.places.default;
        }
        let milliseconds = self.times.get(row).unwrap_or_else(|| self.batch.arrival_ms());
        let time = Timestamp::from_millisecond(milliseconds).unwrap_or(self.now);
        // A device with a wrong clock must not make collections of its own, nor one that is deleted at once.
        let is_sound = time <= self.latest && self.earliest.is_none_or(|earliest| time >= earliest);
        let time =
            if is_sound { time } else { Timestamp::from_millisecond(self.batch.arrival_ms()).unwrap_or(self.now) };
        let day = time.as_second().div_euclid(86_400);
        self.names.entry(day).or_insert_with(|| self.places.at(time))
    }
}
