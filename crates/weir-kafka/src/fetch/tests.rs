use std::time::Duration;

use kafka_protocol::messages::ApiKey;
use weir_codec::record_batch::{Encoder, EncoderOptions};
use weir_event::EventBatch;

use super::*;
use crate::fake::{FakeCluster, Step};
use crate::{Cluster, ClusterOptions, Producer, ProducerOptions};

/// A cluster of `brokers` with topic `t`, and in each partition `batches` batches of 10 records.
async fn filled(brokers: usize, partitions: i32, batches: usize) -> (FakeCluster, Cluster) {
    let fake = FakeCluster::start(brokers).await;
    fake.create_topic("t", partitions as usize);
    let options = ClusterOptions { retry_pause: Duration::from_millis(1), ..ClusterOptions::new(fake.bootstrap()) };
    let cluster = Cluster::connect(options).await.expect("a cluster");
    fill(&cluster, partitions, batches).await;
    (fake, cluster)
}

async fn fill(cluster: &Cluster, partitions: i32, batches: usize) {
    let producer = Producer::new(cluster, ProducerOptions::default());
    let mut encoder = Encoder::new(EncoderOptions::default()).expect("no level to be wrong");
    for partition in 0..partitions {
        for _ in 0..batches {
            let encoded = encoder.encode(&EventBatch::from_bodies(&[b"body"; 10], 0), Vec::new()).expect("a batch");
            producer.send("t", partition, encoded).await.expect("open").await.expect("written");
        }
    }
}

/// Reads until every partition's offset is `end`; checks that nothing is left out or repeated.
async fn read_all(fetcher: &mut Fetcher, partitions: i32, end: i64) {
    let mut next = vec![0; partitions as usize];
    while next.iter().any(|offset| *offset < end) {
        let fetched = fetcher.next().await.expect("readable");
        let position = &mut next[fetched.partition as usize];
        for batch in fetched.batches {
            assert_eq!(batch.header.base_offset, *position);
            *position += 10;
        }
        assert_eq!(*position, fetched.next_offset);
        assert!(fetched.high_watermark >= fetched.next_offset);
    }
}

/// Scenario: six partitions on three brokers, small answers.
/// Guarantees: every batch of every partition, once, in order.
#[tokio::test]
async fn every_batch_comes_once() {
    let (_fake, cluster) = filled(3, 6, 20).await;
    let mut fetcher = Fetcher::new(&cluster, FetchOptions { partition_bytes_max: 300, ..FetchOptions::default() });
    (0..6).for_each(|partition| fetcher.assign("t", partition, 0));
    read_all(&mut fetcher, 6, 200).await;
    assert!(fetcher.statistics().requests > 10);
}

/// Scenario: each error code that passes, and broken connections, on fetches; the leader moves once.
/// Guarantees: reading goes on, nothing is left out or repeated.
#[tokio::test]
async fn passing_errors_are_waited_out() {
    let codes = (-1..=133).filter(|code| {
        crate::ErrorCode::from_wire(*code).is_some_and(|code| code.class() != crate::ErrorClass::RejectBatch)
    });
    let (fake, cluster) = filled(2, 2, 5).await;
    for step in codes.map(Step::Refuse).chain([Step::Disconnect, Step::Garble, Step::ServeThenDisconnect]) {
        let mut fetcher = Fetcher::new(&cluster, FetchOptions { partition_bytes_max: 300, ..FetchOptions::default() });
        (0..2).for_each(|partition| fetcher.assign("t", partition, 0));
        fake.script(ApiKey::Fetch, [step, Step::Serve, step]);
        if step == Step::Refuse(6) {
            fake.move_leader("t", 0, 2);
        }
        read_all(&mut fetcher, 2, 50).await;
    }
}

/// Scenario: an offset that does not exist; a partition this client may not read.
/// Guarantees: each is an error of that partition alone, which rests until it is assigned anew.
#[tokio::test]
async fn lasting_errors_are_told() {
    let (_fake, cluster) = filled(1, 2, 1).await;
    let mut fetcher = Fetcher::new(&cluster, FetchOptions::default());
    fetcher.assign("t", 0, 1_000);
    let error = fetcher.next().await.expect_err("no such offset");
    assert!(matches!(error, FetchError::OutOfRange { partition: 0, offset: 1_000, .. }), "{error}");
    fetcher.assign("t", 1, 0);
    assert_eq!(fetcher.next().await.expect("readable").partition, 1);
    let (fake, cluster) = filled(1, 1, 1).await;
    let mut fetcher = Fetcher::new(&cluster, FetchOptions::default());
    fake.script(ApiKey::Fetch, [Step::Refuse(29)]);
    fetcher.assign("t", 0, 0);
    let error = fetcher.next().await.expect_err("not allowed");
    assert!(matches!(error, FetchError::Refused { partition: 0, .. }), "{error}");
    fetcher.assign("t", 0, 0);
    assert_eq!(fetcher.next().await.expect("readable").next_offset, 10);
}

