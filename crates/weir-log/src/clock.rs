//! Time, through a seam: the monotonic clock drives timers, the wall clock only labels (L14).

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the log takes its time from.
pub trait Clock: Send + Sync {
    /// Time since an arbitrary fixed instant; never goes back. For timers.
    fn monotonic(&self) -> Duration;
    /// Milliseconds since 1970 UTC; may jump. For labels only, never for order or deletion.
    fn unix_ms(&self) -> i64;
}

/// The clocks of the operating system.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }

    fn unix_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}
