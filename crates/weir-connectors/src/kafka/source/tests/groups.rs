//! Several members, and what happens to work when partitions move.

use std::time::Duration;

use weir_testkit::wait::eventually;

use super::rig::{Kafka, Running};

/// Scenario: a member with receipts open meets a second member; its receipts come while it gives partitions up.
/// Guarantees: it waits for them, commits, and only then gives up: nothing is read twice.
#[test]
fn revoked_partitions_wait_for_receipts() {
    let kafka = Kafka::start(2);
    (0..2).for_each(|partition| kafka.produce("t", partition, 2));
    // A short session makes for frequent heartbeats.
    let options = "session_timeout = '1 s'";
    let first = Running::start_held(&kafka, options);
    eventually("both partitions are on their way", || first.channel.held() == 4);
    let second = Running::start(&kafka, options);
    let before = kafka.heartbeats();
    eventually("the group has spoken with both of them, several times", || kafka.heartbeats() > before + 8);
    assert!(second.channel.batches().is_empty(), "partitions were taken away with receipts open");
    first.channel.release();
    second.until_assigned(1);
    first.until_assigned(1);
    (0..2).for_each(|partition| kafka.produce("t", partition, 1));
    let all = |partition| [first.channel.offsets(partition), second.channel.offsets(partition)].concat();
    for partition in 0..2 {
        eventually("all events are read", || all(partition).len() >= 30);
        assert_eq!(all(partition), (0..30).collect::<Vec<_>>(), "partition {partition}");
    }
    first.stop(Duration::from_secs(10));
    second.stop(Duration::from_secs(10));
}

/// Scenario: the same, but the receipts never come, and half the rebalance timeout passes.
/// Guarantees: the partition is given up with what is settled; the next owner reads the rest again.
#[test]
fn receipts_are_not_waited_for_too_long() {
    let kafka = Kafka::start(2);
    (0..2).for_each(|partition| kafka.produce("t", partition, 2));
    let options = "rebalance_timeout = '1 s'";
    let first = Running::start_held(&kafka, options);
    eventually("both partitions are on their way", || first.channel.held() == 4);
    first.channel.settle(&["0"]);
    eventually("the first batches are committed", || (0..2).all(|at| kafka.committed(at) == Some(10)));
    let second = Running::start(&kafka, options);
    second.until_assigned(1);
    let partition = second.ledger.partitions(0)[0].partition as i32;
    second.channel.until("from the commit on", partition, (10..20).collect::<Vec<_>>());
    first.crash();
    second.stop(Duration::from_secs(10));
}

/// Scenario: the coordinator forgets the member while receipts are open; they come after that.
/// Guarantees: nothing is committed for what was lost; the partition is read again from the commit, then committed.
#[test]
fn lost_partitions_are_dropped() {
    let kafka = Kafka::start(1);
    kafka.produce("t", 0, 2);
    let source = Running::start_held(&kafka, "session_timeout = '1 s'");
    eventually("two batches arrive", || source.channel.held() == 2);
    eventually("the beginning is committed", || kafka.committed(0) == Some(0));
    kafka.fake.expel_members("g");
    eventually("the loss is told", || source.fault("partitions lost to the group") == 1);
    eventually("it is read again", || source.channel.batches().len() == 4);
    assert_eq!(kafka.committed(0), Some(0));
    source.channel.release();
    eventually("then committed", || kafka.committed(0) == Some(20));
    let twice: Vec<i64> = (0..20).chain(0..20).collect();
    assert_eq!(source.channel.offsets(0), twice);
    source.stop(Duration::from_secs(10));
}

/// Scenario: a member stops in order while a receipt is open that comes before the deadline.
/// Guarantees: it waits, commits, and leaves, so that another has the partitions at once.
#[test]
fn a_stop_waits_for_receipts_and_leaves() {
    let kafka = Kafka::start(1);
    kafka.produce("t", 0, 1);
    let source = Running::start_held(&kafka, "");
    eventually("the batch arrives", || source.channel.held() == 1);
    let channel = source.channel.clone();
    let stopping = std::thread::spawn(move || source.stop(Duration::from_secs(20)));
    channel.settle(&["0"]);
    stopping.join().expect("no panic");
    assert_eq!(kafka.committed(0), Some(10));
    let next = Running::start(&kafka, "");
    next.until_assigned(1);
    next.stop(Duration::from_secs(10));
}

/// Scenario: a channel is full and stays so; the agent stops.
/// Guarantees: the source ends at the deadline; what was not taken is not committed.
#[test]
fn a_full_channel_does_not_keep_the_agent() {
    let kafka = Kafka::start(1);
    kafka.produce("t", 0, 1);
    let source = Running::start(&kafka, "");
    source.channel.set_full(true);
    eventually("the lane waits", || source.ledger.received.load(std::sync::atomic::Ordering::Relaxed) == 10);
    let channel = source.stop(Duration::from_millis(300));
    assert!(channel.batches().is_empty());
    assert_ne!(kafka.committed(0), Some(10));
}
