//! The lines of a run, before they are framed.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use weir_codec::synth::Synth;

use super::options::Input;

/// The blocks that are made from a file are held in memory.
const INPUT_BYTES_MAX: u64 = 256 << 20;

/// Why an input gives no lines.
#[derive(Debug, Error)]
pub enum LinesError {
    /// The operating system refused.
    #[error("failed to read the input file {path}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// More than is held in memory.
    #[error("the input file {path} has {bytes} bytes, more than {INPUT_BYTES_MAX}: send a part of it", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// Nothing to send.
    #[error("the input has no line that is not empty")]
    Empty,
    /// A line that cannot be one datagram or hold a line feed.
    #[error("line {line} of the input has {bytes} bytes, more than the {bytes_max} that fit")]
    LineTooLong {
        /// Counted from 1, empty lines left out.
        line: usize,
        /// Its length, stamp not included.
        bytes: usize,
        /// What fits.
        bytes_max: usize,
    },
    /// A line given from memory that would arrive as two.
    #[error("line {line} of the input holds a line feed")]
    LineFeed {
        /// Counted from 1.
        line: usize,
    },
}

/// The input of a run, shared by its connections.
#[derive(Debug)]
pub(super) enum Lines {
    Synth { seed: u64, options: weir_codec::synth::SynthOptions, time_ms: i64 },
    Given(Arc<[Vec<u8>]>),
}

impl Lines {
    /// Reads the input. `bytes_max` is what fits into a frame without its stamp; `time_ms` goes into synthetic lines.
    pub(super) fn load(input: &Input, bytes_max: usize, time_ms: i64) -> Result<Self, LinesError> {
        let lines: Vec<Vec<u8>> = match input {
            Input::Synth { seed, options } => {
                return Ok(Self::Synth { seed: *seed, options: *options, time_ms });
            }
            Input::Lines(lines) => lines.iter().filter(|line| !line.is_empty()).cloned().collect(),
            Input::File(path) => {
                let io = |source| LinesError::Io { path: path.clone(), source };
                let bytes = std::fs::metadata(path).map_err(io)?.len();
                if bytes > INPUT_BYTES_MAX {
                    return Err(LinesError::TooLarge { path: path.clone(), bytes });
                }
                let text = std::fs::read(path).map_err(io)?;
                let lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
                lines.filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
            }
        };
        for (line, bytes) in (1..).zip(&lines) {
            if bytes.len() > bytes_max {
                return Err(LinesError::LineTooLong { line, bytes: bytes.len(), bytes_max });
            }
            if memchr::memchr(b'\n', bytes).is_some() {
                return Err(LinesError::LineFeed { line });
            }
        }
        if lines.is_empty() { Err(LinesError::Empty) } else { Ok(Self::Given(lines.into())) }
    }

    /// The lines of connection `index` of `connections`.
    pub(super) fn of_connection(&self, index: usize, connections: usize) -> ConnectionLines {
        match self {
            Self::Synth { seed, options, time_ms } => {
                let synth = Synth::new(seed.wrapping_add(index as u64), *options);
                ConnectionLines::Synth { synth: Box::new(synth), time_ms: *time_ms }
            }
            Self::Given(lines) => {
                // With fewer lines than connections each one sends them all.
                let (next, step) = if lines.len() < connections { (0, 1) } else { (index, connections) };
                ConnectionLines::Given { lines: lines.clone(), next, step }
            }
        }
    }
}

/// What one connection sends, one line after the other.
#[derive(Debug)]
pub(super) enum ConnectionLines {
    Synth { synth: Box<Synth>, time_ms: i64 },
    Given { lines: Arc<[Vec<u8>]>, next: usize, step: usize },
}

impl ConnectionLines {
    /// Appends the next line and returns where its message starts in it; `None` after the last. Synthetic lines have no
    /// last.
    pub(super) fn append_next(&mut self, out: &mut Vec<u8>) -> Option<usize> {
        match self {
            Self::Synth { synth, time_ms } => Some(synth.line(*time_ms, out).message.start),
            Self::Given { lines, next, step } => {
                let line = lines.get(*next)?;
                *next += *step;
                out.extend_from_slice(line);
                Some(message_start(line))
            }
        }
    }

    /// Whether there is a last line.
    pub(super) fn is_finite(&self) -> bool {
        matches!(self, Self::Given { .. })
    }
}

/// The timestamp at the start of a line that can be overwritten in place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LineStamp {
    /// RFC 5424 in UTC; 23 bytes up to the milliseconds are overwritten.
    Modern { at: usize },
    /// RFC 3164, 15 bytes.
    Old { at: usize },
}

