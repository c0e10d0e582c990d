use std::time::Duration;

use weir_codec::record_batch::{BatchHeader, EncodedBatch, HEADER_BYTES};

use super::*;

const IDENTITY: Identity = Identity { id: 7, epoch: 0 };

fn batch(records: i32) -> EncodedBatch {
    let header = BatchHeader {
        base_offset: 0,
        batch_length: 0,
        partition_leader_epoch: -1,
        crc: 0,
        attributes: 0,
        last_offset_delta: records - 1,
        base_timestamp: 0,
        max_timestamp: 0,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: records,
    };
    EncodedBatch::finish(vec![0; HEADER_BYTES + 10], header)
}

/// A queue with `count` batches of 10 records, named by number, with a producer id that the partition knows.
fn queue(count: u32) -> Queue<u32> {
    let mut queue = Queue::new(true, 5);
    for name in 0..count {
        queue.push(batch(10), name);
    }
    queue.identify(IDENTITY);
    queue.known = true;
    queue
}

/// Scenario: a partition that has nothing from this producer yet, whose first batch is refused in passing; later nothing
/// is sent for hours.
/// Guarantees: the second batch waits for the first, since the broker would take it in its place; afterwards batches are
/// pipelined; and the first after a long silence goes alone again.
#[test]
fn the_first_batch_goes_alone() {
    let mut queue = queue(4);
    queue.known = false;
    assert_eq!(send(&mut queue), [(0, 0, 0)]);
    refuse(&mut queue, 0, 19);
    assert_eq!(send(&mut queue), [(0, 0, 0)]);
    append(&mut queue, 0);
    assert_eq!(send(&mut queue).len(), 3);
    assert_eq!((1..4).map(|key| append(&mut queue, key)).collect::<Vec<_>>(), [1, 2, 3]);
    let now = Instant::now();
    assert_eq!(queue.want(now), Want::Nothing);
    (4..6).for_each(|name| queue.push(batch(10), name));
    assert_eq!(queue.want(now + 2 * REMEMBERED), Want::Send);
    assert_eq!(send(&mut queue).len(), 1);
}

/// Sends what may be sent: key, epoch and sequence of each.
fn send(queue: &mut Queue<u32>) -> Vec<(u64, i16, i32)> {
    let mut sent = Vec::new();
    // Pauses of these tests are over at once.
    while queue.want(Instant::now()) == Want::Send {
        let (key, bytes) = queue.take().expect("it wanted to send");
        let header = BatchHeader::parse(bytes).expect("a header");
        sent.push((key, header.producer_epoch, header.base_sequence));
    }
    sent
}

fn refuse(queue: &mut Queue<u32>, key: u64, code: i16) -> Option<Outcome<u32>> {
    let code = ErrorCode::from_wire(code).expect("an error");
    queue.settle(key, Verdict::Refused(code), |_| Instant::now())
}

fn append(queue: &mut Queue<u32>, key: u64) -> u32 {
    match queue.settle(key, Verdict::Appended { base_offset: 1 }, |_| Instant::now()) {
        Some(Outcome::Done { entry, .. }) => entry.sender,
        other => panic!("not done: {other:?}"),
    }
}

/// Scenario: seven batches; the first is not written because the leader moved, so the broker refuses the rest as out of
/// order.
/// Guarantees: at most five in flight; nothing is sent until all answers are in; then the same numbers in the same order.
#[tokio::test]
async fn order_and_numbers_survive_a_retry() {
    let mut queue = queue(7);
    let first = send(&mut queue);
    assert_eq!(first, vec![(0, 0, 0), (1, 0, 10), (2, 0, 20), (3, 0, 30), (4, 0, 40)]);
    assert!(matches!(refuse(&mut queue, 0, 6), Some(Outcome::Again { refresh: true })));
    for key in 1..5 {
        assert_eq!(queue.want(Instant::now()), Want::Nothing);
        assert!(matches!(refuse(&mut queue, key, 45), Some(Outcome::Again { refresh: false })));
    }
    assert_eq!(send(&mut queue), first);
    for key in 0..5 {
        assert_eq!(append(&mut queue, key), key as u32);
    }
    assert_eq!(send(&mut queue), vec![(5, 0, 50), (6, 0, 60)]);
}

/// Scenario: the second of four batches is too large for the topic.
/// Guarantees: it is handed back, those behind it are sent again under a new epoch from sequence 0, nothing is lost.
#[tokio::test]
async fn a_refused_batch_leaves_no_gap() {
    let mut queue = queue(4);
    send(&mut queue);
    assert_eq!(append(&mut queue, 0), 0);
    let outcome = refuse(&mut queue, 1, ErrorCode::MESSAGE_TOO_LARGE.code());
    assert!(matches!(outcome, Some(Outcome::Refused { entry: Entry { sender: 1, .. }, .. })));
    refuse(&mut queue, 2, 45);
    refuse(&mut queue, 3, 45);
    assert_eq!(send(&mut queue), vec![(2, 1, 0)], "the new numbers are made known first");
    append(&mut queue, 2);
    assert_eq!(send(&mut queue), vec![(3, 1, 10)]);
}

