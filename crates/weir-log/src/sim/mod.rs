//! A disk and a clock that exist in memory and obey a seed.
//!
//! The disk tells what was written from what is durable: a power loss keeps any subset of the 512-byte sectors and of the
//! directory operations that no sync covered. A failed sync behaves as on Linux: the pages count as clean, the content
//! is still readable, and part of it is not on the disk. Faults hit the N-th operation, or all from there on.

mod clock;
mod disk;
mod medium;

pub use clock::SimClock;
pub use disk::SimDisk;
pub use medium::{Fault, FaultKind, Loss};
