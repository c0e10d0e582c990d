//! What the handles, the readers and the writer thread have in common.
//!
//! One mutex guards everything that changes together; it is held for a few field accesses, never across disk I/O or a
//! callback.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use weir_codec::record_batch::EncodedBatch;
use weir_event::ArenaPool;

use crate::clock::Clock;
use crate::disk::Disk;
use crate::errors::{AppendFailure, Completion};
use crate::group::GroupInner;
use crate::options::LogOptions;
use crate::report::{Health, LostRange};
use crate::slots::SlotFile;

/// Readers' buffers: 4 MiB fits the largest usual read; four of them are kept while unused.
const READ_ARENA_BYTES: usize = 4 << 20;
const READ_ARENAS_KEPT: usize = 4;
/// A buffer that grew beyond this was for one giant batch and is given back.
const BUFFER_BYTES_MAX: usize = 2 << 20;
/// Distance of remembered places in a segment: a seek reads at most this much for nothing. 256 places per full segment.
const INDEX_STRIDE_BYTES: u64 = 1 << 20;

/// A batch on its way to the disk. Kept in memory until a sync covers it.
pub(crate) struct Pending {
    pub(crate) batch: EncodedBatch,
    pub(crate) first: u64,
    pub(crate) arrival_s: u32,
    pub(crate) receipt: Receipt,
}

impl Pending {
    pub(crate) fn end(&self) -> u64 {
        self.first + u64::from(self.batch.record_count())
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.batch.as_bytes().len() as u64
    }
}

/// The completion of a batch; runs exactly once. The default is one that has run.
#[derive(Default)]
pub(crate) struct Receipt(Option<Completion>);

impl Receipt {
    pub(crate) fn new(done: Completion) -> Self {
        Self(Some(done))
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn complete(mut self, outcome: Result<(), AppendFailure>) {
        if let Some(done) = self.0.take() {
            done(outcome);
        }
    }
}

impl Drop for Receipt {
    /// A receipt that nobody completed failed: silence is never success.
    fn drop(&mut self) {
        if let Some(done) = self.0.take() {
            done(Err(AppendFailure::Closed));
        }
    }
}

/// A segment, as readers see it.
pub(crate) struct SegmentView {
    pub(crate) path: PathBuf,
    pub(crate) base: u64,
    /// `None` if the header is damaged.
    pub(crate) epoch: Option<u32>,
    /// Bytes readers may look at: what is synced of the active segment, the file's length otherwise.
    pub(crate) bytes: AtomicU64,
    /// Arrival of its first record (or its creation, if found at open), seconds since 1970.
    pub(crate) first_arrival_s: AtomicU32,
    /// Guards remembered batch boundaries (offset, byte position), ascending.
    index: Mutex<Vec<(u64, u64)>>,
}

impl SegmentView {
    pub(crate) fn new(path: PathBuf, base: u64, epoch: Option<u32>, bytes: u64, first_arrival_s: u32) -> Self {
        let (bytes, first_arrival_s) = (AtomicU64::new(bytes), AtomicU32::new(first_arrival_s));
        Self { path, base, epoch, bytes, first_arrival_s, index: Mutex::new(Vec::new()) }
    }

    /// Remembers that the batch of `offset` starts at byte `at`, if that is far enough from the last such place.
    pub(crate) fn remember(&self, offset: u64, at: u64) {
        let mut index = self.index.lock();
        if index.last().is_none_or(|(last, last_at)| offset > *last && at >= last_at + INDEX_STRIDE_BYTES) {
            index.push((offset, at));
        }
    }

