//! Faults at every operation on the disk.

use super::crash::script;
use super::world::{Action, Violation, World, fill, small_options};
use crate::sim::{Fault, FaultKind, Loss};
use crate::{Health, LogOptions};

/// Runs the script with a fault, then with a healthy disk, after a crash of the process or a power loss. Returns
/// whether the fault was reached.
fn fail_at(options: &LogOptions, fault: Fault, loss: Option<Loss>) -> Result<bool, Violation> {
    let mut world = World::new(fault.at, options.clone());
    world.tolerates_errors = true;
    world.had_errors = true;
    world.disk.plan_fault(Some(fault));
    if world.try_open().is_some() {
        // Crashes in the script would end the fault; the one that matters comes at the end.
        let calm = |action: &&Action| !matches!(action, Action::PowerLoss(_) | Action::Kill);
        let calm: Vec<Action> = script().iter().filter(calm).cloned().collect();
        world.run(&calm)?;
        // A log that stopped for want of space goes on by itself.
        world.run(&[Action::Pass(2000), Action::Pass(2000), Action::Read])?;
    }
    let is_reached = world.disk.operations() >= fault.at;
    world.disk.plan_fault(None);
    world.tolerates_errors = false;
    world.recover(loss)?;
    Ok(is_reached)
}

fn fail_everywhere(options: &LogOptions, kind: FaultKind, is_persistent: bool) {
    for at in 1..1000 {
        let fault = Fault { at, kind, is_persistent };
        let mut is_reached = false;
        for loss in [None, Some(Loss::All), Some(Loss::Some)] {
            let outcome = fail_at(options, fault, loss);
            is_reached = outcome.unwrap_or_else(|violation| panic!("{fault:?}, then {loss:?}: {violation}"));
        }
        if !is_reached {
            assert!(at > 100, "only {at} operations");
            return;
        }
    }
    panic!("the script takes more than 1000 operations");
}

/// Scenario: the N-th operation fails once with EIO, for every N, over append, roll, release, delete, close and open.
/// Guarantees: no panic, no false receipt, no repeated or lost record after a crash that follows.
#[test]
fn one_io_error_anywhere() {
    fail_everywhere(&small_options(), FaultKind::Io, false);
}

/// Scenario: the disk fails from the N-th operation on, for every N.
/// Guarantees: the same.
#[test]
fn io_errors_from_anywhere_on() {
    fail_everywhere(&small_options(), FaultKind::Io, true);
}

/// Scenario: the disk is full for one operation, or from one on.
/// Guarantees: the same.
#[test]
fn full_disk_at_any_operation() {
    fail_everywhere(&small_options(), FaultKind::Space, false);
    fail_everywhere(&small_options(), FaultKind::Space, true);
}

/// Scenario: reads and writes are cut short and interrupted, once or always.
/// Guarantees: the same; and with interruptions only, everything works.
#[test]
fn short_and_interrupted_operations() {
    fail_everywhere(&small_options(), FaultKind::Short, false);
    fail_everywhere(&small_options(), FaultKind::Short, true);
}

/// Scenario: with a fallback directory, the N-th operation fails, for every N.
/// Guarantees: the same with segments in two directories.
#[test]
fn io_errors_with_a_fallback_directory() {
    let options = LogOptions { fallback_dir: Some("/other".into()), ..small_options() };
    fail_everywhere(&options, FaultKind::Io, false);
}

/// Scenario: one sync of data fails while several batches wait for it.
/// Guarantees: the batches are written again into a new segment and acknowledged there, in order, nothing twice; the
/// poisoned segment's tail is not read, even after a crash.
#[test]
fn failed_sync_moves_on_to_a_new_segment() {
    for loss in [None, Some(Loss::All), Some(Loss::Some), Some(Loss::Nothing)] {
        let mut world = World::new(5, small_options());
        world.open().expect("opens");
        world.run(&fill(0)).expect("one group");
        world.run(&[Action::Pass(10)]).expect("synced");
        let acked = world.acked_batches();
        assert!(acked > 0);
        world
            .run(&[Action::Append { records: 2, bytes: 300 }, Action::Append { records: 2, bytes: 300 }, Action::Turn])
            .expect("written");
        // The next operation is the sync.
        world.disk.plan_fault(Some(Fault { at: 1, kind: FaultKind::Io, is_persistent: false }));
        world.run(&[Action::Pass(10), Action::Read]).expect("moves on");
        let status = world.log().status();
        assert_eq!((status.health, status.poisoned_segments), (Health::Healthy, 1));
        assert_eq!(world.acked_batches(), acked + 2);
        world.run(&fill(1)).expect("goes on");
        world.recover(loss).expect("recovers");
    }
}

/// Scenario: writing fails, and writing to a new segment fails too.
/// Guarantees: what waits fails, the log is read-only and still reads, and opening it again heals it.
#[test]
fn a_disk_that_keeps_failing_makes_the_log_read_only() {
    let mut world = World::new(6, small_options());
    world.open().expect("opens");
    world.run(&fill(1)).expect("fills");
    world.run(&[Action::Append { records: 1, bytes: 300 }]).expect("queued");
    world.disk.plan_fault(Some(Fault { at: 1, kind: FaultKind::Io, is_persistent: true }));
    world.run(&[Action::Turn, Action::Pass(10)]).expect("fails");
    assert!(matches!(world.log().status().health, Health::ReadOnly { .. }));
    assert_eq!(world.log().status().queued_bytes, 0);
    world.disk.plan_fault(None);
    world.run(&[Action::Read, Action::Pass(5000), Action::Read]).expect("reads");
    assert!(matches!(world.log().status().health, Health::ReadOnly { .. }), "until it is opened again");
    world.recover(None).expect("opens again");
}
