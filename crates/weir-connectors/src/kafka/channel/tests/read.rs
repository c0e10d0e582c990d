//! Reading, by one agent.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use weir_engine::channel::{Form, ReadLimit};
use weir_engine::group::Group;
use weir_engine::ledger::SinkLedger;
use weir_event::{EventBatch, names};
use weir_kafka::fake::{ApiKey, Step};
use weir_testkit::wait::eventually;

use crate::kafka::consume::commit_text;

use super::rig::{ALL, Rig, append, batch, bodies, crafted, next, read, send, text};

/// Partitions and offsets.
type Places = BTreeSet<(u32, u64)>;

/// In the attributes of a batch: markers of transactions; a part of one.
const CONTROL: i16 = 1 << 5;
const TRANSACTIONAL: i16 = 1 << 4;
/// Of the fake's topic `t`.
const TOPIC_ID: u128 = 1 << 8 | b't' as u128;

/// Scenario: two agents on one topic, one that writes and one that reads, with two sink groups; some events have a key,
/// some not.
/// Guarantees: each group gets every event with its headers, those without a key have no header `key`; positions name
/// every partition; an agent that only reads makes no producer.
#[test]
fn a_hub_reads_what_an_edge_writes() {
    let rig = Rig::start(3);
    let (edge, hub) = (rig.open(""), rig.open(""));
    let (mut one, mut other) = (hub.cursor("default").expect("a cursor"), hub.cursor("other").expect("a cursor"));
    for number in 0..30 {
        let mut events = batch(&[&format!("{number:0>2}")]);
        if number % 2 == 0 {
            events.set_constant(names::KEY, "k");
        }
        append(&*edge, &events).expect("acknowledged");
    }
    for cursor in [&mut one, &mut other] {
        let (mut found, ends) = read(&mut **cursor, 30);
        found.sort();
        assert_eq!(found, (0..30).map(|number| format!("{number:0>2}")).collect::<Vec<_>>());
        ends.into_iter().for_each(|(partition, end)| cursor.release(partition, end));
        eventually("all is delivered", || cursor.backlog().events == 0);
        let positions = cursor.positions();
        assert_eq!(positions.iter().map(|position| position.channel.partition).collect::<Vec<_>>(), vec![0, 1, 2]);
        assert!(positions.iter().all(|position| position.released == position.end && position.end > 5));
        assert_eq!(positions.iter().map(|position| position.channel.log).collect::<BTreeSet<_>>().len(), 1);
    }
    append(&*edge, &batch(&["keyless"])).expect("acknowledged");
    let chunk = next(&mut *one);
    assert_eq!((chunk.batches[0].header(0, "key"), chunk.batches[0].header(0, "host").is_some()), (None, true));
    let end_offsets: i64 = rig.committed("weir.other", 3).iter().filter_map(|committed| committed.offset).sum();
    assert!(end_offsets <= 31);
    hub.close().expect("closes");
    assert_eq!(rig.committed("weir.other", 3).iter().filter_map(|committed| committed.offset).sum::<i64>(), 30);
    assert_eq!(rig.committed("weir", 3).iter().filter_map(|committed| committed.offset).sum::<i64>(), 30);
    let identities = rig.fake.requests(ApiKey::InitProducerId);
    assert_eq!(identities, 1, "the edge's");
}

/// Scenario: Flume's tests of rollback and stop: deliveries come back and are asked for again in parts; the agent stops
/// with some of them unanswered.
/// Guarantees: exactly the range asked for comes again, from brokers, and nothing is committed that was not released;
/// after the restart what was not released comes again, and may be a repeat.
#[test]
fn what_is_not_released_comes_again() {
    let rig = Rig::start(1);
    let channel = rig.open("");
    let mut cursor = channel.cursor("default").expect("a cursor");
    for first in [0, 50, 100] {
        let bodies: Vec<String> = (first..first + 50).map(|number| number.to_string()).collect();
        append(&*channel, &EventBatch::from_bodies(&bodies, 0)).expect("acknowledged");
    }
    let (found, _) = read(&mut *cursor, 150);
    assert_eq!(found, (0..150).map(|number| number.to_string()).collect::<Vec<_>>());
    rig.script(ApiKey::Fetch, &[Step::Disconnect, Step::Refuse(6)]);
    for (range, limit) in [(30..120, ALL), (30..120, ReadLimit::events(1)), (0..150, ALL), (149..150, ALL)] {
        let mut at = range.start;
        while at < range.end {
            let chunk = cursor.read_again(0, at..range.end, limit).expect("read again");
            let expected: Vec<String> = (at..chunk.range.end).map(|number| number.to_string()).collect();
            assert_eq!((chunk.range.start, chunk.batches.iter().flat_map(bodies).collect::<Vec<_>>()), (at, expected));
            assert!(chunk.range.end > at && chunk.lost.is_empty());
            at = chunk.range.end;
        }
    }
    cursor.release(0, 50);
    eventually("what is released is committed", || rig.offset("weir") == Some(50));
    assert_eq!((cursor.backlog().events, cursor.positions()[0].released), (100, 50));
    channel.close().expect("closes");
    drop((cursor, channel));
    let channel = rig.open("");
    let mut cursor = channel.cursor("default").expect("a cursor");
    assert_eq!((cursor.positions()[0].released, cursor.positions()[0].end), (50, 150));
    assert_eq!(read(&mut *cursor, 100).0[0], "50");
    assert_eq!(cursor.repeats_below(0), 150);
    assert_eq!(rig.committed("weir", 1)[0].metadata.as_deref(), Some(&*commit_text("weir channel c", TOPIC_ID)));
}

