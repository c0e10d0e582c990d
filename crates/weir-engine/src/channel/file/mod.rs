//! Channel `file`: the durable log as a channel.
//!
//! The lane that appends encodes the batch on its own thread (record batch v2, the form at rest); the log's one writer
//! thread writes and syncs for all lanes, and completes the receipts of all that a sync covered. What the log promises,
//! crash by crash, is in the documentation of `weir-log`; this module adds only encoding, decoding and wake-ups.

mod channel;
mod config;
mod cursor;
#[cfg(test)]
mod tests;

pub use config::file_channel_type;
