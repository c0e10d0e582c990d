//! [`parse_header`]: from PRI to where the message begins.

use weir_event::Span;

use super::context::ParseContext;
use super::stamp::{self, Stamp};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// 23 * 8 + 7: local7, debug.
const PRIORITY_MAX: u32 = 191;
/// What AIX puts before `host: ` when it relays a message.
const FORWARDED: &[u8] = b"Message forwarded from ";

/// Whether a line has a priority. That a frame was cut is known to framing, not here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// It starts with `<0>`..`<191>`.
    Ok,
    /// It does not; nothing else of the header is set. Flume's status `Invalid`.
    Invalid,
}

/// What the message of a line looks like inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Application, process id, message id, structured data, text.
    Rfc5424,
    /// `tag[pid]: text`, or anything.
    Legacy,
}

/// The header of one line. Spans are relative to the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Whether there is a priority.
    pub status: Status,
    /// How [`super::parse_message`] reads the message.
    pub format: Format,
    /// 0..=23; 0 without priority.
    pub facility: u8,
    /// 0..=7; 0 without priority.
    pub severity: u8,
    /// RFC 5424 version, 1..=999.
    pub version: Option<u16>,
    /// When the event happened, milliseconds since 1970 UTC.
    pub timestamp_ms: Option<i64>,
    /// Number that Cisco devices put before the timestamp; shows gaps.
    pub sequence: Option<u64>,
    /// The timestamp as it was sent, with its zone; absent where `timestamp_ms` is.
    pub timestamp: Option<Span>,
    /// The device; absent if the line has none or has `-`.
    pub host: Option<Span>,
    /// What follows the host: Flume's body.
    pub message: Span,
}

impl Header {
    /// PRI as a number: facility * 8 + severity.
    #[must_use]
    pub fn priority(&self) -> u8 {
        self.facility * 8 + self.severity
    }

    fn new(line: &[u8], status: Status, priority: u8, at: usize) -> Self {
        Self {
            status,
            format: Format::Legacy,
            facility: priority / 8,
            severity: priority % 8,
            version: None,
            timestamp_ms: None,
            sequence: None,
            timestamp: None,
            host: None,
            message: span(at, line.len()),
        }
    }

    /// `-` says that there is no host.
    #[inline]
    fn set_host(&mut self, line: &[u8], start: usize, end: usize) {
        if !matches!(&line[start..end], [] | [b'-']) {
            self.host = Some(span(start, end));
        }
    }

    fn set_timestamp(&mut self, start: usize, stamp: Stamp) {
        self.timestamp_ms = Some(stamp.ms);
        self.timestamp = Some(span(start, stamp.end));
    }
}

/// A stretch of a line. Lines are frames or datagrams, far below 4 GiB.
#[inline]
fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, len: (end - start) as u32 }
}

/// Reads the header of a line, which is at most 4 GiB long. Never fails: see the table of the module. No allocation;
/// about 25 ns for the two standard forms, 60 ns for what devices make of them.
#[must_use]
#[inline]
pub fn parse_header(line: &[u8], context: &ParseContext) -> Header {
    let Some((priority, at)) = priority(line, 0) else {
        return unusual_start(line, context);
    };
    after_priority(line, priority, at, context)
}

#[inline]
fn after_priority(line: &[u8], priority: u8, at: usize, context: &ParseContext) -> Header {
    let mut header = Header::new(line, Status::Ok, priority, at);
    match line.get(at) {
        Some(b'A'..=b'Z') => match stamp::plain(line, at, context) {
            Some(stamp) => after_stamp(line, at, stamp, &mut header),
            None => unusual(line, at, context, &mut header),
        },
        Some(b'1'..=b'9') if version(line, at, context, &mut header) => {}
        _ => unusual(line, at, context, &mut header),
    }
    header
}

/// `<` 1-3 digits `>`: the number, and where it ends.
#[inline]
fn priority(line: &[u8], at: usize) -> Option<(u8, usize)> {
    let [b'<', rest @ ..] = line.get(at..)? else {
        return None;
    };
    let mut value = 0;
    for (index, byte) in rest.iter().take(4).enumerate() {
        match byte {
            b'0'..=b'9' if index < 3 => value = value * 10 + u32::from(byte - b'0'),
            // At most 191, so it fits.
            b'>' if index > 0 && value <= PRIORITY_MAX => {
                return Some((value as u8, at + index + 2));
            }
            _ => return None,
        }
    }
    None
}

