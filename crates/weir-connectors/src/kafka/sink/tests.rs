//! The sink against brokers in this process. Real brokers: `tests/real` of this crate and `tests/servers` of the binary.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use weir_codec::flume_event::{self, Limits};
use weir_codec::record_batch::{
    BatchHeader, Compression, Decoder, DecoderOptions, Encoder, EncoderOptions, HEADER_BYTES,
};
use weir_engine::channel::{Channel, MemoryChannel, MemoryLimits, ReadLimit};
use weir_engine::delivery::{DEAD_LETTER_REASON, Delivery, DeliveryError};
use weir_engine::group::Group;
use weir_engine::receipt::Receipt;
use weir_engine::registry::Registry;
use weir_engine::sink::{FlushReason, Sink, SinkContext};
use weir_engine::stored::StoredBatch;
use weir_event::{ArenaPool, ChannelId, EventBatch, HeaderName, Span, TextColumn, names};
use weir_kafka::fake::{ApiKey, FakeCluster, Step};
use weir_testkit::agent::plan;

const LIMITS: MemoryLimits = MemoryLimits { bytes_max: 1 << 26, events_max: 1 << 20 };

/// A sink between a channel and brokers of this process.
struct Rig {
    brokers: FakeCluster,
    channel: Arc<MemoryChannel>,
    dead: Arc<MemoryChannel>,
    group: Arc<Group>,
    sink: Box<dyn Sink>,
}

impl Rig {
    /// Two brokers with a topic `t` of `partitions`, and a sink with `options` besides the usual.
    async fn new(partitions: usize, options: &str) -> Self {
        Self::start(partitions, &format!("topic = 't'\n{options}")).await
    }

    /// The same with a topic of the options' choice.
    async fn with_topic(options: &str) -> Self {
        Self::start(1, options).await
    }

    async fn start(partitions: usize, options: &str) -> Self {
        let brokers = FakeCluster::start(2).await;
        brokers.create_topic("t", partitions);
        let toml = format!(
            "[sources.in]\ntype = 'generate'\nchannels = ['c']\n[channels.c]\ntype = 'memory'\n[sinks.out]\ntype = 'kafka'\nchannel = 'c'\nbrokers = {:?}\n{options}\n",
            brokers.bootstrap()
        );
        let registry: Registry = crate::registry();
        let spec = plan(&toml, &registry).sinks.remove(0).spec;
        let channel = Arc::new(MemoryChannel::new("c", LIMITS, 1));
        let dead = Arc::new(MemoryChannel::new("dead", LIMITS, 2));
        let group =
            Group::open("g", &["out".into()], channel.clone(), Some(dead.clone()), Arc::default()).expect("opens");
        let context = SinkContext {
            name: "out".into(),
            agent: "edge".into(),
            data_dir: None,
            channel_is_durable: true,
            channel_is_shared: false,
            positions: group.positions(),
            faults: group.ledger().faults.clone(),
        };
        let sink = spec.start(&context).expect("starts without brokers").remove(0);
        Self { brokers, channel, dead, group, sink }
    }

    fn put(&self, batch: &EventBatch) {
        let receipt = Receipt::new(|_| {});
        self.channel.try_append(batch, receipt.ticket()).expect("there is room");
    }

    fn next(&self) -> Option<Delivery> {
        // One batch a delivery.
        self.group.next(ReadLimit::events(1), &Arc::default()).expect("the channel works")
    }

