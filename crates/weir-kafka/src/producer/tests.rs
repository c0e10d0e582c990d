use std::collections::BTreeSet;
use std::time::Duration;

use kafka_protocol::messages::ApiKey;
use weir_codec::record_batch::{
    BatchHeader, Decoder, DecoderOptions, EncodedBatch, Encoder, EncoderOptions, crc_is_valid,
};
use weir_event::{ArenaPool, EventBatch};

use super::*;
use crate::fake::{FakeCluster, Step};
use crate::{Cluster, ClusterOptions, ErrorCode};

const RECORDS: usize = 10;

fn batch(name: usize) -> EncodedBatch {
    let bodies: Vec<String> = (0..RECORDS).map(|record| format!("{name}-{record}")).collect();
    let mut encoder = Encoder::new(EncoderOptions::default()).expect("no level to be wrong");
    encoder.encode(&EventBatch::from_bodies(&bodies, 0), Vec::new()).expect("a small batch")
}

async fn connect(fake: &FakeCluster) -> Cluster {
    let options = ClusterOptions { retry_pause: Duration::from_millis(1), ..ClusterOptions::new(fake.bootstrap()) };
    Cluster::connect(options).await.expect("a cluster")
}

/// The names of the batches in the log, in order; checks CRCs and offsets on the way.
fn log(fake: &FakeCluster, partition: usize) -> Vec<usize> {
    let mut decoder = Decoder::new(ArenaPool::new(1 << 16, 2), DecoderOptions::default());
    let mut next_offset = 0;
    let names = fake.batches("t", partition).into_iter().map(|bytes| {
        assert!(crc_is_valid(&bytes));
        let header = BatchHeader::parse(&bytes).expect("a header");
        assert_eq!(header.base_offset, next_offset);
        next_offset += RECORDS as i64;
        let decoded = decoder.decode(bytes, None, 0).expect("it decodes");
        let events = decoded.into_events().expect("events");
        let body = String::from_utf8_lossy(events.body(0)).into_owned();
        body.split('-').next().and_then(|name| name.parse().ok()).expect("a name")
    });
    names.collect()
}

/// Sends `count` batches to partition 0 and waits for all.
async fn send_all(producer: &Producer, count: usize) {
    let mut receipts = Vec::new();
    for name in 0..count {
        receipts.push(producer.send("t", 0, batch(name)).await.expect("open"));
    }
    for receipt in receipts {
        receipt.await.expect("written");
    }
}

/// Scenario: batches for twelve partitions on three brokers.
/// Guarantees: each partition has its batches in order, at ascending offsets, and requests carry several partitions.
#[tokio::test]
async fn requests_carry_many_partitions() {
    let fake = FakeCluster::start(3).await;
    fake.create_topic("t", 12);
    let producer = Producer::new(&connect(&fake).await, ProducerOptions::default());
    let mut receipts = Vec::new();
    for name in 0..240 {
        receipts.push(producer.send("t", name % 12, batch(name as usize)).await.expect("open"));
    }
    for (name, receipt) in receipts.into_iter().enumerate() {
        let appended = receipt.await.expect("written");
        assert_eq!(appended.base_offset, Some((name / 12 * RECORDS) as i64));
    }
    for partition in 0..12 {
        assert_eq!(log(&fake, partition), (0..20).map(|step| step * 12 + partition).collect::<Vec<_>>());
    }
    let statistics = producer.statistics();
    assert_eq!((statistics.batches, statistics.records), (240, 2_400));
    assert!(statistics.requests < 240, "{statistics:?}");
}

