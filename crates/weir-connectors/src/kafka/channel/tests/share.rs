//! Several agents on one topic.

use std::collections::BTreeSet;

use weir_testkit::wait::eventually;

use super::rig::{ALL, Rig, append, batch, next};

/// Scenario: an agent has four partitions and holds deliveries of all; a second agent joins; the first finishes what it
/// is asked to.
/// Guarantees: while it is in a hurry nothing new is begun of what goes; what it releases is committed before the second
/// begins; the second begins behind it, and knows up to where events may be repeats; nothing is read twice.
#[test]
fn a_second_agent_begins_where_the_first_has_come() {
    let rig = Rig::start(4);
    let edge = rig.open("partitioner = 'round_robin'");
    let first = rig.open("session_timeout = '1 s'");
    let mut one = first.cursor("default").expect("a cursor");
    (0..8).for_each(|_| append(&*edge, &batch(&["x"])).expect("acknowledged"));
    let (found, ends) = super::rig::read(&mut *one, 8);
    assert_eq!((found.len(), ends.len()), (8, 4));
    let second = rig.open("session_timeout = '1 s'");
    let mut other = second.cursor("default").expect("a cursor");
    eventually("the first is asked to finish", || !one.leaving().is_empty());
    assert!(other.read(ALL).expect("readable").is_none());
    ends.iter().for_each(|(partition, end)| one.release(*partition, *end));
    let mut gone = Vec::new();
    eventually("two partitions go", || {
        gone.extend(one.taken_away());
        gone.len() == 2
    });
    assert!(one.leaving().is_empty());
    eventually("the second has them", || gone.iter().all(|partition| other.repeats_below(*partition) == 2));
    (0..4).for_each(|_| append(&*edge, &batch(&["y"])).expect("acknowledged"));
    for _ in 0..2 {
        let chunk = next(&mut *other);
        assert!(gone.contains(&chunk.partition), "{gone:?}");
        assert_eq!((chunk.range, other.repeats_below(chunk.partition)), (2..3, 2));
        let chunk = next(&mut *one);
        assert_eq!((chunk.range, gone.contains(&chunk.partition)), (2..3, false));
    }
    // Its end lets the first have all again, at once.
    second.close().expect("closes");
    let mut back: Vec<u32> = gone.iter().map(|_| next(&mut *one).partition).collect();
    back.sort_unstable();
    gone.sort_unstable();
    assert_eq!(back, gone);
}

/// Scenario: the first agent does not finish what it holds within half the rebalance timeout; its answers come after.
/// Guarantees: partitions go all the same, without a commit; a late answer moves nothing; the second agent reads from the
/// committed position, and is told that these may be repeats.
#[test]
fn what_is_not_finished_in_time_is_repeated() {
    let rig = Rig::start(2);
    let edge = rig.open("partitioner = 'round_robin'");
    let hub = "session_timeout = '1 s'\nrebalance_timeout = '1 s'";
    let first = rig.open(hub);
    let mut one = first.cursor("default").expect("a cursor");
    (0..2).for_each(|_| append(&*edge, &batch(&["x"])).expect("acknowledged"));
    let (_, ends) = super::rig::read(&mut *one, 2);
    let second = rig.open(hub);
    let mut other = second.cursor("default").expect("a cursor");
    let chunk = next(&mut *other);
    assert_eq!((chunk.range, other.repeats_below(chunk.partition)), (0..1, 1));
    ends.iter().for_each(|(partition, end)| one.release(*partition, *end));
    assert_eq!(one.taken_away(), vec![chunk.partition]);
    let kept = 1 - chunk.partition;
    eventually("what stayed is committed", || rig.committed("weir", 2)[kept as usize].offset == Some(1));
    assert_eq!(rig.committed("weir", 2)[chunk.partition as usize].offset, Some(0));
}

/// Scenario: the coordinator expels the agent while deliveries are out; what was out is answered late.
/// Guarantees: the group hears that partitions were taken away, and a late answer is not committed for a later stay: the
/// events come again.
#[test]
fn lost_partitions_are_read_again() {
    let rig = Rig::start(1);
    let channel = rig.open("session_timeout = '1 s'");
    let mut cursor = channel.cursor("default").expect("a cursor");
    append(&*channel, &batch(&["x"])).expect("acknowledged");
    let chunk = next(&mut *cursor);
    rig.fake.expel_members("weir");
    eventually("the group hears of it", || {
        cursor.release(0, chunk.range.end);
        cursor.taken_away() == vec![0]
    });
    let again = next(&mut *cursor);
    assert!(again.range.start <= chunk.range.start + 1);
}

/// Scenario: two agents share twelve partitions; one is dropped without a word, and the coordinator expels the members.
/// Guarantees: six each; then the other has all, and reads what the dead one had not released.
#[test]
fn the_partitions_of_a_dead_agent_go_to_the_other() {
    let rig = Rig::start(12);
    let edge = rig.open("partitioner = 'round_robin'");
    let open = || rig.open("session_timeout = '1 s'");
    let (first, second) = (open(), open());
    let mut one = first.cursor("default").expect("a cursor");
    let mut other = second.cursor("default").expect("a cursor");
    // Positions are committed when a partition is begun: the second joins a group in which the first has them all.
    let (mut held_by_one, mut held_by_other) = (BTreeSet::new(), BTreeSet::new());
    eventually("six each", || {
        append(&*edge, &batch(&["x"])).expect("acknowledged");
        one.taken_away()
            .iter()
            .for_each(|partition| assert!(held_by_one.remove(partition) || !one.leaving().is_empty()));
        for (cursor, held) in [(&mut one, &mut held_by_one), (&mut other, &mut held_by_other)] {
            while let Some(chunk) = cursor.read(ALL).expect("readable") {
                held.insert(chunk.partition);
                cursor.release(chunk.partition, chunk.range.end);
            }
        }
        held_by_one.len() == 6 && held_by_other.len() == 6 && held_by_one.is_disjoint(&held_by_other)
    });
    (0..12).for_each(|_| append(&*edge, &batch(&["y"])).expect("acknowledged"));
    eventually("the other has read its share", || {
        let chunk = other.read(ALL).expect("readable");
        chunk.is_some_and(|chunk| chunk.batches.iter().any(|batch| batch.body(0) == b"y"))
    });
    drop((other, second));
    rig.fake.expel_members("weir");
    let mut found = BTreeSet::new();
    eventually("all are read", || {
        one.taken_away();
        while let Some(chunk) = one.read(ALL).expect("readable") {
            if chunk.batches.iter().any(|batch| batch.body(batch.len() - 1) == b"y") {
                found.insert(chunk.partition);
            }
        }
        found.len() == 12
    });
}
