use weir_event::{EventBatch, names};

/// Scenario: an event with headers and a body with a line feed, an escape character and bytes that are no text.
/// Guarantees: one line, nothing in it but printable ASCII, cut where the option says.
#[test]
fn logger_shows_headers_and_body() {
    let mut batch = EventBatch::from_bodies(&[b"up\n\x1b[31mfake\xff line".as_slice()], 0);
    batch.set_constant(names::HOST, "fw1");
    let line = super::line(&batch, 0, 8);
    assert_eq!(line, r"event { host=fw1 } up\n\x1b[31m... (18 bytes)");
}
