//! From frames in an arena to a batch of events.

use std::net::IpAddr;
use std::time::Instant;

use weir_codec::framing::{Frame, FrameError, FrameKind, Framer};
use weir_codec::syslog::{Header, ParseContext, Status, parse_header, parse_message};
use weir_engine::clock::now_ms;
use weir_event::{Arena, ArenaPool, BatchBuilder, ColumnId, EventBatch, HeaderName, Span, names};

use super::config::SyslogSpec;

/// What every arena starts with, so that the two status texts have spans.
const STATUS_TEXTS: &[u8] = b"InvalidIncomplete";
const INVALID: Span = Span { start: 0, len: 7 };
const INCOMPLETE: Span = Span { start: 7, len: 10 };
/// Arenas kept while unused: the ones a memory channel of the default size (64 MiB) lets go at once.
const POOL_FREE_MAX: usize = 64;
/// How long a parse context is good: the local offset changes twice a year, and years roll over with a month's grace.
const CONTEXT_MS_MAX: u64 = 60_000;

/// The batch being filled by one lane.
pub(super) struct Assembler {
    pool: ArenaPool,
    arena: Arena,
    events: Events,
    batch_bytes: usize,
    zone: jiff::tz::TimeZone,
    context_ms: Option<i64>,
    /// When the first event of the batch was read, by both clocks.
    opened: Option<(Instant, i64)>,
}

/// Builder, columns and parser: everything a frame touches besides the bytes.
struct Events {
    builder: BatchBuilder,
    columns: Columns,
    context: ParseContext,
    keep_line: bool,
    full_fields: bool,
    flagged: u64,
}

struct Columns {
    facility: ColumnId,
    severity: ColumnId,
    timestamp: ColumnId,
    host: ColumnId,
    version: ColumnId,
    status: ColumnId,
    app: ColumnId,
    procid: ColumnId,
    msgid: ColumnId,
    structured_data: ColumnId,
    client_ip: Option<ColumnId>,
}

impl Assembler {
    pub(super) fn new(spec: &SyslogSpec) -> Self {
        let pool = ArenaPool::new(spec.arena_bytes(), POOL_FREE_MAX);
        let mut builder = BatchBuilder::new();
        let columns = Columns {
            facility: builder.i64_column(names::FACILITY),
            severity: builder.i64_column(names::SEVERITY),
            timestamp: builder.i64_column(names::TIMESTAMP),
            host: builder.text_column(names::HOST),
            version: builder.i64_column(names::VERSION),
            status: builder.text_column(names::SYSLOG_STATUS),
            app: builder.text_column(HeaderName::from_static("app")),
            procid: builder.text_column(HeaderName::from_static("procid")),
            msgid: builder.text_column(HeaderName::from_static("msgid")),
            structured_data: builder.text_column(HeaderName::from_static("structured_data")),
            client_ip: spec.client_ip_header.clone().map(|name| builder.text_column(name)),
        };
        let events = Events {
            builder,
            columns,
            context: ParseContext::new(0, 0),
            keep_line: spec.keep_line,
            full_fields: spec.full_fields,
            flagged: 0,
        };
        let arena = fresh(&pool);
        let zone = spec.time_zone.clone();
        Self { pool, arena, events, batch_bytes: spec.batch_bytes, zone, context_ms: None, opened: None }
    }

