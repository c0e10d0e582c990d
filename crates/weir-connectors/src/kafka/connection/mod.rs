//! What all Kafka components share about reaching a cluster: the options, and how they become those of the client.
//!
//! ```text
//!   option table --parse (pure)--> ConnectionSpec --cluster_options (reads secrets and certificates)--> ClusterOptions
//! ```
//!
//! Certificates and secrets are read at the start of a component, never when a configuration is only checked.

mod connect;
mod options;
mod sasl;
mod secrets;
#[cfg(test)]
mod tests;
mod tls;

pub use connect::connect;
pub use options::{CONNECTION_OPTIONS, ConnectionSpec, joined, total};
