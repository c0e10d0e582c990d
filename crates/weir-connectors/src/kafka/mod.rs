//! Kafka: what its source, sink and channel share.
//!
//! ```text
//!   connection/   options to reach a cluster, TLS, SASL        record.rs    events to records and back
//!   runtime.rs    the thread that a component's client runs on
//!   consume.rs    group, start, membership of what reads
//!   produce.rs    options of writing     encode.rs  record batches that a topic takes
//!   mend.rs       batches that brokers refused as they were
//!   partition.rs  which partition events go to
//! ```
//!
//! The components: [`channel`], [`sink`], [`source`].

pub mod channel;
pub mod connection;
mod consume;
mod encode;
mod mend;
mod partition;
pub mod produce;
pub mod record;
pub mod runtime;
pub mod sink;
pub mod source;
