//! SolrCloud client for indexing: documents routed to the leaders of their shards, with flow control.
//!
//! ```text
//!   DocumentsBuilder -> Documents -> Indexer::submit -> queue per shard -> requests -> Submission: accepted or refused
//!                                        |
//!                             Client: state, leaders, connections
//! ```
//!
//! It knows nodes, collections and documents; not pipelines, channels or acknowledgements. It is not for searching. State
//! comes from the Collections API of any node, so ZooKeeper need not be reachable.

mod client;
mod document;
mod error;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod faults;
mod indexer;
mod murmur3;
mod options;
mod route;
mod state;
#[cfg(test)]
mod tls_tests;

pub use client::{Client, ClientError};
pub use document::{Documents, DocumentsBuilder, Encoding, Form, Name};
pub use error::{ErrorClass, RequestError};
pub use faults::Faults;
pub use indexer::{HandedBack, Indexer, IndexerOptions, Report, Submission};
pub use options::{ClientOptions, Login};
pub use route::id_hash;
pub use state::{ClusterState, CollectionState, ShardState};
