//! Solr's binary form: types stand before values, lengths before texts, so that Solr neither parses numbers and times nor
//! looks for quotes. What is written here is what `JavaBinUpdateRequestCodec` reads.
//!
//! Strings that were defined earlier in a stream can be named by number. A request defines the names of fields once, before
//! its documents, in an entry that Solr reads and has no use for; so documents can be joined to requests in any way.

use bytes::{BufMut as _, BytesMut};

use super::Name;

const VERSION: u8 = 2;
const INT: u8 = 6;
const LONG: u8 = 7;
const DATE: u8 = 9;
const ITERATOR: u8 = 14;
const END: u8 = 15;
const INPUT_DOCUMENT: u8 = 16;
/// The boost of a document, which nobody uses any more but which has to be there: a float, 1.
const BOOST: [u8; 5] = [8, 0x3f, 0x80, 0, 0];
/// Upper three bits of a byte whose lower five are a small length or number.
const TEXT: u8 = 1 << 5;
const ARRAY: u8 = 4 << 5;
const NAMED_LIST: u8 = 6 << 5;
const KNOWN_TEXT: u8 = 7 << 5;
/// What fits into the lower bits is written there; for more they are all set, and the rest follows.
const SMALL_MAX: usize = 0x1f;
/// `params` and `names` are defined before the names of fields; numbers begin with 1.
const FIRST_NAME: usize = 3;
/// Where the number of fields is, from the start of a document.
const FIELDS_AT: usize = 1;

/// Most fields of a document: what one byte of a variable number holds.
pub(super) const FIELDS_MAX: usize = 0x7f;

/// What stands before the documents of a request.
pub(super) fn begin_request(out: &mut BytesMut, names: &[String]) {
    out.put_u8(VERSION);
    small(out, NAMED_LIST, 3);
    define(out, "params");
    small(out, NAMED_LIST, 0);
    define(out, "names");
    small(out, ARRAY, names.len());
    for name in names {
        define(out, name);
    }
    define(out, "docs");
    out.put_u8(ITERATOR);
}

/// What stands behind them.
pub(super) fn end_request(out: &mut BytesMut) {
    out.put_u8(END);
}

/// Before the first field. One byte is kept for the number of fields.
pub(super) fn begin_document(out: &mut BytesMut) {
    out.put_slice(&[INPUT_DOCUMENT, 0]);
    out.put_slice(&BOOST);
}

/// Says how many fields a document has, at most [`FIELDS_MAX`].
pub(super) fn end_document(document: &mut [u8], fields: usize) {
    document[FIELDS_AT] = fields as u8;
}

/// The name of a field: its number, or its definition where the request has none.
pub(super) fn name(out: &mut BytesMut, name: &Name) {
    match name.number {
        Some(number) => small(out, KNOWN_TEXT, FIRST_NAME + number),
        None => define(out, &name.text),
    }
}

/// A text; what is not UTF-8 is replaced.
pub(super) fn text(out: &mut BytesMut, value: &[u8]) {
    let value = String::from_utf8_lossy(value);
    small(out, TEXT, value.len());
    out.put_slice(value.as_bytes());
}

/// A whole number of 32 bits, or of 64 if it needs that.
pub(super) fn number(out: &mut BytesMut, value: i64) {
    match i32::try_from(value) {
        Ok(value) => {
            out.put_u8(INT);
            out.put_i32(value);
        }
        Err(_) => {
            out.put_u8(LONG);
            out.put_i64(value);
        }
    }
}

/// A time in milliseconds since 1970 UTC.
pub(super) fn time(out: &mut BytesMut, milliseconds: i64) {
    out.put_u8(DATE);
    out.put_i64(milliseconds);
}

/// A string that gets the next number.
fn define(out: &mut BytesMut, value: &str) {
    small(out, KNOWN_TEXT, 0);
    text(out, value.as_bytes());
}

/// A tag with a length or number.
fn small(out: &mut BytesMut, tag: u8, value: usize) {
    if value < SMALL_MAX {
        out.put_u8(tag | value as u8);
        return;
    }
    out.put_u8(tag | SMALL_MAX as u8);
    let mut rest = value - SMALL_MAX;
    while rest >= 0x80 {
        out.put_u8(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: lengths below, at and above what fits into the tag.
    /// Guarantees: the bytes that Solr's codec writes for them.
    #[test]
    fn lengths() {
        let written = |length: usize| {
            let mut out = BytesMut::new();
            small(&mut out, TEXT, length);
            out.to_vec()
        };
        assert_eq!(written(0), [0x20]);
        assert_eq!(written(30), [0x3e]);
        assert_eq!(written(31), [0x3f, 0]);
        assert_eq!(written(31 + 127), [0x3f, 127]);
        assert_eq!(written(31 + 128), [0x3f, 0x80, 1]);
        assert_eq!(written(31 + 300), [0x3f, 0xac, 2]);
    }
}
