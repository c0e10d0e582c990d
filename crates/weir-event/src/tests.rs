use crate::*;

fn two_columns() -> EventBatch {
    let mut builder = BatchBuilder::new();
    let host = builder.text_column(names::HOST);
    let severity = builder.i64_column(names::SEVERITY);
    let _never_set = builder.i64_column(names::VERSION);
    let arena = Arena::detached(b"fw1 up\nfw2 down\nlost\n".to_vec());
    builder.set_text(host, Span::new(0, 3));
    builder.push(Span::new(4, 2));
    builder.set_text(host, Span::new(7, 3));
    builder.set_i64(severity, 3);
    builder.push(Span::new(11, 4));
    builder.push(Span::new(16, 4));
    builder.seal(arena, 1_000)
}

/// Scenario: events with different headers are collected and sealed.
/// Guarantees: every event has exactly its own headers; a column nobody set does not exist.
#[test]
fn columns_are_filled_where_an_event_has_no_value() {
    let batch = two_columns();
    assert_eq!(batch.len(), 3);
    assert_eq!(batch.body(1), b"down");
    assert_eq!(batch.header(0, "host").as_deref(), Some(&b"fw1"[..]));
    assert_eq!(batch.header(0, "Severity"), None);
    assert_eq!(batch.header(1, "Severity").as_deref(), Some(&b"3"[..]));
    assert_eq!(batch.header(2, "host"), None);
    assert!(batch.column("version").is_none());
    assert_eq!(batch.body_bytes(), 10);
}

/// Scenario: a batch with positions is sliced, selected from, and given new columns.
/// Guarantees: rows keep their own headers and offsets; no bytes are copied.
#[test]
fn slices_and_selections_keep_headers_and_offsets() {
    let channel = ChannelId { log: 7, partition: 0 };
    let batch = two_columns().with_origin(Origin { channel, offsets: Offsets::Contiguous { first: 100 } });
    let mut tail = batch.slice(1..3);
    assert_eq!(tail.origin().and_then(|origin| origin.offset(0)), Some(101));
    assert_eq!(tail.header(0, "host").as_deref(), Some(&b"fw2"[..]));
    tail.set_i64(names::TIMESTAMP, vec![5, ABSENT_I64]);
    assert_eq!((tail.timestamp_ms(0), tail.timestamp_ms(1)), (Some(5), None));
    assert_eq!(tail.header(0, "host").as_deref(), Some(&b"fw2"[..]));
    assert_eq!(tail.origin().and_then(|origin| origin.offset(1)), Some(102));
    let picked = batch.select(&[0, 2]);
    assert_eq!(picked.origin().and_then(|origin| origin.offset(1)), Some(102));
    assert_eq!((picked.body(0), picked.body(1)), (&b"up"[..], &b"lost"[..]));
    assert_eq!(picked.body_arena().as_ptr(), batch.body_arena().as_ptr());
}

/// Scenario: constant headers are set, replaced and removed.
/// Guarantees: one value for all events; the last one set wins.
#[test]
fn constant_headers_apply_to_every_event() {
    let mut batch = two_columns();
    batch.set_constant(names::HOST, "edge1");
    batch.set_constant(HeaderName::new("dc"), "east");
    assert_eq!(batch.header(2, "host").as_deref(), Some(&b"edge1"[..]));
    assert!(batch.remove("dc") && !batch.remove("dc"));
    assert_eq!(batch.columns().len(), 2);
}

/// Scenario: batches come and go over one pool.
/// Guarantees: memory is reused once the last batch over it is gone, and an overgrown arena is not kept.
#[test]
fn arenas_return_to_their_pool() {
    let pool = ArenaPool::new(1024, 2);
    let mut arena = pool.take();
    arena.buffer().resize(600, b'x');
    let address = arena.as_slice().as_ptr();
    let bytes = arena.freeze();
    let slice = bytes.slice(1..2);
    drop(bytes);
    assert_ne!(pool.take().as_slice().as_ptr(), address, "still referenced");
    drop(slice);
    let again = [pool.take(), pool.take()];
    assert!(again.iter().any(|arena| arena.as_slice().as_ptr() == address));
    let mut quiet = pool.take();
    quiet.buffer().push(b'x');
    assert_eq!(quiet.freeze().len(), 1, "a copy; the arena is free already");
    let mut fat = pool.take();
    fat.buffer().resize(10_000, 0);
    drop(fat);
    drop(again);
    assert!((0..3).map(|_| pool.take()).all(|mut arena| arena.buffer().capacity() <= 2048));
}
