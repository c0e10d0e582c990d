//! The tests that make the log trusted; see the crate documentation for which proves what.

mod basics;
mod crash;
mod damage;
mod faults;
mod model;
mod mutation;
mod parsers;
mod threads;
mod versions;
mod world;
