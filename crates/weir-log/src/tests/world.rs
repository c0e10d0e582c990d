//! A log on a simulated disk, and a model of what it owes: after each opening everything acknowledged must be there.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use weir_codec::record_batch::{BatchHeader, EncodedBatch, HEADER_BYTES};

use crate::core::{self, Core};
use crate::format::segment_base;
use crate::sim::{Loss, SimClock, SimDisk};
use crate::{Durability, Group, Health, Log, LogOptions, OpenReport, ReadOnlyReason, Reader, StoredBatch};

/// What a test does to a log.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// Appends a batch of so many records and about so many bytes, without waiting.
    Append { records: u32, bytes: usize },
    /// Lets the writer do what is due.
    Turn,
    /// Lets that many milliseconds pass, and then the writer do what is due.
    Pass(u64),
    /// Opens a group.
    Group(&'static str),
    /// Releases that many percent of what a group has not released.
    Release(&'static str, u64),
    /// Forgets a group.
    Drop(&'static str),
    /// Reads everything and compares.
    Read,
    /// Closes and opens again.
    Reopen,
    /// The process dies, the system does not.
    Kill,
    /// The power goes.
    PowerLoss(Loss),
    /// Sets the space on the disk.
    Capacity(Option<u64>),
}

/// Something the log owed and did not do, in words.
pub(super) type Violation = String;

pub(super) const DIR: &str = "/log";

pub(super) fn small_options() -> LogOptions {
    LogOptions {
        segment_bytes: 4096,
        capacity_bytes: 1 << 20,
        batch_bytes_max: 3000,
        queue_bytes_max: 1 << 20,
        durability: Durability::Group { delay_max: Duration::from_millis(5), bytes_max: 1 << 20 },
        ..LogOptions::default()
    }
}

struct Session {
    core: Core,
    log: Log,
    groups: BTreeMap<&'static str, Group>,
}

#[derive(Clone, Copy)]
struct GroupModel {
    /// Known to be on the disk.
    durable: u64,
    /// Told to the log.
    released: u64,
}

/// The log and what it owes.
pub(super) struct World {
    pub(super) disk: SimDisk,
    pub(super) clock: Arc<SimClock>,
    pub(super) options: LogOptions,
    /// Losses are expected: bytes were damaged on purpose.
    pub(super) tolerates_damage: bool,
    /// The disk fails on purpose: reading and opening may be refused.
    pub(super) tolerates_errors: bool,
    /// The disk has failed on purpose before: syncs of directories may not have worked.
    pub(super) had_errors: bool,
    session: Option<Session>,
    next_id: u64,
    ranges: BTreeMap<u64, Range<u64>>,
    acked: Arc<Mutex<BTreeSet<u64>>>,
    groups: BTreeMap<&'static str, GroupModel>,
    epoch: u32,
    durable_end: u64,
    start: u64,
    deletable: u64,
}

pub(super) fn batch(id: u64, records: u32, bytes: usize) -> EncodedBatch {
    let mut content = vec![0; HEADER_BYTES];
    content.extend_from_slice(&id.to_be_bytes());
    let mut random = fastrand::Rng::with_seed(id);
    // No zeros, so that a zeroed sector always differs.
    content.extend((HEADER_BYTES + 8..bytes).map(|_| random.u8(1..=255)));
    let header = BatchHeader {
        base_offset: 0,
        batch_length: 0,
        partition_leader_epoch: -1,
        crc: 0,
        attributes: 0,
        last_offset_delta: records as i32 - 1,
        base_timestamp: 5,
        max_timestamp: 9,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: records as i32,
    };
    EncodedBatch::finish(content, header)
}

/// The id in a batch that was read, if it is the content that was written.
pub(super) fn id_of(stored: &StoredBatch) -> Result<u64, Violation> {
    let content = &stored.bytes[HEADER_BYTES..];
    let id = u64::from_be_bytes(content[..8].try_into().map_err(|_| "short content")?);
    let same = batch(id, stored.header.record_count as u32, stored.bytes.len());
    if same.as_bytes()[HEADER_BYTES..] == *content { Ok(id) } else { Err(format!("content of batch {id} differs")) }
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(what()) }
}

impl World {
    pub(super) fn new(seed: u64, options: LogOptions) -> Self {
        Self {
            disk: SimDisk::new(seed),
            clock: Arc::default(),
            options,
            tolerates_damage: false,
            tolerates_errors: false,
            had_errors: false,
            session: None,
            next_id: 1,
            ranges: BTreeMap::new(),
            acked: Arc::default(),
            groups: BTreeMap::new(),
            epoch: 0,
            durable_end: 0,
            start: 0,
            deletable: 0,
        }
    }

    pub(super) fn log(&self) -> &Log {
        &self.session.as_ref().expect("open").log
    }

    /// Closes the log and leaves it closed.
    pub(super) fn close(&mut self) {
        if let Some(mut session) = self.session.take() {
            session.core.close().expect("closes");
        }
    }

    /// Stops to expect any group.
    pub(super) fn forget_groups(&mut self) {
        self.groups.clear();
    }

    /// Ids of everything that can be read, and the offsets readers were told to be lost.
    pub(super) fn read_all(&self) -> (BTreeSet<u64>, Vec<Range<u64>>) {
        let Some(session) = &self.session else { return Default::default() };
        let mut reader = Reader::new(session.core.shared.clone(), session.log.start_offset());
        let (mut ids, mut lost) = (BTreeSet::new(), Vec::new());
        loop {
            let chunk = reader.read(2000).expect("reads");
            if chunk.is_empty() {
                return (ids, lost);
            }
            assert!(chunk.batches.iter().all(|stored| ids.insert(id_of(stored).expect("whole"))), "twice");
            lost.extend(chunk.lost.into_iter().map(|lost| lost.offsets));
        }
    }

    pub(super) fn acked_records(&self) -> u64 {
        self.acked.lock().iter().map(|id| self.ranges[id].end - self.ranges[id].start).sum()
    }

    pub(super) fn acked_batches(&self) -> usize {
        self.acked.lock().len()
    }

    pub(super) fn turn(&mut self) {
        if let Some(session) = &mut self.session {
            session.core.turn();
        }
    }

    /// Opens the log without comparing anything. `None`: the disk refused.
    pub(super) fn try_open(&mut self) -> Option<OpenReport> {
        self.session = None;
        let disk = Arc::new(self.disk.clone());
        let (core, report) = core::open(disk, self.clock.clone(), Path::new(DIR), self.options.clone()).ok()?;
        let log = Log::over(core.shared.clone());
        self.session = Some(Session { core, log, groups: BTreeMap::new() });
        Some(report)
    }

    /// Opens the log and compares it with what it owes.
    pub(super) fn open(&mut self) -> Result<OpenReport, Violation> {
        self.compare_space()?;
        let Some(report) = self.try_open() else {
            let is_excused = self.tolerates_errors || self.disk.is_down();
            return if is_excused { Ok(OpenReport::default()) } else { Err("the log does not open".to_owned()) };
        };
        let (log_start, log_end) = (self.log().start_offset(), self.log().durable_end());
        ensure(report.epoch > self.epoch, || format!("epoch {} after {}", report.epoch, self.epoch))?;
        // A log that opens read-only because it could not write its epoch never writes anything under it.
        let is_failing =
            matches!(self.log().status().health, Health::ReadOnly { reason: ReadOnlyReason::WriteFailed { .. } });
        self.epoch = if is_failing { self.epoch } else { report.epoch };
        ensure(log_end >= self.durable_end, || format!("ends at {log_end}, was durable to {}", self.durable_end))?;
        ensure(log_start >= self.start || self.had_errors, || format!("starts at {log_start} after {}", self.start))?;
        // With errors before, the file of a group that could not be made may be left over, at a position that was deleted.
        let is_known = |end: u64| self.had_errors && end <= self.start;
        let lost = report.lost.iter().any(|lost| lost.was_durable && !is_known(lost.offsets.end));
        let is_whole = !lost && report.damaged.is_empty() && report.set_aside.is_empty();
        ensure(is_whole || self.tolerates_damage, || format!("damage without cause: {report:?}"))?;
        self.compare_groups()?;
        self.compare_data()?;
        Ok(report)
    }

    /// Segments that were deleted before the log said so stay deleted.
    fn compare_space(&self) -> Result<(), Violation> {
        let bases: Vec<u64> =
            self.segment_files().iter().filter_map(|path| segment_base(path.file_name()?.to_str()?)).collect();
        // Of two segments with the same base one was never used.
        let pairs = bases.iter().zip(bases.iter().skip(1));
        let revived = pairs.into_iter().find(|(base, next)| base < next && **next <= self.start);
        ensure(revived.is_none() || self.had_errors, || {
            format!("a deleted segment is back, at {revived:?} below {}", self.start)
        })
    }

    fn compare_groups(&mut self) -> Result<(), Violation> {
        let Some(session) = &mut self.session else { return Ok(()) };
        let listed = session.log.groups();
        for (name, model) in &self.groups {
            let found = listed.iter().find(|group| group.name == *name).ok_or(format!("group {name} is gone"))?;
            let fits =
                found.position >= model.durable && found.position <= model.released.max(session.log.start_offset());
            // A position file that cannot be read makes a group start over.
            ensure(fits || self.tolerates_errors, || {
                format!("group {name} at {} of {}..{}", found.position, model.durable, model.released)
            })?;
            session.groups.insert(name, session.log.group(name).map_err(|error| error.to_string())?);
        }
        for (name, model) in &mut self.groups {
            model.released = session.groups[name].position();
            model.durable = model.durable.min(model.released);
        }
        Ok(())
    }

    /// Reads everything retained and compares it with what was acknowledged.
    fn compare_data(&mut self) -> Result<(), Violation> {
        let Some(session) = &self.session else { return Ok(()) };
        let (start, end) = (session.log.start_offset(), session.log.durable_end());
        ensure(start <= self.deletable || self.tolerates_damage, || {
            format!("starts at {start}, released only to {}", self.deletable)
        })?;
        let mut reader = Reader::new(session.core.shared.clone(), start);
        let (mut seen, mut expected) = (BTreeMap::new(), start);
        loop {
            let chunk = match reader.read(1500) {
                Ok(chunk) => chunk,
                Err(_) if self.tolerates_errors || self.disk.is_down() => return Ok(()),
                Err(error) => return Err(error.to_string()),
            };
            if chunk.is_empty() {
                break;
            }
            let first = chunk.batches.first().map_or(u64::MAX, |stored| stored.range().start);
            for lost in &chunk.lost {
                ensure(!lost.was_durable || self.tolerates_damage, || format!("lost without cause: {lost:?}"))?;
                // A torn hole; below it is found if anything acknowledged was in there.
                expected = if lost.offsets.end <= first { lost.offsets.end } else { expected };
            }
            for stored in &chunk.batches {
                let (id, range) = (id_of(stored)?, stored.range());
                ensure(range.start == expected || self.tolerates_damage, || {
                    format!("{range:?} where {expected} was due")
                })?;
                ensure(range.start >= expected, || format!("{range:?} repeats, {expected} was due"))?;
                expected = range.end;
                ensure(seen.insert(id, range).is_none(), || format!("batch {id} twice"))?;
            }
            let told = chunk.lost.last().map_or(0, |lost| lost.offsets.end);
            expected = expected.max(told);
        }
        ensure(expected == end || self.tolerates_damage, || format!("read to {expected} of {end}"))?;
        for (id, range) in &seen {
            ensure(self.ranges.get(id) == Some(range), || {
                format!("batch {id} at {range:?}, written {:?}", self.ranges.get(id))
            })?;
        }
        for id in self.acked.lock().iter() {
            let is_there = self.ranges[id].end <= start || seen.contains_key(id) || self.tolerates_damage;
            ensure(is_there, || format!("acknowledged batch {id} ({:?}) is gone; {start}..{end}", self.ranges[id]))?;
        }
        Ok(())
    }

    pub(super) fn run(&mut self, actions: &[Action]) -> Result<(), Violation> {
        for action in actions {
            self.act(action).map_err(|violation| format!("{violation} (at {action:?})"))?;
            if self.disk.is_down() {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn act(&mut self, action: &Action) -> Result<(), Violation> {
        match action {
            Action::Append { records, bytes } => self.append(*records, *bytes),
            Action::Turn => self.turn(),
            Action::Pass(milliseconds) => {
                self.clock.advance(Duration::from_millis(*milliseconds));
                self.turn();
            }
            Action::Group(name) => self.open_group(name),
            Action::Release(name, percent) => self.release(name, *percent),
            Action::Drop(name) => {
                let Some(session) = &mut self.session else { return Ok(()) };
                session.groups.remove(name);
                // Whether a failed drop took effect is open; the model then only stops to expect the group.
                let _ = session.log.drop_group(name);
                self.groups.remove(name);
                self.note_deletable();
            }
            Action::Read => self.compare_data()?,
            Action::Reopen => {
                if let Some(session) = &mut self.session {
                    let _ = session.core.close();
                }
                self.observe();
                self.restart()?;
            }
            Action::Kill => {
                self.session = None;
                self.disk.kill_processes();
                self.restart()?;
            }
            Action::PowerLoss(loss) => {
                self.session = None;
                self.disk.power_loss(*loss);
                self.restart()?;
            }
            Action::Capacity(bytes) => self.disk.set_capacity(*bytes),
        }
        self.observe();
        Ok(())
    }

    /// Opens again; a disk that fails on purpose may prevent that.
    fn restart(&mut self) -> Result<(), Violation> {
        if self.disk.is_down() {
            self.session = None;
            return Ok(());
        }
        self.open().map(drop)
    }

    fn append(&mut self, records: u32, bytes: usize) {
        let Some(session) = &self.session else { return };
        let id = self.next_id;
        self.next_id += 1;
        let acked = self.acked.clone();
        let done = Box::new(move |outcome: Result<(), _>| {
            if outcome.is_ok() {
                acked.lock().insert(id);
            }
        });
        if let Ok(range) = session.log.append(batch(id, records, bytes), 1_700_000_000_000, done) {
            self.ranges.insert(id, range);
        }
    }

    fn open_group(&mut self, name: &'static str) {
        let Some(session) = &mut self.session else { return };
        if let Ok(group) = session.log.group(name) {
            let durable = group.inner.persisted.load(Ordering::SeqCst);
            self.groups.entry(name).or_insert(GroupModel { durable, released: group.position() });
            session.groups.insert(name, group);
        }
    }

    fn release(&mut self, name: &'static str, percent: u64) {
        let Some(session) = &self.session else { return };
        let (Some(group), Some(model)) = (session.groups.get(name), self.groups.get_mut(name)) else { return };
        let end = session.log.durable_end();
        let up_to = group.position() + end.saturating_sub(group.position()) * percent / 100;
        group.release(up_to);
        model.released = model.released.max(up_to);
        self.note_deletable();
    }

    fn note_deletable(&mut self) {
        let lowest = self.groups.values().map(|model| model.released).min().unwrap_or(0);
        self.deletable = self.deletable.max(lowest);
    }

    /// Remembers what the log has shown; it may not take that back.
    fn observe(&mut self) {
        if self.disk.is_down() {
            // What a process believes whose power is gone, nobody sees.
            return;
        }
        let Some(session) = &self.session else { return };
        self.durable_end = self.durable_end.max(session.log.durable_end());
        self.start = self.start.max(session.log.start_offset());
        for group in session.log.groups() {
            if let Some((_, model)) = self.groups.iter_mut().find(|(name, _)| **name == group.name) {
                model.durable = model.durable.max(group.durable_position);
            }
        }
    }

    /// After all faults: what is owed is there, and the log works.
    pub(super) fn recover(&mut self, loss: Option<Loss>) -> Result<(), Violation> {
        self.session = None;
        match loss {
            Some(loss) => self.disk.power_loss(loss),
            None => self.disk.kill_processes(),
        }
        self.open()?;
        self.check_alive()
    }

    /// A batch goes in, is acknowledged, and comes out again, also after another opening.
    pub(super) fn check_alive(&mut self) -> Result<(), Violation> {
        let before = self.acked_batches();
        self.run(&[Action::Append { records: 2, bytes: 200 }, Action::Turn, Action::Pass(2000), Action::Read])?;
        let health = self.log().status().health;
        ensure(health == Health::Healthy && self.acked_batches() > before, || format!("does not go on: {health:?}"))?;
        self.run(&[Action::Reopen, Action::Read])
    }

    pub(super) fn segment_files(&self) -> Vec<PathBuf> {
        let is_segment = |path: &PathBuf| {
            path.starts_with("/log/segments") && path.extension().is_some_and(|extension| extension == "log")
        };
        self.disk.files().into_iter().filter(is_segment).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Receipts that are still open run now, while the model they report to exists.
        self.session = None;
    }
}

/// Batches until about `segments` segments of [`small_options`] are full.
pub(super) fn fill(segments: usize) -> Vec<Action> {
    let one = [Action::Append { records: 3, bytes: 900 }, Action::Append { records: 1, bytes: 400 }, Action::Pass(10)];
    one.into_iter().cycle().take(segments * 9 + 3).collect()
}
