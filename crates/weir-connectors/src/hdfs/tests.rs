//! On a folder behind the client's trait: what is the sink's own. Real clusters are in `tests/real`.

mod lanes;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;
use tempfile::TempDir;
use weir_config::{Diagnostics, TypeSpec};
use weir_engine::sink::{FlushReason, SinkSpec as _};
use weir_event::{ChannelId, EventBatch};
use weir_hdfs::LocalFileSystem;

use super::complete::{MARKER, hear_of};
use super::config::{HdfsSpec, SPEC};
use super::store::Hdfs;
use crate::io_thread::IoThread;
use crate::tree::rig::{ARRIVAL_MS, Files, Run, TestChannel, events, read_files, two_hosts};

/// Checked options, from the text of a section.
fn spec(text: &str) -> Result<HdfsSpec, Diagnostics> {
    let table: &TypeSpec = &SPEC;
    let options = table.parse(text)?;
    let mut diagnostics = Diagnostics::new();
    HdfsSpec::from_options(&options, &mut diagnostics).filter(|_| diagnostics.is_empty()).ok_or(diagnostics)
}

/// A folder and a channel that outlive the sinks.
struct Rig {
    folder: TempDir,
    channel: Arc<TestChannel>,
}

impl Rig {
    fn new() -> Self {
        Self::over(TestChannel::new(7, true))
    }

    fn over(channel: TestChannel) -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), channel: Arc::new(channel) }
    }

    fn start(&self, options: &str) -> Run<Hdfs> {
        Self::start_in(&self.channel, &format!("{}/%{{host}}", self.folder.path().display()), options)
    }

    /// A sink of any channel, into any folder.
    fn start_in(channel: &Arc<TestChannel>, path: &str, options: &str) -> Run<Hdfs> {
        let spec = spec(&format!("path = 'file://{path}'\n{options}"));
        let spec = spec.unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        let io = Arc::new(IoThread::start("test-hdfs").expect("a thread"));
        let open = |context: &_| spec.open(context, 0, Arc::new(LocalFileSystem::new("/")), io, Box::new(Instant::now));
        Run::start(channel, open).unwrap_or_else(|error| panic!("{error}"))
    }

    fn append(&self, numbers: Range<u64>) {
        self.channel.append(events(numbers, two_hosts));
    }

    fn files(&self) -> Files {
        read_files(self.folder.path())
    }
}

/// Scenario: events of two hosts, plain and in each compression; the sink is stopped in order.
/// Guarantees: every event is in the folder of its host, once; names say positions and agent; nothing in progress is left,
/// not even an empty folder; all is acknowledged.
#[test]
fn events_are_in_their_folders() {
    for compression in ["none", "gzip", "zstd"] {
        let rig = Rig::new();
        let mut run = rig.start(&format!("compression = '{compression}'"));
        rig.append(0..100);
        rig.append(100..150);
        run.deliver_all().expect("delivered");
        assert_eq!((run.delivered(), rig.channel.released()), (0, 0), "nothing is finished yet");
        run.flush(FlushReason::Shutdown).expect("finished");
        assert_eq!((run.delivered(), rig.channel.released()), (150, 150));
        let files = rig.files();
        files.assert_each_once(150, two_hosts);
        assert_eq!(files.ranges(), ["a/0-148", "b/1-149"]);
        assert!(files.names().iter().all(|name| name.contains(".edge.log")), "{:?}", files.names());
        let work = rig.folder.path().join(".weir/events");
        assert_eq!(std::fs::read_dir(work).expect("is there").count(), 0);
    }
}

/// Scenario: a file is larger than a block and than the limit on stored bytes, which counts compressed ones.
/// Guarantees: files are finished a block over the limit at most, however many lines are in them.
#[test]
fn stored_bytes_end_a_file() {
    for (compression, files) in [("none", 6), ("zstd", 1)] {
        let rig = Rig::new();
        let mut run = rig.start(&format!("compression = '{compression}'\nroll_bytes = '256 KiB'"));
        // About 1.6 MB of lines, of one host.
        rig.channel.append(events(0..120_000, |_| "a".to_owned()));
        run.deliver_all().expect("delivered");
        run.flush(FlushReason::Shutdown).expect("finished");
        let found = rig.files();
        found.assert_each_once(120_000, |_| "a".to_owned());
        assert_eq!(found.names().len(), files, "{compression}: {:?}", found.names());
    }
}

