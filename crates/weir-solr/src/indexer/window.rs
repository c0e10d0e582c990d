//! How much may be on its way to one shard: grows by little steps while all is well, halves when it is not.

use std::time::Duration;

use super::IndexerOptions;

/// The first batch has as many documents: enough that Solr's cost per request is small against that of the documents.
const DOCUMENTS_START: f64 = 250.0;
/// Bad documents make batches smaller, since what stood behind one is sent again; below this the requests would cost more
/// than the repeats (measured: 100 per batch run at 95 % of the rate of 1000, 10 per batch at a quarter).
const DOCUMENTS_MIN: f64 = 50.0;
/// A request more at once after so many answers.
const REQUESTS_STEP: f64 = 0.25;
/// Waits after failures in a row: double from the first to the last.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The limits of one shard now.
#[derive(Debug)]
pub(super) struct Window {
    requests: f64,
    requests_max: f64,
    documents: f64,
    documents_max: f64,
    bytes: f64,
    bytes_max: f64,
    failures: u32,
}

impl Window {
    pub(super) fn new(options: &IndexerOptions) -> Self {
        let (requests_max, documents_max) = (options.requests_max as f64, options.batch_documents_max as f64);
        Self {
            requests: requests_max.min(2.0),
            requests_max,
            documents: documents_max.min(DOCUMENTS_START),
            documents_max,
            bytes: options.batch_bytes_max as f64,
            bytes_max: options.batch_bytes_max as f64,
            failures: 0,
        }
    }

    /// Requests that may be out at once.
    pub(super) fn requests(&self) -> usize {
        self.requests as usize
    }

    /// Documents of a batch.
    pub(super) fn documents(&self) -> usize {
        self.documents as usize
    }

    /// Bytes of a batch; a larger document goes alone.
    pub(super) fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// A request was answered well.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.requests = (self.requests + REQUESTS_STEP / self.requests).min(self.requests_max);
        self.documents = (self.documents + self.documents_max / 50.0).min(self.documents_max);
        self.bytes = (self.bytes + self.bytes_max / 50.0).min(self.bytes_max);
    }

    /// The server is busy or does not answer; returns how long to leave it alone.
    pub(super) fn failed(&mut self, random: f64) -> Duration {
        self.requests = (self.requests / 2.0).max(1.0);
        let step = PAUSE_MIN.saturating_mul(1 << self.failures.min(6)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        step.mul_f64(0.5 + random / 2.0)
    }

    /// There were bad documents among good ones.
    pub(super) fn refused(&mut self) {
        self.documents = (self.documents * 0.75).max(DOCUMENTS_MIN.min(self.documents_max));
    }

    /// A request of so many bytes was too large.
    pub(super) fn too_large(&mut self, bytes: usize) {
        self.bytes = self.bytes.min(bytes as f64 / 2.0).max(1.0);
        self.bytes_max = self.bytes_max.min(bytes as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a storm of failures, then quiet.
    /// Guarantees: one request at a time and pauses up to the maximum; afterwards back to the limits, never beyond.
    #[test]
    fn shrinks_fast_and_grows_slowly() {
        let options = IndexerOptions { requests_max: 4, ..IndexerOptions::default() };
        let mut window = Window::new(&options);
        let pauses: Vec<_> = (0..10).map(|_| window.failed(1.0)).collect();
        assert_eq!((window.requests(), pauses[0], pauses[9]), (1, PAUSE_MIN, PAUSE_MAX));
        window.refused();
        window.too_large(1000);
        assert_eq!(window.bytes(), 500);
        for _ in 0..500 {
            window.succeeded();
        }
        assert_eq!((window.requests(), window.documents()), (4, options.batch_documents_max));
        assert_eq!(window.bytes(), 1000, "a limit that was met is remembered");
    }
}
