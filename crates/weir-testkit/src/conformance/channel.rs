//! What every channel must do.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use weir_codec::record_batch::{Decoder, DecoderOptions};
use weir_engine::channel::{AppendError, Channel, Cursor, Form, ReadChunk, ReadLimit};
use weir_engine::registry::Registry;
use weir_event::ArenaPool;

use super::fixture::{channel, numbered, numbers, ticket};
use crate::wait::{PATIENCE, eventually};

const ALL: ReadLimit = ReadLimit::events(1 << 20);

/// A channel to be tested.
pub struct Subject<'a> {
    /// Where its type is.
    pub registry: &'a Registry,
    /// The lines of its section, `type` included. `{name}` stands for a name that each test has for itself.
    pub options: &'a str,
    /// The same for a channel that is full after a few MiB.
    pub small: &'a str,
    /// Called before a channel is filled: for one that is full only while somebody else is slow.
    pub before_filling: &'a dyn Fn(),
    /// For what the channel keeps on disk.
    pub folder: &'a Path,
}

/// Runs the suite over a channel.
///
/// # Panics
/// With what does not conform.
pub fn run(subject: &Subject<'_>) {
    let Subject { registry, options, small, before_filling, folder } = subject;
    reads_in_order(&*channel(registry, options, &folder.join("order")));
    groups_are_independent(&*channel(registry, options, &folder.join("groups")));
    reads_again(&*channel(registry, options, &folder.join("again")));
    gives_stored_batches(&*channel(registry, options, &folder.join("stored")));
    fills_and_drains(channel(registry, small, &folder.join("full")), *before_filling);
    refuses_after_close(&*channel(registry, options, &folder.join("close")));
    if channel(registry, options, &folder.join("durable")).is_durable() {
        survives_reopening(registry, options, &folder.join("reopen"));
    }
}

fn append(channel: &dyn Channel, range: std::ops::Range<u64>) {
    assert!(channel.wait_for_room(PATIENCE), "{:?}", channel.usage());
    let (ticket, receipt) = ticket();
    channel.try_append(&numbered(range), ticket).expect("there is room");
    assert_eq!(receipt.wait(PATIENCE), Some(Ok(())), "the receipt comes");
}

/// The next chunk: at once, or when it has come from where a shared channel is.
fn next(cursor: &mut dyn Cursor, limit: ReadLimit) -> ReadChunk {
    let mut chunk = None;
    eventually("there is something to read", || {
        chunk = cursor.read(limit).expect("the channel can be read");
        chunk.is_some()
    });
    chunk.expect("it was waited for")
}

/// Reads `count` events, which is all there are.
fn read(cursor: &mut dyn Cursor, count: usize) -> Vec<u64> {
    let mut found = Vec::new();
    while found.len() < count {
        let chunk = next(cursor, ALL);
        assert_eq!(chunk.events(), chunk.range.end - chunk.range.start);
        assert!(chunk.batches.iter().all(|batch| batch.origin().is_some()), "every batch says where it comes from");
        found.extend(numbers(&chunk.batches));
    }
    assert!(cursor.read(ALL).expect("the channel can be read").is_none(), "no more than that");
    found
}

/// Scenario: appends, one of them small and one empty, then reading. Guarantees: everything once, in order, with headers.
fn reads_in_order(channel: &dyn Channel) {
    let mut cursor = channel.cursor("g").expect("a cursor");
    assert!(cursor.read(ALL).expect("an empty channel can be read").is_none());
    append(channel, 0..100);
    append(channel, 100..100);
    append(channel, 100..101);
    append(channel, 101..300);
    let first = next(&mut *cursor, ReadLimit::events(1));
    assert!(!first.batches.is_empty(), "a limit below one batch still gives one");
    let batch = &first.batches[0];
    assert_eq!(batch.header(7, "host").as_deref(), Some(&b"fw1"[..]));
    assert_eq!(batch.timestamp_ms(7), Some(7));
    let mut all = numbers(&first.batches);
    all.extend(read(&mut *cursor, 300 - all.len()));
    assert_eq!(all, (0..300).collect::<Vec<_>>());
    assert_eq!(cursor.backlog().events, 300, "read is not released");
    cursor.release(0, 300);
    assert_eq!(cursor.backlog().events, 0);
}

/// Scenario: two groups read at different paces. Guarantees: each gets everything; one's release is not the other's.
fn groups_are_independent(channel: &dyn Channel) {
    let mut quick = channel.cursor("quick").expect("a cursor");
    let mut slow = channel.cursor("slow").expect("a cursor");
    append(channel, 0..50);
    assert_eq!(read(&mut *quick, 50).len(), 50);
    quick.release(0, 50);
    append(channel, 50..80);
    assert_eq!(read(&mut *quick, 30), (50..80).collect::<Vec<_>>());
    assert_eq!(read(&mut *slow, 80), (0..80).collect::<Vec<_>>());
    assert_eq!((quick.backlog().events, slow.backlog().events), (30, 80));
}

