//! The channel against brokers in the process.

mod read;
mod rig;
mod share;
mod write;
