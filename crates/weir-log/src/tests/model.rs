//! Random runs against the model.

use super::world::{Action, Violation, World, small_options};
use crate::sim::{Fault, FaultKind, Loss};
use crate::{Durability, LogOptions};

/// Runs per test: each takes about half a millisecond.
const RUNS: u64 = 4000;
const STEPS: usize = 60;

const GROUPS: [&str; 3] = ["a", "b", "c"];

fn random_action(random: &mut fastrand::Rng) -> Action {
    let group = GROUPS[random.usize(..GROUPS.len())];
    match random.u32(..100) {
        0..40 => Action::Append { records: random.u32(1..6), bytes: random.usize(120..2900) },
        40..55 => Action::Turn,
        55..72 => Action::Pass(random.u64(1..120)),
        72..76 => Action::Group(group),
        76..86 => Action::Release(group, random.u64(10..=100)),
        86..87 => Action::Drop(group),
        87..92 => Action::Read,
        92..94 => Action::Reopen,
        94..96 => Action::Kill,
        96..97 => Action::PowerLoss(Loss::All),
        97..98 => Action::Capacity(None),
        _ => Action::PowerLoss(Loss::Some),
    }
}

fn options(random: &mut fastrand::Rng) -> LogOptions {
    let durability = if random.bool() { Durability::Always } else { small_options().durability };
    LogOptions { durability, segment_bytes: 4096 + random.u64(..8) * 512, ..small_options() }
}

fn crash_run(seed: u64) -> Result<(), Violation> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut world = World::new(seed, options(&mut random));
    world.open()?;
    for _ in 0..STEPS {
        world.act(&random_action(&mut random))?;
    }
    world.recover(Some(Loss::Some))
}

/// The same with faults and a disk that is full now and then.
fn fault_run(seed: u64) -> Result<(), Violation> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut world = World::new(seed, options(&mut random));
    world.open()?;
    world.had_errors = true;
    for _ in 0..STEPS {
        world.tolerates_errors = true;
        if random.u32(..10) == 0 {
            let kind = [FaultKind::Io, FaultKind::Space, FaultKind::Short][random.usize(..3)];
            let fault = Fault { at: random.u64(1..20), kind, is_persistent: random.u32(..4) == 0 };
            world.disk.plan_fault(Some(fault).filter(|_| random.bool()));
        }
        if random.u32(..20) == 0 {
            world.act(&Action::Capacity(Some(random.u64(..20_000)).filter(|_| random.bool())))?;
        }
        world.act(&random_action(&mut random))?;
    }
    world.disk.plan_fault(None);
    world.disk.set_capacity(None);
    world.tolerates_errors = false;
    world.recover(Some(Loss::Some))
}

/// Scenario: thousands of random runs of appends, syncs, groups, releases, reopenings, kills and power losses.
/// Guarantees: at each opening everything acknowledged and not released is read once, in order, and nothing else appears.
#[test]
fn random_crashes() {
    for seed in 0..RUNS {
        crash_run(seed).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
}

/// Scenario: the same with I/O errors, short operations and a disk that fills up.
/// Guarantees: the same, and no panic.
#[test]
fn random_crashes_and_faults() {
    for seed in 0..RUNS {
        fault_run(seed).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
}
