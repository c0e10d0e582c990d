//! Real Kafka brokers: one or three, started from Maven artifacts on 127.0.0.1.
//!
//! ```no_run
//! use weir_servers::kafka::{Cluster, ClusterOptions, Control, Topic};
//!
//! let cluster = Cluster::start(ClusterOptions { brokers: 3, ..ClusterOptions::default() })?;
//! cluster.create_topic(&Topic { partitions: 12, ..Topic::new("events") })?;
//! cluster.kill(2)?;
//! cluster.restart(2)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Every node is controller and broker in one process, but those of 2.8, which have a ZooKeeper. A start takes 2 s for one
//! node and 5 s for three on two cores, so a test binary shares one cluster: its `main` keeps it until the tests have run,
//! because a `static` is never dropped. (The brokers then end all the same, but their folder stays.)
//!
//! It is *not* a cluster to keep: all data is in a temporary folder that goes with it, unless a test failed
//! ([`Control::keep_logs`]).

mod certificates;
mod cluster;
mod distribution;
mod node;
mod options;
mod probe;
mod properties;
mod release;
mod start;
mod tools;
mod zookeeper;

#[cfg(test)]
mod tests;

pub use crate::{Control, ControlError, StartError};
pub use certificates::Certificates;
pub use cluster::Cluster;
pub use distribution::Distribution;
pub use options::{ClusterOptions, Kerberos, Listener, Mechanism, PASSWORD, Topic, USER, Version};
pub use probe::{Metadata, PartitionState};
pub use tools::Tools;
