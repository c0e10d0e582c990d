//! A real HDFS: one NameNode and some DataNodes, each a process, started from Maven artifacts on 127.0.0.1.
//!
//! ```no_run
//! use weir_servers::hdfs::{Cluster, ClusterOptions, Role};
//!
//! let cluster = Cluster::start(ClusterOptions::default())?;
//! cluster.shell(&["-put", "-", "/events/a.log"], b"one\ntwo\n")?;
//! cluster.kill(Role::DataNode(2))?;
//! cluster.restart(Role::DataNode(2))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A start takes 15 s on two cores, most of it the work of Java's compilers, so a test binary shares one cluster. A killed
//! DataNode is missed after 14 s (10 minutes in a cluster that is not told otherwise).
//!
//! It is *not* highly available: there is one NameNode, and permissions are off.

mod cluster;
mod configuration;
mod distribution;
mod volume;

pub use crate::{ControlError, StartError};
#[cfg(test)]
pub(crate) use cluster::number_of;
pub use cluster::{Cluster, ClusterOptions, Role};
pub use distribution::Distribution;