/// Scenario: few events, far less than a block, with an interval for syncs.
/// Guarantees: the sink wants to be woken when the interval is over, and then what it has can be read, before any file is
/// finished.
#[test]
fn a_quiet_file_is_synced_in_time() {
    let rig = Rig::new();
    let mut run = rig.start("sync_interval = '100 ms'");
    rig.append(0..10);
    run.deliver_all().expect("delivered");
    let at = weir_engine::sink::Sink::wake_at(&run.sink).expect("something is due");
    assert!(at <= Instant::now() + std::time::Duration::from_millis(100));
    while Instant::now() < at {
        std::thread::park_timeout(at - Instant::now());
    }
    run.flush(FlushReason::Timer).expect("synced");
    let files = rig.files();
    let read: usize =
        files.hidden.iter().map(|path| std::fs::read_to_string(path).expect("text").lines().count()).sum();
    assert_eq!((read, files.finished.len(), run.delivered()), (10, 0, 0));
}

/// Scenario: all files are finished, and the process dies before the position is released.
/// Guarantees: the next life finds them by name and writes nothing again.
#[test]
fn a_crash_after_the_rename_repeats_nothing() {
    let rig = Rig::over(TestChannel::new(7, true).losing_releases(true));
    rig.append(0..40);
    let mut run = rig.start("");
    run.deliver_all().expect("delivered");
    run.flush(FlushReason::Shutdown).expect("finished");
    drop(run);
    let mut run = rig.start("");
    run.deliver_all().expect("delivered");
    run.flush(FlushReason::Shutdown).expect("finished");
    assert_eq!((run.delivered(), run.repeats()), (0, 40));
    rig.files().assert_each_once(40, two_hosts);
}

/// Scenario: the files of a group have been given to a second sink, as when the first was taken for dead; the first wakes
/// up, finishes what it had, takes more; the second goes on; in every order of a few steps.
/// Guarantees: each event is in one file, however often the two take turns; what fails comes again.
#[test]
fn two_owners_of_a_partition_write_each_event_once() {
    for order in 0_u32..64 {
        let rig = Rig::over(TestChannel::new(7, true).losing_releases(true));
        rig.append(0..30);
        let mut owners = [rig.start(""), rig.start("")];
        // Bit by bit: which of the two acts; the first two steps are theirs in turn.
        let turns = [0, 1].into_iter().chain((0..6).map(|bit| (order >> bit & 1) as usize));
        for (step, owner) in turns.enumerate() {
            if step == 4 {
                rig.append(30..50);
            }
            // What fails comes again.
            let _ = owners[owner].deliver_all();
            if step % 2 == 1 {
                let _ = owners[owner].flush(FlushReason::Timer);
                let _ = owners[owner].flush(FlushReason::Pressure);
            }
        }
        for owner in [0, 1] {
            for _ in 0..3 {
                let _ = owners[owner].deliver_all();
                let _ = owners[owner].flush(FlushReason::Pressure);
            }
        }
        owners[1].flush(FlushReason::Shutdown).expect("finished");
        drop(owners);
        let mut last = rig.start("");
        last.deliver_all().expect("delivered");
        last.flush(FlushReason::Shutdown).expect("finished");
        rig.files().assert_each_once(50, two_hosts);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    /// Scenario: any sequence of appends, deliveries, flushes, crashes and orderly ends; positions are lost in crashes.
    /// Guarantees: at the end each event is in exactly one file, and nothing in progress is left.
    #[test]
    fn any_crashes_leave_each_event_once(steps in prop::collection::vec(0_u8..6, 1..25), loses_releases: bool) {
        let rig = Rig::over(TestChannel::new(7, true).losing_releases(loses_releases));
        let (mut count, mut run) = (0, rig.start("roll_events = 7"));
        for step in steps {
            match step {
                0 | 1 => {
                    rig.append(count..count + 5);
                    count += 5;
                }
                2 => run.deliver_all().expect("delivered"),
                3 => run.flush(FlushReason::Pressure).expect("finished"),
                4 => run.flush(FlushReason::Shutdown).expect("finished"),
                _ => {
                    drop(run);
                    run = rig.start("roll_events = 7");
                }
            }
        }
        drop(run);
        let mut run = rig.start("");
        run.deliver_all().expect("delivered");
        run.flush(FlushReason::Shutdown).expect("finished");
        rig.files().assert_each_once(count, two_hosts);
    }
}

/// Events of one minute: `minute` minutes after the tests' time.
fn of_minute(minute: i64) -> EventBatch {
    EventBatch::from_bodies(&["event"; 3], ARRIVAL_MS + minute * 60_000)
}

/// Directories below `folder` that are complete, by name.
fn complete(folder: &Path) -> Vec<String> {
    let found =
        std::fs::read_dir(folder).expect("a folder").flatten().filter(|entry| entry.path().join(MARKER).exists());
    let mut found: Vec<_> = found.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    found.sort();
    found
}

/// Scenario: two partitions, each with an agent of its own, in directories by minute; one is ahead; one agent crashes and
/// another one takes over; then a straggler comes; then a third partition is begun.
/// Guarantees: a directory is complete once both partitions are past its end by the delay and not before, its files have
/// their names by then, and a crash takes nothing away from that; the straggler is kept and counted.
#[test]
fn directories_of_past_time_are_complete() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = format!("{}/%H-%M", folder.path().display());
    let options = "time = 'arrival'\ntime_zone = 'UTC'\ncomplete_after = '30 s'";
    let channels = [7, 8].map(|log| Arc::new(TestChannel::new(log, true)));
    let mut ahead = Rig::start_in(&channels[0], &path, options);
    let mut behind = Rig::start_in(&channels[1], &path, options);
    let put = |run: &mut Run<Hdfs>, channel: usize, minute: i64| {
        channels[channel].append(of_minute(minute));
        run.deliver_all().expect("delivered");
    };
    // The tests' time is 20 s past a minute: 30 s later is not yet past the next one by 30 s.
    put(&mut behind, 1, 0);
    put(&mut ahead, 0, 0);
    put(&mut ahead, 0, 1);
    assert_eq!(complete(folder.path()), [""; 0], "not late enough, and one is behind");
    put(&mut ahead, 0, 3);
    assert_eq!(complete(folder.path()), [""; 0], "one is behind");
    drop(behind);
    let mut behind = Rig::start_in(&channels[1], &path, options);
    put(&mut behind, 1, 2);
    assert_eq!(complete(folder.path()), ["22-13"]);
    put(&mut behind, 1, 3);
    assert_eq!(complete(folder.path()), ["22-13", "22-14"]);
    let files = std::fs::read_dir(folder.path().join("22-14")).expect("a folder").count();
    assert_eq!(files, 2, "the file of the one that had events there, and the marker");
    put(&mut behind, 1, 1);
    assert_eq!(behind.group.ledger().faults.total(), 1);
    let work = folder.path().join(".weir/events").display().to_string();
    let files = LocalFileSystem::new("/");
    let heard = hear_of(&files, &work, ChannelId { log: 9, partition: 0 });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(heard).expect("heard of");
    put(&mut ahead, 0, 5);
    put(&mut behind, 1, 5);
    assert_eq!(complete(folder.path()), ["22-13", "22-14"], "a third one has not said anything yet");
    for mut run in [ahead, behind] {
        run.flush(FlushReason::Shutdown).expect("finished");
    }
    let lines: usize = read_files(folder.path()).finished.values().map(|text| text.lines().count()).sum();
    assert_eq!(lines, 3 * 9);
}