/// Scenario: each error code, on the first of twenty pipelined requests; each kind of broken connection likewise.
/// Guarantees: whatever passes or can be rebuilt, every batch is in the log once, in order, and acknowledged.
#[tokio::test]
async fn nothing_is_lost_or_repeated_by_any_passing_error() {
    let codes = (-1..=133)
        .filter(|code| ErrorCode::from_wire(*code).is_some_and(|code| code.class() != crate::ErrorClass::RejectBatch));
    let broken = [Step::Disconnect, Step::ServeThenDisconnect, Step::Garble];
    // REQUEST_TIMED_OUT, NETWORK_EXCEPTION and NOT_ENOUGH_REPLICAS_AFTER_APPEND come after the append.
    let late = [7, 13, 20].map(Step::ServeThenRefuse);
    for step in codes.map(Step::Refuse).chain(broken).chain(late) {
        let fake = FakeCluster::start(1).await;
        fake.create_topic("t", 1);
        let producer = Producer::new(&connect(&fake).await, ProducerOptions::default());
        fake.script(ApiKey::Produce, [Step::Serve, step, Step::Serve, step]);
        send_all(&producer, 20).await;
        assert_eq!(log(&fake, 0), (0..20).collect::<Vec<_>>(), "{step:?}");
        assert!(producer.statistics().attempts_failed > 0, "{step:?}");
    }
}

