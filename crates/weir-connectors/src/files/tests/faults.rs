//! Disks and folders that refuse.

use std::path::{Path, PathBuf};
use std::process::Command;

use weir_engine::delivery::DeliveryError;
use weir_engine::sink::FlushReason;
use weir_event::EventBatch;

use super::rig::{Rig, TestChannel, events, read_files, two_hosts};

/// A file system of one MiB, mounted below a folder; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this user may not mount.
    fn mount(folder: &Path) -> Option<Self> {
        let path = folder.join("small");
        std::fs::create_dir(&path).expect("creates");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&path).output();
        match mount {
            Ok(output) if output.status.success() => Some(Self(path)),
            result => {
                println!("skipped: a small file system cannot be mounted here: {result:?}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        if !std::thread::panicking() {
            assert!(unmounted.expect("umount runs").success());
        }
    }
}

/// 16 KiB an event.
fn large_events(count: usize) -> EventBatch {
    let bodies: Vec<_> = (0..count).map(|number| format!("event {number} {}", "x".repeat(16 << 10))).collect();
    EventBatch::from_bodies(&bodies, 0)
}

/// The number of each event in the finished files, sorted.
fn numbers(disk: &SmallDisk) -> Vec<usize> {
    let files = read_files(&disk.0.join("day"));
    let lines = files.finished.values().flat_map(|text| text.lines());
    let mut numbers: Vec<_> =
        lines.map(|line| line.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("whole lines only")).collect();
    numbers.sort_unstable();
    numbers
}

fn message(error: &DeliveryError) -> String {
    assert!(matches!(error, DeliveryError::Retry { .. }));
    error.chain()
}

/// Scenario: the root of the path is a file, or a folder that this user may not write.
/// Guarantees: the sink does not start and says which folder is meant.
#[test]
fn an_unwritable_root_is_a_start_error() {
    let rig = Rig::durable("path = \"ROOT/occupied/%{host}\"");
    std::fs::write(rig.root().join("occupied"), "a file").expect("writes");
    let error = rig.try_start().err().expect("does not start");
    let text = error.to_string();
    assert!(text.starts_with("sink out: failed to ") && text.contains("/occupied"), "{text}");

    let rig = Rig::durable("path = \"ROOT/sealed/%{host}\"");
    let sealed = rig.root().join("sealed");
    std::fs::create_dir(&sealed).expect("creates");
    let readonly = std::os::unix::fs::PermissionsExt::from_mode(0o555);
    std::fs::set_permissions(&sealed, readonly).expect("changes");
    if std::fs::write(sealed.join("probe"), "").is_ok() {
        println!("skipped: this user may write everywhere");
        return;
    }
    let text = rig.try_start().err().expect("does not start").to_string();
    assert!(text.contains("/sealed") && text.contains("user id") && text.contains("write permission"), "{text}");
}

/// Scenario: the folder of one host cannot be made, after a file of another host with the same delivery was finished.
/// Guarantees: nothing is acknowledged, nothing stays in progress; once it works each event is in one file.
#[test]
fn a_folder_that_cannot_be_made_holds_events_back() {
    let rig = Rig::durable("roll_events = 2");
    let hosts = |number: u64| if number == 5 { "b".to_owned() } else { "a".to_owned() };
    std::fs::write(rig.root().join("b"), "in the way").expect("writes");
    let mut run = rig.start();
    // After the start: these are no repeats until they come back.
    rig.channel.append(events(0..3, hosts));
    rig.channel.append(events(3..8, hosts));
    let error = run.deliver_all().expect_err("b is no folder");
    assert!(message(&error).contains("/b"), "{}", message(&error));
    assert_eq!((run.delivered(), rig.channel.released()), (3, 3), "the first delivery was finished whole");
    assert!(rig.files().hidden.is_empty());
    run.deliver_all().expect_err("still no folder");
    std::fs::remove_file(rig.root().join("b")).expect("removes");
    run.deliver_all().expect("delivers");
    run.flush(FlushReason::Shutdown).expect("finishes");
    rig.assert_each_once(8, hosts);
    assert_eq!(run.delivered() + run.repeats(), 8);
}