/// Scenario: groups without a position begin at the earliest event, at the latest, at a time nobody has reached.
/// Guarantees: as told; and the position is committed before the first event is delivered, so that a restart skips
/// nothing that came in between.
#[test]
fn new_groups_begin_where_told() {
    let rig = Rig::start(1);
    let edge = rig.open("");
    append(&*edge, &batch(&["early"])).expect("acknowledged");
    for (start, group, first, offset) in
        [("earliest", "a", "early", 0), ("latest", "b", "late", 1), ("2999-01-01T00:00:00Z", "c", "late", 1)]
    {
        let hub = rig.open(&format!("start = '{start}'\nconsumer_group = '{group}'"));
        let mut cursor = hub.cursor("default").expect("a cursor");
        assert_eq!(cursor.positions()[0].released, offset);
        eventually("its position is committed", || rig.offset(group) == Some(offset.cast_signed()));
        append(&*edge, &batch(&["late"])).expect("acknowledged");
        assert_eq!(read(&mut *cursor, 1).0[0], first);
        hub.close().expect("closes");
        rig.fake.create_topic("t", 1);
        let edge = rig.open("");
        append(&*edge, &batch(&["early"])).expect("acknowledged");
    }
}

/// Scenario: a partition holds markers of transactions between and behind its events.
/// Guarantees: ranges cover them, and the position passes those at the end by itself, once all before is delivered.
#[test]
fn markers_are_passed() {
    let rig = Rig::start(1);
    let channel = rig.open("");
    let mut cursor = channel.cursor("default").expect("a cursor");
    let marker = || crafted(CONTROL | TRANSACTIONAL, &[20, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0]);
    append(&*channel, &batch(&["a"])).expect("acknowledged");
    rig.produce(0, marker());
    append(&*channel, &batch(&["b"])).expect("acknowledged");
    let (found, ends) = read(&mut *cursor, 2);
    rig.produce(0, marker());
    eventually("the end is known", || cursor.positions()[0].end == 4);
    assert!(cursor.read(ALL).expect("readable").is_none());
    assert_eq!(found, vec!["a", "b"]);
    cursor.release(0, ends[&0]);
    eventually("the position passes the marker", || rig.offset("weir") == Some(4));
    assert_eq!(cursor.backlog().events, 0);
    rig.produce(0, marker());
    eventually("and one that comes alone", || rig.offset("weir") == Some(5));
}

/// Scenario: a batch in one of two partitions cannot be read; a reader of stored batches meets one of a transaction.
/// Guarantees: an error names topic, partition and offset, health says it, nothing is skipped or committed past it; what
/// is before it and the other partition are delivered. The part of a transaction comes as events, for no broker would
/// take it as it is.
#[test]
fn a_damaged_batch_waits_alone() {
    let rig = Rig::start(2);
    let channel = rig.open("partitioner = 'round_robin'");
    let mut cursor = channel.cursor("default").expect("a cursor");
    (0..4).for_each(|_| append(&*channel, &batch(&["x"])).expect("acknowledged"));
    let lz4 = 3;
    rig.produce(1, crafted(lz4, b"this is no lz4 frame"));
    (0..4).for_each(|_| append(&*channel, &batch(&["y"])).expect("acknowledged"));
    let (mut found, mut fault) = (0, None);
    eventually("all but what is behind the damage is read", || {
        match cursor.read(ALL) {
            Ok(Some(chunk)) => {
                found += chunk.events();
                cursor.release(chunk.partition, chunk.range.end);
            }
            Ok(None) => {}
            Err(error) => fault = Some(text(&error)),
        }
        found == 6 && fault.is_some()
    });
    let fault = fault.unwrap_or_default();
    assert!(fault.contains("topic t, partition 1") && fault.contains("offset 2"), "{fault}");
    assert!(channel.usage().degraded.iter().any(|text| text.contains("partition 1")));
    eventually("positions stand before it", || {
        let committed = rig.committed("weir", 2);
        (committed[0].offset, committed[1].offset) == (Some(4), Some(2))
    });
}

