//! Which file an event goes to.
//!
//! A bucket is a directory and a partition; it has one open file at most. Events that follow each other into one bucket
//! are found by comparison with the first of them; the bucket by a lookup with the raw header values and the stretch of
//! time; only what was never seen is rendered to a path.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;
use weir_event::{ABSENT_I64, ChannelId, Column, EventBatch, names};

use super::committed::Committed;
use super::file::OpenFile;
use super::path::PathTemplate;
use super::time::{Rounding, TimeBuckets};

/// Buckets that are remembered; when there are more, those without an open file are forgotten. 8192 hosts in one hour,
/// or one host for a year of hours.
pub(crate) const BUCKETS_MAX: usize = 8192;

/// About what a remembered bucket takes: its path twice, a key of some headers, entries in two maps.
pub(crate) const BUCKET_BYTES: u64 = 512;

/// Where the time in paths comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EventTime {
    /// The header `timestamp`; the arrival where an event has none.
    Event,
    /// When the event reached this agent.
    Arrival,
}

/// A directory and a partition.
pub(super) struct Bucket<F> {
    /// The directory.
    pub(super) directory: Arc<Path>,
    /// The partition.
    pub(super) channel: ChannelId,
    /// Where the stretch of time that its events are of ends, in milliseconds since 1970; `i64::MAX` without one.
    pub(super) until_ms: i64,
    /// What finished files of it hold; read when it is first needed.
    pub(super) committed: Option<Arc<Committed>>,
    file: Option<OpenFile<F>>,
}

/// What of a batch decides about paths; columns are found once.
pub(super) struct BatchView<'a> {
    batch: &'a EventBatch,
    channel: ChannelId,
    timestamp: Option<&'a Column>,
    headers: Vec<Option<&'a Column>>,
}

impl BatchView<'_> {
    /// The time that the path of event `row` shows.
    #[inline]
    fn ms(&self, row: usize, time: EventTime) -> i64 {
        let header = match (time, self.timestamp) {
            (EventTime::Arrival, _) | (_, None) => None,
            // As `EventBatch::timestamp_ms`, without looking for the column.
            (_, Some(Column::I64(values))) => {
                values.get(self.batch.rows().start + row).copied().filter(|ms| *ms != ABSENT_I64)
            }
            (_, Some(_)) => self.batch.timestamp_ms(row),
        };
        header.unwrap_or(self.batch.arrival_ms())
    }

    /// Whether two events have the same values of all headers that paths show.
    #[inline]
    fn has_same_headers(&self, one: usize, other: usize) -> bool {
        let start = self.batch.rows().start;
        self.headers.iter().flatten().all(|column| match column {
            Column::Constant(_) => true,
            Column::I64(values) => values.get(start + one) == values.get(start + other),
            Column::Text(text) => {
                let value = |row: usize| text.spans.get(start + row).and_then(|span| span.of(&text.arena));
                value(one) == value(other)
            }
        })
    }

    fn has_constant_headers(&self) -> bool {
        self.headers.iter().flatten().all(|column| matches!(column, Column::Constant(_)))
    }
}

/// All buckets of a sink.
pub(crate) struct Buckets<F> {
    template: PathTemplate,
    time: EventTime,
    /// `None` if paths do not depend on time.
    times: Option<TimeBuckets>,
    list: Vec<Bucket<F>>,
    /// Slots of buckets with an open file, in no order.
    open: Vec<usize>,
    by_key: HashMap<Box<[u8]>, usize>,
    by_path: HashMap<(Arc<Path>, ChannelId), usize>,
    key: Vec<u8>,
}

impl<F> Buckets<F> {
    /// No bucket yet.
    pub(crate) fn new(template: PathTemplate, time: EventTime, zone: TimeZone, rounding: Option<Rounding>) -> Self {
        let times = template.unit_ms().map(|unit_ms| TimeBuckets::new(zone, rounding, unit_ms));
        Self {
            template,
            time,
            times,
            list: Vec::new(),
            open: Vec::new(),
            by_key: HashMap::new(),
            by_path: HashMap::new(),
            key: Vec::new(),
        }
    }

