//! Files of a newer format version: refused by name, and left as they are.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::world::{Action, DIR, World, fill, small_options};
use crate::errors::OpenError;
use crate::format::SegmentHeader;
use crate::sim::{Fault, FaultKind, SimClock, SimDisk};
use crate::slots::{self, Kind, Slot};
use crate::tools::{ToolError, check, dump, repair};
use crate::{Disk, OpenReport};

/// Sets the version in the segment header at the start of `bytes`, and its CRC to match.
fn set_segment_version(bytes: &mut [u8], version: u8) {
    bytes[56] = version;
    let crc = crc32c::crc32c(&bytes[21..61]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// Sets the version in the slot at `at`, and its CRC to match.
fn set_slot_version(bytes: &mut [u8], at: usize, version: u16) {
    bytes[at + 4..at + 6].copy_from_slice(&version.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[at..at + 44]);
    bytes[at + 44..at + 48].copy_from_slice(&crc.to_le_bytes());
}

/// A closed log of several segments with a group, beside them a segment of another log, which opening would set aside.
fn subject() -> (World, SimDisk) {
    let mut world = World::new(1, small_options());
    world.open().expect("opens");
    world.act(&Action::Group("a")).expect("a group");
    world.run(&fill(3)).expect("fills");
    world.run(&[Action::Release("a", 10), Action::Turn, Action::Pass(100), Action::Reopen]).expect("runs");
    world.close();
    let disk = world.disk.clone();
    let stray = SegmentHeader { log_id: 5, base: 1 << 40, epoch: 1, ordinal: 0, created_ms: 0 };
    let file = disk.create(&Path::new(DIR).join("segments/00000001099511627776.log")).expect("made");
    file.write(&stray.encode(), 0).expect("written");
    (world, disk)
}

fn contents(disk: &SimDisk) -> BTreeMap<PathBuf, Vec<u8>> {
    disk.files().into_iter().map(|path| (path.clone(), disk.content(&path))).collect()
}

fn open(disk: &SimDisk) -> Result<OpenReport, OpenError> {
    let clock = Arc::new(SimClock::default());
    crate::core::open(Arc::new(disk.clone()), clock, Path::new(DIR), small_options()).map(|(_, report)| report)
}

fn is_refusal<T>(outcome: &Result<T, ToolError>, expected: &Path) -> bool {
    matches!(outcome, Err(ToolError::Io { path, source, .. })
        if path == expected && source.kind() == std::io::ErrorKind::Unsupported && source.to_string().contains("version 9"))
}

/// One place where a version stands: a file and, if it is a slot file, the slot in it.
type Mark = (PathBuf, Option<usize>);

/// Every place where a version stands, the segments' ones last.
fn marks(world: &World) -> Vec<Mark> {
    let meta = Path::new(DIR).join("meta");
    let position = Path::new(DIR).join("groups/a.pos");
    let slots = [meta, position].into_iter().flat_map(|path| [(path.clone(), Some(0)), (path, Some(4096))]);
    slots.chain(world.segment_files().into_iter().map(|path| (path, None))).collect()
}

fn set_version(disk: &SimDisk, (path, slot): &Mark, version: u8) {
    disk.edit(path, |bytes| match slot {
        Some(at) => set_slot_version(bytes, *at, version.into()),
        None => set_segment_version(bytes, version),
    });
}

/// Scenario: in a sound log one place after the other (each slot of meta and position, each segment, one of another log) says
/// version 9 under a good CRC; it is opened, checked, dumped and repaired.
/// Guarantees: opening names the file and both versions; the tools do, too; not a byte of any file differs afterwards, no
/// file and no directory is made; with the old version back in place, the log opens with everything in it.
#[test]
fn a_newer_version_is_refused_and_left_alone() {
    let (mut world, disk) = subject();
    let (dir, to, sound) = (Path::new(DIR), Path::new("/copy"), contents(&disk));
    assert!(world.segment_files().len() >= 5);
    for mark in marks(&world) {
        set_version(&disk, &mark, 9);
        let before = contents(&disk);
        let error = open(&disk).expect_err("refused");
        let OpenError::Version { path, found: 9, known: 1 } = &error else { panic!("{mark:?}: {error}") };
        assert_eq!(*path, mark.0);
        let text = error.to_string();
        assert!(text.contains("version 9") && text.contains("run that version, or move the folder away"), "{text}");
        let checked = check(&disk, dir, None);
        assert!(is_refusal(&checked, &mark.0), "{mark:?}: {checked:?}");
        let repaired = repair(&disk, dir, None, to);
        assert!(is_refusal(&repaired, &mark.0), "{mark:?}: {repaired:?}");
        let dumped = dump(&disk, dir, None, 0..u64::MAX, |_| ControlFlow::Continue(()));
        // A dump asks no group where it is.
        assert!(is_refusal(&dumped, &mark.0) || mark.0.ends_with("groups/a.pos"), "{mark:?}: {dumped:?}");
        assert_eq!(contents(&disk), before, "{mark:?}");
        assert!(disk.list(to).is_err(), "{mark:?}: a directory was made");
        disk.edit(&mark.0, |bytes| bytes.clone_from(&sound[&mark.0]));
    }
    world.tolerates_damage = true;
    let report = world.open().expect("opens");
    assert_eq!((report.set_aside.len(), report.lost.len(), report.meta_rebuilt), (1, 0, false));
}

/// Scenario: a new version in a log without its meta file, opened in a place where a directory of the log is missing.
/// Guarantees: the segment alone is reason enough to refuse, and the directory is not made.
#[test]
fn a_newer_segment_is_refused_before_directories_are_made() {
    let disk = SimDisk::new(1);
    for dir in ["/log", "/log/segments"] {
        disk.create_dir(Path::new(dir)).expect("made");
    }
    let mut header = SegmentHeader { log_id: 5, base: 0, epoch: 1, ordinal: 0, created_ms: 0 }.encode();
    set_segment_version(&mut header, 2);
    let file = disk.create(Path::new("/log/segments/00000000000000000000.log")).expect("made");
    file.write(&header, 0).expect("written");
    assert!(matches!(open(&disk), Err(OpenError::Version { found: 2, .. })));
    for dir in ["/log/groups", "/log/quarantine"] {
        assert!(disk.create_dir(Path::new(dir)).expect("made now"), "{dir} was made");
    }
}

/// Scenario: a log of a newer version is opened, and one operation after the other fails once, so that the look before the
/// lock misses the version.
/// Guarantees: the look under the lock finds it, or the failure is the reason; nothing is changed in either case.
#[test]
fn a_newer_version_is_refused_under_the_lock_too() {
    let (world, disk) = subject();
    for mark in [marks(&world).first().cloned(), marks(&world).get(2).cloned(), marks(&world).last().cloned()] {
        let mark = mark.expect("there are that many");
        let sound = disk.content(&mark.0);
        set_version(&disk, &mark, 9);
        let (before, mut refused, mut at) = (contents(&disk), 0, 0);
        loop {
            at += 1;
            disk.plan_fault(Some(Fault { at, kind: FaultKind::Io, is_persistent: false }));
            let error = open(&disk).expect_err("refused or failed");
            refused += u64::from(matches!(error, OpenError::Version { .. }));
            assert_eq!(contents(&disk), before, "operation {at}: {error}");
            if disk.operations() < at {
                break;
            }
        }
        assert!(refused > 1, "{mark:?}: {refused} of {at}");
        disk.plan_fault(None);
        disk.edit(&mark.0, |bytes| bytes.clone_from(&sound));
    }
}

/// Scenario: the version in a segment header and in a slot is changed, and nothing else, so that their CRC is wrong; and
/// each bit of ones that are whole and newer flips.
/// Guarantees: damage stays damage: it is reported and the log opens; only whole values are taken at their word.
#[test]
fn a_damaged_version_is_damage() {
    let (mut world, disk) = subject();
    let segment = world.segment_files()[1].clone();
    disk.edit(&segment, |bytes| bytes[56] = 9);
    disk.edit(&Path::new(DIR).join("meta"), |bytes| (bytes[4], bytes[4100]) = (9, 9));
    world.tolerates_damage = true;
    let report = world.open().expect("opens");
    assert!(report.meta_rebuilt && report.damaged.iter().any(|damaged| damaged.path == segment), "{report:?}");

    let mut header = SegmentHeader { log_id: 5, base: 7, epoch: 1, ordinal: 3, created_ms: 0 }.encode();
    set_segment_version(&mut header, 2);
    assert_eq!((SegmentHeader::decode(&header), SegmentHeader::newer_version(&header)), (None, Some(2)));
    for bit in 0..header.len() * 8 {
        let mut flipped = header;
        flipped[bit / 8] ^= 1 << (bit % 8);
        let is_uncovered = bit < 64 || (96..128).contains(&bit);
        assert_eq!(SegmentHeader::newer_version(&flipped).is_some(), is_uncovered, "bit {bit}");
    }
    let mut slot = Slot { sequence: 1, log_id: 5, value: 3, extra: 0 }.encode(Kind::Meta);
    assert_eq!(slots::newer_version(&slot), None);
    set_slot_version(&mut slot, 0, 300);
    assert_eq!(slots::newer_version(&slot), Some(300));
    for bit in 0..slot.len() * 8 {
        let mut flipped = slot;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(slots::newer_version(&flipped), None, "bit {bit}");
    }
}