    /// Delivers until nothing is left to be delivered or waited for, or something came back.
    async fn run(&mut self) -> Vec<DeliveryError> {
        let mut errors = Vec::new();
        loop {
            while let Some(delivery) = self.next() {
                errors.extend(self.sink.deliver(delivery).await.err());
            }
            self.sink.flush(FlushReason::Shutdown).await.expect("flushes");
            // A settled delivery answers in a task of its own.
            tokio::task::yield_now().await;
            if !self.group.is_anything_outstanding() || !errors.is_empty() {
                return errors;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn released(&self) -> u64 {
        self.group.positions()[0].released
    }

    /// Bodies by partition of a topic, in order.
    fn written(&self, topic: &str, partitions: usize) -> BTreeMap<usize, Vec<String>> {
        let mut decoder = Decoder::new(ArenaPool::new(1 << 16, 1), DecoderOptions::default());
        let mut of = |partition| {
            let batches = self.brokers.batches(topic, partition);
            let decoded = batches.into_iter().map(|batch| decoder.decode(batch, None, 0).expect("whole").into_events());
            decoded.flat_map(|events| bodies(&events.expect("events"))).collect()
        };
        (0..partitions).map(|partition| (partition, of(partition))).collect()
    }

    fn dead_letters(&self) -> Vec<(String, String)> {
        let mut cursor = self.dead.cursor("look").expect("a cursor");
        let chunk = cursor.read(ReadLimit::events(1 << 24)).expect("read");
        let batches = chunk.map(|chunk| chunk.batches).unwrap_or_default();
        let reason = |batch: &EventBatch, row| {
            String::from_utf8_lossy(&batch.header(row, DEAD_LETTER_REASON.as_str()).expect("a reason")).into_owned()
        };
        batches
            .iter()
            .flat_map(|batch| bodies(batch).into_iter().enumerate().map(|(row, body)| (body, reason(batch, row))))
            .collect()
    }
}

fn bodies(batch: &EventBatch) -> Vec<String> {
    (0..batch.len()).map(|row| String::from_utf8_lossy(batch.body(row)).into_owned()).collect()
}

fn events(range: std::ops::Range<u32>) -> EventBatch {
    EventBatch::from_bodies(&range.map(|number| format!("{number:06}")).collect::<Vec<_>>(), 1_700_000_000_000)
}

fn all(written: &BTreeMap<usize, Vec<String>>) -> Vec<String> {
    let mut all: Vec<_> = written.values().flatten().cloned().collect();
    all.sort();
    all
}

fn texts(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| format!("{number:06}")).collect()
}

/// Scenario: sixty batches to a topic of six partitions, with disconnects, passing errors and repeats on the way.
/// Guarantees: every event is there once, in order within its partition, evenly spread, and acknowledged.
#[tokio::test]
async fn every_event_once_in_order_and_even() {
    let mut rig = Rig::new(6, "").await;
    let steps =
        [Step::Disconnect, Step::Refuse(6), Step::ServeThenDisconnect, Step::ServeThenRefuse(7), Step::Refuse(19)];
    rig.brokers.script(ApiKey::Produce, steps);
    for batch in 0..60 {
        rig.put(&events(batch * 10..batch * 10 + 10));
    }
    assert!(rig.run().await.is_empty());
    let written = rig.written("t", 6);
    assert_eq!(all(&written), texts(0..600));
    assert!(written.values().all(|bodies| bodies.is_sorted() && (80..=120).contains(&bodies.len())), "{written:?}");
    assert_eq!(rig.released(), 600);
}

/// Scenario: the broker holds its answer back.
/// Guarantees: the position does not move before the answer, and moves with it.
#[tokio::test]
async fn nothing_is_acknowledged_before_the_brokers_say_so() {
    let mut rig = Rig::new(1, "").await;
    rig.brokers.script(ApiKey::Produce, [Step::Delay(Duration::from_millis(300))]);
    rig.put(&events(0..10));
    let delivery = rig.next().expect("a delivery");
    rig.sink.deliver(delivery).await.expect("taken");
    tokio::time::timeout(Duration::from_millis(50), rig.sink.flush(FlushReason::Shutdown)).await.expect_err("it waits");
    assert_eq!((rig.released(), rig.brokers.batches("t", 0).len()), (0, 0));
    assert!(rig.run().await.is_empty());
    assert_eq!(rig.released(), 10);
}

/// Scenario: a topic allows batches of 2 kB only, and one event is larger than that.
/// Guarantees: every other event is there once; the large one is in the dead letter channel with the reason; batches
/// after that are small enough at once.
#[tokio::test]
async fn what_is_too_large_is_split_and_then_set_aside() {
    let mut rig = Rig::new(1, "compression = 'none'").await;
    rig.brokers.limit_batch_bytes("t", 0, 2_000);
    rig.put(&events(0..500));
    let large = "x".repeat(5_000);
    rig.put(&EventBatch::from_bodies(&["000500", &large, "000501"], 0));
    rig.put(&events(502..900));
    assert!(rig.run().await.is_empty());
    assert_eq!(all(&rig.written("t", 1)), texts(0..900));
    let dead = rig.dead_letters();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].0, large);
    assert!(dead[0].1.contains("larger") || dead[0].1.contains("refuses"), "{}", dead[0].1);
    assert_eq!(rig.released(), 901);
    let before = rig.brokers.requests(ApiKey::Produce);
    rig.put(&events(900..1_000));
    assert!(rig.run().await.is_empty());
    assert!(rig.brokers.batches("t", 0).iter().all(|batch| batch.len() <= 2_000));
    assert!(rig.brokers.requests(ApiKey::Produce) > before);
}

