//! The whole thing: threads, a real disk, large backlogs.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::world::{batch, id_of};
use crate::sim::SimDisk;
use crate::{
    AppendError, CloseError, Disk, Durability, Group, Health, Log, LogOptions, OpenError, ReadOnlyReason, RealDisk,
    StoredBatch, tools,
};

/// How long a test waits for something that must happen; far more than it takes, so that only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(60);

fn options() -> LogOptions {
    LogOptions { segment_bytes: 1 << 20, capacity_bytes: 64 << 20, batch_bytes_max: 100_000, ..LogOptions::default() }
}

fn open(dir: &Path, options: LogOptions) -> Log {
    Log::open(Arc::new(RealDisk), dir, options).expect("opens").0
}

/// Appends and waits for the receipt.
fn append_durably(log: &Log, id: u64, bytes: usize) {
    let (sender, receipt) = mpsc::channel();
    let done = Box::new(move |outcome| drop(sender.send(outcome)));
    log.append(batch(id, 3, bytes), 1_700_000_000_000, done).expect("taken");
    receipt.recv_timeout(PATIENCE).expect("completes").expect("durable");
}

/// Reads a group to the end of the log, releasing as it goes; returns the ids it saw.
fn drain(log: &Log, group: &Group, until: u64) -> Vec<u64> {
    let (sender, changes) = mpsc::channel();
    log.on_change(Box::new(move || {
        let _ = sender.send(());
    }));
    let (mut reader, mut ids) = (group.reader(group.position()), Vec::new());
    while reader.next_offset() < until {
        let chunk = reader.read(256 << 10).expect("reads");
        assert!(chunk.lost.is_empty());
        if chunk.is_empty() {
            changes.recv_timeout(PATIENCE).expect("more comes");
        }
        ids.extend(chunk.batches.iter().map(|stored| id_of(stored).expect("whole")));
        group.release(reader.next_offset());
    }
    ids
}

/// Scenario: four threads append in parallel while two groups read and release; then the log is closed and opened.
/// Guarantees: each group sees every batch once, each thread's in order; all segments but the last go.
#[test]
fn appenders_and_groups_in_parallel() {
    const PER_THREAD: u64 = 150;
    let dir = tempfile::tempdir().expect("a directory");
    let log = open(dir.path(), options());
    let groups = [log.group("one").expect("made"), log.group("two").expect("made")];
    let seen = std::thread::scope(|scope| {
        for thread in 0..4 {
            let log = &log;
            scope.spawn(move || (0..PER_THREAD).for_each(|index| append_durably(log, thread * 1000 + index, 20_000)));
        }
        let drain_all = |group| {
            let log = &log;
            move || drain(log, group, 4 * PER_THREAD * 3)
        };
        let readers: Vec<_> = groups.iter().map(|group| scope.spawn(drain_all(group))).collect();
        readers.into_iter().map(|reader| reader.join().expect("reads")).collect::<Vec<_>>()
    });
    for ids in seen {
        assert_eq!(ids.len() as u64, 4 * PER_THREAD);
        for thread in 0..4 {
            let own: Vec<u64> = ids.iter().copied().filter(|id| id / 1000 == thread).collect();
            assert!(own.is_sorted() && own.len() as u64 == PER_THREAD, "thread {thread}");
        }
    }
    log.close().expect("closes");
    log.close().expect("again");
    let refused = log.append(batch(1, 1, 100), 0, Box::new(|_| {}));
    assert!(matches!(refused, Err(AppendError::Closed { .. })), "{refused:?}");
    let end = log.durable_end();
    drop(log);
    let (log, report) = Log::open(Arc::new(RealDisk), dir.path(), options()).expect("opens");
    assert!(report.was_closed && report.lost.is_empty() && report.damaged.is_empty(), "{report:?}");
    assert_eq!((log.durable_end(), log.groups()[0].position, log.groups()[1].position), (end, end, end));
    assert_eq!(log.start_offset(), end);
}

/// Scenario: a log that is open is opened again, by the same process.
/// Guarantees: refused, with the directory and the process id in the text; after the first is closed it works.
#[test]
fn second_owner_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = open(dir.path(), options());
    let refused = Log::open(Arc::new(RealDisk), dir.path(), options()).expect_err("in use");
    let text = refused.to_string();
    assert!(matches!(refused, OpenError::Locked { .. }));
    assert!(
        text.contains(&std::process::id().to_string()) && text.contains(&dir.path().display().to_string()),
        "{text}"
    );
    first.close().expect("closes");
    drop(first);
    open(dir.path(), options());
}

