//! A real HDFS: one NameNode and some DataNodes, each a process, started from Maven artifacts on 127.0.0.1.
//!
//! ```no_run
//! use weir_servers::hdfs::{Cluster, ClusterOptions, Control, Role};
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
//! With two NameNodes it is a name service, [`NAME_SERVICE`]: they share a folder of edits, the first is active until
//! [`Cluster::activate`] says otherwise. Nobody but that fails over, and permissions are off.

mod cluster;
mod configuration;
mod distribution;
mod service;
mod volume;

pub use crate::{Control, ControlError, StartError};
#[cfg(test)]
pub(crate) use cluster::number_of;
pub use cluster::{Cluster, ClusterOptions, Role};
pub use distribution::Distribution;
pub use service::NAME_SERVICE;
