//! The writing side of the channel.
//!
//! ```text
//!   lane: partition, encode --> [ Room: bytes in flight ] --> feed, on the IoThread --> Producer --> brokers
//!   ticket <-- receipt of all pieces <--- settle: receipt, or mend a refused batch and send it again <--'
//! ```
//!
//! Batches of one lane to one partition stay in order, unless one of them was refused and mended (`kafka/mend.rs`).

mod append;
mod room;
mod send;

pub(super) use append::{Opening, Writer};
pub(super) use room::Room;
