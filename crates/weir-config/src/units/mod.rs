//! Units in text: sizes, durations, counts and rates, read and written.
//!
//! `parse_*` and `format_*` are inverse to each other and exact: a value that has no exact short form is written in
//! full. `approx_*` is for people: three digits, not meant to be read back. Used for configuration values and for
//! command line flags alike.

mod factors;
mod format;
mod parse;

pub use format::{
    approx_bytes, approx_count, approx_duration, format_bytes, format_count, format_duration, format_rate,
};
pub use parse::{UnitError, parse_bytes, parse_count, parse_duration, parse_rate};

#[cfg(test)]
mod tests;
