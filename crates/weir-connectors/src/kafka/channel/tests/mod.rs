//! The channel against brokers in the process.

mod credit;
mod read;
mod rig;
mod share;
mod write;
