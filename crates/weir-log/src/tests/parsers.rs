//! Bytes that nobody wrote: nothing that parses may panic or allocate out of bounds.

use std::path::Path;

use proptest::prelude::*;

use super::world::{DIR, World, fill, small_options};
use crate::format::{SegmentHeader, segment_base};
use crate::scan::{Extent, Place};
use crate::slots::{FILE_BYTES, Kind, Slot, decode_file};
use crate::{Access, Disk};

proptest! {
    /// Scenario: any bytes as a slot file.
    /// Guarantees: no panic; what is believed has the right form.
    #[test]
    fn slots_of_anything(bytes in prop::collection::vec(any::<u8>(), 0..FILE_BYTES + 10)) {
        for kind in [Kind::Meta, Kind::Position] {
            let verdict = decode_file(&bytes, kind);
            prop_assert!(verdict.newest.is_none(), "a CRC by chance");
        }
    }

    /// Scenario: a valid slot with one byte changed anywhere.
    /// Guarantees: it is not believed.
    #[test]
    fn slots_with_a_flip(sequence in 1u64..1000, value in 0u64..1 << 40, at in 0usize..48, flip in 1u8..) {
        let slot = Slot { sequence, log_id: 7, value, extra: 0 };
        let mut bytes = vec![0; FILE_BYTES];
        bytes[..48].copy_from_slice(&slot.encode(Kind::Position));
        prop_assert_eq!(decode_file(&bytes, Kind::Position).newest, Some(slot));
        prop_assert_eq!(decode_file(&bytes, Kind::Meta).newest, None);
        bytes[at] ^= flip;
        let verdict = decode_file(&bytes, Kind::Position);
        prop_assert_eq!((verdict.newest, verdict.damaged), (None, true));
    }

    /// Scenario: any bytes as a segment header, and any text as a file name.
    /// Guarantees: no panic.
    #[test]
    fn headers_and_names_of_anything(bytes in prop::collection::vec(any::<u8>(), 0..100), name in ".{0,40}") {
        prop_assert_eq!(SegmentHeader::decode(&bytes), None);
        let _ = segment_base(&name);
    }

    /// Scenario: a segment of any bytes, some of which look like batch headers, is walked to its end.
    /// Guarantees: no panic, progress in every step, and an end.
    #[test]
    fn segments_of_anything(mut bytes in prop::collection::vec(any::<u8>(), 0..5000), magics in prop::collection::vec(0usize..5000, 0..20)) {
        for at in magics {
            if let Some(header) = bytes.get_mut(at..at + 61) {
                let base = [0, 0, 0, 0, 0, 0, 0, (at % 7) as u8];
                header[..8].copy_from_slice(&base);
                header[16] = 2;
                header[43..51].copy_from_slice(&base);
            }
        }
        let disk = crate::sim::SimDisk::new(1);
        let file = disk.create(Path::new("/segment")).expect("made");
        file.write(&bytes, 0).expect("written");
        let extent = Extent { file: &*file, limit: bytes.len() as u64, epoch: None, end: 1 << 40 };
        let (mut place, mut buffer) = (Place { at: 0, expected: 0 }, Vec::new());
        loop {
            let chunk = extent.step(place, 100, &mut buffer).expect("reads");
            if chunk.is_last {
                break;
            }
            prop_assert!(chunk.next.at > place.at || chunk.next.expected > place.expected);
            place = chunk.next;
        }
    }

    /// Scenario: every file of a log is overwritten in some places with anything, and the log is opened.
    /// Guarantees: it opens, reads to its end without a panic, and takes appends.
    #[test]
    fn logs_of_anything(seed in any::<u64>(), edits in prop::collection::vec((any::<u64>(), any::<u16>(), any::<u8>()), 1..30)) {
        let mut world = World::new(seed, small_options());
        world.tolerates_damage = true;
        world.open().expect("opens");
        world.run(&fill(2)).expect("fills");
        world.run(&[super::world::Action::Group("a")]).expect("a group");
        let disk = world.disk.clone();
        drop(world);
        disk.kill_processes();
        let files = disk.files();
        for (file, at, value) in edits {
            let path = &files[(file % files.len() as u64) as usize];
            disk.edit(path, |bytes| {
                let length = bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(usize::from(at) % length) {
                    *byte = value;
                }
            });
        }
        let clock = std::sync::Arc::new(crate::sim::SimClock::default());
        let (mut core, report) = crate::core::open(std::sync::Arc::new(disk.clone()), clock, Path::new(DIR), small_options()).expect("opens");
        let mut reader = crate::reader::Reader::new(core.shared.clone(), report.start_offset);
        while !reader.read(4096).expect("reads").is_empty() {}
        prop_assert_eq!(reader.next_offset(), report.end_offset.max(report.start_offset));
        core.close().expect("closes");
    }
}

/// Scenario: a file of zeros, and one that ends inside a batch header, as segments.
/// Guarantees: neither holds anything, and both have an end (L11).
#[test]
fn zeros_and_stumps() {
    let disk = crate::sim::SimDisk::new(1);
    for length in [0, 1, 60, 61, 122, 5000] {
        let path = format!("/zeros{length}");
        let file = disk.create(Path::new(&path)).expect("made");
        file.truncate(length).expect("grown");
        let file = disk.open(Path::new(&path), Access::Read).expect("opens");
        let extent = Extent { file: &*file, limit: length + 100, epoch: Some(1), end: 1 << 40 };
        let chunk = extent.step(Place { at: 0, expected: 0 }, 100, &mut Vec::new()).expect("reads");
        assert!(chunk.is_last && chunk.batches.is_empty() && chunk.damage.is_none(), "{length}");
    }
}
