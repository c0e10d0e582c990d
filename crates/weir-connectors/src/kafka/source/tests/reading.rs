//! What is read, from where, with which headers, and how fast.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_event::{Column, EventBatch, Span, TextColumn, names};
use weir_testkit::wait::eventually;

use super::super::pace::Pace;
use super::rig::{BATCH, Kafka, Running, check};

/// Scenario: three batches of a partition; their receipts come out of order; then a crash, and another start.
/// Guarantees: what is committed is the position below which every receipt came, never more; the next run begins there.
#[test]
fn offsets_are_committed_behind_receipts() {
    let kafka = Kafka::start(1);
    kafka.produce("t", 0, 3);
    let source = Running::start_held(&kafka, "");
    eventually("three batches arrive", || source.channel.held() == 3);
    eventually("the first position is committed", || kafka.committed(0) == Some(0));
    source.channel.settle(&["20"]);
    source.channel.settle(&["0"]);
    eventually("the first batch is committed", || kafka.committed(0) == Some(10));
    let channel = source.crash();
    assert_eq!(kafka.committed(0), Some(10), "the second has no receipt, so the third is not committed");
    drop(channel);
    let source = Running::start(&kafka, "");
    source.channel.until("read on from the commit", 0, (10..30).collect::<Vec<_>>());
    eventually("all is committed", || kafka.committed(0) == Some(30));
    source.stop(Duration::from_secs(10));
}

/// Scenario: a partition with committed offset 15, in the middle of a batch.
/// Guarantees: the first event is the one at 15.
#[test]
fn records_below_the_position_are_left_out() {
    let kafka = Kafka::start(1);
    kafka.produce("t", 0, 3);
    let source = Running::start(&kafka, "rate = '20/s'");
    eventually("the position is within a batch", || kafka.committed(0).is_some_and(|at| at % BATCH != 0));
    source.stop(Duration::from_secs(10));
    let at = kafka.committed(0).expect("committed");
    let source = Running::start(&kafka, "");
    source.channel.until("the rest", 0, (at..30).collect::<Vec<_>>());
    source.stop(Duration::from_secs(10));
}

/// Scenario: batches with timestamps 1000, 2000, ...; three groups' beginnings: earliest, latest, a time.
/// Guarantees: each begins where it says; without a commit the beginning is committed at once, so that a crash before the
/// first event does not move it.
#[test]
fn sources_begin_where_they_are_told() {
    for (start, first) in [("earliest", 0), ("1970-01-01T00:00:02Z", 10), ("latest", 30)] {
        let kafka = Kafka::start(1);
        kafka.produce_events("t", 0, 3, |first| {
            let mut batch = EventBatch::from_bodies(&[b"body"; BATCH as usize], 0);
            batch.set_i64(names::TIMESTAMP, vec![1_000 + first * 100; BATCH as usize]);
            batch
        });
        let source = Running::start(&kafka, &format!("start = '{start}'"));
        eventually("the beginning is known", || kafka.committed(0).is_some());
        kafka.produce("t", 0, 1);
        source.channel.until(start, 0, (first..40).collect::<Vec<_>>());
        source.stop(Duration::from_secs(10));
    }
}

/// Scenario: records with a key and headers, one of which is called `topic` and stands on some of them only.
/// Guarantees: topic, partition and offset are set where they are absent, what the record brings stays; key and time are
/// headers; only the headers asked for are kept.
#[test]
fn events_have_the_headers_of_their_records() {
    let kafka = Kafka::start(2);
    kafka.produce_events("t", 1, 1, |_| {
        let mut batch = EventBatch::from_bodies(&["a", "b"], 0);
        batch.set_constant(names::KEY, "k");
        batch.set_constant(names::HOST, "fw1");
        batch.set_constant(names::PRIORITY, "13");
        batch.set_i64(names::TIMESTAMP, vec![5_000, 6_000]);
        let spans = Arc::new(vec![Span::ABSENT, Span::new(0, 4)]);
        batch.set_text(weir_event::HeaderName::from_static("topic"), TextColumn { arena: "mine".into(), spans });
        batch
    });
    let source = Running::start(&kafka, "headers = 'list'\nheader_names = ['host', 'topic']");
    source.channel.until("both events", 1, [0, 1]);
    let batch = source.channel.batches().remove(0);
    let header =
        |row: usize, name: &str| batch.header(row, name).map(|value| String::from_utf8_lossy(&value).into_owned());
    let text = |value: &str| Some(value.to_owned());
    for (row, topic, offset, timestamp) in [(0, "t", "0", "5000"), (1, "mine", "1", "6000")] {
        assert_eq!(header(row, "topic"), text(topic));
        assert_eq!((header(row, "partition"), header(row, "offset")), (text("1"), text(offset)));
        assert_eq!((header(row, "key"), header(row, "timestamp")), (text("k"), text(timestamp)));
        assert_eq!((header(row, "host"), header(row, "priority")), (text("fw1"), None));
    }
    assert!(matches!(batch.column("partition"), Some(Column::Constant(_))), "no cost per event");
    assert!(matches!(batch.column("offset"), Some(Column::I64(_))));
    source.stop(Duration::from_secs(10));
}

