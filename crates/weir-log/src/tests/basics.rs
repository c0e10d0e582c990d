//! The ordinary course of things.

use super::world::{Action, World, fill, small_options};
use crate::{AppendError, Health, LogOptions, ReadOnlyReason};

/// Scenario: batches over several segments, a group that reads and releases them, orderly closes in between.
/// Guarantees: everything is read back in order; released segments go, and only those.
#[test]
fn append_read_release_delete() {
    let mut world = World::new(1, small_options());
    world.open().expect("a new log");
    world.run(&fill(4)).expect("fills");
    world.run(&[Action::Group("a"), Action::Read, Action::Reopen]).expect("reads");
    let segments = world.segment_files().len();
    assert!(segments >= 4, "{segments}");
    assert_eq!(world.log().start_offset(), 0);
    world
        .run(&[Action::Release("a", 60), Action::Turn, Action::Pass(100), Action::Pass(100), Action::Read])
        .expect("releases");
    assert!(world.log().start_offset() > 0);
    assert!(world.segment_files().len() < segments);
    world
        .run(&[Action::Release("a", 100), Action::Turn, Action::Pass(100), Action::Reopen, Action::Read])
        .expect("drained");
    let status = world.log().status();
    assert_eq!((status.start_offset, status.oldest_arrival_s), (status.durable_end, None));
    world.check_alive().expect("goes on");
}

/// Scenario: a log without any group is filled, closed and opened.
/// Guarantees: it retains everything.
#[test]
fn without_groups_everything_stays() {
    let mut world = World::new(2, small_options());
    world.open().expect("a new log");
    world.run(&fill(3)).expect("fills");
    world.run(&[Action::Reopen, Action::Pass(1000), Action::Reopen]).expect("stays");
    assert_eq!((world.log().start_offset(), world.log().durable_end()), (0, world.acked_records()));
}

/// Scenario: appends to a log of little capacity until it is full, then its group catches up.
/// Guarantees: the refused batch comes back whole; room appears by release alone; nothing is lost.
#[test]
fn full_and_room_again() {
    let mut world = World::new(3, LogOptions { capacity_bytes: 3 * 4096, ..small_options() });
    world.open().expect("a new log");
    world.run(&[Action::Group("a")]).expect("a group");
    world.run(&fill(6)).expect("fills");
    let refused = world.log().append(super::world::batch(999, 1, 100), 0, Box::new(|_| {}));
    let Err(AppendError::Full { batch, used_bytes, capacity_bytes, .. }) = refused else {
        panic!("not full: {refused:?}")
    };
    assert_eq!(batch.record_count(), 1);
    assert!(used_bytes >= capacity_bytes);
    assert!(!world.log().wait_for_room(std::time::Duration::ZERO));
    world.run(&[Action::Release("a", 100), Action::Turn, Action::Pass(100), Action::Read]).expect("releases");
    assert!(world.log().wait_for_room(std::time::Duration::ZERO));
    world.check_alive().expect("goes on");
}

/// Scenario: batches a log cannot number, and one that is too large.
/// Guarantees: each is refused by its own error and comes back.
#[test]
fn unfit_batches_come_back() {
    let mut world = World::new(4, small_options());
    world.open().expect("a new log");
    let refused = world.log().append(super::world::batch(1, 0, 100), 0, Box::new(|_| {}));
    assert!(matches!(refused, Err(AppendError::Unfit { .. })), "{refused:?}");
    let refused = world.log().append(super::world::batch(1, 1, 3001), 0, Box::new(|_| {}));
    let Err(error @ AppendError::TooLarge { .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(error.into_parts().0.as_bytes().len(), 3001);
}

/// Scenario: the disk fills up while appending, stays full for a while, then gets space.
/// Guarantees: read-only while full, what was queued waits and is acknowledged later, positions are still written, and it recovers by itself.
#[test]
fn full_disk_heals_by_itself() {
    let mut world = World::new(5, small_options());
    world.open().expect("a new log");
    world.run(&[Action::Group("a")]).expect("a group");
    world.run(&fill(2)).expect("fills");
    world.run(&[Action::Capacity(Some(0))]).expect("full");
    world.run(&fill(2)).expect("refused");
    let health = world.log().status().health;
    assert!(matches!(&health, Health::ReadOnly { reason: ReadOnlyReason::DiskFull { .. } }), "{health:?}");
    assert!(world.log().status().queued_bytes > 0, "the batch that met the full disk waits");
    world.run(&[Action::Read, Action::Release("a", 30), Action::Turn, Action::Pass(100)]).expect("drains");
    assert!(world.log().groups()[0].durable_position > 0);
    world
        .run(&[Action::Pass(5000), Action::Capacity(None), Action::Pass(2000), Action::Pass(10), Action::Read])
        .expect("heals");
    assert_eq!(world.log().status().queued_bytes, 0);
    world.check_alive().expect("goes on");
}