/// Scenario: a range in the middle is asked for again. Guarantees: exactly its events come, from its start.
fn reads_again(channel: &dyn Channel) {
    let mut cursor = channel.cursor("g").expect("a cursor");
    append(channel, 0..60);
    append(channel, 60..120);
    assert_eq!(read(&mut *cursor, 120).len(), 120);
    let mut at = 40;
    while at < 90 {
        let chunk = cursor.read_again(0, at..90, ALL).expect("read again");
        assert_eq!((chunk.range.start, numbers(&chunk.batches)[0]), (at, at));
        assert!(chunk.range.end > at && chunk.range.end <= 90 && chunk.lost.is_empty());
        at = chunk.range.end;
    }
}

/// Scenario: a reader asks for batches as they are at rest, then for a part of one.
/// Guarantees: what comes in that form decodes to the same events; a part of a batch comes as events.
fn gives_stored_batches(channel: &dyn Channel) {
    const STORED: ReadLimit = ReadLimit { bytes_max: 1 << 20, form: Form::Stored };
    let mut cursor = channel.cursor("g").expect("a cursor");
    append(channel, 0..40);
    append(channel, 40..80);
    let mut decoder = Decoder::new(ArenaPool::new(1 << 16, 1), DecoderOptions::default());
    let (mut found, mut end) = (Vec::new(), 0);
    while found.len() < 80 {
        let chunk = next(&mut *cursor, STORED);
        assert!(chunk.batches.is_empty() || chunk.stored.is_empty(), "one form or the other");
        assert_eq!((chunk.range.start, chunk.events()), (end, chunk.range.end - chunk.range.start));
        end = chunk.range.end;
        found.extend(numbers(&chunk.batches));
        for stored in &chunk.stored {
            found.extend(numbers(&[stored.decode(&mut decoder).expect("whole")]));
        }
    }
    assert_eq!(found, (0..80).collect::<Vec<_>>());
    let part = cursor.read_again(0, 10..30, STORED).expect("read again");
    assert!(part.stored.is_empty());
    assert_eq!(numbers(&part.batches), (10..part.range.end).collect::<Vec<_>>());
}

/// Scenario: appends until full, then releases. Guarantees: full is told, not waited out; room comes back; nothing that
/// was taken is missing.
fn fills_and_drains(channel: Arc<dyn Channel>, before: &dyn Fn()) {
    let mut cursor = channel.cursor("g").expect("a cursor");
    assert!(channel.wait_for_room(PATIENCE), "{:?}", channel.usage());
    before();
    let (mut taken, mut receipts) = (0, Vec::new());
    loop {
        let (ticket, receipt) = ticket();
        match channel.try_append(&numbered(taken..taken + 5_000), ticket) {
            Ok(()) => {
                taken += 5_000;
                // A shared channel is full of what has no receipt yet.
                if !channel.is_shared() {
                    assert_eq!(receipt.wait(PATIENCE), Some(Ok(())));
                }
                receipts.push(receipt);
            }
            Err(AppendError::Full(ticket)) => {
                ticket.cancel();
                break;
            }
            Err(other) => panic!("unexpected: {other}"),
        }
        assert!(taken < 50_000_000, "a bounded channel is full some time");
    }
    assert!(!channel.wait_for_room(Duration::ZERO));
    let usage = channel.usage();
    assert!(usage.fill() > 0.5, "{usage:?}");
    assert!(receipts.iter().all(|receipt| receipt.wait(PATIENCE) == Some(Ok(()))));
    let mut next_number = 0;
    while next_number < taken {
        for number in numbers(&next(&mut *cursor, ALL).batches) {
            assert_eq!(number, next_number);
            next_number += 1;
        }
        cursor.release(0, next_number);
    }
    eventually("there is room again", || channel.wait_for_room(Duration::from_millis(10)));
}

/// Scenario: an append after the end. Guarantees: it is refused, and closing twice is fine.
fn refuses_after_close(channel: &dyn Channel) {
    append(channel, 0..1);
    channel.close().expect("closes");
    channel.close().expect("closing again changes nothing");
    let (ticket, _receipt) = ticket();
    match channel.try_append(&numbered(1..2), ticket) {
        Err(AppendError::Closed(ticket)) => ticket.cancel(),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// Scenario: half of what was appended is released, the channel is closed and opened again.
/// Guarantees: the other half comes, under the same positions and the same identity.
fn survives_reopening(registry: &Registry, options: &str, folder: &Path) {
    let first = channel(registry, options, folder);
    let mut cursor = first.cursor("g").expect("a cursor");
    append(&*first, 0..10);
    append(&*first, 10..20);
    assert_eq!(read(&mut *cursor, 20).len(), 20);
    cursor.release(0, 10);
    let id = cursor.positions()[0].channel;
    first.close().expect("closes");
    drop((cursor, first));
    let second = channel(registry, options, folder);
    let mut cursor = second.cursor("g").expect("a cursor");
    let position = &cursor.positions()[0];
    assert_eq!((position.channel, position.released, position.end), (id, 10, 20));
    assert_eq!(read(&mut *cursor, 10), (10..20).collect::<Vec<_>>());
}