/// Scenario: a broker calls records invalid until the batch is down to one event.
/// Guarantees: exactly that event is set aside, the others are written.
#[tokio::test]
async fn invalid_events_are_found_and_set_aside() {
    let mut rig = Rig::new(1, "").await;
    // 4 events refused, then both halves; of the second half one event, which is refused once more.
    rig.brokers.script(ApiKey::Produce, [Step::Refuse(87), Step::Refuse(87)]);
    rig.put(&events(0..2));
    assert!(rig.run().await.is_empty());
    let written = all(&rig.written("t", 1));
    let dead: Vec<_> = rig.dead_letters().into_iter().map(|(body, _)| body).collect();
    assert_eq!((written.len(), dead.len()), (1, 1));
    let mut both = [written, dead].concat();
    both.sort();
    assert_eq!(both, texts(0..2));
    assert_eq!(rig.released(), 2);
}

/// Scenario: a broker refuses the times of a batch: first for one that is far ahead, then for the rest.
/// Guarantees: nothing is set aside: every event is written, its time in a header.
#[tokio::test]
async fn refused_times_go_into_a_header() {
    let mut rig = Rig::new(1, "").await;
    // INVALID_TIMESTAMP
    rig.brokers.script(ApiKey::Produce, [Step::Refuse(32), Step::Refuse(32)]);
    let mut batch = EventBatch::from_bodies(&["000000", "000001"], 0);
    batch.set_i64(names::TIMESTAMP, vec![7, i64::MAX / 2]);
    rig.put(&batch);
    assert!(rig.run().await.is_empty());
    let written = rig.written("t", 1);
    assert_eq!((all(&written), rig.dead_letters().len(), rig.released()), (texts(0..2), 0, 2));
    let mut decoder = Decoder::new(ArenaPool::new(1 << 16, 1), DecoderOptions::default());
    let kept = rig.brokers.batches("t", 0).remove(0);
    let kept = decoder.decode(kept, None, 0).expect("whole").into_events().expect("events");
    assert_eq!((kept.timestamp_ms(0), kept.header(0, "weir.timestamp").as_deref()), (None, Some(&b"7"[..])));
}

/// Scenario: the agent may not write to the topic, then it may.
/// Guarantees: the delivery comes back as one that needs a person, with the topic named; afterwards everything is there.
#[tokio::test]
async fn a_missing_right_holds_events_back() {
    let mut rig = Rig::new(1, "").await;
    rig.brokers.script(ApiKey::Produce, [Step::Refuse(29)]);
    rig.put(&events(0..5));
    let delivery = rig.next().expect("a delivery");
    rig.sink.deliver(delivery).await.expect("taken");
    rig.sink.flush(FlushReason::Shutdown).await.expect("flushes");
    tokio::task::yield_now().await;
    let failure = rig.group.ledger().last_failure().expect("it came back");
    assert!(failure.contains("topic t refuses") && failure.contains("TopicAuthorizationFailed"), "{failure}");
    assert_eq!(rig.released(), 0);
    assert!(rig.run().await.is_empty());
    assert_eq!((all(&rig.written("t", 1)), rig.released()), (texts(0..5), 5));
}