/// Scenario: a log is full; one thread waits for room while a group releases what there is.
/// Guarantees: the waiting thread gets on by itself.
#[test]
fn waiting_for_room() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = LogOptions { capacity_bytes: 2 << 20, ..options() };
    let log = open(dir.path(), options);
    let group = log.group("g").expect("made");
    let mut id = 0;
    while let Ok(_offsets) = log.append(batch(id, 3, 90_000), 0, Box::new(|_| {})) {
        id += 1;
    }
    assert!(!log.wait_for_room(Duration::ZERO));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| log.wait_for_room(PATIENCE));
        drain(&log, &group, id * 3);
        assert!(waiting.join().expect("waits"));
    });
    append_durably(&log, id, 1000);
}

/// Scenario: batches are queued, and the log is closed, or all handles dropped, at once.
/// Guarantees: closing writes them; every receipt completes.
#[test]
fn closing_completes_every_receipt() {
    for is_dropped in [false, true] {
        let dir = tempfile::tempdir().expect("a directory");
        let durability = Durability::Group { delay_max: Duration::from_secs(600), bytes_max: 1 << 30 };
        let log = open(dir.path(), LogOptions { durability, ..options() });
        let durable = Arc::new(AtomicUsize::new(0));
        for id in 0..50 {
            let durable = durable.clone();
            let done = Box::new(move |outcome: Result<(), _>| {
                durable.fetch_add(usize::from(outcome.is_ok()), Ordering::SeqCst);
            });
            log.append(batch(id, 1, 500), 0, done).expect("taken");
        }
        if !is_dropped {
            log.close().expect("closes");
        }
        drop(log);
        assert_eq!(durable.load(Ordering::SeqCst), 50);
    }
}

/// Scenario: a completion tries to close the log, and the last handle goes away inside one.
/// Guarantees: refused instead of a deadlock; the log still closes.
#[test]
fn closing_on_the_writer_thread() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = open(dir.path(), options());
    let (sender, outcomes) = mpsc::channel();
    let inner = log.clone();
    let done = Box::new(move |_| {
        let _ = sender.send(inner.close());
        drop(inner);
    });
    log.append(batch(1, 1, 500), 0, done).expect("taken");
    drop(log);
    let outcome = outcomes.recv_timeout(PATIENCE).expect("completes");
    assert!(matches!(outcome, Err(CloseError::OnWriterThread)), "{outcome:?}");
}

/// Scenario: the disk fills up under a running log, and is given space later.
/// Guarantees: read-only, with the batch kept; then healthy and the batch durable, by itself.
#[test]
fn full_disk_with_a_thread() {
    let disk = SimDisk::new(1);
    let options = LogOptions {
        segment_bytes: 4096,
        batch_bytes_max: 3000,
        probe_interval: Duration::from_millis(5),
        ..LogOptions::default()
    };
    let (log, _) = Log::open(Arc::new(disk.clone()), Path::new("/log"), options).expect("opens");
    disk.set_capacity(Some(0));
    let (sender, receipts) = mpsc::channel();
    let (wake, changes) = mpsc::channel();
    log.on_change(Box::new(move || {
        let _ = wake.send(());
    }));
    for id in 0..2 {
        let sender = sender.clone();
        log.append(batch(id, 1, 2500), 0, Box::new(move |outcome| drop(sender.send(outcome)))).expect("taken");
    }
    while log.status().health == Health::Healthy {
        changes.recv_timeout(PATIENCE).expect("the second batch meets the full disk");
    }
    let refused = log.append(batch(9, 1, 100), 0, Box::new(|_| {}));
    assert!(
        matches!(refused, Err(AppendError::ReadOnly { reason: ReadOnlyReason::DiskFull { .. }, .. })),
        "{refused:?}"
    );
    disk.set_capacity(None);
    for _ in 0..2 {
        receipts.recv_timeout(PATIENCE).expect("completes").expect("durable");
    }
    assert!(log.wait_for_room(PATIENCE));
    assert_eq!(log.status().health, Health::Healthy);
}

