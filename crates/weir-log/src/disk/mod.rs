//! The seam to the disk: everything the log asks of a file system, and nothing else.
//!
//! Nothing outside [`RealDisk`] touches `std::fs`. Every call that makes something survive a power loss names its
//! [`SyncSite`], so that a test can leave out one kind of sync and show that the loss is noticed.

mod api;
mod real;

pub use api::{Access, Disk, DiskFile, DiskLock, Entry, Locked, SyncSite};
pub use real::RealDisk;

pub(crate) use api::{is_space_error, read_tolerant, write_all};