/// Scenario: the leader names a replica in the client's rack; later that replica turns the client away.
/// Guarantees: reading moves to the replica and back to the leader without a gap.
#[tokio::test]
async fn replicas_in_the_rack_are_used() {
    let (fake, cluster) = filled(2, 1, 5).await;
    fake.prefer_replica("t", 0, 2);
    // OFFSET_OUT_OF_RANGE from a replica that is behind.
    fake.script(ApiKey::Fetch, [Step::Serve, Step::Refuse(1)]);
    let options = FetchOptions { rack: Some("rack2".to_owned()), partition_bytes_max: 300, ..FetchOptions::default() };
    let mut fetcher = Fetcher::new(&cluster, options);
    fetcher.assign("t", 0, 0);
    read_all(&mut fetcher, 1, 50).await;
    let statistics = fetcher.statistics();
    assert!(statistics.bytes > 0);
    assert_eq!(statistics.bytes_from_replicas, statistics.bytes, "the leader names the replica each time");
}

/// Scenario: a partition is paused and goes on while a fetch for another one is out; then a fetch waits at the broker while
/// records arrive.
/// Guarantees: nothing comes of a paused partition, and it does not wait for the other one; new records end the wait.
#[tokio::test]
async fn pauses_hold_and_waits_end() {
    let (_fake, cluster) = filled(1, 2, 1).await;
    let mut fetcher =
        Fetcher::new(&cluster, FetchOptions { wait_max: Duration::from_secs(60), ..FetchOptions::default() });
    fetcher.assign("t", 0, 0);
    fetcher.assign("t", 1, 0);
    fetcher.set_paused("t", 0, true);
    assert_eq!(fetcher.next().await.expect("readable").partition, 1);
    // The broker would wait a minute for news of the other one.
    fetcher.set_paused("t", 0, false);
    assert_eq!(fetcher.next().await.expect("readable").partition, 0);
    fetcher.unassign("t", 0);
    let (fetched, ()) = tokio::join!(fetcher.next(), fill(&cluster, 2, 1));
    let fetched = fetched.expect("readable");
    assert_eq!((fetched.partition, fetched.next_offset), (1, 20));
}

/// Scenario: of many partitions a few have news, again and again; then the broker forgets its sessions, and another time
/// the connection breaks; an old broker has no sessions.
/// Guarantees: every batch, once; requests of a session name little more than what has news; without one they name all.
#[tokio::test]
async fn sessions_save_what_is_known() {
    for version_max in [12, 6] {
        let (fake, cluster) = filled(1, 40, 0).await;
        fake.limit_versions(ApiKey::Fetch, 4, version_max);
        let mut fetcher = Fetcher::new(&cluster, FetchOptions::default());
        (0..40).for_each(|partition| fetcher.assign("t", partition, 0));
        for round in 0..20 {
            match round {
                10 => fake.forget_fetch_sessions(),
                15 => fake.script(ApiKey::Fetch, [Step::Disconnect]),
                _ => {}
            }
            let (fetched, ()) = tokio::join!(fetcher.next(), fill(&cluster, 1, 1));
            let fetched = fetched.expect("readable");
            assert_eq!((fetched.partition, fetched.next_offset, fetched.batches.len()), (0, 10 * (round + 1), 1));
        }
        // Three times all, and then one or two by request.
        let (named, requests) = (fake.partitions_named(), fake.requests(ApiKey::Fetch));
        if version_max >= 7 {
            assert!(named <= 3 * 40 + 3 * requests, "{named} in {requests} requests");
        } else {
            assert!(named >= 39 * (requests - 2), "{named} in {requests} requests");
        }
    }
}

/// Scenario: an unclean election loses what a reader has read; the new leader has written something else at these offsets,
/// or less than was there; the first leader change lost nothing.
/// Guarantees: a clean change is not noticed; a cut is told, with the offset from which on the log is another; reading goes
/// on from there. A broker too old to compare says nothing.
#[tokio::test]
async fn logs_that_were_cut_back_are_told() {
    for (version_max, batches_after) in [(12, 0), (12, 1), (12, 9), (11, 9)] {
        let (fake, cluster) = filled(2, 1, 5).await;
        fake.limit_versions(ApiKey::Fetch, 4, version_max);
        let mut fetcher = Fetcher::new(&cluster, FetchOptions::default());
        fetcher.assign("t", 0, 0);
        read_all(&mut fetcher, 1, 50).await;
        fake.move_leader("t", 0, 2);
        fill(&cluster, 1, 2).await;
        let fetched = fetcher.next().await.expect("readable");
        assert_eq!((fetched.batches.len(), fetched.next_offset), (2, 70));
        // Of the second leader's two batches and the first one's last, none is left.
        fake.truncate("t", 0, 40);
        fill(&cluster, 1, batches_after).await;
        let next = fetcher.next().await;
        if version_max < 12 {
            assert_eq!(next.expect("read on as if nothing had been").next_offset, 130);
            continue;
        }
        let error = next.expect_err("cut back");
        let expected = "t-0 was cut back: of what was read up to 70 it has what is below 40; go on there";
        assert_eq!(error.to_string(), expected);
        fetcher.assign("t", 0, 40);
        fill(&cluster, 1, 1).await;
        assert_eq!(fetcher.next().await.expect("readable").batches[0].header.base_offset, 40);
    }
}