/// A line without PRI at its first byte: behind a byte order mark, or without it at all.
#[cold]
fn unusual_start(line: &[u8], context: &ParseContext) -> Header {
    if line.starts_with(BYTE_ORDER_MARK)
        && let Some((priority, at)) = priority(line, BYTE_ORDER_MARK.len())
    {
        return after_priority(line, priority, at, context);
    }
    Header::new(line, Status::Invalid, 0, 0)
}

/// `VERSION SP TIMESTAMP SP HOST SP`, the timestamp of RFC 5424, `-`, or seconds since 1970 (Meraki).
#[inline]
fn version(line: &[u8], at: usize, context: &ParseContext, header: &mut Header) -> bool {
    // One digit nearly always.
    let (number, digits) = if line.get(at + 1) == Some(&b' ') {
        (u64::from(line[at] - b'0'), 1)
    } else {
        let Some((number, digits @ 2..=3)) = stamp::number(line, at) else {
            return false;
        };
        if line.get(at + digits) != Some(&b' ') {
            return false;
        }
        (number, digits)
    };
    let start = at + digits + 1;
    let end = if let Some(stamp) = stamp::iso(line, start, context) {
        header.set_timestamp(start, stamp);
        stamp.end
    } else if matches!(line.get(start..), Some([b'-'] | [b'-', b' ', ..])) {
        start + 1
    } else {
        let Some(stamp) = stamp::epoch(line, start) else {
            return false;
        };
        header.version = Some(number as u16);
        after_stamp(line, start, stamp, header);
        return true;
    };
    header.version = Some(number as u16);
    header.format = Format::Rfc5424;
    modern_host(line, end, header);
    true
}

/// The host of RFC 5424: everything up to the next blank. A word that ends with a colon is a tag: Junos leaves the
/// host out.
#[inline]
fn modern_host(line: &[u8], end: usize, header: &mut Header) {
    let start = end + usize::from(line.get(end) == Some(&b' '));
    let stop = word_end(line, start);
    match &line[start..stop] {
        [.., b':'] if !is_ipv6(&line[start..stop]) => {
            header.format = Format::Legacy;
            header.message = span(start, line.len());
            return;
        }
        _ => header.set_host(line, start, stop),
    }
    header.message = span(line.len().min(stop + 1), line.len());
}

#[inline]
fn word_end(line: &[u8], start: usize) -> usize {
    line[start..].iter().position(|byte| *byte == b' ').map_or(line.len(), |found| start + found)
}

/// What may follow a legacy timestamp: a colon and the message, or a host and the message, or the message.
#[inline]
fn after_stamp(line: &[u8], start: usize, stamp: Stamp, header: &mut Header) {
    header.set_timestamp(start, stamp);
    let at = skip_blanks(line, stamp.end);
    if line.get(at) == Some(&b':') {
        header.message = span(skip_blanks(line, at + 1), line.len());
        return;
    }
    let mut stop = at;
    while let Some(byte) = line.get(stop)
        && HOST_BYTES[*byte as usize]
    {
        stop += 1;
    }
    let message = match line.get(stop) {
        Some(b' ' | b'\t') if stop > at && !is_not_host(&line[at..]) => {
            header.set_host(line, at, stop);
            stop + 1
        }
        Some(b' ' | b':' | b'[') => unusual_host(line, at, header),
        _ => at,
    };
    header.message = span(message, line.len());
}

/// Bytes of host names as devices have them. Not among them: what ends a word or a tag, and what is found in messages
/// of devices that send no host (`key=value`, JSON, CEF, `%FACILITY-`).
const HOST_BYTES: [bool; 256] = {
    let mut table = [true; 256];
    let mut byte = 0;
    while byte <= b' ' {
        table[byte as usize] = false;
        byte += 1;
    }
    let others = b":[]{}<>()%=|;\"'`!*?\\^\x7f";
    let mut index = 0;
    while index < others.len() {
        table[others[index] as usize] = false;
        index += 1;
    }
    table
};

/// Words where a host should be that are known not to be one: a path, PAN-OS without host (`1,2015/01/05 05:38:58,`),
/// and what syslog daemons add themselves.
#[inline]
fn is_not_host(text: &[u8]) -> bool {
    match text {
        [b'/', ..] | [b'0'..=b'9', b',', ..] => true,
        [b'l', ..] => text.starts_with(b"last message repeated "),
        [b'M', ..] => text.starts_with(FORWARDED),
        _ => false,
    }
}

