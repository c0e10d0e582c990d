//! A lane: deliveries to files, files to acknowledgements.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tracing::{debug, info, warn};
use weir_engine::delivery::{Delivery, DeliveryError};
use weir_engine::sink::{FlushReason, Sink, SinkContext};
use weir_event::{ChannelId, EventBatch, Offsets, Origin};
use weir_format::{Codec, Encoder, FileState, Format, Rows};

use super::buckets::Buckets;
use super::committed::Committed;
use super::complete::Watermark;
use super::file::{FileStyle, OpenFile};
use super::name::InProgress;
use super::pending::Pending;
use super::store::{Published, Ready, Store, StoreError};

/// Least time between two warnings that files are finished early: once a minute is seen and does not flood.
const CROWDED_EVERY: Duration = Duration::from_secs(60);

/// A kind of fault.
const LATE: &str = "file for a directory that was complete";

/// Where the lane reads the time from; tests give it another one.
pub(crate) type Clock = Box<dyn Fn() -> Instant + Send>;

/// What the lane is told once.
#[derive(Clone, Debug)]
pub(crate) struct LaneOptions {
    /// How files are made.
    pub(crate) style: FileStyle,
    /// What files hold.
    pub(crate) format: Format,
    /// Most files that the lane has open at a time.
    pub(crate) open_files_max: usize,
    /// Whether deliveries wait until their files have their names even on a channel that forgets: what is stored before
    /// that cannot be kept.
    pub(crate) waits_for_names: bool,
    /// By how much events must be younger than a stretch of time before its directories count as complete; `None`: nobody
    /// asks.
    pub(crate) complete_after: Option<Duration>,
    /// How old what is not synced may become in a file in progress; `None`: nothing is synced before a file's end.
    pub(crate) sync_interval: Option<Duration>,
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
    watermark: Watermark,
    /// Whether the store has heard of it.
    is_known: bool,
}

/// What belongs to one batch while it is written.
struct Write<'a> {
    lines: Rows<'a>,
    origin: Origin,
    /// The delivery that the batch is of.
    id: u64,
    repeats_below: u64,
    now: Instant,
}

/// A lane of a sink that writes files. No other lane of the sink gets events of a partition while that is here.
pub(crate) struct TreeSink<S: Store> {
    name: String,
    pub(crate) store: S,
    options: LaneOptions,
    /// Whether deliveries wait until their files have their names.
    waits_for_names: bool,
    context: SinkContext,
    clock: Clock,
    pub(super) buckets: Buckets<S::File>,
    encoder: Encoder,
    pending: Pending,
    partitions: BTreeMap<u32, Progress>,
    uses: u64,
    crowded_at: Option<Instant>,
}