/// Scenario: the topic does not exist, then somebody creates it.
/// Guarantees: the error says what to do, nothing is lost, and events flow once the topic is there.
#[tokio::test]
async fn a_missing_topic_is_named_and_waited_for() {
    let mut rig = Rig::new(1, "topic_header = 'to'\ntopics_allowed = ['late']").await;
    let mut batch = events(0..5);
    batch.set_constant(HeaderName::from_static("to"), "late");
    rig.put(&batch);
    let delivery = rig.next().expect("a delivery");
    let error = rig.sink.deliver(delivery).await.expect_err("no such topic");
    assert!(error.to_string().contains("topic late does not exist: create it"), "{error}");
    rig.brokers.create_topic("late", 1);
    assert!(rig.run().await.is_empty());
    assert_eq!(all(&rig.written("late", 1)), texts(0..5));
}

/// Scenario: headers name an allowed topic, one that is not allowed, and none.
/// Guarantees: only the allowed name is followed; everything else goes to the configured topic.
#[tokio::test]
async fn topics_by_header_are_those_allowed() {
    let mut rig = Rig::new(1, "topic_header = 'to'\ntopics_allowed = ['dmz']").await;
    rig.brokers.create_topic("dmz", 1);
    rig.brokers.create_topic("secret", 1);
    for (first, to) in [(0, Some("dmz")), (10, Some("secret")), (20, None)] {
        let mut batch = events(first..first + 10);
        if let Some(to) = to {
            batch.set_constant(HeaderName::from_static("to"), to);
        }
        rig.put(&batch);
    }
    assert!(rig.run().await.is_empty());
    assert_eq!(all(&rig.written("dmz", 1)), texts(0..10));
    assert_eq!(all(&rig.written("t", 1)), texts(10..30));
    assert!(rig.written("secret", 1)[&0].is_empty());
}

