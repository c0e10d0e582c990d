//! Do the tests bite? Each kind of sync is left out, and then the model must find something wrong.

use std::time::Duration;

use super::world::{Action, Violation, World, fill, small_options};
use crate::sim::{Fault, FaultKind, Loss};
use crate::{LogOptions, SyncSite};

/// A scenario that ends in a crash, and is whole as long as no sync is left out.
type Scenario = fn(&mut World) -> Result<(), Violation>;

/// Runs `scenario` as it is and with syncs of `site` left out.
fn bites(site: SyncSite, scenario: Scenario) -> Result<(), Violation> {
    for seed in 1..20 {
        for is_skipped in [false, true] {
            let mut world = World::new(seed, small_options());
            world.disk.skip_syncs(Some(site).filter(|_| is_skipped));
            let outcome = scenario(&mut world);
            if !is_skipped {
                outcome.map_err(|violation| format!("{site:?} not left out, seed {seed}: {violation}"))?;
            } else if outcome.is_err() {
                return Ok(());
            }
        }
    }
    Err(format!("nothing notices that {site:?} is left out"))
}

/// Appends, and a power loss that keeps only what was synced.
fn acknowledged(world: &mut World) -> Result<(), Violation> {
    world.open()?;
    world.run(&fill(2))?;
    world.recover(Some(Loss::All))
}

/// Every segment that was made before the power went has its header, even if nothing was appended (L2).
fn header_before_append(world: &mut World) -> Result<(), Violation> {
    world.open()?;
    world.disk.power_loss(Loss::All);
    for path in world.segment_files() {
        if crate::format::SegmentHeader::decode(&world.disk.content(&path)).is_none() {
            return Err(format!("{} has no header", path.display()));
        }
    }
    world.recover(None)
}

/// Deletion over several segments, then a power loss.
fn released(world: &mut World) -> Result<(), Violation> {
    world.open()?;
    world.run(&[Action::Group("a")])?;
    world.run(&fill(4))?;
    world.run(&[Action::Release("a", 80), Action::Turn, Action::Pass(60)])?;
    assert!(world.log().start_offset() > 0);
    world.recover(Some(Loss::All))
}

/// The process dies, the system does not; what the next opening shows survives a power loss.
fn shown_after_a_kill(world: &mut World) -> Result<(), Violation> {
    world.open()?;
    world.run(&[
        Action::Append { records: 2, bytes: 600 },
        Action::Turn,
        Action::Kill,
        Action::Append { records: 2, bytes: 600 },
    ])?;
    world.run(&[Action::Pass(1), Action::Pass(10)])?;
    world.recover(Some(Loss::All))
}

/// Two openings of a log on a full disk, where no segment carries the epoch.
fn epochs(world: &mut World) -> Result<(), Violation> {
    world.open()?;
    world.disk.set_capacity(Some(0));
    world.act(&Action::PowerLoss(Loss::All))?;
    world.act(&Action::PowerLoss(Loss::All))?;
    world.disk.set_capacity(None);
    world.recover(Some(Loss::All))
}

/// The first opening, on a disk that has room for the meta file but not for a segment.
fn first_epoch(world: &mut World) -> Result<(), Violation> {
    world.disk.set_capacity(Some(8192 + 1000));
    world.open()?;
    world.act(&Action::PowerLoss(Loss::All))?;
    world.disk.set_capacity(None);
    world.recover(Some(Loss::All))
}

/// A group that was made and has not moved, beside one that releases everything.
fn new_group(world: &mut World) -> Result<(), Violation> {
    world.open()?;
    world.run(&[Action::Group("a"), Action::Group("b")])?;
    world.recover(Some(Loss::All))
}

/// A position whose file had to be made anew, because writing into the old one failed.
fn moved_position(world: &mut World) -> Result<(), Violation> {
    world.open()?;
    world.run(&[Action::Group("a")])?;
    world.run(&fill(1))?;
    world.run(&[Action::Pass(10), Action::Release("a", 50), Action::Turn])?;
    // The next operation is the write into a slot.
    world.disk.plan_fault(Some(Fault { at: 1, kind: FaultKind::Io, is_persistent: false }));
    world.act(&Action::Pass(60))?;
    assert!(world.log().groups()[0].durable_position > 0);
    world.recover(Some(Loss::All))
}

/// Scenario: each kind of sync is left out while the others work.
/// Guarantees: the model notices every one of them, so none is there in vain and none can be forgotten.
#[test]
fn every_sync_is_needed() {
    let sites: [(SyncSite, Scenario); 12] = [
        (SyncSite::Directory, acknowledged),
        (SyncSite::Data, acknowledged),
        (SyncSite::SegmentCreate, acknowledged),
        (SyncSite::SegmentHeader, header_before_append),
        (SyncSite::SegmentDelete, released),
        (SyncSite::Position, released),
        (SyncSite::PositionCreate, moved_position),
        (SyncSite::PositionRename, new_group),
        (SyncSite::Recovered, shown_after_a_kill),
        (SyncSite::Meta, epochs),
        (SyncSite::MetaCreate, first_epoch),
        (SyncSite::MetaRename, first_epoch),
    ];
    let silent: Vec<Violation> = sites.into_iter().filter_map(|(site, scenario)| bites(site, scenario).err()).collect();
    assert!(silent.is_empty(), "{silent:#?}");
}

/// Scenario: a receipt is given at the write, as mode interval does, while the model believes in mode group.
/// Guarantees: the model notices an early receipt.
#[test]
fn an_early_receipt_is_noticed() {
    let durability = crate::Durability::Interval(Duration::from_secs(1));
    let mut world = World::new(1, LogOptions { durability, ..small_options() });
    assert!(acknowledged(&mut world).is_err());
}
