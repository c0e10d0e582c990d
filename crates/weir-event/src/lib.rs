//! Event batches: what moves through Weir.
//!
//! An event is headers (name -> value) and a body (bytes). Events never travel alone: [`EventBatch`] is one
//! reference-counted byte arena, the spans of the bodies in it, and a few typed header columns.
//!
//! ```text
//!   arena    ... <134>Nov 22 10:00:00 fw1 %ASA-6-302013: Built ...\n<134>Nov 22 ...
//!   bodies                                ^^^^^^^^^^^^^^^^^^^^^^^        span per event
//!   columns  host  = text, span per event ("fw1", ...)
//!            Facility = i64 per event (16, ...)      datacenter = constant "dc2"
//! ```
//!
//! Slicing and cloning count references; nothing here copies an event, allocates per event, does I/O, waits, or
//! looks at a clock.
#![forbid(unsafe_code)]

mod arena;
mod batch;
mod builder;
mod column;
mod header;
mod position;

pub use arena::{Arena, ArenaPool};
pub use batch::{EventBatch, Numbers};
pub use builder::{BatchBuilder, ColumnId};
pub use column::{ABSENT_I64, Column, Span, TextColumn};
pub use header::{HeaderName, names};
pub use position::{ChannelId, Offsets, Origin};

#[cfg(test)]
mod tests;
