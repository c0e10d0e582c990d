//! Files damaged while nobody looks: everything undamaged is delivered, and exactly what is damaged is reported.

use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};

use super::world::{Action, DIR, World, fill, id_of, small_options};
use crate::format::SEGMENT_HEADER_BYTES;
use crate::sim::SimDisk;
use crate::tools::{CheckReport, FileState, check, dump, repair};
use crate::{Health, LogOptions};

/// Where a batch is on the disk, taken from the lengths of the undamaged files.
#[derive(Clone)]
struct Place {
    path: PathBuf,
    bytes: Range<usize>,
    offsets: Range<u64>,
    id: u64,
    content: Vec<u8>,
}

/// A log that was closed in order, and where everything is in it.
struct Subject {
    world: World,
    disk: SimDisk,
    places: Vec<Place>,
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

impl Subject {
    fn new(seed: u64, segments: usize, group: Option<&'static str>) -> Self {
        let mut world = World::new(seed, small_options());
        world.open().expect("opens");
        if let Some(name) = group {
            world.act(&Action::Group(name)).expect("a group");
        }
        world.run(&fill(segments)).expect("fills");
        world.close();
        let mut places = Vec::new();
        for path in world.segment_files() {
            let content = world.disk.content(&path);
            let mut at = SEGMENT_HEADER_BYTES as usize;
            while at < content.len() {
                let end = at + 12 + number(&content[at + 8..at + 12]) as usize;
                let (first, id) = (number(&content[at..at + 8]), number(&content[at + 61..at + 69]));
                let offsets = first..first + number(&content[at + 57..at + 61]);
                places.push(Place {
                    path: path.clone(),
                    bytes: at..end,
                    offsets,
                    id,
                    content: content[at..end].to_vec(),
                });
                at = end;
            }
        }
        let disk = world.disk.clone();
        Self { world, disk, places }
    }

    fn check(&self) -> CheckReport {
        check(&self.disk, Path::new(DIR), None).expect("checks")
    }