/// Scenario: each error code that refuses a batch for good, on one request among others.
/// Guarantees: its sender gets the batch and the code back; all others are in the log once, in order.
#[tokio::test]
async fn refused_batches_come_back() {
    let codes = (-1..=133).filter(|code| {
        // DUPLICATE_SEQUENCE is a success.
        ErrorCode::from_wire(*code).is_some_and(|code| code.class() == crate::ErrorClass::RejectBatch)
            && *code != ErrorCode::DUPLICATE_SEQUENCE.code()
    });
    for code in codes {
        let fake = FakeCluster::start(1).await;
        fake.create_topic("t", 1);
        let producer = Producer::new(&connect(&fake).await, ProducerOptions::default());
        fake.script(ApiKey::Produce, [Step::Serve, Step::Refuse(code)]);
        let mut receipts = Vec::new();
        for name in 0..10 {
            receipts.push(producer.send("t", 0, batch(name)).await.expect("open"));
        }
        let mut kept = Vec::new();
        let mut refused = 0;
        for (name, receipt) in receipts.into_iter().enumerate() {
            match receipt.await {
                Ok(_) => kept.push(name),
                Err(SendError::Refused { code: given, batch, .. }) => {
                    assert_eq!((given.code(), batch.record_count()), (code, RECORDS as u32));
                    refused += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!((refused, log(&fake, 0)), (1, kept), "code {code}");
    }
}

/// Scenario: a batch larger than the topic allows, between smaller ones.
/// Guarantees: it alone comes back, with MESSAGE_TOO_LARGE.
#[tokio::test]
async fn too_large_batches_come_back() {
    let fake = FakeCluster::start(1).await;
    fake.create_topic("t", 1);
    fake.limit_batch_bytes("t", 0, 1_000);
    let producer = Producer::new(&connect(&fake).await, ProducerOptions::default());
    let mut encoder = Encoder::new(EncoderOptions::default()).expect("no level to be wrong");
    let large = encoder.encode(&EventBatch::from_bodies(&[[b'x'; 2_000]], 0), Vec::new()).expect("a batch");
    let before = producer.send("t", 0, batch(0)).await.expect("open");
    let refused = producer.send("t", 0, large).await.expect("open");
    let after = producer.send("t", 0, batch(1)).await.expect("open");
    before.await.expect("written");
    let error = refused.await.expect_err("too large");
    assert!(matches!(error, SendError::Refused { code: ErrorCode::MESSAGE_TOO_LARGE, .. }), "{error}");
    after.await.expect("written");
    assert_eq!(log(&fake, 0), vec![0, 1]);
}

/// Scenario: the leader moves back and forth while batches flow; the broker forgets producers once.
/// Guarantees: order and exactly-once hold across both.
#[tokio::test]
async fn leaders_move_and_forget() {
    let fake = FakeCluster::start(3).await;
    fake.create_topic("t", 1);
    let producer = Producer::new(&connect(&fake).await, ProducerOptions::default());
    let mut receipts = Vec::new();
    for name in 0..60 {
        if name % 10 == 5 {
            fake.move_leader("t", 0, 1 + (name as i32 / 10) % 3);
        }
        receipts.push(producer.send("t", 0, batch(name)).await.expect("open"));
    }
    for receipt in receipts {
        receipt.await.expect("written");
    }
    assert_eq!(log(&fake, 0), (0..60).collect::<Vec<_>>());
    fake.forget_producers("t", 0);
    let next = producer.send("t", 0, batch(60)).await.expect("open");
    next.await.expect("written");
    let identities: BTreeSet<_> = fake
        .batches("t", 0)
        .iter()
        .map(|bytes| BatchHeader::parse(bytes).expect("a header"))
        .map(|header| (header.producer_id, header.producer_epoch))
        .collect();
    assert_eq!(identities.len(), 2, "a new epoch after the broker forgot");
}

/// Scenario: a producer without idempotence, acknowledged by the leader alone.
/// Guarantees: batches bear no producer id.
#[tokio::test]
async fn idempotence_can_be_off() {
    let fake = FakeCluster::start(1).await;
    fake.create_topic("t", 1);
    let options = ProducerOptions { acks: Acks::Leader, ..ProducerOptions::default() };
    let producer = Producer::new(&connect(&fake).await, options);
    send_all(&producer, 3).await;
    assert_eq!(fake.requests(ApiKey::InitProducerId), 0);
    assert_eq!(BatchHeader::parse(&fake.batches("t", 0)[0]).expect("a header").producer_id, -1);
}

/// Scenario: producer ids, metadata and topics are late or fail at first.
/// Guarantees: the producer waits for each and then delivers.
#[tokio::test]
async fn a_cluster_may_come_up_slowly() {
    let fake = FakeCluster::start(1).await;
    let cluster = connect(&fake).await;
    // COORDINATOR_LOAD_IN_PROGRESS, then a lost connection.
    fake.script(ApiKey::InitProducerId, [Step::Refuse(14), Step::Disconnect]);
    fake.script(ApiKey::Metadata, [Step::Disconnect, Step::Refuse(5), Step::Serve]);
    let producer = Producer::new(&cluster, ProducerOptions::default());
    let receipt = producer.send("t", 0, batch(0)).await.expect("open");
    fake.create_topic("t", 1);
    receipt.await.expect("written");
}

/// Scenario: a partition the topic does not have; a topic this client may not write.
/// Guarantees: the batch comes back instead of waiting for ever.
#[tokio::test]
async fn impossible_places_are_refused() {
    let fake = FakeCluster::start(1).await;
    fake.create_topic("t", 1);
    let producer = Producer::new(&connect(&fake).await, ProducerOptions::default());
    let nowhere = producer.send("t", 7, batch(0)).await.expect("open").await.expect_err("no partition 7");
    assert!(matches!(nowhere, SendError::Refused { code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, .. }), "{nowhere}");
    // TOPIC_AUTHORIZATION_FAILED
    fake.script(ApiKey::Metadata, [Step::Refuse(29)]);
    let forbidden = producer.send("u", 0, batch(0)).await.expect("open").await.expect_err("not allowed");
    assert!(matches!(forbidden, SendError::Refused { code, .. } if code.code() == 29), "{forbidden}");
}

/// Scenario: a broker is throttling; then more is sent than may be in flight while it does not answer.
/// Guarantees: the throttling is counted; `send` waits for room; dropping the producer resolves what is open.
#[tokio::test]
async fn quotas_and_memory_are_kept() {
    let fake = FakeCluster::start(1).await;
    fake.create_topic("t", 1);
    let bytes = batch(0).as_bytes().len();
    let options = ProducerOptions { in_flight_bytes_max: 2 * bytes, ..ProducerOptions::default() };
    let producer = Producer::new(&connect(&fake).await, options);
    fake.script(ApiKey::Produce, [Step::Throttle(Duration::from_millis(5))]);
    send_all(&producer, 2).await;
    assert_eq!(producer.statistics().throttled, Duration::from_millis(5));
    fake.script(ApiKey::Produce, [Step::Ignore]);
    let open =
        [producer.send("t", 0, batch(2)).await.expect("open"), producer.send("t", 0, batch(3)).await.expect("open")];
    let mut waiting = Box::pin(producer.send("t", 0, batch(4)));
    assert!(std::future::poll_fn(|context| std::task::Poll::Ready(waiting.as_mut().poll(context).is_pending())).await);
    drop(waiting);
    drop(producer);
    for receipt in open {
        assert!(matches!(receipt.await, Err(SendError::Closed)));
    }
}
