//! [`Framer`]: the state of one connection between two reads.

use memchr::{memchr, memchr_iter};
use weir_event::Span;

use super::frame::{Frame, FrameError, FrameKind, FramingSpec, Method, Overlong};
use super::prefix::{Prefix, prefix};

/// Where in the stream the next byte stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// At the start of a frame, or in one that the caller still carries.
    Frame,
    /// Inside a line of which at least one piece was emitted.
    Line,
    /// Inside an octet-counted frame of which one piece was emitted; so many bytes of it are to come.
    Counted(usize),
}

/// Where a line ends.
enum LineEnd {
    At(usize),
    /// Not in the input, which is short enough to wait.
    NotYet,
    /// Beyond the longest frame.
    TooFar,
}

/// One call: the input, where it lies in the arena, and who gets the frames.
struct Pass<'a, F> {
    input: &'a [u8],
    base: usize,
    out: &'a mut F,
}

impl<F: FnMut(Frame)> Pass<'_, F> {
    /// Reports a whole message without what some devices end it with: one each of CR and NUL. A NUL at its start
    /// stood behind the line end of the message before. Nothing is reported if nothing is left.
    #[inline]
    fn message(&mut self, start: usize, end: usize) {
        let end = self.without_trailer(start, end);
        let lead = usize::from(start < end && self.input[start] == 0);
        self.piece(start + lead, end, FrameKind::Whole);
    }

    /// Reports the last piece of a line that was cut.
    fn last_piece(&mut self, start: usize, end: usize) {
        let end = self.without_trailer(start, end);
        self.piece(start, end, FrameKind::Cut);
    }

    /// Reports bytes as they are, unless there are none.
    #[inline]
    fn piece(&mut self, start: usize, end: usize, kind: FrameKind) {
        if start < end {
            (self.out)(Frame { span: Span::new(self.base + start, end - start), kind });
        }
    }

    #[inline]
    fn without_trailer(&self, start: usize, mut end: usize) -> usize {
        for _ in 0..2 {
            match self.input[start..end].last() {
                Some(b'\r' | 0) => end -= 1,
                _ => break,
            }
        }
        end
    }

    /// The first LF in `from..until`, both clamped to the input.
    fn line_end(&self, from: usize, until: usize) -> Option<usize> {
        let window = self.input.get(from..until.min(self.input.len()))?;
        memchr(b'\n', window).map(|found| from + found)
    }
}

/// Finds the frames of one connection.
///
/// ```text
///   loop { read behind the carried bytes; consumed = framer.frames(carry + read, base, out); carry = the rest }
///   end of stream: framer.finish(carry, base, out)
/// ```
/// About 10 ns per 200-byte line.
#[derive(Debug)]
pub struct Framer {
    spec: FramingSpec,
    method: Option<Method>,
    place: Place,
    /// Leading bytes of the next input that are known to hold no LF.
    scanned: usize,
    discarded_bytes: u64,
    broken: Option<FrameError>,
}

impl Framer {
    /// A framer at the start of a connection.
    ///
    /// # Panics
    /// If `frame_bytes_max` is 0.
    #[must_use]
    pub fn new(spec: FramingSpec) -> Self {
        assert!(spec.frame_bytes_max > 0, "a frame needs room for a byte");
        // Spans are 32 bits wide; the clamp also keeps sums with the limit from overflowing.
        let spec = FramingSpec { frame_bytes_max: spec.frame_bytes_max.min(1 << 31), ..spec };
        Self { spec, method: None, place: Place::Frame, scanned: 0, discarded_bytes: 0, broken: None }
    }

    /// How this connection is framed; `None` until enough bytes were seen.
    #[must_use]
    pub fn method(&self) -> Option<Method> {
        self.method
    }

    /// Bytes dropped so far under [`Overlong::Discard`].
    #[must_use]
    pub fn discarded_bytes(&self) -> u64 {
        self.discarded_bytes
    }

