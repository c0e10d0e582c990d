//! [`parse_message`]: what stands inside the message of a line.

use super::header::{Format, Header, Status};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The fields of a message, as they were sent: structured data with its brackets and escapes. Absent where the line
/// has none or has `-`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    /// APP-NAME of RFC 5424; the tag of RFC 3164 without process id.
    pub app: Option<&'a [u8]>,
    /// PROCID of RFC 5424; what stands in brackets behind the tag of RFC 3164.
    pub procid: Option<&'a [u8]>,
    /// MSGID of RFC 5424.
    pub msgid: Option<&'a [u8]>,
    /// STRUCTURED-DATA of RFC 5424.
    pub structured_data: Option<&'a [u8]>,
    /// The text, without a byte order mark.
    pub msg: &'a [u8],
}

/// Reads the message of a line whose header was parsed. Never fails: what is not understood stays in `msg`. No
/// allocation; about 10 ns, and 1 ns more per byte of structured data.
#[must_use]
pub fn parse_message<'a>(line: &'a [u8], header: &Header) -> Message<'a> {
    let body = header.message.of(line).unwrap_or_default();
    let message = match (header.status, header.format) {
        (Status::Invalid, _) => return text_only(body),
        (_, Format::Rfc5424) => modern(body),
        (_, Format::Legacy) => legacy(body),
    };
    Message { msg: message.msg.strip_prefix(BYTE_ORDER_MARK).unwrap_or(message.msg), ..message }
}

/// `APP SP PROCID SP MSGID SP STRUCTURED-DATA [SP MSG]`.
fn modern(body: &[u8]) -> Message<'_> {
    let (app, rest) = field(body);
    let (procid, rest) = field(rest);
    let (msgid, rest) = field(rest);
    let (structured_data, msg) = match rest {
        [b'-'] => (None, &rest[1..]),
        [b'-', b' ', ..] => (None, &rest[2..]),
        [b'[', ..] => match structured_data_end(rest) {
            Some(end) => (Some(&rest[..end]), rest[end..].strip_prefix(b" ").unwrap_or(&rest[end..])),
            None => (None, rest),
        },
        _ => (None, rest),
    };
    Message { app, procid, msgid, structured_data, msg }
}

/// The next field and what follows the blank behind it.
fn field(text: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let (word, rest) = match memchr::memchr(b' ', text) {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, &[][..]),
    };
    (Some(word).filter(|word| !matches!(word, [] | [b'-'])), rest)
}

/// Where `[id name="value"][id ...]` ends. `None` if a bracket or quote stays open, which makes it text.
fn structured_data_end(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while text.get(at) == Some(&b'[') {
        let mut quoted = false;
        loop {
            at += 1;
            match text.get(at)? {
                b'"' => quoted = !quoted,
                b'\\' if quoted => at += 1,
                b']' if !quoted => break,
                _ => {}
            }
        }
        at += 1;
    }
    Some(at)
}

fn text_only(msg: &[u8]) -> Message<'_> {
    Message { app: None, procid: None, msgid: None, structured_data: None, msg }
}

/// `tag[pid]: text`. The tag ends at a blank, a colon or a bracket; without any of them there is only text.
fn legacy(body: &[u8]) -> Message<'_> {
    let Some(tag_bytes) = body.iter().position(|byte| matches!(byte, b' ' | b'\t' | b':' | b'[')) else {
        return text_only(body);
    };
    let (tag, mut rest) = body.split_at(tag_bytes);
    let mut procid = None;
    if let Some(bracket) = rest.strip_prefix(b"[") {
        match memchr::memchr3(b']', b' ', b'[', bracket) {
            Some(end) if bracket[end] == b']' => {
                procid = Some(&bracket[..end]).filter(|procid| !procid.is_empty());
                rest = &bracket[end + 1..];
            }
            _ => return text_only(body),
        }
    }
    rest = rest.strip_prefix(b":").unwrap_or(rest);
    rest = rest.strip_prefix(b" ").unwrap_or(rest);
    Message { app: Some(tag).filter(|tag| !tag.is_empty()), procid, msg: rest, ..text_only(body) }
}
