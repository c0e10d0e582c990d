//! What a fetcher hands out.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use weir_codec::record_batch::HeaderError;

use super::FetchedBatch;
use crate::ErrorCode;

/// Batches of one partition.
#[derive(Debug)]
pub struct Fetched {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// Whole batches in ascending order; the first may start before the offset asked for, so that records below it are
    /// to be left out. Empty if there were only markers or aborted records.
    pub batches: Vec<FetchedBatch>,
    /// Where the next fetch goes on; the offset to commit once everything here is dealt with.
    pub next_offset: i64,
    /// Offset behind the last record that all in-sync replicas have.
    pub high_watermark: i64,
    /// Offset of the first record that may belong to an open transaction.
    pub last_stable_offset: i64,
    /// Offset of the oldest record there is; -1 if the broker does not say.
    pub log_start_offset: i64,
}

/// Why a partition is not fetched any further. It rests until it is assigned anew; the others go on.
#[derive(Debug, Error)]
pub enum FetchError {
    /// There is no record at that offset and will not be: it was deleted, or lost with an unclean leader.
    #[error("{topic}-{partition} has no offset {offset}: choose where to go on, from the earliest or the latest")]
    OutOfRange {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// The offset asked for.
        offset: i64,
    },
    /// Records that were read are no longer in the log: they were lost with an unclean election (KIP-320). Noticed while a
    /// partition is read on, not across an assignment.
    #[error(
        "{topic}-{partition} was cut back: of what was read up to {offset} it has what is below {intact_to}; go on there"
    )]
    Truncated {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// The offset asked for.
        offset: i64,
        /// Up to here, the log is what was read; from here on it is something else, which was not read.
        intact_to: i64,
    },
    /// The broker refuses it, and would again.
    #[error("fetching {topic}-{partition} failed with {code}")]
    Refused {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// Why.
        code: ErrorCode,
    },
    /// The bytes at an offset are no record batch of format v2.
    #[error("{topic}-{partition} holds no record batch of format 2 at offset {offset} or behind")]
    NotABatch {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// The offset asked for.
        offset: i64,
        /// What is wrong with it.
        #[source]
        source: HeaderError,
    },
}

/// What a fetcher has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FetcherStatistics {
    /// Requests sent.
    pub requests: u64,
    /// Bytes of batches received.
    pub bytes: u64,
    /// How many of them came from a replica in this client's rack instead of the leader.
    pub bytes_from_replicas: u64,
    /// Requests that failed as a whole.
    pub requests_failed: u64,
    /// For how long brokers asked this client to be silent: their quotas.
    pub throttled: Duration,
}

impl FetchError {
    /// Which partition.
    pub(super) fn place(&self) -> (&Arc<str>, i32) {
        match self {
            Self::OutOfRange { topic, partition, .. }
            | Self::Truncated { topic, partition, .. }
            | Self::Refused { topic, partition, .. }
            | Self::NotABatch { topic, partition, .. } => (topic, *partition),
        }
    }
}
