//! Credits: the memory that fetched batches may take until their receipts settle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::AcqRel, Ordering::Acquire};

use tokio::sync::Notify;

/// Counts the bytes that were fetched and are not settled.
#[derive(Debug)]
pub(super) struct Credits {
    used: AtomicU64,
    high: u64,
    low: u64,
    /// Told when the use falls below the low mark.
    eased: Notify,
}

/// Bytes that are accounted for. They are free again when it is dropped, whoever drops it.
#[derive(Debug)]
pub(super) struct Credit {
    credits: Arc<Credits>,
    bytes: u64,
}

impl Credits {
    /// Fetching pauses at 80 % of `bytes` and goes on at 50 %: far enough apart that it does not flicker, and what is on
    /// its way when it pauses still fits.
    pub(super) fn new(bytes: u64) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), high: bytes / 10 * 8, low: bytes / 2, eased: Notify::new() })
    }

    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> Credit {
        let bytes = bytes as u64;
        self.used.fetch_add(bytes, AcqRel);
        Credit { credits: self.clone(), bytes }
    }

    pub(super) fn is_high(&self) -> bool {
        self.used.load(Acquire) >= self.high
    }

    pub(super) fn is_low(&self) -> bool {
        self.used.load(Acquire) < self.low
    }

    /// Waits until the use falls below the low mark. Cancel safe; may return early.
    pub(super) async fn eased(&self) {
        self.eased.notified().await;
    }
}

impl Drop for Credit {
    fn drop(&mut self) {
        let before = self.credits.used.fetch_sub(self.bytes, AcqRel);
        if before >= self.credits.low && before - self.bytes < self.credits.low {
            self.credits.eased.notify_one();
        }
    }
}
