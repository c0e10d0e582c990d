//! Source `generate`: synthetic network-device syslog from a seed, or a file replayed; at a rate or flat out.
//!
//! For trials, measurements and demonstrations without a device. Events are made as the syslog source would have made
//! them: headers `Facility`, `Severity`, `timestamp`, `host`, the message as body. A replayed file gives one event per
//! line, parsed the same way.
//!
//! | crash here | this happens | test |
//! |---|---|---|
//! | anywhere | a new run starts again from the seed or the first line: generated events have no past | `a_seed_gives_the_same_events` |

mod config;
mod source;
#[cfg(test)]
mod tests;

pub use config::generate_source_type;
