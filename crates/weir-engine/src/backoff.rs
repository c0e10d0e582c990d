//! Jittered exponential back-off.

use std::time::Duration;

/// First wait after a failure. A destination that blinked is back within a second more often than not.
pub const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Longest wait: long enough to spare a dead destination, short enough to flow again within the 30 s that
/// we promise after a fault is healed.
pub const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// Doubles from [`BACKOFF_MIN`] to [`BACKOFF_MAX`]; each wait is drawn from the upper half of its step, so that many
/// sinks that failed together do not come back together.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure.
    pub fn next(&mut self, random: &mut fastrand::Rng) -> Duration {
        // 2^7 * 100 ms is already past the maximum; the cap keeps the shift defined.
        let step = BACKOFF_MIN.saturating_mul(1 << self.failures.min(7)).min(BACKOFF_MAX);
        self.failures = self.failures.saturating_add(1);
        step.mul_f64(0.5 + random.f64() / 2.0)
    }

    /// The longest wait, for failures that only a person can mend.
    pub fn longest(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        BACKOFF_MAX
    }

    /// After a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last success.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a destination fails many times, then once more after a success.
    /// Guarantees: waits grow to the maximum, stay within half of it, and start small again.
    #[test]
    fn waits_grow_and_are_bounded() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..40).map(|_| backoff.next(&mut random)).collect();
        assert!(waits[0] <= BACKOFF_MIN && waits[0] >= BACKOFF_MIN / 2);
        assert!(waits[39] <= BACKOFF_MAX && waits[39] >= BACKOFF_MAX / 2);
        backoff.reset();
        assert!(backoff.next(&mut random) <= BACKOFF_MIN);
    }
}
