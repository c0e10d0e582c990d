//! What can be set.

use std::path::PathBuf;
use std::time::Duration;

use crate::format::{BATCH_BYTES_CEILING, SEGMENT_HEADER_BYTES};

/// When data is forced to the disk, and so when receipts complete. There is no mode without syncs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// A sync for each batch. A receipt means: on disk. Loses nothing acknowledged; costs a sync per batch.
    Always,
    /// One sync for all batches that arrived meanwhile (the default). A receipt means: on disk. Loses nothing
    /// acknowledged; costs up to `delay_max` and a sync of latency.
    Group {
        /// Longest time from the first unsynced write to the sync.
        delay_max: Duration,
        /// Unsynced bytes that cause a sync at once.
        bytes_max: u64,
    },
    /// Receipts complete at the write, a timer syncs. A receipt means: handed to the operating system. **Loses up to this
    /// much of acknowledged data at a power loss or kernel crash** (none when only the process dies), and what was
    /// unsynced if the disk fails. Readers see data only once it is synced.
    Interval(Duration),
}

impl Default for Durability {
    /// Group, 5 ms or 4 MiB: about one sync of a current SSD, so waiting at most doubles the latency of a receipt; and
    /// 4 MiB are some 2 ms of such a disk's bandwidth.
    fn default() -> Self {
        Self::Group { delay_max: Duration::from_millis(5), bytes_max: 4 << 20 }
    }
}

/// Settings of a log. Applied at open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogOptions {
    /// Size of a segment file, allocated in full when it is made. Default 256 MiB: some seconds of full load, so
    /// that space comes back soon, and few files even for a large backlog. From 4 KiB.
    pub segment_bytes: u64,
    /// Bytes of batches the log retains before appends are refused as full. The last batch may reach past it, and the
    /// preallocated rest of the active segment (at most `segment_bytes`) comes on top. Default 16 GiB; at least two segments,
    /// or a log whose every record is released could not free the one it writes to.
    pub capacity_bytes: u64,
    /// When data is synced and receipts complete. Default: [`Durability::default`].
    pub durability: Durability,
    /// Largest batch accepted. Default 8 MiB; at most 64 MiB, and it must fit a segment.
    pub batch_bytes_max: usize,
    /// Bytes of batches in memory that are queued or not synced yet; beyond it appends are refused as full. Default
    /// 16 MiB: 50 ms of 300 MB/s, a few syncs; more would only wait in front of the same disk, and no longer fits a
    /// processor's cache, which makes writing it three times as expensive.
    pub queue_bytes_max: u64,
    /// Where new segments go after a write or sync failed in the log's own directory; best on another disk. Must be the
    /// same at each open. Default: none, a new segment is tried in the same directory.
    pub fallback_dir: Option<PathBuf>,
    /// Longest time from a release to its position on disk: what a crash repeats. Default 50 ms.
    pub position_delay_max: Duration,
    /// How often a log that stopped because the disk is full looks for space. Default 1 s.
    pub probe_interval: Duration,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 256 << 20,
            capacity_bytes: 16 << 30,
            durability: Durability::default(),
            batch_bytes_max: 8 << 20,
            queue_bytes_max: 16 << 20,
            fallback_dir: None,
            position_delay_max: Duration::from_millis(50),
            probe_interval: Duration::from_secs(1),
        }
    }
}

impl LogOptions {
    /// What is contradictory, in words, or `Ok`.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.segment_bytes < 4096 {
            return Err(format!("segment_bytes is {}, the least is 4096", self.segment_bytes));
        }
        if self.capacity_bytes / 2 < self.segment_bytes {
            let (capacity, segment) = (self.capacity_bytes, self.segment_bytes);
            return Err(format!("capacity_bytes is {capacity}, less than two segments of {segment} bytes"));
        }
        let fits = self.batch_bytes_max as u64 + SEGMENT_HEADER_BYTES <= self.segment_bytes;
        if !fits || self.batch_bytes_max > BATCH_BYTES_CEILING {
            let (batch, segment) = (self.batch_bytes_max, self.segment_bytes);
            return Err(format!("batch_bytes_max is {batch}, which must fit a segment of {segment} bytes and 64 MiB"));
        }
        if self.queue_bytes_max == 0 {
            return Err("queue_bytes_max is 0, so nothing could ever be appended".to_owned());
        }
        Ok(())
    }
}