    /// Prepares for the events of `batch`.
    pub(super) fn view<'a>(&self, batch: &'a EventBatch, channel: ChannelId) -> BatchView<'a> {
        let headers = self.template.headers().iter().map(|name| batch.column(name)).collect();
        BatchView { batch, channel, timestamp: batch.column(names::TIMESTAMP.as_str()), headers }
    }

    /// The slot of the bucket of event `row`, and the first event after it that goes elsewhere. Slots are valid until
    /// [`Buckets::forget_some`].
    #[inline]
    pub(super) fn run(&mut self, view: &BatchView<'_>, row: usize) -> (usize, usize) {
        let slot = self.slot(view, row);
        let rows = row + 1..view.batch.len();
        let end = match &self.times {
            None if view.has_constant_headers() => None,
            None => rows.clone().find(|next| !view.has_same_headers(row, *next)),
            Some(times) => {
                let (stretch, time) = (times.last(), self.time);
                let is_elsewhere = |next| !stretch.contains(&view.ms(next, time)) || !view.has_same_headers(row, next);
                rows.clone().find(|next| is_elsewhere(*next))
            }
        };
        (slot, end.unwrap_or(rows.end))
    }

    fn slot(&mut self, view: &BatchView<'_>, row: usize) -> usize {
        let ms = self.write_key(view, row);
        match self.by_key.get(self.key.as_slice()) {
            Some(slot) => *slot,
            None => self.add(view, row, ms),
        }
    }

    /// Writes what tells buckets apart: channel, stretch of time, header values. Returns the time.
    #[inline]
    fn write_key(&mut self, view: &BatchView<'_>, row: usize) -> i64 {
        self.key.clear();
        self.key.extend_from_slice(&view.channel.log.to_le_bytes());
        self.key.extend_from_slice(&view.channel.partition.to_le_bytes());
        let mut ms = 0;
        if let Some(times) = &mut self.times {
            ms = view.ms(row, self.time);
            self.key.extend_from_slice(&times.key(ms).to_le_bytes());
        }
        for column in &view.headers {
            let value = column.and_then(|column| view.batch.value(column, row)).unwrap_or_default();
            self.key.extend_from_slice(&(value.len() as u64).to_le_bytes());
            self.key.extend_from_slice(&value);
        }
        ms
    }

    fn add(&mut self, view: &BatchView<'_>, row: usize, ms: i64) -> usize {
        let moment = self.times.as_ref().map(|times| times.moment(ms));
        let values: Vec<_> = view
            .headers
            .iter()
            .map(|column| column.and_then(|column| view.batch.value(column, row)).unwrap_or_default())
            .collect();
        let directory: Arc<Path> = self.template.render(moment.as_ref(), |index| values[index].as_ref()).into();
        let until_ms = self.times.as_ref().map_or(i64::MAX, |times| times.last().end);
        let slot = *self.by_path.entry((directory.clone(), view.channel)).or_insert_with(|| {
            self.list.push(Bucket { directory, channel: view.channel, until_ms, committed: None, file: None });
            self.list.len() - 1
        });
        // Several stretches may share a directory: an hour that comes twice, hours below a path of days and minutes.
        self.list[slot].until_ms = self.list[slot].until_ms.max(until_ms);
        self.by_key.insert(self.key.as_slice().into(), slot);
        slot
    }

    /// The time that the path of event `row` shows, milliseconds since 1970.
    pub(super) fn ms(&self, view: &BatchView<'_>, row: usize) -> i64 {
        view.ms(row, self.time)
    }

    /// The start of the stretch of time that `ms` lies in; `None` if paths do not depend on time.
    pub(super) fn stretch_start(&self, ms: i64) -> Option<i64> {
        self.times.as_ref().map(|times| times.stretch(ms).start)
    }

    /// Slots of open files of `channel` whose time ends at `until_ms` or before.
    pub(super) fn open_until(&self, channel: ChannelId, until_ms: i64) -> Vec<usize> {
        let is_over = |slot: &usize| {
            self.list.get(*slot).is_some_and(|bucket| bucket.channel == channel && bucket.until_ms <= until_ms)
        };
        self.open.iter().copied().filter(is_over).collect()
    }

    /// Forgets buckets without an open file if there are too many. Slots given before are void after this.
    pub(super) fn forget_some(&mut self) {
        if self.list.len().max(self.by_key.len()) <= BUCKETS_MAX {
            return;
        }
        self.list.retain(|bucket| bucket.file.is_some());
        self.by_key.clear();
        self.by_path = self
            .list
            .iter()
            .enumerate()
            .map(|(slot, bucket)| ((bucket.directory.clone(), bucket.channel), slot))
            .collect();
        self.open = (0..self.list.len()).collect();
    }

    /// Forgets what finished files hold: it is read again where it is needed.
    pub(super) fn forget_committed(&mut self) {
        self.list.iter_mut().for_each(|bucket| bucket.committed = None);
    }

    /// The bucket in `slot`.
    ///
    /// # Panics
    /// If the slot is void.
    pub(super) fn bucket(&mut self, slot: usize) -> &mut Bucket<F> {
        &mut self.list[slot]
    }

    /// The open file of the bucket in `slot`.
    pub(super) fn file(&mut self, slot: usize) -> Option<&mut OpenFile<F>> {
        self.list.get_mut(slot).and_then(|bucket| bucket.file.as_mut())
    }

    /// Gives the bucket in `slot` an open file; it had none.
    pub(super) fn open_file(&mut self, slot: usize, file: OpenFile<F>) {
        debug_assert!(self.list[slot].file.is_none(), "one open file per bucket");
        self.list[slot].file = Some(file);
        self.open.push(slot);
    }

    /// Takes the open file of the bucket in `slot` away.
    pub(super) fn take_file(&mut self, slot: usize) -> Option<OpenFile<F>> {
        self.open.retain(|open| *open != slot);
        self.list.get_mut(slot).and_then(|bucket| bucket.file.take())
    }

    /// Slots of buckets with an open file.
    pub(super) fn open_slots(&self) -> &[usize] {
        &self.open
    }

    /// All open files with their slots.
    pub(super) fn open_files(&self) -> impl Iterator<Item = (usize, &OpenFile<F>)> {
        self.open.iter().filter_map(|slot| Some((*slot, self.list.get(*slot)?.file.as_ref()?)))
    }
}
