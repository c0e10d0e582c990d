//! The lane: deliveries to files, files to acknowledgements.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tracing::{debug, info, warn};
use weir_engine::delivery::{Delivery, DeliveryError};
use weir_engine::sink::{FlushReason, Sink, SinkContext};
use weir_event::{ChannelId, EventBatch, Offsets, Origin};

use super::buckets::Buckets;
use super::committed::Committed;
use super::disk;
use super::error::FileError;
use super::format::{Format, LineWriter};
use super::name::InProgress;
use super::pack::{Compression, Packer};
use super::pending::Pending;
use super::writer::{FileStyle, OpenFile};

/// Least time between two warnings that files are finished early: once a minute is seen and does not flood.
const CROWDED_EVERY: Duration = Duration::from_secs(60);

/// Where the lane reads the time from; tests give it another one.
pub(super) type Clock = Box<dyn Fn() -> Instant + Send>;

/// What the lane is told once.
#[derive(Clone, Debug)]
pub(super) struct LaneOptions {
    /// How files are made.
    pub(super) style: FileStyle,
    /// What a line holds.
    pub(super) format: Format,
    /// How files are compressed.
    pub(super) compression: Compression,
    /// Most files open at a time.
    pub(super) open_files_max: usize,
}

/// How far a partition has come.
#[derive(Clone, Copy, Default)]
struct Progress {
    /// Where the next delivery starts if nothing lies between; `None` after a failure.
    next: Option<u64>,
    /// One past the highest offset seen.
    high: u64,
    /// Events below may be in finished files already.
    repeats_below: u64,
}

/// What belongs to one batch while it is written.
struct Write<'a> {
    lines: LineWriter<'a>,
    origin: Origin,
    /// The delivery that the batch is of.
    id: u64,
    repeats_below: u64,
    now: Instant,
}

/// The one lane of the sink.
pub(super) struct FilesSink {
    name: String,
    options: LaneOptions,
    channel_is_durable: bool,
    context: SinkContext,
    clock: Clock,
    buckets: Buckets,
    packer: Packer,
    pending: Pending,
    partitions: BTreeMap<u32, Progress>,
    uses: u64,
    crowded_at: Option<Instant>,
}

impl FilesSink {
    /// A lane with no file open.
    pub(super) fn new(
        context: SinkContext,
        options: LaneOptions,
        buckets: Buckets,
        clock: Clock,
    ) -> std::io::Result<Self> {
        Ok(Self {
            name: context.name.clone(),
            channel_is_durable: context.channel_is_durable,
            packer: Packer::new(options.compression)?,
            pending: Pending::default(),
            partitions: BTreeMap::new(),
            uses: 0,
            crowded_at: None,
            context,
            options,
            clock,
            buckets,
        })
    }

    fn take(&mut self, delivery: Delivery) -> Result<(), FileError> {
        let now = (self.clock)();
        self.buckets.forget_some();
        let Delivery { batches, repeats_below, ack, .. } = delivery;
        let (partition, range) = (ack.partition(), ack.range());
        let repeats_below = self.note_range(partition, &range, repeats_below)?;
        let id = self.pending.take_in(ack);
        let mut next = range.start;
        for batch in &batches {
            let origin = batch.origin().cloned().unwrap_or_else(|| self.origin(partition, next));
            next += batch.len() as u64;
            let lines = LineWriter::new(self.options.format, batch);
            self.write_batch(batch, &Write { lines, origin, id, repeats_below, now })?;
        }
        if !self.channel_is_durable {
            self.settle_written(self.options.compression == Compression::None)?;
        }
        self.pending.settle(id);
        Ok(())
    }

    /// For batches that a channel gives without positions: those of the delivery.
    fn origin(&self, partition: u32, first: u64) -> Origin {
        let channel = self.context.channel(partition).unwrap_or(ChannelId { log: 0, partition });
        Origin { channel, offsets: Offsets::Contiguous { first } }
    }

    /// Sees to it that no open file spans a gap, and returns below which offset events may be repeats.
    fn note_range(&mut self, partition: u32, range: &Range<u64>, repeats_below: u64) -> Result<u64, FileError> {
        let progress = self.partitions.entry(partition).or_default();
        if repeats_below > progress.repeats_below {
            // A new stay of the partition here: somebody else may have finished files meanwhile.
            progress.repeats_below = repeats_below;
            self.buckets.forget_committed();
        }
        let follows = progress.next == Some(range.start);
        if !follows && range.start < progress.high {
            progress.repeats_below = progress.repeats_below.max(progress.high);
            self.buckets.forget_committed();
        }
        progress.next = Some(range.end);
        progress.high = progress.high.max(range.end);
        let repeats_below = progress.repeats_below;
        if !follows {
            let slots = self.slots_where(|file| file.partition() == partition);
            self.finish(&slots, "gap")?;
        }
        Ok(repeats_below)
    }