impl<S: Store> TreeSink<S> {
    /// A lane with no file open.
    pub(crate) fn new(
        context: SinkContext,
        options: LaneOptions,
        buckets: Buckets<S::File>,
        store: S,
        clock: Clock,
    ) -> std::io::Result<Self> {
        Ok(Self {
            store,
            name: context.name.clone(),
            waits_for_names: context.channel_is_durable || options.waits_for_names,
            encoder: Encoder::new(options.format)?,
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

    async fn take(&mut self, delivery: Delivery) -> Result<(), StoreError> {
        let now = (self.clock)();
        self.buckets.forget_some();
        let Delivery { batches, repeats_below, ack, .. } = delivery;
        let (partition, range) = (ack.partition(), ack.range());
        // What the events say: the partition may be younger than what the sink was told at its start.
        let origin = batches.iter().find_map(|batch| batch.origin().map(|origin| origin.channel));
        let channel = origin.unwrap_or_else(|| self.channel(partition));
        let repeats_below = self.note_range(channel, &range, repeats_below).await?;
        if self.options.complete_after.is_some() && !batches.is_empty() {
            self.make_known(channel).await?;
        }
        let id = self.pending.take_in(ack);
        let mut next = range.start;
        for batch in &batches {
            let origin = batch.origin().cloned().unwrap_or_else(|| self.origin(partition, next));
            next += batch.len() as u64;
            let lines = Rows::new(self.options.format, batch);
            self.write_batch(batch, &Write { lines, origin, id, repeats_below, now }).await?;
        }
        if let Some(after) = self.options.complete_after {
            self.tell_passed(channel, after).await?;
        }
        if !self.waits_for_names {
            self.settle_written(self.options.format.codec() == Codec::None).await?;
        }
        self.pending.settle(id);
        Ok(())
    }

    /// Tells the store of a partition with its first events, so that directories wait for it from then on.
    async fn make_known(&mut self, channel: ChannelId) -> Result<(), StoreError> {
        if let Some(progress) = self.partitions.get_mut(&channel.partition).filter(|progress| !progress.is_known) {
            self.store.hears_of(channel).await?;
            progress.is_known = true;
        }
        Ok(())
    }

    /// For batches that a channel gives without positions: those of the delivery.
    fn origin(&self, partition: u32, first: u64) -> Origin {
        Origin { channel: self.channel(partition), offsets: Offsets::Contiguous { first } }
    }

    /// As the engine said at the start.
    fn channel(&self, partition: u32) -> ChannelId {
        self.context.channel(partition).unwrap_or(ChannelId { log: 0, partition })
    }

    pub(super) fn watermark(&self, partition: u32) -> Option<Watermark> {
        self.partitions.get(&partition).map(|progress| progress.watermark)
    }

    pub(super) fn set_watermark(&mut self, partition: u32, watermark: Watermark) {
        if let Some(progress) = self.partitions.get_mut(&partition) {
            progress.watermark = watermark;
        }
    }

    /// Nothing follows on what came before: the next delivery of each partition finishes nothing and begins a stay.
    fn forget_progress(&mut self) {
        for progress in self.partitions.values_mut() {
            // What comes again is older: what was told stays told, the newest time is found out anew.
            (progress.next, progress.watermark.ms) = (None, i64::MIN);
        }
    }

    /// Sees to it that no open file spans a gap, and returns below which offset events may be repeats.
    async fn note_range(
        &mut self,
        channel: ChannelId,
        range: &Range<u64>,
        repeats_below: u64,
    ) -> Result<u64, StoreError> {
        let partition = channel.partition;
        let is_new = !self.partitions.contains_key(&partition);
        let progress = self.partitions.entry(partition).or_default();
        let follows = progress.next == Some(range.start);
        let comes_again = !follows && range.start < progress.high;
        // A new stay of the partition here: somebody else may have finished files meanwhile.
        let is_new_stay = is_new || repeats_below > progress.repeats_below || progress.next.is_none();
        progress.repeats_below = progress.repeats_below.max(repeats_below);
        if comes_again {
            progress.repeats_below = progress.repeats_below.max(progress.high);
        }
        progress.next = Some(range.end);
        progress.high = progress.high.max(range.end);
        let repeats_below = progress.repeats_below;
        if !follows {
            let slots = self.slots_where(|file| file.partition() == partition);
            self.finish(&slots, "gap").await?;
        }
        if is_new_stay {
            self.store.begin_stay(channel).await?;
        }
        if is_new_stay || comes_again {
            self.buckets.forget_committed();
        }
        Ok(if self.store.every_name_counts() { u64::MAX } else { repeats_below })
    }

    /// Finds the runs of events that go to the same file and writes each in one go.
    async fn write_batch(&mut self, batch: &EventBatch, write: &Write<'_>) -> Result<(), StoreError> {
        let view = self.buckets.view(batch, write.origin.channel);
        if self.options.complete_after.is_some()
            && let Some(progress) = self.partitions.get_mut(&write.origin.channel.partition)
        {
            progress.watermark.note(&self.buckets, &view, batch);
        }
        let mut row = 0;
        while row < batch.len() {
            let (slot, end) = self.buckets.run(&view, row);
            self.write_run(slot, row..end, write).await?;
            row = end;
        }
        Ok(())
    }

    /// Writes events of one bucket, without those that a finished file holds.
    async fn write_run(&mut self, slot: usize, rows: Range<usize>, write: &Write<'_>) -> Result<(), StoreError> {
        let offset = |row: usize| write.origin.offset(row).unwrap_or(u64::MAX);
        if offset(rows.start) >= write.repeats_below {
            return self.append(slot, rows, write).await;
        }
        let bucket = self.buckets.bucket(slot);
        let committed = match &bucket.committed {
            Some(committed) => committed.clone(),
            None => {
                let names = self.store.names(&bucket.directory).await?;
                let names = names.iter().map(String::as_str);
                let floor = offset(rows.start);
                let found = Committed::of(names, &self.options.style.prefix, bucket.channel, floor);
                bucket.committed.insert(Arc::new(found)).clone()
            }
        };
        if committed.is_clear(offset(rows.start), offset(rows.end - 1)) {
            return self.append(slot, rows, write).await;
        }
        let is_repeat = |row: usize| offset(row) < write.repeats_below && committed.contains(offset(row));
        let mut row = rows.start;
        while row < rows.end {
            let repeat = is_repeat(row);
            let end = (row + 1..rows.end).find(|row| is_repeat(*row) != repeat).unwrap_or(rows.end);
            if repeat {
                self.pending.count_repeated(write.id, (end - row) as u64);
            } else {
                self.append(slot, row..end, write).await?;
            }
            row = end;
        }
        Ok(())
    }

    /// Appends events to the file of a bucket, and to the next one where that gets full.
    async fn append(&mut self, slot: usize, rows: Range<usize>, write: &Write<'_>) -> Result<(), StoreError> {
        let mut row = rows.start;
        while row < rows.end {
            if self.buckets.file(slot).is_none() {
                self.open(slot, row, write).await?;
            }
            self.uses += 1;
            let style = &self.options.style;
            let file = self.buckets.file(slot).expect("it was opened above if it was not open");
            file.used = self.uses;
            row = file.append(&write.lines, &write.origin, row..rows.end, write.now, style);
            if file.gathered_bytes() >= style.block_bytes {
                self.write_out(slot).await?;
            }
            let (style, file) = (&self.options.style, self.buckets.file(slot).expect("it stays open"));
            // On a channel that forgets, what is written needs no token.
            let waits = self.waits_for_names || !file.is_written_out();
            let is_full = file.is_full(style);
            if waits && file.hold(write.id) {
                self.pending.hold(write.id);
            }
            if is_full {
                self.finish(&[slot], "full").await?;
            }
        }
        Ok(())
    }

    /// Stores what the file of a bucket has gathered, and what ends a file of its format.
    async fn write_all(&mut self, slot: usize) -> Result<(), StoreError> {
        self.write_out(slot).await?;
        let Some(file) = self.buckets.file(slot) else { return Ok(()) };
        let (first, last) = file.offsets();
        let offsets = vec![("weir.offsets".to_owned(), format!("{first}-{last}"))];
        let (handle, gathered) = file.gathered();
        let end = self.encoder.end(gathered.state, offsets);
        let end = end.map_err(|error| StoreError::new("failed to end a file", error))?;
        if end.is_empty() { Ok(()) } else { self.store.write(handle, end).await }
    }

    /// Stores what the file of a bucket has gathered.
    async fn write_out(&mut self, slot: usize) -> Result<(), StoreError> {
        let Some(file) = self.buckets.file(slot) else { return Ok(()) };
        let (handle, gathered) = file.gathered();
        if gathered.events == 0 {
            return Ok(());
        }
        let packed = self.encoder.block(gathered.state, gathered.bytes, gathered.events);
        let packed = packed.map_err(|error| StoreError::new("failed to encode events", error))?;
        self.store.write(handle, packed).await?;
        let bytes = packed.len();
        file.is_stored(bytes, self.options.style.block_bytes);
        Ok(())
    }

    async fn open(&mut self, slot: usize, row: usize, write: &Write<'_>) -> Result<(), StoreError> {
        while self.buckets.open_slots().len() >= self.options.open_files_max {
            self.make_room(write.now).await?;
        }
        self.expect(slot).await?;
        let bucket = self.buckets.bucket(slot);
        let first = write.origin.offset(row).unwrap_or_default();
        let name = InProgress { channel: bucket.channel, first };
        let style = &self.options.style;
        let handle = self.store.create(&bucket.directory, name, &style.prefix).await?;
        let state = FileState::new(vec![
            ("weir.agent".to_owned(), self.context.agent.clone()),
            ("weir.channel".to_owned(), format!("{:016x}-{}", name.channel.log, name.channel.partition)),
        ]);
        debug!(sink = %self.name, file = %S::path(&handle).display(), "file opened");
        let file = OpenFile::new(style, &bucket.directory, name, handle, state, write.now);
        self.buckets.open_file(slot, file);
        Ok(())
    }

    /// Tells the store of a directory that is to be complete one day.
    async fn expect(&mut self, slot: usize) -> Result<(), StoreError> {
        if self.options.complete_after.is_none() {
            return Ok(());
        }
        let bucket = self.buckets.bucket(slot);
        let (directory, until_ms, partition) = (bucket.directory.clone(), bucket.until_ms, bucket.channel.partition);
        if self.watermark(partition).is_some_and(|watermark| watermark.is_late(until_ms)) {
            self.context.faults.add(LATE, 1);
        }
        self.store.expects(&directory, until_ms).await
    }

    /// Finishes the file that was not written for longest.
    async fn make_room(&mut self, now: Instant) -> Result<(), StoreError> {
        if self.crowded_at.is_none_or(|at| now >= at + CROWDED_EVERY) {
            self.crowded_at = Some(now);
            let of_this_lane = self.options.open_files_max;
            warn!(sink = %self.name, of_this_lane, "files are finished early to open others: raise open_files_max, which its lanes share, or use a coarser path");
        }
        let oldest = self.buckets.open_files().min_by_key(|(_, file)| file.used).map(|(slot, _)| slot);
        self.finish(oldest.as_slice(), "room").await
    }

    fn slots_where(&self, condition: impl Fn(&OpenFile<S::File>) -> bool) -> Vec<usize> {
        self.buckets.open_files().filter(|(_, file)| condition(file)).map(|(slot, _)| slot).collect()
    }

    /// Stores what is gathered, gives files their final names, and acknowledges what waited for the last of its files.
    /// After a failure the others are finished all the same, as far as that goes without another one.
    pub(super) async fn finish(&mut self, slots: &[usize], reason: &'static str) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        let mut whole = Vec::new();
        for slot in slots {
            outcome = self.write_all(*slot).await;
            if outcome.is_err() {
                break;
            }
            whole.extend(self.buckets.take_file(*slot).map(|file| (*slot, file)));
        }
        let style = &self.options.style;
        let ready = whole.iter_mut().map(|(_, file)| Ready { path: file.final_path(style), file: &mut file.handle });
        let published = self.store.publish(ready.collect()).await;
        for ((slot, file), published) in whole.into_iter().zip(published) {
            match published {
                Published::Done(path) => {
                    debug!(sink = %self.name, file = %path.display(), events = file.events(), reason, "file finished");
                    file.into_waiting().into_iter().for_each(|id| self.pending.settle(id));
                }
                Published::Open(error) => {
                    self.buckets.open_file(slot, file);
                    outcome = outcome.and(error.map_or(Ok(()), Err));
                }
                Published::Gone(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }

    /// On a channel that forgets: acknowledges what is in files; `write_out` puts everything there first.
    async fn settle_written(&mut self, write_out: bool) -> Result<(), StoreError> {
        for slot in self.buckets.open_slots().to_vec() {
            if write_out {
                self.write_out(slot).await?;
            }
            let Some(file) = self.buckets.file(slot) else { continue };
            file.take_stored().for_each(|id| self.pending.settle(id));
        }
        Ok(())
    }

    async fn flush_files(&mut self, reason: FlushReason) -> Result<(), StoreError> {
        let limits = self.options.style.limits;
        match reason {
            FlushReason::Timer => {
                let now = (self.clock)();
                let due = self.slots_where(|file| file.due_at(limits).is_some_and(|at| at <= now));
                self.finish(&due, "timer").await?;
                self.sync_due(now).await
            }
            // Nothing waits for more than the next write.
            FlushReason::Pressure if !self.waits_for_names => self.settle_written(true).await,
            FlushReason::Pressure => {
                info!(sink = %self.name, deliveries = self.pending.len(), "files are finished early: the channel fills up");
                let all = self.slots_where(|_| true);
                self.finish(&all, "pressure").await
            }
            FlushReason::Handover | FlushReason::Shutdown => {
                let all = self.slots_where(|_| true);
                self.finish(&all, "shutdown").await?;
                self.store.end_stays().await;
                self.forget_progress();
                Ok(())
            }
        }
    }

    /// Syncs files in progress that hold what is older than the interval.
    async fn sync_due(&mut self, now: Instant) -> Result<(), StoreError> {
        let Some(interval) = self.options.sync_interval else { return Ok(()) };
        for slot in self.slots_where(|file| file.sync_due_at(interval).is_some_and(|at| at <= now)) {
            self.write_out(slot).await?;
            let Some(file) = self.buckets.file(slot) else { continue };
            self.store.sync(&mut file.handle).await?;
            file.is_synced();
        }
        Ok(())
    }

    /// After a failure: no file stays open and no token is kept. What is not acknowledged comes again, to new files.
    async fn give_up(&mut self, error: StoreError) -> DeliveryError {
        for slot in self.buckets.open_slots().to_vec() {
            let Some(file) = self.buckets.take_file(slot) else { continue };
            if self.waits_for_names {
                self.store.remove(file.handle).await;
            } else {
                self.keep_written(file).await;
            }
        }
        self.forget_progress();
        self.pending.give_back();
        error.into_delivery_error()
    }

    /// On a channel that forgets, what is written is acknowledged: the file is finished with just that.
    async fn keep_written(&mut self, mut file: OpenFile<S::File>) {
        let Some(bytes) = file.cut_back() else {
            self.store.remove(file.handle).await;
            return;
        };
        let path = file.final_path(&self.options.style);
        let kept = match self.store.cut_back(&mut file.handle, bytes).await {
            Ok(()) => self.store.publish(vec![Ready { path, file: &mut file.handle }]).await.pop(),
            Err(error) => Some(Published::Open(Some(error))),
        };
        if let Some(Published::Open(Some(error)) | Published::Gone(error)) = kept {
            let path = S::path(&file.handle).display();
            warn!(sink = %self.name, file = %path, error = %error, "unfinished file left for the next start to recover");
        }
    }
}

#[async_trait(?Send)]
impl<S: Store> Sink for TreeSink<S> {
    async fn deliver(&mut self, delivery: Delivery) -> Result<(), DeliveryError> {
        match self.take(delivery).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.give_up(error).await),
        }
    }

    async fn flush(&mut self, reason: FlushReason) -> Result<(), DeliveryError> {
        match self.flush_files(reason).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.give_up(error).await),
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        let limits = self.options.style.limits;
        let due = |file: &OpenFile<S::File>| {
            let sync = self.options.sync_interval.and_then(|interval| file.sync_due_at(interval));
            file.due_at(limits).into_iter().chain(sync).min()
        };
        self.buckets.open_files().filter_map(|(_, file)| due(file)).min()
    }
}