/// Scenario: deliveries go to two topics by their events' headers, and one of these refuses everything for want of permission
/// until it is given.
/// Guarantees: while it does nothing more is taken, for the reason told, and nothing is acknowledged; the other topic has its
/// events once, however often it was tried; in the end so has this one.
#[tokio::test]
async fn a_topic_that_refuses_doubles_nothing_in_others() {
    let mut rig = Rig::new(1, "topic_header = 'to'\ntopics_allowed = ['dmz']").await;
    rig.brokers.create_topic("dmz", 1);
    // TOPIC_AUTHORIZATION_FAILED
    rig.brokers.refuse_batches("dmz", 0, Some(29));
    let mixed = |range: std::ops::Range<u32>| {
        let mut batch = events(range);
        let to = |row: usize| if row.is_multiple_of(2) { "dmz" } else { "t" };
        let texts: Vec<_> = (0..batch.len()).map(to).collect();
        let (mut arena, mut spans) = (Vec::new(), Vec::new());
        for text in texts {
            spans.push(Span::new(arena.len(), text.len()));
            arena.extend_from_slice(text.as_bytes());
        }
        batch.set_text(HeaderName::from_static("to"), TextColumn { arena: arena.into(), spans: Arc::new(spans) });
        batch
    };
    rig.put(&mixed(0..10));
    rig.put(&mixed(10..20));
    let delivery = rig.next().expect("a delivery");
    rig.sink.deliver(delivery).await.expect("taken");
    while rig.brokers.requests(ApiKey::Produce) < 5 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for _ in 0..2 {
        let delivery = rig.next().expect("a delivery");
        let error = rig.sink.deliver(delivery).await.expect_err("nothing is taken").to_string();
        assert!(error.contains("topic dmz refuses") && error.contains("TopicAuthorizationFailed"), "{error}");
    }
    assert_eq!(rig.released(), 0);
    rig.brokers.refuse_batches("dmz", 0, None);
    while rig.released() < 20 {
        // As an engine's lane does, which waits longer after an error.
        if let Some(delivery) = rig.next() {
            let _ = rig.sink.deliver(delivery).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let of = |rest: usize| texts(0..20).into_iter().skip(rest).step_by(2).collect::<Vec<_>>();
    assert_eq!(all(&rig.written("dmz", 1)), of(0));
    assert_eq!(all(&rig.written("t", 1)), of(1));
}

/// Scenario: brokers throttle two requests for their quotas.
/// Guarantees: the time is counted among the faults of the group, and nothing is lost.
#[tokio::test]
async fn quotas_are_counted() {
    let mut rig = Rig::new(1, "").await;
    rig.brokers.script(ApiKey::Produce, [3, 4].map(|ms| Step::Throttle(Duration::from_millis(ms))));
    for first in [0, 10, 20] {
        rig.put(&events(first..first + 10));
        assert!(rig.run().await.is_empty());
    }
    assert_eq!(rig.group.ledger().faults.snapshot()["throttled by quotas, ms"], 7);
    assert_eq!((all(&rig.written("t", 1)), rig.released()), (texts(0..30), 30));
}

/// Scenario: Flume's testReplaceSubStringOfTopicWithHeaders: a topic with a header in its name, of events that name an allowed
/// topic, another, and none; then with a header for the whole name, too.
/// Guarantees: what comes of it is followed if it is allowed, else the event is set aside with the reason; the other header
/// goes first.
#[tokio::test]
async fn topics_are_made_of_headers() {
    let allowed = "topics_allowed = ['site-lab', 'site-', 'dmz']\ntopic = 'site-%{site}'";
    for (more, in_dmz) in [("", 0), ("topic_header = 'to'", 10)] {
        let mut rig = Rig::with_topic(&format!("{allowed}\n{more}")).await;
        ["site-lab", "site-", "dmz"].iter().for_each(|topic| rig.brokers.create_topic(topic, 1));
        for (first, site) in [(0, Some("lab")), (10, Some("../x")), (20, None), (30, Some("lab"))] {
            let mut batch = events(first..first + 10);
            if let Some(site) = site {
                batch.set_constant(HeaderName::from_static("site"), site);
            }
            if first == 30 {
                batch.set_constant(HeaderName::from_static("to"), "dmz");
            }
            rig.put(&batch);
        }
        assert!(rig.run().await.is_empty());
        let lab = [texts(0..10), texts(30..40 - in_dmz)].concat();
        assert_eq!(all(&rig.written("site-lab", 1)), lab);
        assert_eq!(all(&rig.written("site-", 1)), texts(20..30));
        assert_eq!(all(&rig.written("dmz", 1)), texts(40 - in_dmz..40));
        let dead = rig.dead_letters();
        assert_eq!(dead.iter().map(|(body, _)| body.clone()).collect::<Vec<_>>(), texts(10..20));
        assert!(dead[0].1.contains("topics_allowed"));
    }
}

/// Scenario: `partitioner = "header"` with a good number, a number the topic does not have, and none.
/// Guarantees: the good one is obeyed, the bad one is set aside with the reason, the rest is spread.
#[tokio::test]
async fn a_partition_that_does_not_exist_is_set_aside() {
    let mut rig = Rig::new(3, "partitioner = 'header'\npartition_header = 'p'").await;
    for (first, partition) in [(0, Some("2")), (10, Some("9")), (20, None)] {
        let mut batch = events(first..first + 10);
        if let Some(partition) = partition {
            batch.set_constant(HeaderName::from_static("p"), partition);
        }
        rig.put(&batch);
    }
    assert!(rig.run().await.is_empty());
    let written = rig.written("t", 3);
    assert!(texts(0..10).iter().all(|body| written[&2].contains(body)));
    assert_eq!(all(&written).len(), 20);
    let dead = rig.dead_letters();
    assert_eq!(dead.len(), 10);
    assert!(dead[0].1.contains("no partition"));
}

/// Scenario: a batch as the file channel keeps it, compressed; the same while the sink wants another compression; one
/// that lies uncompressed.
/// Guarantees: the first goes out byte for byte behind its header; the others with the same events, compressed.
#[tokio::test]
async fn batches_at_rest_go_as_they_are() {
    let cases = [
        ("", Compression::Lz4, true),
        ("compression = 'zstd'", Compression::Lz4, false),
        ("", Compression::None, false),
    ];
    for (options, at_rest, is_same) in cases {
        let mut rig = Rig::new(1, options).await;
        let mut batch = events(0..100);
        batch.set_i64(names::TIMESTAMP, (0..100).map(|number| 1_700_000_000_000 + number).collect());
        let encoding = EncoderOptions { compression: at_rest, ..EncoderOptions::default() };
        let encoded = Encoder::new(encoding).expect("no level").encode(&batch, Vec::new()).expect("encodes");
        let bytes = Bytes::from(encoded.into_bytes());
        let header = BatchHeader::parse(&bytes).expect("a header");
        let channel = ChannelId { log: 1, partition: 0 };
        rig.put(&batch);
        let mut delivery = rig.next().expect("a delivery");
        delivery.batches.clear();
        delivery.stored.push(StoredBatch { bytes: bytes.clone(), header, channel, arrival_ms: 0 });
        rig.sink.deliver(delivery).await.expect("taken");
        assert!(rig.run().await.is_empty());
        let sent = rig.brokers.batches("t", 0).remove(0);
        assert_eq!(sent[HEADER_BYTES..] == bytes[HEADER_BYTES..], is_same);
        let compression = BatchHeader::parse(&sent).expect("a header").compression();
        assert_ne!(compression, Some(Compression::None));
        assert_eq!((all(&rig.written("t", 1)), rig.released()), (texts(0..100), 100));
    }
}

/// Scenario: `format = "flume"`.
/// Guarantees: the values are Flume's events, with the headers inside and the key on the record.
#[tokio::test]
async fn flumes_format_is_written() {
    let mut rig = Rig::new(1, "format = 'flume'").await;
    let mut batch = events(0..3);
    batch.set_constant(names::HOST, "fw1");
    batch.set_constant(names::KEY, "k");
    rig.put(&batch);
    assert!(rig.run().await.is_empty());
    let mut decoder = Decoder::new(ArenaPool::new(1 << 16, 1), DecoderOptions::default());
    let record = decoder.decode(rig.brokers.batches("t", 0).remove(0), None, 0).expect("whole").into_events();
    let record = record.expect("events");
    assert_eq!(record.header(0, "host"), None, "inside the value, not beside it");
    let decoded = flume_event::decode(&record, Limits::default());
    assert_eq!((decoded.invalid, bodies(&decoded.batch)), (0, texts(0..3)));
    assert_eq!(decoded.batch.header(2, "host").as_deref(), Some(&b"fw1"[..]));
    assert_eq!(record.header(2, "key").as_deref(), Some(&b"k"[..]));
}

/// Scenario: brokers stop answering while more is delivered than may be in flight; then they answer again.
/// Guarantees: the delivery that finds no room comes back untouched, with the reason; afterwards everything is there
/// once.
#[tokio::test]
async fn an_outage_holds_deliveries_back_without_doubling_them() {
    let mut rig = Rig::new(
        1,
        "compression = 'none'\nin_flight_bytes = '1 MiB'\nrecord_batch_bytes_max = '1 MiB'\nrequest_timeout = '6 s'",
    )
    .await;
    rig.brokers.script(ApiKey::Produce, [Step::Ignore]);
    let filler = "y".repeat(1_000);
    let batch = |first: u32| {
        EventBatch::from_bodies(
            &(first..first + 500).map(|number| format!("{number:06}{filler}")).collect::<Vec<_>>(),
            0,
        )
    };
    for number in 0..6 {
        rig.put(&batch(number * 500));
    }
    let errors = rig.run().await;
    assert!(!errors.is_empty());
    assert!(errors[0].to_string().contains("acknowledged nothing for 5 s"), "{}", errors[0]);
    while rig.released() < 3_000 {
        rig.run().await;
    }
    let written: Vec<_> = all(&rig.written("t", 1)).iter().map(|body| body[..6].to_owned()).collect();
    assert_eq!(written, texts(0..3_000));
}

/// Scenario: no broker at all.
/// Guarantees: the sink starts, and says which brokers it cannot reach.
#[tokio::test]
async fn brokers_that_are_not_there_are_named() {
    let mut rig = Rig::new(1, "").await;
    let addresses = rig.brokers.bootstrap();
    rig.brokers = FakeCluster::start(1).await;
    rig.put(&events(0..1));
    let delivery = rig.next().expect("a delivery");
    let error = rig.sink.deliver(delivery).await.expect_err("nobody is there");
    assert!(error.chain().contains(&addresses[0]), "{}", error.chain());
    assert_eq!(rig.released(), 0);
}