/// Scenario: a directory vanishes under an open file.
/// Guarantees: finishing fails, the delivery comes again, and the directory is made anew.
#[test]
fn a_directory_that_vanishes_is_made_anew() {
    let rig = Rig::durable("");
    rig.channel.append(events(0..6, two_hosts));
    let mut run = rig.start();
    run.deliver_all().expect("delivers");
    std::fs::remove_dir_all(rig.root().join("a")).expect("removes");
    run.flush(FlushReason::Shutdown).expect_err("there is nothing to rename");
    assert_eq!(run.delivered(), 0);
    run.deliver_all().expect("delivers");
    run.flush(FlushReason::Shutdown).expect("finishes");
    rig.assert_each_once(6, two_hosts);
}

/// Scenario: a file with the final name exists already.
/// Guarantees: it is not overwritten, and its events count as written.
#[test]
fn finished_files_are_never_overwritten() {
    let rig = Rig::durable("");
    rig.channel.append(events(0..2, |_| "a".into()));
    let mut run = rig.start();
    run.deliver_all().expect("delivers");
    let name = "events.0000000000000007-0.00000000000000000000-00000000000000000001.log";
    std::fs::write(rig.root().join("a").join(name), "event 0\nevent 1\n").expect("writes");
    run.flush(FlushReason::Shutdown).expect_err("the name is taken");
    run.deliver_all().expect("delivers");
    run.flush(FlushReason::Shutdown).expect("nothing is open");
    assert_eq!((run.delivered(), run.repeats(), rig.channel.released()), (0, 2, 2));
    rig.assert_each_once(2, |_| "a".into());
}

/// Scenario: the disk gets full in the middle of a delivery, twice; then there is room.
/// Guarantees: what is in progress makes room at once, the message says where and how much; in the end each event is
/// in one finished file.
#[test]
fn a_full_disk_loses_and_repeats_nothing() {
    let rig = Rig::durable("path = \"ROOT/small/day\"");
    let Some(disk) = SmallDisk::mount(rig.root()) else { return };
    rig.channel.append(large_events(90));
    let mut run = rig.start();
    let ballast = disk.0.join("ballast");
    std::fs::write(&ballast, vec![0; 600 << 10]).expect("fits");
    for _ in 0..2 {
        let text = message(&run.deliver_all().expect_err("does not fit"));
        assert!(
            text.contains("no space left") && text.contains("/small/day") && text.contains("free of 1 MiB"),
            "{text}"
        );
        assert_eq!((run.delivered(), read_files(&disk.0).hidden.len()), (0, 0));
    }
    std::fs::remove_file(&ballast).expect("removes");
    rig.channel.append(EventBatch::from_bodies(&["event 90"], 0));
    // 90 events of 16 KiB are more than the disk holds; packed they fit.
    drop(run);
    let rig = rig.with_options("path = \"ROOT/small/day\"\ncompression = \"zstd\"");
    let mut run = rig.start();
    run.deliver_all().expect("delivers");
    run.flush(FlushReason::Shutdown).expect("finishes");
    assert_eq!(numbers(&disk), (0..91).collect::<Vec<_>>());
    // Before the folder that it is mounted in.
    drop((run, disk));
}

/// Scenario: on a memory channel a disk gets full after events were acknowledged, and is full when the file is finished.
/// Guarantees: what was acknowledged is in a finished file of whole lines; the rest comes again.
#[test]
fn a_full_disk_keeps_what_was_acknowledged() {
    let rig = Rig::new(TestChannel::new(7, false), "path = \"ROOT/small/day\"");
    let Some(disk) = SmallDisk::mount(rig.root()) else { return };
    rig.channel.append(large_events(20));
    let mut run = rig.start();
    run.deliver_all().expect("delivers");
    assert_eq!(run.delivered(), 20);
    let ballast = disk.0.join("ballast");
    std::fs::write(&ballast, vec![0; 600 << 10]).expect("fits");
    rig.channel.append(large_events(50).slice(20..50));
    run.deliver_all().expect_err("does not fit");
    let stored = numbers(&disk);
    assert!(stored.len() >= 20 && stored.len() < 50 && stored.iter().copied().eq(0..stored.len()), "{stored:?}");
    assert!(read_files(&disk.0).hidden.is_empty());
    std::fs::remove_file(&ballast).expect("removes");
    run.deliver_all().expect("delivers");
    run.flush(FlushReason::Shutdown).expect("finishes");
    assert_eq!(numbers(&disk), (0..50).collect::<Vec<_>>());
    assert_eq!(run.delivered() + run.repeats(), 50);
    drop((run, disk));
}
