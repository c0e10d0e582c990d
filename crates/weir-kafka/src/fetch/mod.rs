//! Consuming: whole record batches from the leaders of partitions, or from replicas in the same rack.
//!
//! A [`Fetcher`] works only while its `next` is polled: what the caller does not take is not fetched, so that memory is
//! bounded by one answer per broker, and a partition is fetched again only when its last batches have been taken.
//!
//! Broker and client remember between requests which partitions are fetched from where (a session, KIP-227): requests name
//! only what changed, answers only what has news. A session lives as long as its connection.

mod batches;
mod fetched;
mod fetcher;
mod options;
mod request;
mod session;

pub use batches::FetchedBatch;
pub use fetched::{FetchError, Fetched, FetcherStatistics};
pub use fetcher::Fetcher;
pub use options::FetchOptions;

#[cfg(test)]
mod tests;