    /// Finds the runs of events that go to the same file and writes each in one go.
    fn write_batch(&mut self, batch: &EventBatch, write: &Write<'_>) -> Result<(), FileError> {
        let view = self.buckets.view(batch, write.origin.channel);
        let mut row = 0;
        while row < batch.len() {
            let (slot, end) = self.buckets.run(&view, row);
            self.write_run(slot, row..end, write)?;
            row = end;
        }
        Ok(())
    }

    /// Writes events of one bucket, without those that a finished file holds.
    fn write_run(&mut self, slot: usize, rows: Range<usize>, write: &Write<'_>) -> Result<(), FileError> {
        let offset = |row: usize| write.origin.offset(row).unwrap_or(u64::MAX);
        if offset(rows.start) >= write.repeats_below {
            return self.append(slot, rows, write);
        }
        let (prefix, sync) = (&self.options.style.prefix, self.options.style.sync);
        let bucket = self.buckets.bucket(slot);
        let committed = match &bucket.committed {
            Some(committed) => committed.clone(),
            None => {
                let found = Committed::read(&bucket.directory, prefix, bucket.channel, sync)?;
                bucket.committed.insert(Arc::new(found)).clone()
            }
        };
        let is_repeat = |row: usize| offset(row) < write.repeats_below && committed.contains(offset(row));
        let mut row = rows.start;
        while row < rows.end {
            let repeat = is_repeat(row);
            let end = (row + 1..rows.end).find(|row| is_repeat(*row) != repeat).unwrap_or(rows.end);
            if repeat {
                self.pending.count_repeated(write.id, (end - row) as u64);
            } else {
                self.append(slot, row..end, write)?;
            }
            row = end;
        }
        Ok(())
    }

    /// Appends events to the file of a bucket, and to the next one where that gets full.
    fn append(&mut self, slot: usize, rows: Range<usize>, write: &Write<'_>) -> Result<(), FileError> {
        let mut row = rows.start;
        while row < rows.end {
            if self.buckets.file(slot).is_none() {
                self.open(slot, row, write)?;
            }
            self.uses += 1;
            let style = &self.options.style;
            let file = self.buckets.file(slot).expect("it was opened above if it was not open");
            file.used = self.uses;
            row = file.append(&write.lines, &write.origin, row..rows.end, write.now, style, &mut self.packer)?;
            // On a channel that forgets, what is written needs no token.
            let waits = self.channel_is_durable || !file.is_written_out();
            let is_full = file.is_full(style.limits);
            if waits && file.hold(write.id) {
                self.pending.hold(write.id);
            }
            if is_full {
                self.finish(&[slot], "full")?;
            }
        }
        Ok(())
    }

    fn open(&mut self, slot: usize, row: usize, write: &Write<'_>) -> Result<(), FileError> {
        while self.buckets.open_slots().len() >= self.options.open_files_max {
            self.make_room(write.now)?;
        }
        let bucket = self.buckets.bucket(slot);
        let first = write.origin.offset(row).unwrap_or_default();
        let name = InProgress { channel: bucket.channel, first };
        let file = OpenFile::create(&self.options.style, &bucket.directory, name, write.now)?;
        debug!(sink = %self.name, file = %file.path().display(), "file opened");
        self.buckets.open_file(slot, file);
        Ok(())
    }

    /// Finishes the file that was not written for longest.
    fn make_room(&mut self, now: Instant) -> Result<(), FileError> {
        if self.crowded_at.is_none_or(|at| now >= at + CROWDED_EVERY) {
            self.crowded_at = Some(now);
            let open_files_max = self.options.open_files_max;
            warn!(sink = %self.name, open_files_max, "files are finished early to open others: raise open_files_max or use a coarser path");
        }
        let oldest = self.buckets.open_files().min_by_key(|(_, file)| file.used).map(|(slot, _)| slot);
        self.finish(oldest.as_slice(), "room")
    }

    fn slots_where(&self, condition: impl Fn(&OpenFile) -> bool) -> Vec<usize> {
        self.buckets.open_files().filter(|(_, file)| condition(file)).map(|(slot, _)| slot).collect()
    }