    /// The last remembered boundary at or before `offset`.
    pub(crate) fn boundary_before(&self, offset: u64) -> Option<(u64, u64)> {
        let index = self.index.lock();
        index.partition_point(|(known, _)| *known <= offset).checked_sub(1).map(|last| index[last])
    }
}

/// Where an offset is.
pub(crate) struct Located {
    pub(crate) view: Arc<SegmentView>,
    /// Bytes of the segment that may be read.
    pub(crate) bytes: u64,
    /// One past the last offset of the segment.
    pub(crate) end: u64,
    /// All of it was synced for certain: written since open, or followed by a segment of the same epoch.
    pub(crate) is_synced: bool,
}

pub(crate) struct State {
    pub(crate) queue: VecDeque<Pending>,
    /// Bytes of all batches in memory: in the queue, and with the writer until synced.
    pub(crate) queued_bytes: u64,
    pub(crate) next_offset: u64,
    pub(crate) health: Health,
    pub(crate) is_closing: bool,
    /// The writer has work besides the queue: a release, a segment to set aside.
    pub(crate) is_kicked: bool,
    /// Ascending by base.
    pub(crate) segments: Vec<Arc<SegmentView>>,
    pub(crate) used_bytes: u64,
    pub(crate) start_offset: u64,
    pub(crate) groups: BTreeMap<String, Arc<GroupInner>>,
    pub(crate) lost: Vec<LostRange>,
    /// Segments a reader found damaged, to be linked into quarantine by the writer.
    pub(crate) to_quarantine: Vec<Arc<SegmentView>>,
    pub(crate) counters: Counters,
}

#[derive(Clone, Default)]
pub(crate) struct Counters {
    pub(crate) syncs: u64,
    pub(crate) last_sync: Duration,
    pub(crate) sync_time: Duration,
    pub(crate) poisoned_segments: u64,
    pub(crate) dropped_unsynced_records: u64,
    pub(crate) torn_bytes: u64,
    pub(crate) positions_failing: Option<String>,
}

type Wake = Arc<dyn Fn() + Send + Sync>;

pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) groups_dir: PathBuf,
    pub(crate) options: LogOptions,
    pub(crate) id: u64,
    pub(crate) epoch: u32,
    pub(crate) state: Mutex<State>,
    /// The writer waits here.
    pub(crate) work: Condvar,
    /// Appenders wait here for room.
    pub(crate) room: Condvar,
    /// Guards the position files, across their I/O. Taken before `state`, never while holding it.
    pub(crate) positions: Mutex<BTreeMap<String, SlotFile>>,
    pub(crate) read_pool: ArenaPool,
    durable_end: AtomicU64,
    /// Guards buffers for reuse; held for pushes or a pop.
    free: Mutex<FreeBuffers>,
    /// Guards who wants to hear of changes; held to copy the list.
    wakes: Mutex<Vec<Wake>>,
}

#[derive(Default)]
struct FreeBuffers {
    buffers: Vec<Vec<u8>>,
    /// Their capacity together.
    bytes: usize,
}

/// What a log starts from: all that differs between one and the next.
pub(crate) struct Start {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) groups_dir: PathBuf,
    pub(crate) options: LogOptions,
    pub(crate) id: u64,
    pub(crate) epoch: u32,
    pub(crate) segments: Vec<Arc<SegmentView>>,
    pub(crate) start_offset: u64,
    pub(crate) end_offset: u64,
    pub(crate) lost: Vec<LostRange>,
    pub(crate) torn_bytes: u64,
}

