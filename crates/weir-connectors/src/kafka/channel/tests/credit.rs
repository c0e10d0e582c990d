//! How much is fetched ahead.

use weir_engine::channel::Channel;
use weir_kafka::fake::ApiKey;
use weir_testkit::wait::eventually;

use super::rig::{ALL, Rig, append, batch, next};

/// Appends batches of 50 events of a kilobyte.
fn fill(channel: &dyn Channel, batches: usize) {
    let body = "x".repeat(1_000);
    let bodies: Vec<&str> = vec![&body; 50];
    (0..batches).for_each(|_| append(channel, &batch(&bodies)).expect("acknowledged"));
}

/// Scenario: nobody takes what is fetched, for many heartbeats; then somebody does.
/// Guarantees: fetching stops at a share of the memory; the membership goes on; then everything comes, in order.
#[test]
fn fetching_pauses_and_heartbeats_go_on() {
    let rig = Rig::start(1);
    let channel = rig.open("compression = 'none'\nfetch_memory = '1 MiB'\nsession_timeout = '1 s'");
    let mut cursor = channel.cursor("default").expect("a cursor");
    let batches = 100;
    fill(&*channel, batches);
    let beats = rig.beats();
    eventually("heartbeats go on", || rig.beats() > beats + 3);
    // Paused at a share of the memory, and what was underway has come: nothing more does.
    let fetches = rig.fake.requests(ApiKey::Fetch);
    let beats = rig.beats();
    eventually("heartbeats go on", || rig.beats() > beats + 1);
    assert_eq!(rig.fake.requests(ApiKey::Fetch), fetches);
    let mut found = 0;
    while found < batches * 50 {
        let chunk = next(&mut *cursor);
        assert_eq!(chunk.range.start, found as u64);
        found += chunk.events() as usize;
    }
    assert_eq!(cursor.taken_away(), Vec::<u32>::new());
}

/// Scenario: of two partitions with many times the memory in them one is never taken: its lane stands still.
/// Guarantees: the other one is read to its end.
#[test]
fn a_partition_that_nobody_takes_leaves_memory_to_others() {
    let rig = Rig::start(2);
    let channel = rig.open("compression = 'none'\nfetch_memory = '1 MiB'");
    let mut cursor = channel.cursor("default").expect("a cursor");
    fill(&*channel, 200);
    let (taken, left) = (rig.bodies(0).len(), rig.bodies(1).len());
    assert!(taken.min(left) > 3_000, "{taken} and {left}: both are larger than the memory");
    let mut found = 0;
    while found < taken {
        eventually("there is something to read", || {
            cursor.taken_away();
            let chunk = cursor.read_of(ALL, &mut |partition| partition == 0).expect("readable");
            chunk.as_ref().inspect(|chunk| assert_eq!(chunk.range.start, found as u64));
            found += chunk.as_ref().map_or(0, |chunk| chunk.events() as usize);
            chunk.is_some()
        });
    }
}
