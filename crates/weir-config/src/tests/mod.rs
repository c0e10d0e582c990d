//! Tests across the crate.

mod describe;
mod errors;
mod fixtures;
mod model;
mod robust;
