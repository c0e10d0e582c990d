//! The sender: lines over TCP, UDP or Unix sockets, at a rate or flat out.
//!
//! It must never be what a measurement measures. Lines are made before the clock starts, as blocks of bytes ready to
//! send; while sending, only fixed-width fields are overwritten in place (sequence number, times) and whole stretches of a
//! block go out with one system call.
//!
//! ```text
//!   block  183 <166>1 2025-11-22T10:00:00.123Z fw-lon-01 ... acc@32473 p=0007 s=...1234 t=...567 184 <134>...
//!              time ^^^^^^^^^^^^^^^^^^^^^^^                           sequence ^^^^ sent ^^^^^^
//!   stream    one write for as many lines as are due, a block at most
//!   datagrams one sendmmsg for up to 256 lines
//! ```
//!
//! Open loop: at a rate, lines become due by the clock, whether the peer keeps up or not. Arrears of more than a second
//! are dropped and counted (`skipped`), so that a stall is not followed by an unbounded flood.
//!
//! What a crash or a closing peer loses: an event counts as sent once the kernel has all its bytes. Nobody has
//! acknowledged it then. After a reconnect the event that was cut is sent again whole, and the sequence goes on.

mod block;
mod connection;
mod lines;
mod link;
mod options;
mod pace;
mod report;
mod run;
mod target;

pub use lines::LinesError;
pub use options::{Framing, Input, Limit, LineTime, ReconnectOptions, SendOptions, StampOptions};
pub use report::{ConnectionReport, Progress, SendReport};
pub use run::{SendError, send};
pub use target::{Target, TargetError};

#[cfg(test)]
mod tests;
