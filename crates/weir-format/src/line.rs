//! Events to lines.
//!
//! | format | line |
//! |---|---|
//! | text | the body and a line feed. Line feeds inside a body are written as they are, as Flume does: then an event is more than one line |
//! | json | `{"timestamp":1700000000123,"host":"fw1","Severity":"6","body":"..."}` |
//!
//! JSON loses nothing and is the same whatever channel the event came through: `timestamp` is a number if it is one,
//! other headers are strings, or `{"base64":"..."}` where they are not UTF-8. The body is `body`, or `body_base64` where
//! it is not UTF-8. A header named `body` or `body_base64`, or starting with `header.`, gets `header.` before its name.

use std::io::Write as _;

use weir_event::{ABSENT_I64, Column, EventBatch, Span, names};

/// Writes the events of one batch. What is the same for all of them is prepared once.
pub(crate) struct LineWriter<'a> {
    batch: &'a EventBatch,
    bodies: &'a [Span],
    arena: &'a [u8],
    headers: Option<Vec<Header<'a>>>,
}

enum Header<'a> {
    /// `,"name":"value"`, ready.
    Constant(Vec<u8>),
    /// `,"timestamp":` and its number.
    Timestamp(&'a Column),
    /// `,"name":` and the values.
    Each(Vec<u8>, &'a Column),
}

impl<'a> LineWriter<'a> {
    /// A writer for the events of `batch`.
    pub(crate) fn new(is_json: bool, batch: &'a EventBatch) -> Self {
        let headers = is_json.then(|| json_headers(batch));
        Self { batch, bodies: batch.body_spans(), arena: batch.body_arena(), headers }
    }

    /// Appends the line of event `row`.
    #[inline]
    pub(crate) fn write(&self, row: usize, out: &mut Vec<u8>) {
        match &self.headers {
            None => out.extend_from_slice(self.body(row)),
            Some(headers) => self.write_json(headers, row, out),
        }
        out.push(b'\n');
    }

    #[inline]
    fn body(&self, row: usize) -> &[u8] {
        self.bodies.get(row).and_then(|span| span.of(self.arena)).unwrap_or_default()
    }

    fn write_json(&self, headers: &[Header<'_>], row: usize, out: &mut Vec<u8>) {
        let start = out.len();
        for header in headers {
            match header {
                Header::Constant(ready) => out.extend_from_slice(ready),
                Header::Timestamp(column) => self.write_timestamp(column, row, out),
                Header::Each(key, Column::I64(values)) => {
                    if let Some(value) = self.number(values, row) {
                        out.extend_from_slice(key);
                        out.push(b'"');
                        write_number(value, out);
                        out.push(b'"');
                    }
                }
                Header::Each(key, column) => {
                    if let Some(value) = self.batch.value(column, row) {
                        out.extend_from_slice(key);
                        write_value(&value, out);
                    }
                }
            }
        }
        match std::str::from_utf8(self.body(row)) {
            Ok(body) => {
                out.extend_from_slice(b",\"body\":");
                write_string(body, out);
            }
            Err(_) => {
                out.extend_from_slice(b",\"body_base64\":\"");
                write_base64(self.body(row), out);
                out.push(b'"');
            }
        }
        // Every member begins with a comma; the first one's place is that of the brace.
        out[start] = b'{';
        out.push(b'}');
    }

    fn write_timestamp(&self, column: &Column, row: usize, out: &mut Vec<u8>) {
        const KEY: &[u8] = b",\"timestamp\":";
        let number = match column {
            Column::I64(values) => self.number(values, row),
            _ => self.batch.timestamp_ms(row),
        };
        if let Some(ms) = number {
            out.extend_from_slice(KEY);
            write_number(ms, out);
        } else if let Some(text) = self.batch.value(column, row) {
            out.extend_from_slice(KEY);
            write_value(&text, out);
        }
    }

    #[inline]
    fn number(&self, values: &[i64], row: usize) -> Option<i64> {
        values.get(self.batch.rows().start + row).copied().filter(|value| *value != ABSENT_I64)
    }
}

fn json_headers(batch: &EventBatch) -> Vec<Header<'_>> {
    let mut headers = Vec::with_capacity(batch.columns().len());
    for (name, column) in batch.columns() {
        if *name == names::TIMESTAMP {
            headers.insert(0, Header::Timestamp(column));
            continue;
        }
        let mut key = vec![b','];
        let name = name.as_str();
        if matches!(name, "body" | "body_base64") || name.starts_with("header.") {
            write_string(&format!("header.{name}"), &mut key);
        } else {
            write_string(name, &mut key);
        }
        key.push(b':');
        headers.push(match column {
            Column::Constant(value) => {
                write_value(value, &mut key);
                Header::Constant(key)
            }
            column => Header::Each(key, column),
        });
    }
    headers
}

fn write_value(value: &[u8], out: &mut Vec<u8>) {
    match std::str::from_utf8(value) {
        Ok(text) => write_string(text, out),
        Err(_) => {
            out.extend_from_slice(b"{\"base64\":\"");
            write_base64(value, out);
            out.extend_from_slice(b"\"}");
        }
    }
}

/// Writes a JSON string: runs of plain bytes are copied whole.
fn write_string(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    out.push(b'"');
    while let Some(at) = first_to_escape(rest) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => write!(out, "\\u{other:04x}").expect("writing to memory cannot fail"),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// The first control character, quotation mark or backslash.
fn first_to_escape(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // Eight bytes at once. A byte's high bit ends up set if the byte is below the bound; a borrow may set that of a
    // byte above a true one too, never without one below, so that "none" is exact and the rest is looked at one by one.
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & HIGH;
    let is_special = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    let (words, _) = bytes.as_chunks::<8>();
    let plain = words.iter().take_while(|word| {
        let word = u64::from_le_bytes(**word);
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        below(word, u64::from(b' ')) | quote | backslash == 0
    });
    let start = 8 * plain.count();
    bytes[start..].iter().position(is_special).map(|at| start + at)
}

/// Writes a number in decimal.
fn write_number(value: i64, out: &mut Vec<u8>) {
    // As long as the longest, -9223372036854775808.
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        start -= 1;
        digits[start] = b'-';
    }
    out.extend_from_slice(&digits[start..]);
}

/// RFC 4648, standard alphabet, padded.
fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let byte = |index| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) as usize & 63;
            out.push(if digit <= group.len() { ALPHABET[value] } else { b'=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::{Value, json};
    use weir_event::{Arena, BatchBuilder, HeaderName, TextColumn};

    use super::*;

    fn lines(is_json: bool, batch: &EventBatch) -> Vec<u8> {
        let writer = LineWriter::new(is_json, batch);
        let mut out = Vec::new();
        (0..batch.len()).for_each(|row| writer.write(row, &mut out));
        out
    }

    fn objects(batch: &EventBatch) -> Vec<Value> {
        let text = String::from_utf8(lines(true, batch)).expect("JSON is UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("one object per line")).collect()
    }

    /// Scenario: bodies with and without line feeds as text.
    /// Guarantees: each body as it is, and a line feed.
    #[test]
    fn text_is_the_body_and_a_line_feed() {
        let batch = EventBatch::from_bodies(&[&b"one"[..], b"", b"two\nlines", b"\xff"], 0);
        assert_eq!(lines(false, &batch), b"one\n\ntwo\nlines\n\xff\n");
        assert_eq!(lines(false, &batch.slice(2..3)), b"two\nlines\n");
    }

    /// Scenario: numbers, texts, constants, absent values, names in need of care, bytes that are no text.
    /// Guarantees: one object per event, from which every header and the body can be had back.
    #[test]
    fn json_keeps_everything() {
        let mut builder = BatchBuilder::new();
        let host = builder.text_column(names::HOST);
        builder.set_text(host, Span::new(0, 2));
        builder.push(Span::new(2, 4));
        builder.push(Span::new(6, 2));
        let mut batch = builder.seal(Arena::detached(b"\xffh\"a\n\x01\xfe\x00".to_vec()), 5);
        batch.set_i64(names::SEVERITY, vec![3, ABSENT_I64]);
        batch.set_constant(HeaderName::new("body"), "not the body");
        batch.set_constant(HeaderName::new("header.x\t"), "y");
        batch.set_i64(names::TIMESTAMP, vec![ABSENT_I64, 1_700_000_000_123]);
        let expected = [
            json!({"host": {"base64": "/2g="}, "Severity": "3", "header.body": "not the body", "header.header.x\t": "y",
                   "body": "\"a\n\u{1}"}),
            json!({"timestamp": 1_700_000_000_123_i64, "header.body": "not the body", "header.header.x\t": "y",
                   "body_base64": "/gA="}),
        ];
        assert_eq!(objects(&batch), expected);
        let text = String::from_utf8(lines(true, &batch)).expect("JSON is UTF-8");
        let second = text.lines().nth(1).expect("two lines");
        assert!(second.starts_with("{\"timestamp\":1700000000123,"), "{second}");
        let mut batch = EventBatch::from_bodies(&["x"], 0);
        assert_eq!(lines(true, &batch), b"{\"body\":\"x\"}\n");
        batch.set_constant(names::TIMESTAMP, "soon");
        assert_eq!(objects(&batch), [json!({"timestamp": "soon", "body": "x"})]);
        batch.set_constant(names::TIMESTAMP, "12");
        assert_eq!(objects(&batch), [json!({"timestamp": 12, "body": "x"})]);
    }

    fn decode_base64(text: &str) -> Vec<u8> {
        let value = |c: u8| match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        let digits: Vec<u8> = text.bytes().filter(|c| *c != b'=').map(value).collect();
        let mut out = Vec::new();
        for group in digits.chunks(4) {
            let bits = group.iter().fold(0_u32, |bits, digit| bits << 6 | u32::from(*digit)) << (6 * (4 - group.len()));
            out.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
        }
        out
    }

    proptest! {
        /// Scenario: any number.
        /// Guarantees: it is written as everybody writes it.
        #[test]
        fn numbers_are_decimal(value: i64, shift in 0_u32..64) {
            let mut out = Vec::new();
            for value in [value >> shift, i64::MIN, 0] {
                out.clear();
                write_number(value, &mut out);
                prop_assert_eq!(&out, &value.to_string().into_bytes());
            }
        }

        /// Scenario: any bytes as body and header.
        /// Guarantees: an independent JSON parser gives the same bytes back.
        #[test]
        fn any_bytes_come_back(body in prop::collection::vec(any::<u8>(), 0..40), text in "[ -~\\x00-\\x1f]{0,60}|.{0,20}", binary: bool) {
            let body = if binary { body } else { text.clone().into_bytes() };
            let mut batch = EventBatch::from_bodies(&[&body], 0);
            let spans = Arc::new(vec![Span::new(0, body.len())]);
            batch.set_text(HeaderName::new(&format!("h{text}")), TextColumn { arena: body.clone().into(), spans });
            let object = objects(&batch).remove(0);
            let bytes = |plain: Option<&Value>, packed: Option<&Value>| match (plain, packed) {
                (Some(Value::String(text)), _) => text.clone().into_bytes(),
                (_, Some(Value::String(text))) => decode_base64(text),
                other => panic!("{other:?}"),
            };
            prop_assert_eq!(&bytes(object.get("body"), object.get("body_base64")), &body);
            let header = &object[format!("h{text}")];
            prop_assert_eq!(&bytes(Some(header), header.get("base64")), &body);
        }
    }
}
