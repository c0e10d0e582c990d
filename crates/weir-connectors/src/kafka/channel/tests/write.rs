//! Writing.

use std::time::Duration;

use weir_engine::channel::AppendError;
use weir_event::{ABSENT_I64, EventBatch, HeaderName, names};
use weir_kafka::fake::{ApiKey, Step};
use weir_testkit::conformance::fixture::ticket;
use weir_testkit::wait::eventually;

use super::rig::{Rig, append, batch, bodies, open_at, send};

const PARTITION: HeaderName = HeaderName::from_static("p");

/// Scenario: lanes append to a topic of three partitions; connections break on the way.
/// Guarantees: what has a receipt is in the topic, once, with headers, key and times; every partition got its share; an
/// agent that only writes joins no group; the usage counts events with a receipt.
#[test]
fn what_has_a_receipt_is_in_the_topic() {
    let rig = Rig::start(3);
    let channel = rig.open("");
    rig.script(ApiKey::Produce, &[Step::Serve, Step::ServeThenDisconnect, Step::Refuse(7), Step::Disconnect]);
    std::thread::scope(|scope| {
        for lane in 0..3 {
            let channel = &channel;
            scope.spawn(move || {
                for number in 0..20 {
                    let mut events = batch(&[&format!("{lane} {number} a"), &format!("{lane} {number} b")]);
                    events.set_constant(names::KEY, "k");
                    events.set_i64(names::TIMESTAMP, vec![7, ABSENT_I64]);
                    append(&**channel, &events).expect("acknowledged");
                }
            });
        }
    });
    let mut all: Vec<String> = (0..3).flat_map(|partition| rig.bodies(partition)).collect();
    all.sort();
    assert_eq!(all.len(), 120);
    all.dedup();
    assert_eq!((all.len(), channel.usage().appended, channel.usage().bytes), (120, 120, 0));
    assert!((0..3).all(|partition| rig.bodies(partition).len() > 10), "spread");
    let first = &rig.events(0)[0];
    let header = |row, name| first.header(row, name).map(|value| value.into_owned());
    assert_eq!((header(1, "host"), header(1, "key")), (Some(b"fw1".to_vec()), Some(b"k".to_vec())));
    assert_eq!((first.timestamp_ms(0), first.timestamp_ms(1)), (Some(7), None));
    channel.close().expect("closes");
    assert_eq!(rig.beats() + rig.fake.requests(ApiKey::JoinGroup), 0);
    assert!(channel.usage().degraded.is_empty());
}

/// Scenario: the topic is not there when the agent starts; then it is made. Another agent's broker never answers.
/// Guarantees: the channel opens, sources wait and lose nothing, health says what is missing, and all goes on by itself.
#[test]
fn sources_wait_for_the_topic() {
    let rig = Rig::start(0);
    let channel = rig.open("");
    let (waiting, _receipt) = ticket();
    match channel.try_append(&batch(&["x"]), waiting) {
        Err(AppendError::Full(ticket)) => ticket.cancel(),
        other => panic!("expected to wait, got {other:?}"),
    }
    assert!(!channel.wait_for_room(Duration::ZERO));
    eventually("health says so", || channel.usage().degraded.iter().any(|text| text.contains("topic t")));
    rig.fake.create_topic("t", 1);
    append(&*channel, &batch(&["x"])).expect("acknowledged");
    assert_eq!((rig.bodies(0), channel.usage().degraded), (vec!["x".to_owned()], vec![]));

    let unreachable = open_at(&["127.0.0.1:1".to_owned()], "start_timeout = '50 ms'");
    eventually("health says so", || unreachable.usage().degraded.iter().any(|text| text.contains("127.0.0.1:1")));
    let error = unreachable.cursor("default").err().map(|error| super::rig::text(&error)).expect("no cursor");
    assert!(error.contains("127.0.0.1:1") && error.contains("start_timeout"), "{error}");
    unreachable.close().expect("nothing was taken");
}

/// Scenario: a topic takes smaller batches than configured, and refuses an event that is larger than that.
/// Guarantees: batches are split until they fit and the next ones are made smaller; one receipt stands for all pieces;
/// the event that fits nowhere fails its receipt, and a text says what to do; a batch over the configured limit that
/// cannot be cut comes back.
#[test]
fn large_batches_are_split() {
    let rig = Rig::start(1);
    rig.fake.limit_batch_bytes("t", 0, 3_000);
    let channel = rig.open("compression = 'none'\nrecord_batch_bytes_max = '20 KiB'");
    let bodies: Vec<String> = (0..100).map(|number| format!("{number:0>100}")).collect();
    let large = EventBatch::from_bodies(&bodies, 0);
    append(&*channel, &large).expect("acknowledged");
    assert_eq!(sorted(rig.bodies(0)), bodies);
    let refused = rig.fake.requests(ApiKey::Produce) - rig.fake.batches("t", 0).len();
    append(&*channel, &large).expect("acknowledged");
    let refused_later = rig.fake.requests(ApiKey::Produce) - rig.fake.batches("t", 0).len() - refused;
    assert!(refused > 1 && refused_later <= 1, "{refused} {refused_later}");
    let huge = "x".repeat(5_000);
    let failure = append(&*channel, &batch(&[&huge])).expect_err("no topic for it");
    assert!(failure.reason.contains("max.message.bytes") && failure.reason.contains("topic t"), "{failure}");
    assert_eq!(channel.usage().degraded.len(), 1);
    append(&*channel, &batch(&["small"])).expect("others go on");
    assert!(channel.usage().degraded.is_empty());
    let (too_large, _receipt) = ticket();
    match channel.try_append(&batch(&["y", &"x".repeat(30_000)]), too_large) {
        Err(AppendError::TooLarge { ticket, bytes, bytes_max: 20_480 }) if bytes > 30_000 => ticket.cancel(),
        other => panic!("expected it back, got {other:?}"),
    }
}

