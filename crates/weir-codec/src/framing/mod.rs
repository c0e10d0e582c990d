//! A TCP stream to frames: newline or RFC 6587 octet counts, told apart per connection.
//!
//! Sans-IO and without copying: a [`Framer`] looks at bytes in place and reports spans of the arena they lie in. It is
//! **not** a buffer: the bytes of an unfinished frame stay with the caller, who shows them again in front of the next
//! ones.
//!
//! ```text
//!   newline        <13>one LF <13>two CR LF                 frame ends at LF; one CR or NUL before it is stripped
//!   octet counts   8 <13>one8 <13>two                       `N SP` and then N bytes, line ends inside are content
//! ```
//!
//! Invariants
//! - frames do not depend on where the stream was chopped into reads
//! - every byte of the stream is in exactly one frame, or is framing (counts, line ends), or was counted as discarded
//! - a frame is never longer than `frame_bytes_max`; nothing is allocated
//!
//! A connection is octet counted if its first bytes are `N SP <` with N of 1 to 10 digits without a leading zero; it
//! is newline framed otherwise, to its end. On an octet-counted connection a frame that does not start with a count is
//! read as a line, so that one confused message costs itself and not the connection.

mod frame;
mod framer;
mod prefix;

pub use frame::{Frame, FrameError, FrameKind, FramingSpec, Method, Overlong};
pub use framer::Framer;

#[cfg(test)]
mod tests;
