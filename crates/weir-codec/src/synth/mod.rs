//! Synthetic network-device syslog: what a telecoms operator's network says all day.
//!
//! Seeded and without a clock: the same seed, options and times give the same bytes on every machine and in every
//! release (a fingerprint test holds this), so a load run can be repeated and a fault reproduced. It is *not* a
//! replay of real traffic: every line, name and address is invented, and addresses come from ranges that are not routed.
//!
//! ```text
//!   device kind (by volume) -> device (few are loud) -> line of that kind (by weight) -> fields (skewed values)
//!   <166>1 2025-11-22T10:00:00.123Z fw-lon-07 - - - - %ASA-6-302013: Built outbound TCP connection 81923 for ...
//!   <166>Nov 22 10:00:00 fw-lon-07 %ASA-6-302013: Built outbound TCP connection 81923 for ...
//! ```
//!
//! Shape, held by tests: 500 devices, lines of 185 to 205 bytes in the mean and 640 at most, LZ4 ratio 2.5 to 4.

mod fields;
mod generator;
mod lines;
mod time_text;
mod values;

pub use generator::{Synth, SynthLine, SynthOptions};
pub use time_text::TimeText;

#[cfg(test)]
mod tests;
