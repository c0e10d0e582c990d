//! Producing: ready-made batches to partitions, in order, once each.
//!
//! ```text
//!   send --> [permit for its bytes] --> driver task: queue per partition --> one request per leader --> connection
//!   receipt <-------------------------- driver task: verdict per partition <----------------------- answer
//! ```
//!
//! The driver owns all state. A partition's batches leave in the order of `send`, up to five at once; after any failure
//! the partition waits until nothing of it is in flight, then goes on from the oldest batch, which the broker recognises
//! by its sequence numbers if it has it already. Nothing is given up because of an outage: batches wait until the
//! cluster takes or refuses them, and `send` waits for room. A crash of this process loses what was not acknowledged.

mod driver;
mod frame;
mod handle;
mod options;
mod queue;
mod session;

pub use handle::{Appended, Producer, ProducerStatistics, Receipt, SendError};
pub use options::{Acks, ProducerOptions};

#[cfg(test)]
mod tests;
