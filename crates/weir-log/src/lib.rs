//! The durable log: segments, group commit, reader groups, recovery.

mod clock;
mod core;
mod disk;
mod errors;
mod format;
mod group;
mod log;
mod options;
mod reader;
mod report;
mod scan;
mod shared;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod slots;
mod survey;
pub mod tools;
#[cfg(test)]
mod tests;
mod writer;

pub use clock::{Clock, SystemClock};
pub use disk::{Access, Disk, DiskFile, DiskLock, Entry, Locked, RealDisk, SyncSite};
pub use errors::{AppendError, AppendFailure, CloseError, Completion, GroupError, OpenError, ReadError};
pub use group::Group;
pub use log::Log;
pub use options::{Durability, LogOptions};
pub use reader::{ReadChunk, Reader, StoredBatch};

pub use report::{
    DamagedBytes, GroupStatus, Health, LogStatus, LostRange, OpenReport, ReadOnlyReason,
};