    /// Writes, syncs and renames files, syncs their folders, and acknowledges what waited for the last of its files.
    /// Folders are synced once each, and also for files that were renamed before one that failed.
    fn finish(&mut self, slots: &[usize], reason: &'static str) -> Result<(), FileError> {
        let mut renamed: BTreeMap<Arc<Path>, Vec<(PathBuf, OpenFile)>> = BTreeMap::new();
        let mut outcome = Ok(());
        for slot in slots {
            let Some(file) = self.buckets.file(*slot) else { continue };
            match file.publish(&self.options.style, &mut self.packer) {
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
                Ok(path) => {
                    let file = self.buckets.take_file(*slot).expect("it was there a moment ago");
                    renamed.entry(file.directory().clone()).or_default().push((path, file));
                }
            }
        }
        for (directory, files) in renamed {
            let synced = if self.options.style.sync { disk::sync_directory(&directory) } else { Ok(()) };
            for (path, file) in files {
                if synced.is_err() && self.channel_is_durable {
                    // Its name may not survive a power loss, and its events come again: it must not be relied upon.
                    remove(&self.name, &path);
                    continue;
                }
                debug!(sink = %self.name, file = %path.display(), events = file.events(), reason, "file finished");
                file.into_waiting().into_iter().for_each(|id| self.pending.settle(id));
            }
            outcome = outcome.and(synced.map_err(FileError::on("sync the folder", &directory)));
        }
        outcome
    }

    /// On a channel that forgets: acknowledges what is in files; `write_out` puts everything there first.
    fn settle_written(&mut self, write_out: bool) -> Result<(), FileError> {
        for slot in self.buckets.open_slots().to_vec() {
            let Some(file) = self.buckets.file(slot) else { continue };
            if write_out {
                file.write_out(&mut self.packer, self.options.style.block_bytes)?;
            }
            file.take_stored().for_each(|id| self.pending.settle(id));
        }
        Ok(())
    }

    fn flush_files(&mut self, reason: FlushReason) -> Result<(), FileError> {
        let limits = self.options.style.limits;
        match reason {
            FlushReason::Timer => {
                let now = (self.clock)();
                let due = self.slots_where(|file| file.due_at(limits).is_some_and(|at| at <= now));
                self.finish(&due, "timer")
            }
            // Nothing waits for more than the next write.
            FlushReason::Pressure if !self.channel_is_durable => self.settle_written(true),
            FlushReason::Pressure => {
                info!(sink = %self.name, deliveries = self.pending.len(), "files are finished early: the channel fills up");
                let all = self.slots_where(|_| true);
                self.finish(&all, "pressure")
            }
            FlushReason::Handover | FlushReason::Shutdown => {
                let all = self.slots_where(|_| true);
                self.finish(&all, "shutdown")
            }
        }
    }

    /// After a failure: no file stays open and no token is kept. What is not acknowledged comes again, to new files.
    fn give_up(&mut self, error: FileError) -> DeliveryError {
        for slot in self.buckets.open_slots().to_vec() {
            let Some(file) = self.buckets.take_file(slot) else { continue };
            if self.channel_is_durable {
                remove(&self.name, file.path());
            } else {
                self.keep_written(file);
            }
        }
        self.partitions.values_mut().for_each(|progress| progress.next = None);
        self.pending.give_back();
        error.into_delivery_error()
    }

    /// On a channel that forgets, what is written is acknowledged: the file is finished with just that.
    fn keep_written(&self, mut file: OpenFile) {
        let path = file.path().to_owned();
        let style = &self.options.style;
        let kept = match file.cut_back() {
            Ok(false) => {
                remove(&self.name, &path);
                return;
            }
            Ok(true) => file.publish_written(style).and_then(|_| {
                let directory = file.directory();
                if style.sync { disk::sync_directory(directory) } else { Ok(()) }
                    .map_err(FileError::on("sync the folder", directory))
            }),
            Err(error) => Err(FileError::new("cut", &path, error)),
        };
        if let Err(error) = kept {
            warn!(sink = %self.name, file = %path.display(), %error, "unfinished file left for the next start to recover");
        }
    }
}

/// Removes a file whose events come again. One that cannot be removed is dealt with at the next start.
fn remove(sink: &str, path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        warn!(sink, file = %path.display(), %error, "unfinished file could not be removed");
    }
}

#[async_trait(?Send)]
impl Sink for FilesSink {
    async fn deliver(&mut self, delivery: Delivery) -> Result<(), DeliveryError> {
        self.take(delivery).map_err(|error| self.give_up(error))
    }

    async fn flush(&mut self, reason: FlushReason) -> Result<(), DeliveryError> {
        self.flush_files(reason).map_err(|error| self.give_up(error))
    }

    fn wake_at(&self) -> Option<Instant> {
        let limits = self.options.style.limits;
        self.buckets.open_files().filter_map(|(_, file)| file.due_at(limits)).min()
    }
}
