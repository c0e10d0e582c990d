//! Events into files in a tree of directories: what the sinks `files` and `hdfs` share.
//!
//! ```text
//!   options.rs   options and their checks        path.rs, time.rs   %{host}/%Y/%m/%d, rounding, time zones
//!   lane.rs      deliveries to files, files to acknowledgements
//!   buckets.rs   which file an event goes to     committed.rs, name.rs   what finished files say they hold
//!   complete.rs  when a directory of past time has everything
//!   file.rs      a file in progress, in memory; what is written of events: crate weir-format
//!   pending.rs   tokens that wait for files      store.rs    what keeps the files: the seam between the sinks
//! ```

pub(crate) mod buckets;
pub(crate) mod committed;
mod complete;
pub(crate) mod file;
pub(crate) mod lane;
pub(crate) mod machine;
pub(crate) mod name;
pub(crate) mod options;
pub(crate) mod path;
mod pending;
#[cfg(test)]
pub(crate) mod rig;
pub(crate) mod store;
pub(crate) mod time;
