//! [`FetchOptions`].

use std::time::Duration;

/// How a fetcher works.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// Bytes of one answer, unless its first batch alone is larger. Stay below the connection's `response_bytes_max`.
    pub bytes_max: usize,
    /// Bytes of one partition in an answer, unless its first batch alone is larger.
    pub partition_bytes_max: usize,
    /// How long a broker waits for new records before it answers without any.
    pub wait_max: Duration,
    /// Leave out records of transactions that were aborted, and wait for those that are open.
    pub read_committed: bool,
    /// The rack of this client; brokers then may name a replica there to read from (KIP-392).
    pub rack: Option<String>,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            bytes_max: 32 << 20,
            partition_bytes_max: 2 << 20,
            wait_max: Duration::from_millis(500),
            read_committed: false,
            rack: None,
        }
    }
}
