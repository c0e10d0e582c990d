//! When lines are due.

use std::time::Duration;

/// Arrears of more than this are dropped: long enough to ride out a scheduling stall, short enough that a peer which
/// comes back is not flooded.
const ARREARS_MAX: Duration = Duration::from_secs(1);
/// Lines are sent together every so often: 500 system calls a second cost nothing and burst by 2 ms at most.
const TICK: Duration = Duration::from_millis(2);

/// An open-loop schedule: a pure function of the time since the start.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: f64,
    /// Lines sent or dropped.
    settled: u64,
    skipped: u64,
}

impl Pace {
    pub(super) fn new(per_second: f64) -> Self {
        Self { per_second, settled: 0, skipped: 0 }
    }

    /// Lines due at `elapsed` since the start and not yet sent. Drops arrears beyond [`ARREARS_MAX`].
    pub(super) fn due(&mut self, elapsed: Duration) -> u64 {
        // The first line is due at once.
        let scheduled = (elapsed.as_secs_f64() * self.per_second) as u64 + 1;
        let arrears_max = (ARREARS_MAX.as_secs_f64() * self.per_second) as u64 + 1;
        let due = scheduled.saturating_sub(self.settled);
        let excess = due.saturating_sub(arrears_max);
        self.settled += excess;
        self.skipped += excess;
        due - excess
    }

    /// Notes that `count` lines went out.
    pub(super) fn sent(&mut self, count: u64) {
        self.settled += count;
    }

    /// How long to wait at `elapsed` until it is worth sending: the next line, but at least a tick.
    pub(super) fn wait(&self, elapsed: Duration) -> Duration {
        let next = Duration::from_secs_f64(self.settled as f64 / self.per_second);
        next.saturating_sub(elapsed).max(TICK)
    }

    /// Lines dropped so far because sending was too far behind.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: 1000 lines a second, polled at uneven times.
    /// Guarantees: the sum sent is the schedule, whatever the polling; a line is not due twice.
    #[test]
    fn the_sum_is_the_schedule() {
        let mut pace = Pace::new(1000.0);
        let mut sent = 0;
        for ms in [0, 1, 2, 2, 50, 51, 700, 1500, 1500, 1999] {
            let due = pace.due(Duration::from_millis(ms));
            pace.sent(due);
            sent += due;
            assert_eq!(sent, ms + 1);
        }
        assert_eq!(pace.skipped(), 0);
        assert_eq!(pace.wait(Duration::from_millis(1999)), TICK);
    }

    /// Scenario: nothing can be sent for ten seconds; a rate of one line in four seconds.
    /// Guarantees: a second's worth is made up, the rest counted as skipped; slow rates wait for their line.
    #[test]
    fn arrears_are_bounded() {
        let mut pace = Pace::new(100.0);
        assert_eq!((pace.due(Duration::from_secs(10)), pace.skipped()), (101, 900));
        pace.sent(101);
        assert_eq!(pace.due(Duration::from_secs(10)), 0);
        let mut slow = Pace::new(0.25);
        assert_eq!(slow.due(Duration::ZERO), 1);
        slow.sent(1);
        assert_eq!(slow.wait(Duration::from_secs(1)), Duration::from_secs(3));
        assert_eq!(slow.due(Duration::from_millis(4001)), 1);
    }
}
