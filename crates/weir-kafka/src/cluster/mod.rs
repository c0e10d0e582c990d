//! The brokers of a cluster and what they host.

mod error;
mod metadata;
mod offsets;
mod options;
mod view;

pub use error::ClusterError;
pub use metadata::Cluster;
pub use offsets::{OffsetAt, OffsetFound};
pub use options::ClusterOptions;
pub use view::{Broker, Partition, Topic};

#[cfg(test)]
mod tests;