/// Scenario: stored batches are asked for; one is a part of a transaction.
/// Guarantees: it comes as events, for no broker would take it as it is; the others come as they are.
#[test]
fn parts_of_transactions_come_as_events() {
    let rig = Rig::start(1);
    let channel = rig.open("");
    let mut cursor = channel.cursor("default").expect("a cursor");
    append(&*channel, &batch(&["a"])).expect("acknowledged");
    // One record: length, attributes, two deltas, no key, a value of one byte, no headers.
    rig.produce(0, crafted(TRANSACTIONAL, &[14, 0, 0, 0, 1, 2, b'b', 0]));
    append(&*channel, &batch(&["c"])).expect("acknowledged");
    let mut forms = Vec::new();
    eventually("all three are read", || {
        let limit = ReadLimit { bytes_max: 1 << 20, form: Form::Stored };
        if let Some(chunk) = cursor.read(limit).expect("readable") {
            assert!(chunk.batches.is_empty() != chunk.stored.is_empty(), "one form");
            forms.extend(chunk.range.clone().map(|_| chunk.stored.is_empty()));
        }
        forms.len() == 3
    });
    assert_eq!(forms, vec![false, true, false]);
}

/// Scenario: retention takes events before they are read, and some that are out and come back.
/// Guarantees: what is gone is told as lost, no more and no less, in ranges that join; the rest is delivered, and the
/// position goes on over the loss once it is acknowledged.
#[test]
fn what_retention_took_is_counted() {
    let rig = Rig::start(1);
    let edge = rig.open("");
    for first in [0, 10, 20, 30] {
        let bodies: Vec<String> = (first..first + 10).map(|number| number.to_string()).collect();
        append(&*edge, &EventBatch::from_bodies(&bodies, 0)).expect("acknowledged");
    }
    rig.commit("weir", 5);
    rig.fake.delete_below("t", 0, 20);
    let hub = rig.open("");
    let mut cursor = hub.cursor("default").expect("a cursor");
    let gone = next(&mut *cursor);
    assert_eq!((gone.range, gone.lost, gone.batches.len()), (5..20, vec![Range { start: 5, end: 20 }], 0));
    let chunk = next(&mut *cursor);
    assert_eq!((chunk.events(), chunk.range), (20, 20..40));
    rig.fake.delete_below("t", 0, 32);
    let again = cursor.read_again(0, 20..40, ALL).expect("told");
    assert_eq!((again.range, again.lost, again.batches.len()), (20..32, vec![Range { start: 20, end: 32 }], 0));
    let rest = cursor.read_again(0, 32..40, ALL).expect("there");
    assert_eq!((rest.range, rest.batches.iter().flat_map(bodies).next()), (32..40, Some("32".to_owned())));
    cursor.release(0, 40);
    eventually("the position is behind all", || rig.offset("weir") == Some(40));
}

/// Scenario: an unclean election loses events that were delivered, and some that are out; other events take their offsets.
/// Guarantees: reading goes on where the log is intact and nothing is released yet; what is new there is delivered and
/// not called a repeat; the group hears that its deliveries are of an earlier stay.
#[test]
fn reading_goes_on_where_a_log_is_intact() {
    let rig = Rig::start(1);
    let channel = rig.open("");
    let mut cursor = channel.cursor("default").expect("a cursor");
    for body in ["a", "b", "c"] {
        append(&*channel, &batch(&[body])).expect("acknowledged");
    }
    assert_eq!(read(&mut *cursor, 3).0.len(), 3);
    cursor.release(0, 1);
    rig.fake.move_leader("t", 0, 2);
    rig.fake.truncate("t", 0, 2);
    rig.fake.forget_producers("t", 0);
    for body in ["x", "y"] {
        append(&*channel, &batch(&[body])).expect("acknowledged");
    }
    let mut gone = Vec::new();
    eventually("the group hears of it", || {
        gone.extend(cursor.taken_away());
        gone == vec![0]
    });
    assert_eq!(read(&mut *cursor, 3).0, vec!["b", "x", "y"]);
    assert_eq!(cursor.repeats_below(0), 2);
}