/// Scenario: the connection breaks with three batches in flight; the first is refused before its repeat.
/// Guarantees: those that may stand in the log are asked about under their old numbers, one at a time, before any number
/// is given out anew: a new number would write them twice.
#[tokio::test]
async fn unknown_fates_are_settled_under_old_numbers() {
    let mut queue = queue(3);
    send(&mut queue);
    let outcome = refuse(&mut queue, 0, ErrorCode::MESSAGE_TOO_LARGE.code());
    assert!(matches!(outcome, Some(Outcome::Refused { .. })));
    for key in 1..3 {
        let lost = queue.settle(key, Verdict::Lost, |_| Instant::now());
        assert!(matches!(lost, Some(Outcome::Again { refresh: true })));
    }
    assert_eq!(send(&mut queue), vec![(1, 0, 10)]);
    // It was there.
    let outcome = refuse(&mut queue, 1, ErrorCode::DUPLICATE_SEQUENCE.code());
    assert!(matches!(outcome, Some(Outcome::Done { base_offset: None, .. })));
    assert_eq!(send(&mut queue), vec![(2, 0, 20)]);
    // It was not.
    refuse(&mut queue, 2, 45);
    assert_eq!(send(&mut queue), vec![(2, 1, 0)]);
}

/// Scenario: a lone batch is refused before it could have been written; another, which may have been written once (the
/// connection broke, or the leader moved while it waited for replicas), is refused later.
/// Guarantees: the number of the first is used again, so that no gap arises; that of the second is not, because the
/// broker would take the next batch for a repeat and lose it.
#[tokio::test]
async fn numbers_are_used_again_only_if_certainly_free() {
    let mut queue = queue(1);
    assert_eq!(send(&mut queue), vec![(0, 0, 0)]);
    refuse(&mut queue, 0, 10);
    queue.push(batch(10), 1);
    assert_eq!(send(&mut queue), vec![(1, 0, 0)]);
    queue.settle(1, Verdict::Lost, |_| Instant::now());
    assert_eq!(send(&mut queue), vec![(1, 0, 0)]);
    refuse(&mut queue, 1, 10);
    queue.push(batch(10), 2);
    assert_eq!(send(&mut queue), vec![(2, 1, 0)]);
    // UNKNOWN_TOPIC_OR_PARTITION, LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER
    for (key, code) in (2..).zip([3, 5, 6]) {
        let epoch = key as i16 - 1;
        assert!(matches!(refuse(&mut queue, key, code), Some(Outcome::Again { refresh: true })));
        assert_eq!(send(&mut queue), vec![(key, epoch, 0)]);
        refuse(&mut queue, key, 10);
        queue.push(batch(10), key as u32 + 1);
        assert_eq!(send(&mut queue), vec![(key + 1, epoch + 1, 0)], "{code}");
    }
}

/// Scenario: the broker does not know the oldest batch's sequence, then not even the producer id.
/// Guarantees: a new epoch, then another producer id; the batch stays and is sent again.
#[tokio::test]
async fn lost_producer_state_is_rebuilt() {
    let mut queue = queue(1);
    send(&mut queue);
    refuse(&mut queue, 0, 45);
    assert_eq!(send(&mut queue), vec![(0, 1, 0)]);
    refuse(&mut queue, 0, 90);
    assert_eq!(queue.want(Instant::now()), Want::Identity { not: Some(7) });
    queue.identify(IDENTITY);
    assert_eq!(queue.want(Instant::now()), Want::Identity { not: Some(7) }, "the same id is no use");
    queue.identify(Identity { id: 8, epoch: 0 });
    assert_eq!(send(&mut queue), vec![(0, 0, 0)]);
    assert_eq!(append(&mut queue, 0), 0);
}

/// Scenario: a retriable error asks for a pause.
/// Guarantees: nothing leaves before its end.
#[tokio::test(start_paused = true)]
async fn pauses_are_kept() {
    let mut queue = queue(1);
    send(&mut queue);
    let until = Instant::now() + Duration::from_secs(1);
    queue.settle(0, Verdict::Refused(ErrorCode::CORRUPT_MESSAGE), |_| until);
    assert_eq!(queue.want(Instant::now()), Want::Pause(until));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(send(&mut queue), vec![(0, 0, 0)]);
}