/// A host that is an IPv6 address, or that AIX announces. Returns where the message starts.
#[cold]
fn unusual_host(line: &[u8], at: usize, header: &mut Header) -> usize {
    let (start, stop) = if line[at..].starts_with(FORWARDED) {
        let start = at + FORWARDED.len();
        let stop = word_end(line, start);
        if line.get(stop.wrapping_sub(1)) != Some(&b':') || stop - start < 2 {
            return at;
        }
        (start, stop - 1)
    } else {
        let stop = word_end(line, at);
        if stop == line.len() || !is_ipv6(&line[at..stop]) {
            return at;
        }
        (at, stop)
    };
    header.set_host(line, start, stop);
    let colon = usize::from(line.get(stop) == Some(&b':'));
    skip_blanks(line, stop + colon)
}

/// Whether a word is an IPv6 address, in brackets or not, with an optional zone.
fn is_ipv6(word: &[u8]) -> bool {
    let bare = word.strip_prefix(b"[").and_then(|word| word.strip_suffix(b"]")).unwrap_or(word);
    std::str::from_utf8(bare.split(|byte| *byte == b'%').next().unwrap_or_default())
        .is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
}

#[inline]
fn skip_blanks(line: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t') = line.get(at) {
        at += 1;
    }
    at
}

/// Whatever stands between PRI and a legacy timestamp: blanks, a colon, a version, sequence numbers, the name of the
/// device or of its processor. Leaves `header` as it is if there is no timestamp behind them.
#[cold]
fn unusual(line: &[u8], at: usize, context: &ParseContext, header: &mut Header) {
    let mut at = skip_blanks(line, at);
    if line.get(at) == Some(&b':') {
        at = skip_blanks(line, at + 1);
    }
    if let Some(stamp) = any_stamp(line, at, context) {
        return after_stamp(line, at, stamp, header);
    }
    let mut sequence = None;
    // Cisco can number twice: messages sent to this receiver, then messages of the device.
    for _ in 0..2 {
        if let Some((number, digits)) = stamp::number(line, at)
            && line.get(at + digits) == Some(&b':')
        {
            sequence = sequence.or(Some(number));
            at = skip_blanks(line, at + digits + 1);
        }
    }
    if sequence.is_none()
        && let Some((number, digits @ 1..=3)) = stamp::number(line, at)
        && let Some(after) = stamp::blanks(line, at + digits)
        && let Some(stamp) = stamp::named_month(line, after, context)
    {
        // Some devices write the version of RFC 5424 before a timestamp of RFC 3164.
        header.version = Some(number as u16);
        return after_stamp(line, after, stamp, header);
    }
    if let Some(stamp) = any_stamp(line, at, context) {
        header.sequence = sequence;
        return after_stamp(line, at, stamp, header);
    }
    if sequence.is_some() {
        named_before_stamp(line, at, sequence, context, header);
    }
}

fn any_stamp(line: &[u8], at: usize, context: &ParseContext) -> Option<Stamp> {
    stamp::iso(line, at, context).or_else(|| stamp::named_month(line, at, context))
}

/// `name: timestamp` (IOS with `logging origin-id`, Cisco UCM), or `name node:timestamp` (IOS XR). The node is in no
/// header, so there the message starts with it.
fn named_before_stamp(line: &[u8], at: usize, sequence: Option<u64>, context: &ParseContext, header: &mut Header) {
    let stop = word_end(line, at);
    let word = &line[at..stop];
    if let Some(name) = word.strip_suffix(b":")
        && name.iter().any(|byte| !byte.is_ascii_digit())
        && let Some(after) = stamp::blanks(line, stop)
        && let Some(stamp) = any_stamp(line, after, context)
    {
        header.sequence = sequence;
        after_stamp(line, after, stamp, header);
        // One host only: a second one is text.
        if let Some(second) = header.host.take() {
            header.message = span(second.start as usize, line.len());
        }
        header.set_host(line, at, stop - 1);
        return;
    }
    let node = if word.contains(&b':') { at } else { skip_blanks(line, stop) };
    let node_end = word_end(line, node);
    let Some(colon) = line[node..node_end].iter().position(|byte| *byte == b':') else {
        return;
    };
    let start = node + colon + 1;
    if !line[node..start].contains(&b'/') {
        return;
    }
    if let Some(stamp) = any_stamp(line, start, context) {
        header.sequence = sequence;
        header.set_timestamp(start, stamp);
        if node > at {
            header.set_host(line, at, stop);
        }
        header.message = span(node, line.len());
    }
}
