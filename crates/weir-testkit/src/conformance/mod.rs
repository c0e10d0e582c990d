//! Conformance suites: what every channel, source and sink must do, whatever its type.
//!
//! A new component is run through its suite by a line in the table of `weir-connectors/tests/conformance`; a type in the
//! registry without one fails that test.

pub mod channel;
pub mod fixture;
pub mod sink;
pub mod source;