/// Scenario: 5 MB in a topic, 1 MiB of fetch memory, a channel that gives no receipts, then does.
/// Guarantees: fetching pauses within the memory, heartbeats go on, the lag is known; then everything comes, once.
#[test]
fn fetching_waits_for_receipts() {
    let kafka = Kafka::start(4);
    for partition in 0..4 {
        kafka.produce_events("t", partition, 100, |_| {
            // Random bytes: compression must not make the test smaller than it says.
            let bodies: Vec<Vec<u8>> = (0..BATCH).map(|_| (0..1_250).map(|_| random_byte()).collect()).collect();
            EventBatch::from_bodies(&bodies, 0)
        });
    }
    let source = Running::start_held(&kafka, "fetch_memory = '1 MiB'\nsession_timeout = '1 s'");
    eventually("fetching has paused", || source.ledger.receipts_open.load(std::sync::atomic::Ordering::Relaxed) > 50);
    let before = kafka.heartbeats();
    eventually("heartbeats go on", || kafka.heartbeats() > before + 5);
    let bytes: usize = source.channel.batches().iter().map(EventBatch::body_bytes).sum();
    assert!(bytes < 1_600_000, "{bytes} bytes are on their way");
    let lag: u64 = source.ledger.partitions(0).iter().map(|partition| partition.lag_events).sum();
    assert_eq!(lag, 4_000);
    source.channel.release();
    for partition in 0..4 {
        source.channel.until("all of them", partition, (0..1_000).collect::<Vec<_>>());
    }
    eventually("nothing is behind", || source.ledger.partitions(0).iter().all(|partition| partition.lag_events == 0));
    assert!(source.ledger.partitions(0).iter().all(|partition| partition.position == 1_000));
    source.stop(Duration::from_secs(10));
}

fn random_byte() -> u8 {
    use std::cell::Cell;
    thread_local!(static STATE: Cell<u64> = const { Cell::new(0x9e37_79b9_7f4a_7c15) });
    STATE.with(|state| {
        let mut x = state.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        state.set(x);
        (x >> 32) as u8
    })
}

/// Scenario: a rate of 200 events a second; first the turns themselves, then 60 events that are there.
/// Guarantees: turns follow each other at the rate, and time that passed unused gives no burst; all events come, in order,
/// in pieces of 50 ms.
#[test]
fn a_rate_is_kept() {
    let (pace, begin) = (Pace::new(200.0), Instant::now());
    assert_eq!(pace.piece_events(), 10);
    assert_eq!(pace.turn(10, begin), begin);
    assert_eq!(pace.turn(10, begin), begin + Duration::from_millis(50));
    let late = begin + Duration::from_secs(5);
    assert_eq!(pace.turn(10, late), late);
    assert_eq!(pace.turn(10, late), late + Duration::from_millis(50));
    let kafka = Kafka::start(1);
    kafka.produce_events("t", 0, 1, |_| EventBatch::from_bodies(&[b"body"; 60], 0));
    let source = Running::start(&kafka, "rate = '200/s'");
    source.channel.until("all", 0, (0..60).collect::<Vec<_>>());
    assert_eq!(source.channel.batches().len(), 6);
    source.stop(Duration::from_secs(10));
}

/// Scenario: a pattern; a topic that matches is created later, another that does not match exists.
/// Guarantees: the new one is read from its beginning; only whole names match.
#[test]
fn a_pattern_picks_up_new_topics() {
    let kafka = Kafka::start(1);
    kafka.fake.create_topic("other-t", 1);
    kafka.produce("t", 0, 1);
    kafka.produce("other-t", 0, 1);
    let options = "topics = ['/t|t-.*/']\nmetadata_age = '1 s'";
    let source = Running::start_at(&kafka.fake.bootstrap(), options, Arc::default());
    source.channel.until("the first topic", 0, (0..10).collect::<Vec<_>>());
    kafka.fake.create_topic("t-new", 1);
    kafka.produce("t-new", 0, 1);
    let twice: Vec<i64> = (0..10).chain(0..10).collect();
    source.channel.until("the new topic", 0, twice);
    let topics: Vec<_> =
        source.channel.batches().iter().map(|b| b.header(0, "topic").expect("set").into_owned()).collect();
    assert_eq!(topics, [b"t".to_vec(), b"t-new".to_vec()]);
    source.stop(Duration::from_secs(10));
}

/// Scenario: options with one fault each.
/// Guarantees: each is refused where it stands, saying what to write.
#[test]
fn faulty_options_are_explained() {
    let cases = [
        ("", "\"topics\" is missing"),
        ("topics = ['t', '/(/']", "not a regular expression"),
        ("topics = ['t*']", "not the name of a topic"),
        ("topics = ['t']\nstart = 'yesterday'", "neither earliest nor latest nor a time"),
        ("topics = ['t']\nset_headers = ['key']", "not one of topic, partition, offset"),
        ("topics = ['t']\nfetch_memory = '1 KiB'", "below the minimum"),
    ];
    for (options, expected) in cases {
        let Err(text) = check(&["a:1".to_owned()], options) else { panic!("{options} was taken") };
        assert!(text.contains(expected) && text.contains("test.toml:"), "{options}: {text}");
    }
    let Ok(spec) = check(&["a:1".to_owned()], "topics = ['t']") else { panic!("the defaults are sound") };
    assert_eq!(spec.memory_bytes(), (96 + 2 * 32) << 20);
}