    /// The arena, to read behind what it holds. The capacity always takes a carried part and as much again.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        self.arena.buffer()
    }

    /// Whether the batch has its size.
    pub(super) fn is_full(&self) -> bool {
        self.arena.as_slice().len() >= self.batch_bytes
    }

    /// When the first event came; `None` while there is none.
    pub(super) fn opened_at(&self) -> Option<Instant> {
        self.opened.map(|(at, _)| at)
    }

    /// Events kept whole and flagged since the last call.
    pub(super) fn take_flagged(&mut self) -> u64 {
        std::mem::take(&mut self.events.flagged)
    }

    /// Puts the address of a peer into the arena, if the configuration wants it in a header.
    pub(super) fn peer(&mut self, peer: Option<IpAddr>) -> Option<Span> {
        use std::io::Write as _;
        let (Some(_), Some(peer)) = (self.events.columns.client_ip, peer) else { return None };
        let buffer = self.arena.buffer();
        let start = buffer.len();
        write!(buffer, "{peer}").expect("a Vec takes any bytes");
        Some(Span::new(start, buffer.len() - start))
    }

    /// Frames the bytes of the arena from `start` on. Returns how many of them are dealt with.
    pub(super) fn stream(
        &mut self,
        framer: &mut Framer,
        start: usize,
        peer: Option<Span>,
    ) -> Result<usize, FrameError> {
        self.open();
        let (arena, events) = (self.arena.as_slice(), &mut self.events);
        framer.frames(&arena[start..], start, &mut |frame| events.add(arena, frame, peer))
    }

    /// Frames what is left of a stream that ended.
    pub(super) fn finish_stream(&mut self, framer: &mut Framer, start: usize, peer: Option<Span>) {
        self.open();
        let (arena, events) = (self.arena.as_slice(), &mut self.events);
        framer.finish(&arena[start..], start, &mut |frame| events.add(arena, frame, peer));
    }

    /// Takes a datagram: one event, whatever is in it. Empty ones are none. `cut`: the kernel had more.
    pub(super) fn datagram(&mut self, bytes: &[u8], cut: bool, peer: Option<IpAddr>) {
        let end = bytes.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r' | 0)).map_or(0, |last| last + 1);
        if end == 0 {
            return;
        }
        self.open();
        let peer = self.peer(peer);
        let buffer = self.arena.buffer();
        let span = Span::new(buffer.len(), end);
        buffer.extend_from_slice(&bytes[..end]);
        let kind = if cut { FrameKind::Cut } else { FrameKind::Whole };
        self.events.add(self.arena.as_slice(), Frame { span, kind }, peer);
    }

    /// Drops what was read behind `end`: a part that is carried elsewhere.
    pub(super) fn truncate(&mut self, end: usize) {
        self.arena.buffer().truncate(end);
    }

    /// Ends the batch, if it has an event.
    pub(super) fn seal(&mut self) -> Option<EventBatch> {
        let (_, arrival_ms) = self.opened.take()?;
        if self.events.builder.is_empty() {
            // Only addresses of peers are in it; without this a trickle of parts would fill it for good.
            self.truncate(STATUS_TEXTS.len());
            return None;
        }
        let arena = std::mem::replace(&mut self.arena, fresh(&self.pool));
        Some(self.events.builder.seal(arena, arrival_ms))
    }

    fn open(&mut self) {
        if self.opened.is_some() {
            return;
        }
        let now = now_ms();
        self.opened = Some((Instant::now(), now));
        if self.context_ms.is_none_or(|made| made.abs_diff(now) > CONTEXT_MS_MAX) {
            let at = jiff::Timestamp::from_millisecond(now).unwrap_or_default();
            self.events.context = ParseContext::new(now, self.zone.to_offset(at).seconds());
            self.context_ms = Some(now);
        }
    }
}

fn fresh(pool: &ArenaPool) -> Arena {
    let mut arena = pool.take();
    arena.buffer().extend_from_slice(STATUS_TEXTS);
    arena
}

impl Events {
    #[inline]
    fn add(&mut self, arena: &[u8], frame: Frame, peer: Option<Span>) {
        let line = frame.span.of(arena).unwrap_or_default();
        let header = parse_header(line, &self.context);
        let columns = &self.columns;
        let builder = &mut self.builder;
        builder.set_i64(columns.facility, i64::from(header.facility));
        builder.set_i64(columns.severity, i64::from(header.severity));
        if let Some(timestamp_ms) = header.timestamp_ms {
            builder.set_i64(columns.timestamp, timestamp_ms);
        }
        if let Some(host) = header.host {
            builder.set_text(columns.host, within(frame.span, host));
        }
        if let Some(version) = header.version {
            builder.set_i64(columns.version, i64::from(version));
        }
        if header.status == Status::Invalid || frame.kind == FrameKind::Cut {
            let status = if frame.kind == FrameKind::Cut { INCOMPLETE } else { INVALID };
            builder.set_text(columns.status, status);
            self.flagged += 1;
        }
        if let (Some(column), Some(peer)) = (columns.client_ip, peer) {
            builder.set_text(column, peer);
        }
        let mut body = within(frame.span, header.message);
        if self.full_fields && header.status == Status::Ok {
            body = self.fields(frame.span, line, &header);
        }
        self.builder.push(if self.keep_line { frame.span } else { body });
    }

    /// Sets the fields inside the message; returns what is left of it.
    fn fields(&mut self, frame: Span, line: &[u8], header: &Header) -> Span {
        let message = parse_message(line, header);
        let place = |part: &[u8]| {
            Span::new(frame.start as usize + (part.as_ptr() as usize - line.as_ptr() as usize), part.len())
        };
        let fields = [
            (self.columns.app, message.app),
            (self.columns.procid, message.procid),
            (self.columns.msgid, message.msgid),
            (self.columns.structured_data, message.structured_data),
        ];
        for (column, part) in fields {
            if let Some(part) = part.filter(|part| !part.is_empty()) {
                self.builder.set_text(column, place(part));
            }
        }
        place(message.msg)
    }
}

/// A span of a line as a span of the arena.
#[inline]
fn within(frame: Span, part: Span) -> Span {
    Span { start: frame.start + part.start, len: part.len }
}
