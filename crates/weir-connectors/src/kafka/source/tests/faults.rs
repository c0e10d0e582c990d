//! What goes wrong, and what is done about it.

use std::sync::Arc;
use std::time::Duration;

use weir_kafka::fake::{ApiKey, Step};
use weir_testkit::wait::eventually;

use super::rig::{BATCH, Kafka, Running};

/// Scenario: two batches have been taken, then the channel fails both receipts; later a channel refuses a batch for good.
/// Guarantees: nothing is committed for them; the partition is read again from its position; health says that it rests, and
/// no more once it goes on.
#[test]
fn failed_receipts_are_read_again() {
    let kafka = Kafka::start(1);
    kafka.produce("t", 0, 2);
    let source = Running::start_held(&kafka, "");
    eventually("two batches arrive", || source.channel.held() == 2);
    source.channel.fail();
    eventually("health knows", || source.ledger.troubles().iter().any(|why| why.contains("t-0 rests at offset 0")));
    assert_ne!(kafka.committed(0), Some(20));
    source.channel.release();
    eventually("all is committed", || kafka.committed(0) == Some(20));
    assert_eq!(source.channel.offsets(0), (0..20).chain(0..20).collect::<Vec<_>>());
    eventually("it is well again", || source.ledger.troubles().is_empty());
    source.channel.set_refuses(true);
    kafka.produce("t", 0, 1);
    eventually("the refusal is counted", || source.fault("batches that a channel did not take") > 0);
    source.channel.set_refuses(false);
    eventually("it came in the end", || kafka.committed(0) == Some(30));
    source.stop(Duration::from_secs(10));
}

/// Scenario: a bit flips in a batch of one of two partitions; later it is mended, as by a change of leader.
/// Guarantees: what is before it and the other partition go on; nothing behind it is passed on until it is whole; the
/// message names topic, partition and offset.
#[test]
fn damaged_batches_hold_up_their_partition_only() {
    let kafka = Kafka::start(2);
    (0..2).for_each(|partition| kafka.produce("t", partition, 3));
    kafka.fake.flip_a_bit("t", 0, 1);
    let source = Running::start(&kafka, "");
    eventually("the damage is found", || source.fault("batches that cannot be decoded") > 0);
    source.channel.until("the other partition", 1, (0..30).collect::<Vec<_>>());
    assert_eq!(source.channel.offsets(0), (0..10).collect::<Vec<_>>());
    let troubles = source.ledger.troubles();
    assert!(
        troubles.iter().any(|why| why.contains("t-0 rests at offset 10") && why.contains("checksum")),
        "{troubles:?}"
    );
    kafka.fake.flip_a_bit("t", 0, 1);
    source.channel.until("the rest, once", 0, (0..30).collect::<Vec<_>>());
    eventually("it is well again", || source.ledger.troubles().is_empty());
    source.stop(Duration::from_secs(10));
}

/// Scenario: brokers throttle two requests for their quotas.
/// Guarantees: the time is counted among the faults, and everything is read once.
#[test]
fn quotas_are_counted() {
    let kafka = Kafka::start(1);
    kafka.produce("t", 0, 2);
    kafka.fake.script(ApiKey::Fetch, [3, 4].map(|ms| Step::Throttle(Duration::from_millis(ms))));
    let source = Running::start(&kafka, "");
    source.channel.until("all of it", 0, (0..20).collect::<Vec<_>>());
    eventually("both are counted", || source.fault("throttled by quotas, ms") == 7);
    source.stop(Duration::from_secs(10));
}

/// Scenario: retention deletes records between two runs.
/// Guarantees: the next run goes on with the oldest there is, counts what was lost, and says so.
#[test]
fn positions_that_are_gone_are_counted() {
    let kafka = Kafka::start(1);
    kafka.produce("t", 0, 1);
    let source = Running::start(&kafka, "");
    eventually("committed", || kafka.committed(0) == Some(10));
    source.stop(Duration::from_secs(10));
    kafka.produce("t", 0, 4);
    kafka.fake.delete_below("t", 0, 30);
    let source = Running::start(&kafka, "");
    source.channel.until("the oldest there is", 0, (30..50).collect::<Vec<_>>());
    assert_eq!(source.fault("events that were gone before they were read"), 20);
    eventually("committed", || kafka.committed(0) == Some(50));
    source.stop(Duration::from_secs(10));
}

