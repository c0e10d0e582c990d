//! Crashes at every operation on the disk.

use super::world::{Action, Violation, World, fill, small_options};
use crate::sim::Loss;
use crate::{Durability, LogOptions};

/// Appends over two segments, positions, deletion, a crash and its recovery, a clean close, more appends.
pub(super) fn script() -> Vec<Action> {
    let mut script = vec![Action::Group("a")];
    script.extend(fill(2));
    script.extend([Action::Group("b"), Action::Release("a", 70), Action::Turn, Action::Pass(60)]);
    script.extend([Action::Release("b", 90), Action::Turn, Action::Pass(60), Action::Read]);
    script.extend([Action::PowerLoss(Loss::Some), Action::Append { records: 2, bytes: 700 }, Action::Pass(10)]);
    script.extend([Action::Kill, Action::Append { records: 2, bytes: 700 }, Action::Pass(10), Action::Reopen]);
    script.extend([Action::Release("a", 100), Action::Release("b", 100), Action::Turn, Action::Pass(60)]);
    script.extend([Action::Append { records: 4, bytes: 1200 }, Action::Turn]);
    script
}

fn operations(script: &[Action], options: &LogOptions) -> u64 {
    let mut world = World::new(7, options.clone());
    world.disk.plan_fault(None);
    world.open().expect("opens");
    world.run(script).expect("runs without faults");
    world.disk.operations()
}

/// Runs `script` with a power loss at operation `at`, and what comes after it.
fn crash_at(script: &[Action], options: &LogOptions, at: u64, loss: Loss, seed: u64) -> Result<(), Violation> {
    let mut world = World::new(seed, options.clone());
    world.disk.plan_power_loss(at);
    if world.try_open().is_some() {
        world.run(script)?;
    }
    world.recover(Some(loss))
}

fn crash_everywhere(options: &LogOptions) {
    let script = script();
    let last = operations(&script, options);
    assert!(last > 100, "{last} operations");
    for at in 1..=last {
        for (seed, loss) in [(7, Loss::All), (7, Loss::Nothing), (at, Loss::Some), (at + 10_000, Loss::Some)] {
            crash_at(&script, options, at, loss, seed).unwrap_or_else(|violation| {
                panic!("power loss at operation {at} of {last}, {loss:?}, seed {seed}: {violation}")
            });
        }
    }
}

/// Scenario: power is lost at every disk operation of appends, rolls, position writes, deletes, recoveries and closes.
/// Guarantees: every acknowledged batch is read back once, in order, and no group loses or repeats more than it may.
#[test]
fn power_loss_at_every_operation_group() {
    crash_everywhere(&small_options());
}

/// Scenario: the same with a sync for each batch.
/// Guarantees: the same.
#[test]
fn power_loss_at_every_operation_always() {
    crash_everywhere(&LogOptions { durability: Durability::Always, ..small_options() });
}

/// Scenario: a crashed log is opened, and power is lost at every operation of that opening; then again while opening it.
/// Guarantees: recovery can itself be interrupted anywhere, twice.
#[test]
fn power_loss_at_every_operation_of_recovery() {
    for first in 1..200 {
        let mut is_past_the_end = false;
        for loss in [Loss::All, Loss::Some, Loss::Nothing] {
            let mut world = World::new(first, small_options());
            world.open().expect("opens");
            world.run(&fill(2)).expect("fills");
            world
                .run(&[
                    Action::Group("a"),
                    Action::Release("a", 80),
                    Action::Turn,
                    Action::Append { records: 1, bytes: 500 },
                    Action::Turn,
                ])
                .expect("runs");
            world.disk.power_loss(Loss::Some);
            world.disk.plan_power_loss(first);
            is_past_the_end = world.try_open().is_some();
            world.disk.power_loss(loss);
            world.disk.plan_power_loss(first.div_ceil(2));
            let _ = world.try_open();
            world.recover(Some(loss)).unwrap_or_else(|violation| panic!("operation {first}, {loss:?}: {violation}"));
        }
        if is_past_the_end {
            return;
        }
    }
    panic!("recovery of two segments takes more than 200 operations");
}

/// Scenario: the process dies with data in the page cache, the log is opened and shows it, then the power goes.
/// Guarantees: what a log has shown as durable stays, although the process that wrote it never synced it.
#[test]
fn recovered_data_is_made_durable_before_it_is_shown() {
    let mut world = World::new(9, small_options());
    world.open().expect("opens");
    world.run(&[Action::Append { records: 2, bytes: 600 }, Action::Turn, Action::Kill]).expect("runs");
    assert_eq!(world.log().durable_end(), 2, "written, not synced, found in the page cache");
    world.run(&[Action::Read, Action::PowerLoss(Loss::All)]).expect("still there");
    world.check_alive().expect("goes on");
}

/// Scenario: mode interval; power is lost before the timer syncs.
/// Guarantees: receipts came at the write and that data is lost, as documented; the log is whole and goes on.
#[test]
fn interval_loses_what_it_says() {
    let durability = Durability::Interval(std::time::Duration::from_secs(1));
    let mut world = World::new(11, LogOptions { durability, ..small_options() });
    world.open().expect("opens");
    world.run(&[Action::Append { records: 1, bytes: 300 }, Action::Turn]).expect("runs");
    assert_eq!((world.acked_batches(), world.log().durable_end()), (1, 0));
    world.run(&[Action::Pass(1000)]).expect("runs");
    assert_eq!(world.log().durable_end(), 1);
    world.run(&[Action::Append { records: 1, bytes: 300 }, Action::Turn]).expect("runs");
    let lost = world.act(&Action::PowerLoss(Loss::All)).expect_err("the second receipt was early");
    assert!(lost.contains("acknowledged batch 2"), "{lost}");
}