/// Finds the timestamp of a line that starts with PRI, if it is in one of the two forms that are refreshed.
pub(super) fn line_stamp(line: &[u8]) -> Option<LineStamp> {
    let behind = behind_priority(line)?;
    let rest = &line[behind..];
    if rest.starts_with(b"1 ") {
        let token = rest[2..].split(|byte| *byte == b' ').next()?;
        let same_form = token.len() >= 24
            && token.iter().zip(b"dddd-dd-ddTdd:dd:dd.ddd").all(|(byte, form)| fits(*byte, *form))
            && token[23..]
                .split_last()
                .is_some_and(|(zone, digits)| *zone == b'Z' && digits.iter().all(u8::is_ascii_digit));
        return same_form.then_some(LineStamp::Modern { at: behind + 2 });
    }
    let same_form = rest.len() > 15
        && rest.iter().zip(b"aaa sd dd:dd:dd ").all(|(byte, form)| fits(*byte, *form))
        && rest[15] == b' ';
    same_form.then_some(LineStamp::Old { at: behind })
}

/// Whether `byte` fits a letter of a form: `d` digit, `s` digit or space, `a` letter, others themselves.
fn fits(byte: u8, form: u8) -> bool {
    match form {
        b'd' => byte.is_ascii_digit(),
        b's' => byte.is_ascii_digit() || byte == b' ',
        b'a' => byte.is_ascii_alphabetic(),
        other => byte == other,
    }
}

/// Length of `<PRI>`.
fn behind_priority(line: &[u8]) -> Option<usize> {
    let digits = line.strip_prefix(b"<")?.iter().take(4).position(|byte| *byte == b'>')?;
    (digits > 0 && line[1..=digits].iter().all(u8::is_ascii_digit)).then_some(digits + 2)
}

/// Where the part of a line starts that stays the same when headers are taken off or times refreshed: behind the host,
/// or behind the structured data, or at 0. Written apart from the product's parser, whose work it helps to check.
fn message_start(line: &[u8]) -> usize {
    let Some(behind) = behind_priority(line) else {
        return 0;
    };
    let skip_words = |from: usize, count: usize| {
        memchr::memchr_iter(b' ', &line[from..]).nth(count - 1).map_or(line.len(), |at| from + at + 1)
    };
    if !line[behind..].starts_with(b"1 ") {
        return match line_stamp(line) {
            Some(_) => skip_words(behind + 16, 1),
            None => behind,
        };
    }
    let data = skip_words(behind, 6);
    if line.get(data) != Some(&b'[') {
        return skip_words(data, 1);
    }
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in line.iter().enumerate().skip(data) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b']' if !quoted && line.get(at + 1) != Some(&b'[') => return (at + 2).min(line.len()),
            _ => {}
        }
    }
    line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: real-looking lines of both forms, and odd ones.
    /// Guarantees: message and timestamp are found where they are, or left alone.
    #[test]
    fn messages_and_stamps_are_found() {
        for (line, stamp, message) in [
            ("<13>1 2025-11-22T10:00:00.123Z h a - - - text", Some(LineStamp::Modern { at: 6 }), "text"),
            (
                "<13>1 2025-11-22T10:00:00.123456Z h a 1 m [x@1 a=\"]\\\"\"][y] text",
                Some(LineStamp::Modern { at: 6 }),
                "text",
            ),
            ("<13>1 2025-11-22T10:00:00Z h a - - - text", None, "text"),
            ("<13>1 2025-11-22T10:00:00.123+01:00 h a - - - text", None, "text"),
            ("<13>1 - h a - - -", None, ""),
            ("<190>Nov  2 10:00:00 h tag: text", Some(LineStamp::Old { at: 5 }), "tag: text"),
            ("<190>123: Nov 22 10:00:00: %SYS", None, "123: Nov 22 10:00:00: %SYS"),
            ("<x>text", None, "<x>text"),
            ("plain text", None, "plain text"),
            ("<1", None, "<1"),
            ("<1>", None, ""),
        ] {
            assert_eq!(line_stamp(line.as_bytes()), stamp, "{line}");
            assert_eq!(&line[message_start(line.as_bytes())..], message, "{line}");
        }
    }

    /// Scenario: synthetic lines of both forms.
    /// Guarantees: every one of them can be refreshed.
    #[test]
    fn synthetic_lines_can_be_refreshed() {
        let mut synth = Synth::new(5, weir_codec::synth::SynthOptions::default());
        let mut line = Vec::new();
        for _ in 0..5_000 {
            line.clear();
            let at = synth.line(1_763_841_234_567, &mut line).timestamp.start;
            let (LineStamp::Modern { at: found } | LineStamp::Old { at: found }) =
                line_stamp(&line).expect("a stamp of our own");
            assert_eq!(found, at);
        }
    }
}
