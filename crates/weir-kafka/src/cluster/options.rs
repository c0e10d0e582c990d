//! [`ClusterOptions`].

use std::time::Duration;

use crate::ConnectionOptions;

/// Which cluster, and how to speak with it.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Addresses to start from, host:port each; one that answers is enough.
    pub bootstrap: Vec<String>,
    /// Of every connection.
    pub connection: ConnectionOptions,
    /// Age at which metadata is asked for again although nothing went wrong.
    pub metadata_age_max: Duration,
    /// Pause before something that failed is tried again; doubles with each failure in a row, up to 16 times this, and
    /// varies by a quarter either way.
    pub retry_pause: Duration,
}

impl ClusterOptions {
    /// The defaults, starting from `bootstrap`.
    #[must_use]
    pub fn new<A: Into<String>>(bootstrap: impl IntoIterator<Item = A>) -> Self {
        Self {
            bootstrap: bootstrap.into_iter().map(Into::into).collect(),
            connection: ConnectionOptions::default(),
            metadata_age_max: Duration::from_secs(300),
            retry_pause: Duration::from_millis(100),
        }
    }

    /// The pause after `failures` in a row.
    pub(crate) fn pause(&self, failures: u32) -> Duration {
        let doubled = self.retry_pause * (1 << failures.saturating_sub(1).min(4));
        doubled.mul_f64(0.75 + 0.5 * fastrand::f64())
    }
}
