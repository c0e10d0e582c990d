//! A native Kafka client for whoever has record batches ready: it sends and receives whole batches and never looks at one
//! record at a time. Brokers from 2.8 to 4.x; tokio; no C library for Kafka.
//!
//! ```text
//!   Producer ----\                     /--> Connection --> broker      one each per producer, fetcher and group member
//!   Fetcher -------> Cluster (leaders) ---> Connection --> broker
//!   GroupMember -/                     \--> Connection --> broker
//! ```
//!
//! | type | what |
//! |---|---|
//! | [`Cluster`] | brokers, topics and leaders as last heard; offsets by age; creating topics |
//! | [`Producer`] | ready-made batches to partitions: in order, once each, until the cluster takes or refuses them |
//! | [`Fetcher`] | whole batches from many partitions, from leaders or from replicas in the same rack |
//! | [`GroupMember`] | membership in a consumer group, offset commits |
//! | [`ErrorCode`], [`ErrorClass`] | what a broker says, and what to do about it |
//! | `fake` (feature `fake`) | brokers in the process, whose answers are scripted |
//!
//! Batches are those of `weir_codec::record_batch`. Nothing here encodes, decodes or compresses a record, knows of
//! pipelines, writes a file, or keeps anything across a restart but the offsets a caller commits.
//!
//! Failures that pass (a broker that is down, an election, missing replicas, a quota) are waited out by producers, fetchers
//! and members; what stays is returned with its cause and, where there is one, the batch.
#![forbid(unsafe_code)]

mod admin;
mod cluster;
mod connection;
mod error;
#[cfg(test)]
mod every_code;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod fetch;
mod group;
mod links;
mod murmur2;
mod producer;
mod wire;

pub use admin::NewTopic;
pub use cluster::{Broker, Cluster, ClusterError, ClusterOptions, OffsetAt, OffsetFound, Partition, Topic};
pub use connection::{
    ConnectionError, ConnectionOptions, CredentialsError, KerberosCredentials, Sasl, ScramMechanism, Secret, Security,
    TlsError, TlsOptions, TokenEndpoint, TokenSource,
};
pub use error::{ErrorClass, ErrorCode};
pub use fetch::{FetchError, FetchOptions, Fetched, FetchedBatch, Fetcher, FetcherStatistics};
pub use group::{Assignor, Commit, Committed, GroupEvent, GroupMember, GroupOptions, GroupProtocol, Place};
pub use murmur2::partition_for_key;
pub use producer::{Acks, Appended, Producer, ProducerOptions, ProducerStatistics, Receipt, SendError};
