//! Sources, interceptors and sinks: one folder each, all of the same shape. [`registry()`] is the list.
//!
//! A connector folder holds: `mod.rs` (what it is, its crash table, re-exports), `config.rs` (option table, checks),
//! the running part, `tests.rs`. Small ones are a single `mod.rs`. The engine drives them; they know it, not each other.

pub mod files;
pub mod generate;
pub mod hdfs;
pub mod host;
pub mod io_thread;
pub mod kafka;
pub mod logger;
pub mod null;
mod registry;
pub mod solr;
pub mod r#static;
pub mod syslog;
pub mod timestamp;
mod tree;

pub use registry::registry;