    /// Compares check, opening and reading with what was damaged.
    fn expect(mut self, lost: &[Range<u64>], what: &str) {
        let lost = merged(lost.iter().cloned());
        let verdict = self.check();
        assert_eq!(merged(verdict.lost.iter().map(|lost| lost.offsets.clone())), lost, "{what}: check {verdict:#?}");
        assert!(verdict.lost.iter().all(|lost| lost.was_durable), "{what}: {:?}", verdict.lost);
        let is_lost = |place: &Place| lost.iter().any(|range| range.contains(&place.offsets.start));
        let owed: BTreeSet<u64> = self.places.iter().filter(|place| !is_lost(place)).map(|place| place.id).collect();
        let mut dumped = BTreeSet::new();
        let take = |stored: &crate::StoredBatch| {
            dumped.insert(id_of(stored).expect("whole"));
            ControlFlow::Continue(())
        };
        dump(&self.disk, Path::new(DIR), None, 0..u64::MAX, take).expect("dumps");
        assert_eq!(dumped, owed, "{what}: dump");
        self.world.tolerates_damage = true;
        let report = self.world.open().unwrap_or_else(|violation| panic!("{what}: {violation}"));
        let (seen, told) = self.world.read_all();
        assert_eq!(seen, owed, "{what}: {report:#?}");
        let known = self.world.log().status().lost.into_iter().map(|lost| lost.offsets);
        assert_eq!(merged(told.into_iter().chain(known)), lost, "{what}: {report:#?}");
        assert_eq!(self.world.log().status().health, Health::Healthy);
    }
}

/// Sorted, and joined where they touch.
fn merged(ranges: impl Iterator<Item = Range<u64>>) -> Vec<Range<u64>> {
    let mut sorted: Vec<Range<u64>> = ranges.collect();
    sorted.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// Scenario: one bit flips anywhere in any segment of a closed log (each byte of the first batches, then random ones).
/// Guarantees: exactly the batch that was hit is gone and reported; a flip in the leader epoch, which is outside the CRC, costs nothing.
#[test]
fn single_bit_flips() {
    let mut random = fastrand::Rng::with_seed(1);
    for run in 0..400 {
        let subject = Subject::new(run, 3, None);
        let place = &subject.places[random.usize(..subject.places.len())];
        let at = if run < 100 { place.bytes.start + run as usize } else { random.usize(place.bytes.clone()) };
        let lost: Vec<_> =
            Some(place.offsets.clone()).filter(|_| !(12..16).contains(&(at - place.bytes.start))).into_iter().collect();
        subject.disk.edit(&place.path, |bytes| bytes[at] ^= 1 << random.u32(..8));
        let what = format!("run {run}, byte {at} of {:?}", place.offsets);
        subject.expect(&lost, &what);
    }
}

/// Scenario: stretches of zeros, cut files, several at once, anywhere behind the segment headers.
/// Guarantees: exactly the batches that lost a byte are gone and reported.
#[test]
fn zeroed_ranges_and_truncations() {
    let mut random = fastrand::Rng::with_seed(2);
    for run in 0..400 {
        let subject = Subject::new(run, 4, None);
        let mut what = format!("run {run}");
        for _ in 0..random.u32(1..4) {
            let path = subject.places[random.usize(..subject.places.len())].path.clone();
            let length = subject.disk.content(&path).len();
            if length <= SEGMENT_HEADER_BYTES as usize {
                continue;
            }
            let from = random.usize(SEGMENT_HEADER_BYTES as usize..length);
            let to = if random.bool() { length } else { (from + random.usize(..1500)).min(length) };
            let is_cut = to == length && random.bool();
            subject.disk.edit(&path, |bytes| if is_cut { bytes.truncate(from) } else { bytes[from..to].fill(0) });
            what += &format!(", {from}..{to} of {} {}", path.display(), if is_cut { "cut" } else { "zeroed" });
        }
        let is_hit = |place: &&Place| {
            let content = subject.disk.content(&place.path);
            let Some(now) = content.get(place.bytes.clone()) else { return true };
            // The leader epoch, four bytes from byte 12 on, may be anything.
            now[..12] != place.content[..12] || now[16..] != place.content[16..]
        };
        let lost: Vec<_> = subject.places.iter().filter(is_hit).map(|place| place.offsets.clone()).collect();
        subject.expect(&lost, &what);
    }
}

/// Scenario: the contents of two segments are swapped.
/// Guarantees: nothing is lost, since the headers tell where each belongs.
#[test]
fn swapped_segments() {
    let subject = Subject::new(1, 4, None);
    let files = subject.world.segment_files();
    let contents: Vec<_> = files.iter().map(|path| subject.disk.content(path)).collect();
    subject.disk.edit(&files[0], |bytes| bytes.clone_from(&contents[2]));
    subject.disk.edit(&files[2], |bytes| bytes.clone_from(&contents[0]));
    subject.expect(&[], "swapped");
}

/// Scenario: a segment header is overwritten, in each segment in turn.
/// Guarantees: no record is lost; the damage is reported.
#[test]
fn damaged_segment_headers() {
    for index in 0..3 {
        let subject = Subject::new(1, 3, None);
        let path = subject.world.segment_files()[index].clone();
        subject.disk.edit(&path, |bytes| bytes[30] ^= 0xff);
        let verdict = subject.check();
        assert!(!verdict.is_sound() && !verdict.segments[index].has_header, "{verdict:?}");
        subject.expect(&[], "header");
    }
}

/// Scenario: segments are taken away: from the middle, the end, the front, all.
/// Guarantees: exactly their records are gone and reported, and their offsets are never given out again.
#[test]
fn missing_segments() {
    let segments = Subject::new(1, 4, Some("a")).world.segment_files().len();
    for gone in (0..segments).map(|index| vec![index]).chain([vec![1, 2], (0..segments).collect()]) {
        let subject = Subject::new(1, 4, Some("a"));
        let files = subject.world.segment_files();
        let paths: Vec<_> = gone.iter().map(|index| files[*index].clone()).collect();
        let lost: Vec<_> = subject
            .places
            .iter()
            .filter(|place| paths.contains(&place.path))
            .map(|place| place.offsets.clone())
            .collect();
        paths.iter().for_each(|path| subject.disk.remove(path));
        subject.expect(&lost, &format!("without {gone:?}"));
    }
}

/// Scenario: the meta file is gone, or overwritten in one slot or both.
/// Guarantees: no record is lost, id and epoch come from the segments, and the epoch still grows.
#[test]
fn meta_missing_or_damaged() {
    for damage in 0..3 {
        let mut subject = Subject::new(1, 2, Some("a"));
        let (id, path) = (subject.check().id, Path::new("/log/meta"));
        match damage {
            0 => subject.disk.remove(path),
            1 => subject.disk.edit(path, |bytes| bytes.fill(0x55)),
            _ => subject.disk.edit(path, |bytes| bytes[..48].fill(0x55)),
        }
        let state = [FileState::Missing, FileState::Damaged, FileState::OneSlot][damage];
        assert_eq!(subject.check().meta, state);
        let report = subject.world.open().expect("opens");
        assert_eq!((Some(report.id), report.meta_rebuilt), (id, true));
        subject.world.check_alive().expect("goes on");
    }
}

/// Scenario: a position file is gone, or damaged in both slots, or is that of another log.
/// Guarantees: the group starts at the oldest retained record: it repeats, it loses nothing.
#[test]
fn position_missing_or_damaged() {
    for damage in 0..3 {
        let mut subject = Subject::new(1, 3, Some("a"));
        subject.world.open().expect("opens");
        subject.world.run(&[Action::Release("a", 20), Action::Turn, Action::Pass(60)]).expect("releases");
        subject.world.close();
        let path = Path::new("/log/groups/a.pos");
        match damage {
            0 => subject.disk.remove(path),
            1 => subject.disk.edit(path, |bytes| bytes.fill(0x55)),
            _ => {
                let other = Subject::new(2, 1, Some("a")).disk.content(path);
                subject.disk.edit(path, |bytes| bytes.clone_from(&other));
            }
        }
        subject.world.forget_groups();
        let report = subject.world.open().expect("opens");
        assert_eq!(report.positions_reset.len(), usize::from(damage > 0), "{report:?}");
        let group = subject.world.log().group("a").expect("opens");
        assert_eq!(group.position(), subject.world.log().start_offset());
        subject.world.act(&Action::Read).expect("everything is there");
    }
}

/// Scenario: a valid batch is written over the place of another one, as a disk that confuses addresses does.
/// Guarantees: only what it overwrote is gone; it is not believed, although its CRC is right (L12).
#[test]
fn misdirected_write() {
    let subject = Subject::new(1, 2, None);
    let of_first: Vec<_> =
        subject.places.iter().filter(|place| place.path == subject.places[0].path).cloned().collect();
    // Batches alternate between two sizes, so the fifth fits where the first is.
    let (here, there) = (&of_first[0], &of_first[4]);
    assert_eq!(here.bytes.len(), there.bytes.len());
    subject.disk.edit(&here.path, |bytes| bytes.copy_within(there.bytes.clone(), here.bytes.start));
    subject.expect(std::slice::from_ref(&here.offsets), "misdirected");
}

/// Scenario: a segment of another log lies among the segments.
/// Guarantees: it is set aside and reported, not read, not deleted.
#[test]
fn foreign_segment() {
    let mut subject = Subject::new(1, 2, None);
    let other = Subject::new(99, 1, None);
    let foreign = Path::new("/log/segments/00000000000000000001.log");
    {
        use crate::disk::Disk;
        subject.disk.create(foreign).expect("made");
    }
    subject.disk.edit(foreign, |bytes| bytes.clone_from(&other.disk.content(&other.places[0].path)));
    assert_eq!(subject.check().strays, [foreign]);
    subject.world.tolerates_damage = true;
    let report = subject.world.open().expect("opens");
    assert_eq!(report.set_aside, [foreign]);
    assert!(subject.disk.files().contains(&PathBuf::from("/log/quarantine/00000000000000000001.log")));
    assert_eq!(subject.world.read_all().0.len(), subject.places.len());
}

/// Scenario: a damaged segment is read, and then released by all groups.
/// Guarantees: a copy of it stays in quarantine (L5).
#[test]
fn damaged_segments_are_kept_for_a_look() {
    let mut subject = Subject::new(1, 3, Some("a"));
    let place = subject.places[1].clone();
    subject.disk.edit(&place.path, |bytes| bytes[place.bytes.start + 70] ^= 1);
    subject.world.tolerates_damage = true;
    subject.world.open().expect("opens");
    subject
        .world
        .run(&[Action::Read, Action::Turn, Action::Release("a", 100), Action::Turn, Action::Pass(60)])
        .expect("releases");
    assert!(!subject.disk.files().contains(&place.path));
    assert!(subject.disk.files().contains(&Path::new("/log/quarantine").join(place.path.file_name().expect("a name"))));
}

/// Scenario: a log with a damaged batch, a lost segment and a damaged meta file is repaired into a new directory.
/// Guarantees: the copy has every undamaged record at its old offset, and the positions; it opens sound but for what was lost; the original is as it was.
#[test]
fn repair_makes_a_sound_copy() {
    let subject = Subject::new(1, 4, Some("a"));
    let hit = subject.places[1].clone();
    subject.disk.edit(&hit.path, |bytes| bytes[hit.bytes.start + 70] ^= 1);
    let gone = subject.world.segment_files()[2].clone();
    subject.disk.remove(&gone);
    subject.disk.edit(Path::new("/log/meta"), |bytes| bytes.fill(1));
    let before: Vec<_> = subject.disk.files().iter().map(|path| subject.disk.content(path)).collect();
    let to = Path::new("/repaired");
    let report = repair(&subject.disk, Path::new(DIR), None, to).expect("repairs");
    assert_eq!(report.groups, ["a"]);
    let files = subject.disk.files().into_iter().filter(|path| path.starts_with(DIR));
    assert_eq!(files.map(|path| subject.disk.content(&path)).collect::<Vec<_>>(), before, "the original is untouched");
    let owed: Vec<_> = subject.places.iter().filter(|place| place.path != gone && place.bytes != hit.bytes).collect();
    let mut dumped = Vec::new();
    let verdict = check(&subject.disk, to, None).expect("checks");
    assert!(
        verdict.segments.iter().all(|segment| segment.damaged.is_empty() || segment.torn_bytes == 0),
        "{verdict:?}"
    );
    assert_eq!(verdict.meta, FileState::Good);
    dump(&subject.disk, to, None, 0..u64::MAX, |stored| {
        dumped.push((stored.range(), id_of(stored).expect("whole")));
        ControlFlow::Continue(())
    })
    .expect("dumps");
    assert_eq!(dumped.len() as u64, verdict.segments.iter().map(|segment| segment.batches).sum::<u64>());
    assert!(owed.iter().all(|place| dumped.contains(&(place.offsets.clone(), place.id))));
    let again = repair(&subject.disk, Path::new(DIR), None, to);
    assert!(matches!(again, Err(crate::tools::ToolError::NotEmpty { .. })), "{again:?}");
    let options = LogOptions { ..small_options() };
    let clock = std::sync::Arc::new(crate::sim::SimClock::default());
    let (mut core, opened) =
        crate::core::open(std::sync::Arc::new(subject.disk.clone()), clock, to, options).expect("opens");
    assert_eq!(opened.start_offset, 0);
    core.close().expect("closes");
}

/// Scenario: check and dump beside a running log, with a range that starts and ends inside batches.
/// Guarantees: they need no lock, change nothing, and give what was durable.
#[test]
fn tools_beside_a_running_log() {
    let mut world = World::new(1, small_options());
    world.open().expect("opens");
    world.run(&fill(2)).expect("fills");
    world.act(&Action::Pass(10)).expect("synced");
    let verdict = check(&world.disk, Path::new(DIR), None).expect("checks");
    assert!(verdict.is_sound(), "{verdict:#?}");
    assert_eq!(verdict.end_offset, world.log().durable_end());
    let mut ranges = Vec::new();
    let report = dump(&world.disk, Path::new(DIR), None, 5..14, |stored| {
        ranges.push(stored.range());
        ControlFlow::Continue(())
    })
    .expect("dumps");
    assert_eq!((report.batches, report.lost.len()), (ranges.len() as u64, 0));
    assert!(ranges[0].contains(&5) && ranges.last().is_some_and(|last| last.contains(&13)), "{ranges:?}");
    world.check_alive().expect("goes on");
    let none = check(&world.disk, Path::new("/nowhere"), None);
    assert!(matches!(none, Err(crate::tools::ToolError::NoLog { .. })), "{none:?}");
}