fn sorted(mut bodies: Vec<String>) -> Vec<String> {
    bodies.sort();
    bodies
}

/// Scenario: brokers refuse a batch for good (no permission), another for the times of its events.
/// Guarantees: the first fails its receipt with a text that says where and what to do; the second is kept, its times in a
/// header; health is well again with the next batch.
#[test]
fn refusals_are_told_or_mended() {
    let rig = Rig::start(1);
    let channel = rig.open("");
    rig.script(ApiKey::Produce, &[Step::Refuse(29)]);
    let failure = append(&*channel, &batch(&["x"])).expect_err("no permission");
    assert!(failure.reason.contains("topic t") && failure.reason.contains("may write"), "{failure}");
    assert!(channel.usage().degraded[0].contains("may write"));
    // INVALID_TIMESTAMP, twice: for the one in the future, then for the other, too.
    rig.script(ApiKey::Produce, &[Step::Refuse(32), Step::Refuse(32)]);
    let mut events = batch(&["old", "new"]);
    events.set_i64(names::TIMESTAMP, vec![7, i64::MAX / 2]);
    append(&*channel, &events).expect("kept");
    let kept = &rig.events(0)[0];
    assert_eq!((bodies(kept), kept.timestamp_ms(0)), (vec!["old".to_owned(), "new".to_owned()], None));
    assert_eq!(kept.header(0, "weir.timestamp").as_deref(), Some(&b"7"[..]));
    assert!(channel.usage().degraded.is_empty());
}

/// Scenario: Flume's test of partitions: a header that names one, none, one too many, no number; a fixed one; a key.
/// Guarantees: as Flume's channel: events go where the header says, without it anywhere; those that name nothing fail,
/// and are counted as held by nobody; a fixed partition that the topic does not have is refused with a text.
#[test]
fn partitions_are_chosen_as_configured() {
    let rig = Rig::start(3);
    let by_header = rig.open("partitioner = 'header'\npartition_header = 'p'");
    let named = |body: &str, partition: &'static str| {
        let mut events = batch(&[body]);
        events.set_constant(PARTITION, partition);
        append(&*by_header, &events)
    };
    named("two", "2").expect("written");
    assert_eq!(rig.bodies(2), vec!["two"]);
    append(&*by_header, &batch(&["none"])).expect("written anywhere");
    for wrong in ["3", "x"] {
        let failure = named("nowhere", wrong).expect_err("no such partition");
        assert!(failure.reason.contains("header p") && failure.reason.contains("topic t"), "{failure}");
    }
    assert_eq!(by_header.usage().degraded.len(), 1);
    assert_eq!((0..3).map(|partition| rig.bodies(partition).len()).sum::<usize>(), 2);
    let fixed = rig.open("partitioner = 'fixed'\npartition = 1");
    (0..5).for_each(|_| append(&*fixed, &batch(&["one"])).expect("written"));
    assert!(rig.bodies(1).iter().filter(|body| *body == "one").count() == 5);
    let outside = rig.open("partitioner = 'fixed'\npartition = 7");
    let failure = append(&*outside, &batch(&["x"])).expect_err("no such partition");
    assert!(failure.reason.contains("no such partition"), "{failure}");
    let by_key = rig.open("partitioner = 'key'");
    let mut keyed = batch(&["a", "b"]);
    keyed.set_constant(names::KEY, "k");
    append(&*by_key, &keyed).expect("written");
    let expected = weir_kafka::partition_for_key(b"k", 3) as usize;
    assert_eq!(rig.bodies(expected).iter().filter(|body| ["a", "b"].contains(&body.as_str())).count(), 2);
}

/// Scenario: an agent ends while brokers are slow; afterwards somebody appends.
/// Guarantees: the end waits for what is in flight; then nothing is taken.
#[test]
fn the_end_waits_for_receipts() {
    let rig = Rig::start(1);
    let channel = rig.open("");
    rig.script(ApiKey::Produce, &[Step::Delay(Duration::from_millis(200))]);
    let receipt = send(&*channel, &batch(&["x"]));
    channel.close().expect("closes");
    assert_eq!((receipt.poll_settled(), rig.bodies(0).len()), (Some(Ok(())), 1));
    let (late, _receipt) = ticket();
    assert!(channel.wait_for_room(Duration::ZERO), "the next append hears of the end");
    match channel.try_append(&batch(&["x"]), late) {
        Err(AppendError::Closed(ticket)) => ticket.cancel(),
        other => panic!("expected a refusal, got {other:?}"),
    }
}
