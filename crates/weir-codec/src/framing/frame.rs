//! Limits of a connection, and what comes out of it.

use thiserror::Error;
use weir_event::Span;

/// What happens to the part of a frame beyond `frame_bytes_max`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Overlong {
    /// It becomes further frames, each [`FrameKind::Cut`]. Nothing is lost; Flume does the same.
    #[default]
    Split,
    /// It is dropped and counted in [`discarded_bytes`](super::Framer::discarded_bytes).
    Discard,
}

/// Limits of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FramingSpec {
    /// Longest frame in bytes, without LF and count. Also bounds what the caller has to carry between reads.
    pub frame_bytes_max: usize,
    /// A larger octet count is taken for a broken stream, not for a long message. Counts between `frame_bytes_max` and
    /// this are cut.
    pub octet_count_max: usize,
    /// What happens to the rest of a frame that is too long.
    pub overlong: Overlong,
}

impl Default for FramingSpec {
    /// 64 KiB: the longest datagram, so that a message fits whichever way it comes. 1 MiB: 16 of those; no device
    /// sends more in one message, and text taken for a count is nearly always beyond it.
    fn default() -> Self {
        Self { frame_bytes_max: 64 << 10, octet_count_max: 1 << 20, overlong: Overlong::default() }
    }
}

/// How the frames of a connection are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// A frame ends at LF.
    Newline,
    /// A frame starts with its length (RFC 6587, section 3.4.1).
    OctetCount,
}

/// Whether a frame is complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameKind {
    /// A message as it was sent.
    Whole,
    /// A part of a message: over-long, or its end never came. Flume's status `Incomplete`.
    Cut,
}

/// One frame, never empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Where its bytes lie in the arena: position in the input plus `base`.
    pub span: Span,
    /// Whether it is complete.
    pub kind: FrameKind,
}

/// Why no more frames can be found on a connection. The caller closes it and counts that.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum FrameError {
    /// A count beyond `octet_count_max`: the stream is out of step, or not syslog.
    #[error("octet count {count} is above the limit of {limit}: the stream is out of step, close the connection")]
    CountTooLarge {
        /// The count as sent, `u64::MAX` if it has more than ten digits.
        count: u64,
        /// `octet_count_max`.
        limit: usize,
    },
}
