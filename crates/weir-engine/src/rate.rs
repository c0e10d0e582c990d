//! Rates of counters, from samples taken once a second.

use std::collections::VecDeque;
use std::time::Instant;

use crate::status::RateStatus;

/// Samples kept: ten seconds and the one before.
const SAMPLES_MAX: usize = 11;

/// The rate of one counter.
#[derive(Debug, Default)]
pub(crate) struct RateMeter {
    samples: VecDeque<(Instant, u64)>,
}

impl RateMeter {
    /// Adds a sample; meant to be called about once a second.
    pub(crate) fn sample(&mut self, at: Instant, count: u64) {
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back((at, count));
    }

    /// Rates over the last sample and over all that are kept.
    pub(crate) fn status(&self) -> RateStatus {
        let Some(last) = self.samples.back() else { return RateStatus::default() };
        let since = |earlier: Option<&(Instant, u64)>| {
            let Some(earlier) = earlier else { return 0.0 };
            let seconds = last.0.duration_since(earlier.0).as_secs_f64();
            if seconds > 0.0 { last.1.saturating_sub(earlier.1) as f64 / seconds } else { 0.0 }
        };
        RateStatus {
            last_second: since(self.samples.iter().rev().nth(1)),
            last_ten_seconds: since(self.samples.front()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Scenario: a counter grows by 100 a second, then by 1,000 in the last second.
    /// Guarantees: the short rate shows the burst, the long one the average over its window only.
    #[test]
    fn rates_cover_one_and_ten_seconds() {
        let start = Instant::now();
        let mut meter = RateMeter::default();
        for second in 0..20 {
            meter.sample(start + Duration::from_secs(second), second * 100);
        }
        meter.sample(start + Duration::from_secs(20), 19 * 100 + 1_000);
        let rate = meter.status();
        assert_eq!((rate.last_second.round(), rate.last_ten_seconds.round()), (1_000.0, 190.0));
    }
}
