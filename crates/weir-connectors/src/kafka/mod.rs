//! Kafka: what its source, sink and channel share.
//!
//! ```text
//!   connection/   options to reach a cluster, TLS, SASL        record.rs    events to records and back
//!   runtime.rs    the thread that a component's client runs on
//! ```

pub mod connection;
pub mod record;
pub mod runtime;