/// Scenario: a backlog of 20 GiB in 80 segments (sparse files: a header and one batch each, the rest holes).
/// Guarantees: opening reads the headers and the last segment only; a group made then starts at the oldest record.
#[test]
fn large_backlog_opens_by_headers() {
    const SEGMENTS: u64 = 80;
    const SEGMENT_BYTES: u64 = 256 << 20;
    let dir = tempfile::tempdir().expect("a directory");
    let segments = dir.path().join("segments");
    std::fs::create_dir(&segments).expect("made");
    let last: PathBuf = segments.join(crate::format::segment_name(SEGMENTS - 1, 0));
    for base in 0..SEGMENTS {
        let header = crate::format::SegmentHeader {
            log_id: 42,
            base,
            epoch: 3,
            ordinal: base as u32,
            created_ms: 1_700_000_000_000,
        };
        let mut only = batch(base, 1, 500);
        only.stamp(crate::format::data_stamp(base, 3, 1_700_000_000, true));
        let mut bytes = header.encode().to_vec();
        bytes.extend_from_slice(only.as_bytes());
        let path = segments.join(crate::format::segment_name(base, 0));
        std::fs::write(&path, &bytes).expect("written");
        let file = RealDisk.open(&path, crate::Access::Write).expect("opens");
        let is_last = path == last;
        file.truncate(if is_last { bytes.len() as u64 } else { SEGMENT_BYTES }).expect("grown");
    }
    let options = LogOptions { capacity_bytes: 64 << 30, ..LogOptions::default() };
    let (log, report) = Log::open(Arc::new(RealDisk), dir.path(), options).expect("opens");
    assert_eq!((report.segments, report.start_offset, report.end_offset), (80, 0, 80));
    assert_eq!((report.id, report.epoch, report.meta_rebuilt), (42, 4, true));
    assert_eq!(report.scanned_bytes, 561, "only the last segment is read");
    let group = log.group("late").expect("made");
    assert_eq!(group.position(), 0);
    let stored = group.reader(0).read(1 << 20).expect("reads").batches;
    assert_eq!(stored.iter().map(|stored| id_of(stored).expect("whole")).collect::<Vec<_>>(), [0]);
    assert_eq!(stored[0].arrival_ms(), 1_700_000_000_000);
    let sum = AtomicU64::new(0);
    for id in drain(&log, &group, 80) {
        sum.fetch_add(id, Ordering::Relaxed);
    }
    assert_eq!(sum.into_inner(), (0..80).sum::<u64>());
}

/// Scenario: two threads append and a group reads and releases, so that segments come and go; check and dump look on from
/// outside the whole time.
/// Guarantees: what is just being written is never called damaged, what is just deleted never missing.
#[test]
fn tools_beside_a_running_log_find_it_sound() {
    const PER_THREAD: u64 = 400;
    let dir = tempfile::tempdir().expect("a directory");
    let log = open(dir.path(), LogOptions { position_delay_max: Duration::ZERO, ..options() });
    let group = log.group("one").expect("made");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let appenders = [0, 1].map(|thread| {
            let log = &log;
            scope.spawn(move || (0..PER_THREAD).for_each(|n| append_durably(log, thread * PER_THREAD + n, 20_000)))
        });
        let looking = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let report = tools::check(&RealDisk, dir.path(), None).expect("checks");
                assert!(report.is_sound(), "{report:#?}");
                let all = |_: &StoredBatch| ControlFlow::Continue(());
                let report = tools::dump(&RealDisk, dir.path(), None, 0..u64::MAX, all).expect("dumps");
                assert!(report.lost.is_empty(), "{report:?}");
            }
        });
        let seen = drain(&log, &group, 2 * PER_THREAD * 3);
        assert_eq!(seen.len() as u64, 2 * PER_THREAD);
        is_over.store(true, Ordering::Relaxed);
        looking.join().expect("sound throughout");
        let _ = appenders.map(|appender| appender.join().expect("appends"));
    });
    log.close().expect("closes");
}

/// Scenario: a dump goes slowly, and the log goes on and a group passes all of it while the first segment is read, so that
/// all others that were there at its start go; then all files go, though no group has passed what is in them.
/// Guarantees: what was released meanwhile is passed over; what is gone otherwise is an error.
#[test]
fn a_slow_dump_passes_over_what_is_released() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = open(dir.path(), LogOptions { position_delay_max: Duration::ZERO, ..options() });
    let group = log.group("one").expect("made");
    (0..300).for_each(|id| append_durably(&log, id, 20_000));
    let segments = || std::fs::read_dir(dir.path().join("segments")).expect("is there").count();
    assert!(segments() > 3, "several segments");
    let mut released = false;
    let all = |_: &StoredBatch| {
        if !std::mem::replace(&mut released, true) {
            (300..400).for_each(|id| append_durably(&log, id, 20_000));
            drain(&log, &group, 1200);
            let deadline = std::time::Instant::now() + PATIENCE;
            while segments() > 1 {
                assert!(std::time::Instant::now() < deadline, "segments go");
                std::thread::yield_now();
            }
        }
        ControlFlow::Continue(())
    };
    let report = tools::dump(&RealDisk, dir.path(), None, 0..u64::MAX, all).expect("dumps");
    assert!(report.lost.is_empty() && report.records > 0, "{report:?}");
    (400..600).for_each(|id| append_durably(&log, id, 20_000));
    log.close().expect("closes");
    let mut removed = false;
    let remove = |_: &StoredBatch| {
        if !std::mem::replace(&mut removed, true) {
            std::fs::remove_dir_all(dir.path().join("segments")).expect("removes");
        }
        ControlFlow::Continue(())
    };
    assert!(tools::dump(&RealDisk, dir.path(), None, 0..u64::MAX, remove).is_err());
}