impl Shared {
    pub(crate) fn new(start: Start) -> Self {
        let used_bytes = start.segments.iter().map(|view| view.bytes.load(Ordering::Relaxed)).sum();
        let state = State {
            queue: VecDeque::new(),
            queued_bytes: 0,
            next_offset: start.end_offset,
            health: Health::Healthy,
            is_closing: false,
            is_kicked: false,
            segments: start.segments,
            used_bytes,
            start_offset: start.start_offset,
            groups: BTreeMap::new(),
            lost: start.lost,
            to_quarantine: Vec::new(),
            counters: Counters { torn_bytes: start.torn_bytes, ..Counters::default() },
        };
        Self {
            disk: start.disk,
            clock: start.clock,
            groups_dir: start.groups_dir,
            options: start.options,
            id: start.id,
            epoch: start.epoch,
            state: Mutex::new(state),
            work: Condvar::new(),
            room: Condvar::new(),
            positions: Mutex::new(BTreeMap::new()),
            read_pool: ArenaPool::new(READ_ARENA_BYTES, READ_ARENAS_KEPT),
            durable_end: AtomicU64::new(start.end_offset),
            free: Mutex::default(),
            wakes: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn durable_end(&self) -> u64 {
        self.durable_end.load(Ordering::Acquire)
    }

    /// Moves the durable end; the caller holds `state`, which makes it fit the segments.
    pub(crate) fn set_durable_end(&self, end: u64) {
        self.durable_end.store(end, Ordering::Release);
    }

    /// Where the batch with `offset` is, or the oldest retained one if `offset` lies before it; `None` if nothing
    /// durable is there yet.
    pub(crate) fn locate(&self, offset: u64) -> Option<Located> {
        let state = self.state.lock();
        let durable_end = self.durable_end();
        let offset = offset.max(state.start_offset);
        if offset >= durable_end {
            return None;
        }
        let behind = state.segments.partition_point(|view| view.base <= offset);
        let view = state.segments.get(behind.checked_sub(1)?)?.clone();
        let end = state.segments.get(behind).map_or(durable_end, |next| next.base);
        let bytes = view.bytes.load(Ordering::Acquire);
        let follower_epoch = state.segments.get(behind).and_then(|next| next.epoch);
        let is_synced = view.epoch.is_some_and(|epoch| epoch == self.epoch || follower_epoch == Some(epoch));
        Some(Located { view, bytes, end, is_synced })
    }

    /// Wakes the writer for something that is not in the queue.
    pub(crate) fn kick(&self) {
        self.state.lock().is_kicked = true;
        self.work.notify_one();
    }

    /// Notes a range that a reader or recovery found gone, once, and has the damaged segment set aside.
    pub(crate) fn note_lost(&self, range: &LostRange, view: &Arc<SegmentView>) {
        let mut state = self.state.lock();
        let covers =
            |known: &LostRange| known.offsets.start <= range.offsets.start && known.offsets.end >= range.offsets.end;
        if !state.lost.iter().any(covers) {
            state.lost.push(range.clone());
            state.to_quarantine.push(view.clone());
            state.is_kicked = true;
            self.work.notify_one();
        }
    }

    pub(crate) fn take_buffer(&self) -> Vec<u8> {
        let mut free = self.free.lock();
        let buffer = free.buffers.pop().unwrap_or_default();
        free.bytes -= buffer.capacity();
        buffer
    }

    /// Takes buffers back, as many as the queue may hold: under load a fresh buffer costs a page fault per 4 KiB, which
    /// is more than writing it does.
    pub(crate) fn give_buffers(&self, buffers: impl Iterator<Item = Vec<u8>>) {
        let bytes_max = usize::try_from(self.options.queue_bytes_max).unwrap_or(usize::MAX);
        let mut free = self.free.lock();
        for mut buffer in buffers.filter(|buffer| buffer.capacity() <= BUFFER_BYTES_MAX) {
            if free.bytes + buffer.capacity() <= bytes_max {
                buffer.clear();
                free.bytes += buffer.capacity();
                free.buffers.push(buffer);
            }
        }
    }

    /// Gives the buffers back to the system.
    pub(crate) fn forget_buffers(&self) {
        *self.free.lock() = FreeBuffers::default();
    }

    pub(crate) fn add_wake(&self, wake: Wake) {
        self.wakes.lock().push(wake);
    }

    /// Tells everybody that something changed. Called without any lock held.
    pub(crate) fn announce(&self) {
        self.room.notify_all();
        let wakes = self.wakes.lock().clone();
        for wake in wakes {
            wake();
        }
    }
}

impl State {
    /// Whether an append would be refused for lack of room; the last batch may reach past either bound.
    pub(crate) fn is_full(&self, options: &LogOptions) -> bool {
        self.used_bytes + self.queued_bytes >= options.capacity_bytes || self.queued_bytes >= options.queue_bytes_max
    }
}
