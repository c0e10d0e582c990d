//! Consuming: whole record batches from the leaders of partitions, or from replicas in the same rack.
//!
//! A [`Fetcher`] works only while its `next` is polled: what the caller does not take is not fetched, so that memory is
//! bounded by one answer per broker, and a partition is fetched again only when its last batches have been taken.

mod batches;
mod fetcher;
mod options;
mod request;

pub use batches::FetchedBatch;
pub use fetcher::{FetchError, Fetched, Fetcher, FetcherStatistics};
pub use options::FetchOptions;

#[cfg(test)]
mod tests;