/// Scenario: paths and Kerberos options that cannot be meant.
/// Guarantees: each is an error that names the option and says what is missing.
#[test]
fn wrong_options_are_errors() {
    for (text, wanted) in [
        ("path = 'hdfs://nn:8020'", "has no directory"),
        ("path = 'events/%Y'", "has no directory"),
        ("path = 'ftp://nn/events'", "none of hdfs"),
        ("path = 'hdfs://nn:8020/events'\nkerberos_principal = 'weir'", "kerberos_keytab"),
        ("path = 'hdfs://nn:8020/events/%{'", "path"),
        ("path = 'hdfs://nn:8020/events/%H:%M'", "colon"),
        ("path = 'hdfs://nn:8020/events/%Y'\nprefix = 'a:b'", "colon"),
        ("path = 'hdfs://nn:8020/events/%{host}'\ncomplete_after = '1 m'", "never of the past"),
    ] {
        let error = spec(text).err().unwrap_or_else(|| panic!("{text} is taken")).to_string();
        assert!(error.contains(wanted), "{text}: {error}");
    }
    assert!(spec("path = 'webhdfs://nn:9870/events/%Y'").is_ok());
    assert!(spec("path = 'hdfs://nn:8020/events/%Y'").is_ok(), "no address of WebHDFS is needed");
}

/// Scenario: two sinks of an agent with the same channel, folder and prefix; with another prefix; after the first has ended.
/// Guarantees: only the first pair is refused, and told what to do.
#[test]
fn two_sinks_do_not_share_a_prefix() {
    let rig = Rig::new();
    let start = |prefix: &str| {
        let text = format!("path = 'file://{}/%Y'\nprefix = '{prefix}'", rig.folder.path().display());
        let spec = spec(&text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        spec.start(&Run::<Hdfs>::context(&rig.channel))
    };
    let first = start("a").expect("the first");
    let refused = start("a").err().expect("refused").to_string();
    assert!(refused.contains("give each another prefix"), "{refused}");
    start("b").expect("another prefix");
    drop(first);
    start("a").expect("nobody has it now");
}