/// Scenario: a bit of a batch flips on a broker's disk while nobody has read it; later another replica has it whole.
/// Guarantees: its checksum tells, in both forms; when it is whole it is delivered without anybody's help.
#[test]
fn a_flipped_bit_is_noticed_and_waited_out() {
    let rig = Rig::start(1);
    let channel = rig.open("");
    append(&*channel, &batch(&["a"])).expect("acknowledged");
    rig.fake.flip_a_bit("t", 0, 0);
    for (group, form) in [("default", Form::Events), ("stored", Form::Stored)] {
        let mut cursor = channel.cursor(group).expect("a cursor");
        let mut fault = None;
        eventually("the damage is told", || {
            fault = cursor.read(ReadLimit { bytes_max: 1, form }).err().map(|error| text(&error));
            fault.is_some()
        });
        assert!(fault.is_some_and(|fault| fault.contains("checksum") && fault.contains("offset 0")));
    }
    let mut cursor = channel.cursor("later").expect("a cursor");
    rig.fake.flip_a_bit("t", 0, 0);
    assert_eq!(read(&mut *cursor, 1).0, vec!["a"]);
}

/// Scenario: one of three batches of a partition is damaged, the others are fetched with it; while the partition rests new
/// events are appended; then the damage is mended.
/// Guarantees: health says that it waits until it is mended; then every offset comes, none is passed over, in order.
#[test]
fn nothing_behind_a_damaged_batch_is_passed_over() {
    let rig = Rig::start(1);
    let channel = rig.open("");
    let numbers = |range: Range<u64>| range.map(|number| number.to_string()).collect::<Vec<_>>();
    let append_all = |range: Range<u64>| {
        append(&*channel, &EventBatch::from_bodies(&numbers(range), 0)).expect("acknowledged");
    };
    [0..10, 10..20, 20..30].into_iter().for_each(append_all);
    rig.fake.flip_a_bit("t", 0, 1);
    let mut cursor = channel.cursor("default").expect("a cursor");
    let (mut found, mut at, mut is_damaged) = (Vec::new(), 0, false);
    let mut read_until = |what: &str, done: &dyn Fn(usize, bool) -> bool| {
        eventually(what, || {
            match cursor.read(ALL) {
                Ok(Some(chunk)) => {
                    assert_eq!((chunk.range.start, chunk.lost.len()), (at, 0), "ranges join and nothing is lost");
                    at = chunk.range.end;
                    found.extend(chunk.batches.iter().flat_map(bodies));
                    cursor.release(0, at);
                }
                Ok(None) => {}
                Err(_) => is_damaged = true,
            }
            done(found.len(), is_damaged)
        });
        found.clone()
    };
    read_until("the damage is met", &|count, is_damaged| count == 10 && is_damaged);
    let fetches = rig.fake.requests(ApiKey::Fetch);
    append_all(30..40);
    read_until("what is new was fetched", &|_, _| rig.fake.requests(ApiKey::Fetch) > fetches);
    assert!(channel.usage().degraded.iter().any(|text| text.contains("partition 0")), "it still waits");
    rig.fake.flip_a_bit("t", 0, 1);
    assert_eq!(read_until("all is read", &|count, _| count >= 40), numbers(0..40));
    eventually("the position is behind all", || rig.offset("weir") == Some(40));
    assert!(channel.usage().degraded.is_empty());
}

/// Scenario: sinks give back deliveries of three partitions. One has no leader any more, and in another the batch is damaged by
/// now; later there is a leader, and another replica has the batch whole.
/// Guarantees: the third is delivered again and goes on meanwhile, and status says what cannot be; in the end all of them
/// are delivered, and no trouble is left.
#[test]
fn what_cannot_be_read_again_holds_up_nothing_else() {
    let rig = Rig::start(3);
    let channel = rig.open("partitioner = 'round_robin'");
    let ledger = Arc::new(SinkLedger::default());
    let group = Group::open("default", &["out".into()], channel.clone(), None, ledger.clone()).expect("opens");
    let lane = Arc::default();
    let mut released = BTreeSet::new();
    let mut deliver = |what: &str, done: &dyn Fn(&Places) -> bool| {
        eventually(what, || {
            if let Some(delivery) = group.next(ALL, &lane).expect("the others can be read") {
                released.insert((delivery.ack.partition(), delivery.ack.range().end));
                delivery.ack.ack();
            }
            done(&released)
        });
    };
    (0..3).for_each(|_| append(&*channel, &batch(&["x"])).expect("acknowledged"));
    let mut given_back = Vec::new();
    eventually("one delivery of each is out", || {
        given_back.extend(group.next(ALL, &Arc::default()).expect("readable"));
        given_back.len() == 3
    });
    rig.fake.move_leader("t", 0, 9);
    rig.fake.flip_a_bit("t", 1, 0);
    drop(given_back);
    deliver("the third goes on", &|released| released.contains(&(2, 1)));
    (0..3).for_each(|_| drop(send(&*channel, &batch(&["y"]))));
    deliver("and what is new in it", &|released| released.contains(&(2, 2)));
    deliver("both troubles are told", &|_| {
        let told = channel.usage().degraded;
        (0..2).all(|partition| told.iter().any(|text| text.contains(&format!("partition {partition}: "))))
    });
    eventually("nothing of the first is passed over", || rig.offset("weir") == Some(0));
    rig.fake.move_leader("t", 0, 1);
    rig.fake.flip_a_bit("t", 1, 0);
    deliver("all are delivered", &|released| released.len() == 6);
    eventually("no trouble is left", || channel.usage().degraded.is_empty() && !group.is_anything_outstanding());
}