/// Scenario: a topic is made anew, with fewer and with more events than were read of the old one, between two runs and during
/// one.
/// Guarantees: every event of the new topic is passed on, from its first one on; it is counted; the position is in the new
/// topic.
#[test]
fn topics_made_anew_are_begun_where_told() {
    for (is_running, batches) in [(false, 1), (false, 4), (true, 1), (true, 4)] {
        let kafka = Kafka::start(1);
        kafka.produce("t", 0, 2);
        let source = Running::start(&kafka, "metadata_age = '1 s'");
        eventually("committed", || kafka.committed(0) == Some(20));
        let remake = || {
            kafka.fake.remake_topic("t", 1);
            kafka.produce("t", 0, batches);
        };
        let source = if is_running {
            remake();
            source
        } else {
            source.stop(Duration::from_secs(10));
            remake();
            Running::start(&kafka, "")
        };
        let all: Vec<i64> = (0..batches * BATCH).collect();
        // Of a topic that is longer than the position, some events come before it is known to be another one.
        eventually("all of the new topic comes", || source.channel.offsets(0).ends_with(&all));
        eventually("and is committed", || kafka.committed(0) == Some(batches * BATCH));
        assert!(source.fault("positions in topics that were made anew") > 0);
        source.stop(Duration::from_secs(10));
        let source = Running::start(&kafka, "");
        kafka.produce("t", 0, 1);
        source.channel.until("what is next", 0, (batches * BATCH..(batches + 1) * BATCH).collect::<Vec<_>>());
        source.stop(Duration::from_secs(10));
    }
}

/// Scenario: the only broker does not exist; a list names a topic that does not exist yet; the coordinator, the leader and
/// the offsets meet passing errors.
/// Guarantees: the source starts, says what it waits for, and reads once it can; while it waits it still stops at once.
#[test]
fn a_source_waits_for_its_cluster() {
    let nobody = ["127.0.0.1:1".to_owned()];
    let source = Running::start_at(&nobody, "topics = ['t']", Arc::default());
    eventually("the failure is told", || {
        source.ledger.troubles().iter().any(|why| why.contains("no broker of 127.0.0.1:1"))
    });
    assert!(source.fault("failed connections") > 0);
    source.stop(Duration::from_secs(10));

    let kafka = Kafka::start(1);
    kafka.produce("t", 0, 1);
    // COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS, NOT_LEADER_OR_FOLLOWER
    kafka.fake.script(ApiKey::FindCoordinator, [Step::Refuse(15), Step::Disconnect]);
    kafka.fake.script(ApiKey::OffsetFetch, [Step::Refuse(14), Step::Disconnect]);
    kafka.fake.script(ApiKey::ListOffsets, [Step::Refuse(6), Step::Disconnect]);
    kafka.fake.script(ApiKey::Fetch, [Step::Disconnect, Step::Refuse(6)]);
    kafka.fake.script(ApiKey::OffsetCommit, [Step::Refuse(14), Step::Disconnect]);
    let source = Running::start_at(&kafka.fake.bootstrap(), "topics = ['t', 'later']", Arc::default());
    source.channel.until("the topic there is", 0, (0..10).collect::<Vec<_>>());
    eventually("committed", || kafka.committed(0) == Some(10));
    eventually("the other is missed", || {
        source.ledger.troubles().iter().any(|why| why.contains("there is no topic later"))
    });
    kafka.fake.create_topic("later", 1);
    kafka.produce("later", 0, 1);
    let twice: Vec<i64> = (0..10).chain(0..10).collect();
    source.channel.until("the other topic", 0, twice);
    source.stop(Duration::from_secs(10));
}

/// Scenario: the group refuses the member for want of permission, twice; another time its instance name is taken.
/// Guarantees: the first is tried again until it works; the second ends the source with an error, for two would only take
/// the name from each other.
#[test]
fn refusals_by_the_group() {
    let kafka = Kafka::start(1);
    kafka.produce("t", 0, 1);
    // GROUP_AUTHORIZATION_FAILED, in the protocol of 4.x and in the classic one
    kafka.fake.script(ApiKey::ConsumerGroupHeartbeat, [Step::Refuse(30)]);
    kafka.fake.script(ApiKey::JoinGroup, [Step::Refuse(30)]);
    let source = Running::start(&kafka, "session_timeout = '1 s'");
    eventually("health knows", || source.ledger.troubles().iter().any(|why| why.contains("refuses this member")));
    source.channel.until("it worked in the end", 0, (0..10).collect::<Vec<_>>());
    eventually("it is well again", || source.ledger.troubles().is_empty());
    // FENCED_INSTANCE_ID
    kafka.fake.script(ApiKey::ConsumerGroupHeartbeat, [Step::Refuse(82)]);
    kafka.fake.script(ApiKey::Heartbeat, [Step::Refuse(82)]);
    let fault = source.fault_at_the_end();
    assert!(fault.contains("refuses this member for good") && fault.contains("FencedInstanceId"), "{fault}");
}