    /// Reports the frames in `input` and returns how many of its bytes are dealt with.
    ///
    /// The rest, less than `frame_bytes_max` and a count of 11 bytes, has to stand at the start of the next input. It
    /// is not searched again. `base` is where `input` starts in the arena that the spans of the frames refer to.
    ///
    /// # Errors
    /// [`FrameError`] if the stream is out of step; `input` has then been reported to its end, what could not be
    /// framed as [`FrameKind::Cut`]. Later calls give the same error and report nothing.
    pub fn frames(&mut self, input: &[u8], base: usize, out: &mut impl FnMut(Frame)) -> Result<usize, FrameError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let mut at = if self.method.is_none() { self.detect(input) } else { 0 };
        let Some(method) = self.method else {
            return Ok(at);
        };
        let mut pass = Pass { input, base, out };
        loop {
            let before = (at, self.place);
            at = match (self.place, method) {
                (Place::Counted(left), _) => self.rest_of_counted(&mut pass, at, left),
                (Place::Line, _) => self.rest_of_line(&mut pass, at),
                (Place::Frame, Method::Newline) => self.lines(&mut pass, at),
                (Place::Frame, Method::OctetCount) => self.counted(&mut pass, at)?,
            };
            if at == input.len() || before == (at, self.place) {
                return Ok(at);
            }
        }
    }

    /// Reports what is left at the end of the stream: `tail` is what the last call of [`Framer::frames`] did not
    /// consume. An unterminated last line is a whole frame, an octet-counted frame that is too short is cut.
    pub fn finish(&mut self, tail: &[u8], base: usize, out: &mut impl FnMut(Frame)) {
        if self.broken.is_some() {
            return;
        }
        self.scanned = 0;
        let place = std::mem::replace(&mut self.place, Place::Frame);
        let mut pass = Pass { input: tail, base, out };
        let (start, kind) = match (place, self.method) {
            (Place::Line | Place::Counted(_), _) => return pass.last_piece(0, tail.len()),
            (Place::Frame, Some(Method::OctetCount)) => match prefix(tail, true) {
                Prefix::Count { prefix_bytes, .. } => (prefix_bytes, FrameKind::Cut),
                Prefix::Unfinished => (0, FrameKind::Cut),
                Prefix::Other => (0, FrameKind::Whole),
            },
            (Place::Frame, _) => (0, FrameKind::Whole),
        };
        // Digits that could have become a count may be more than a very small limit allows for a frame.
        if kind == FrameKind::Cut || tail.len() > self.spec.frame_bytes_max {
            self.report_rest(&mut pass, start);
        } else {
            pass.message(start, tail.len());
        }
    }

    /// Decides the method from the first bytes that are not line ends. Returns how many of those precede them.
    fn detect(&mut self, input: &[u8]) -> usize {
        let blank = input.iter().take_while(|byte| matches!(byte, b'\n' | b'\r' | 0)).count();
        let first = &input[blank..];
        self.method = match prefix(first, false) {
            Prefix::Count { prefix_bytes, .. } => match first.get(prefix_bytes) {
                Some(b'<') => Some(Method::OctetCount),
                Some(_) => Some(Method::Newline),
                None => None,
            },
            Prefix::Unfinished => None,
            Prefix::Other => Some(Method::Newline),
        };
        blank
    }

    /// All lines from `at` on, up to one that is too long. The hot loop of newline framing.
    fn lines(&mut self, pass: &mut Pass<'_, impl FnMut(Frame)>, at: usize) -> usize {
        let limit = self.spec.frame_bytes_max;
        let input = pass.input;
        let from = at + std::mem::take(&mut self.scanned);
        let mut start = at;
        for found in memchr_iter(b'\n', input.get(from..).unwrap_or_default()) {
            let end = from + found;
            if end - start > limit {
                return self.first_piece(pass, start);
            }
            pass.message(start, end);
            start = end + 1;
        }
        if input.len() - start > limit {
            return self.first_piece(pass, start);
        }
        self.scanned = input.len() - start;
        start
    }

    /// One line in the middle of an octet-counted stream. Returns `at` if its end is not there yet.
    fn stray_line(&mut self, pass: &mut Pass<'_, impl FnMut(Frame)>, at: usize) -> usize {
        match self.next_line_end(pass, at) {
            LineEnd::At(end) => {
                pass.message(at, end);
                end + 1
            }
            LineEnd::NotYet => at,
            LineEnd::TooFar => self.first_piece(pass, at),
        }
    }

    /// Reports as much of a line as a frame may have.
    fn first_piece(&mut self, pass: &mut Pass<'_, impl FnMut(Frame)>, start: usize) -> usize {
        let end = start + self.spec.frame_bytes_max;
        pass.piece(start, end, FrameKind::Cut);
        self.place = Place::Line;
        end
    }

    /// The next piece of a line that was cut, or its end.
    fn rest_of_line(&mut self, pass: &mut Pass<'_, impl FnMut(Frame)>, at: usize) -> usize {
        if self.spec.overlong == Overlong::Discard {
            let end = pass.line_end(at, pass.input.len());
            let dropped = end.unwrap_or(pass.input.len()) - at;
            self.discarded_bytes += dropped as u64;
            if end.is_some() {
                self.place = Place::Frame;
            }
            return at + dropped + usize::from(end.is_some());
        }
        match self.next_line_end(pass, at) {
            LineEnd::At(end) => {
                pass.last_piece(at, end);
                self.place = Place::Frame;
                end + 1
            }
            LineEnd::NotYet => at,
            LineEnd::TooFar => self.first_piece(pass, at),
        }
    }

    /// Looks for LF where a line from `at` on may have it, and remembers what was searched in vain.
    fn next_line_end(&mut self, pass: &Pass<'_, impl FnMut(Frame)>, at: usize) -> LineEnd {
        let limit = self.spec.frame_bytes_max;
        let from = at + std::mem::take(&mut self.scanned);
        match pass.line_end(from, at + limit + 1) {
            Some(end) => LineEnd::At(end),
            None if pass.input.len() - at > limit => LineEnd::TooFar,
            None => {
                self.scanned = pass.input.len() - at;
                LineEnd::NotYet
            }
        }
    }

    /// Frames of an octet-counted connection from `at` on, up to one that is unfinished or too long.
    fn counted(&mut self, pass: &mut Pass<'_, impl FnMut(Frame)>, mut at: usize) -> Result<usize, FrameError> {
        let limit = self.spec.frame_bytes_max;
        while at < pass.input.len() {
            let (start, count) = match prefix(&pass.input[at..], true) {
                // `octet_count_max` is a usize, so a count below it fits into one.
                Prefix::Count { prefix_bytes, count } if count <= self.spec.octet_count_max as u64 => {
                    (at + prefix_bytes, count as usize)
                }
                Prefix::Count { count, .. } => {
                    let error = FrameError::CountTooLarge { count, limit: self.spec.octet_count_max };
                    self.broken = Some(error);
                    self.report_rest(pass, at);
                    return Err(error);
                }
                Prefix::Unfinished => break,
                Prefix::Other => {
                    let after = self.stray_line(pass, at);
                    if after == at || self.place != Place::Frame {
                        return Ok(after);
                    }
                    at = after;
                    continue;
                }
            };
            let end = start + count.min(limit);
            let Some(content) = pass.input.get(start..end) else {
                break;
            };
            if count > limit {
                pass.piece(start, end, FrameKind::Cut);
                self.place = Place::Counted(count - limit);
                return Ok(end);
            }
            // Some senders count a line end in; it is not content.
            pass.message(start, end - usize::from(content.last() == Some(&b'\n')));
            at = end;
        }
        Ok(at)
    }

    /// The next piece of an octet-counted frame that was cut; `left` bytes of it are to come.
    fn rest_of_counted(&mut self, pass: &mut Pass<'_, impl FnMut(Frame)>, at: usize, left: usize) -> usize {
        let available = pass.input.len() - at;
        let piece = match self.spec.overlong {
            Overlong::Discard => left.min(available),
            Overlong::Split => left.min(self.spec.frame_bytes_max),
        };
        if piece > available {
            return at;
        }
        match self.spec.overlong {
            Overlong::Discard => self.discarded_bytes += piece as u64,
            Overlong::Split => pass.piece(at, at + piece, FrameKind::Cut),
        }
        self.place = if piece == left { Place::Frame } else { Place::Counted(left - piece) };
        at + piece
    }

    /// Reports everything from `at` on in pieces.
    fn report_rest(&self, pass: &mut Pass<'_, impl FnMut(Frame)>, at: usize) {
        let mut start = at;
        while start < pass.input.len() {
            let end = pass.input.len().min(start + self.spec.frame_bytes_max);
            pass.piece(start, end, FrameKind::Cut);
            start = end;
        }
    }
}