/// Scenario: events in Flume's format; a value that is none of Flume's among them.
/// Guarantees: headers and bodies come back as they were, without record headers; the foreign value is kept and marked.
#[test]
fn flume_events_go_both_ways() {
    let rig = Rig::start(1);
    let channel = rig.open("format = 'flume'\nheaders = 'none'");
    let mut cursor = channel.cursor("default").expect("a cursor");
    append(&*channel, &batch(&["a"])).expect("acknowledged");
    let stored = &rig.events(0)[0];
    assert!(stored.header(0, "host").is_none() && stored.body(0).len() > 1);
    append(&*rig.open(""), &batch(&["foreign"])).expect("acknowledged");
    let mut events = Vec::new();
    eventually("both are read", || {
        events.extend(cursor.read(ALL).expect("readable").into_iter().flat_map(|chunk| chunk.batches));
        events.len() == 2
    });
    assert_eq!((events[0].body(0), events[0].header(0, "host").as_deref()), (&b"a"[..], Some(&b"fw1"[..])));
    assert_eq!((events[1].body(0), events[1].origin().and_then(|origin| origin.offset(0))), (&b"foreign"[..], Some(1)));
}

/// Scenario: a hub stops, or runs on, while its topic is made anew and an edge appends to that with receipts: fewer events
/// than there were, and more.
/// Guarantees: every event of the new topic is delivered, from its first one on; health says so until it has got on; the
/// position is in the new topic, and the next start goes on from it.
#[test]
fn a_topic_made_anew_is_begun_where_told() {
    for (is_running, count) in [(false, 3), (false, 8), (true, 3), (true, 8)] {
        let rig = Rig::start(1);
        let channel = rig.open("metadata_age = '1 s'");
        let mut cursor = channel.cursor("default").expect("a cursor");
        (0..5).for_each(|_| append(&*channel, &batch(&["old"])).expect("acknowledged"));
        let (_, ends) = read(&mut *cursor, 5);
        cursor.release(0, ends[&0]);
        eventually("the position is committed", || rig.offset("weir") == Some(5));
        if !is_running {
            channel.close().expect("closes");
        }
        rig.fake.remake_topic("t", 1);
        let numbers: Vec<String> = (0..count).map(|number| number.to_string()).collect();
        let edge = rig.open("");
        numbers.iter().for_each(|number| append(&*edge, &batch(&[number])).expect("acknowledged"));
        let channel = if is_running { channel } else { rig.open("") };
        let mut cursor = if is_running { cursor } else { channel.cursor("default").expect("a cursor") };
        // Of a topic that is longer than the position, some events come before it is known to be another one.
        let mut found = Vec::new();
        eventually("all of the new topic comes", || {
            if cursor.taken_away() == [0] {
                found.clear();
            }
            found.extend(cursor.read(ALL).expect("readable").into_iter().flat_map(|chunk| chunk.batches));
            found.iter().flat_map(bodies).collect::<Vec<_>>() == numbers
        });
        assert!(channel.usage().degraded.iter().any(|text| text.contains("made anew")), "{:?}", channel.usage());
        cursor.release(0, count);
        eventually("the position is in the new topic", || rig.offset("weir") == Some(count.cast_signed()));
        eventually("nothing more is said of it", || channel.usage().degraded.is_empty());
        channel.close().expect("closes");
        let channel = rig.open("");
        let mut cursor = channel.cursor("default").expect("a cursor");
        append(&*edge, &batch(&["next"])).expect("acknowledged");
        assert_eq!(read(&mut *cursor, 1).0, ["next"]);
    }
}
