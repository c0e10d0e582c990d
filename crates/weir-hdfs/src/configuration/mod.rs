//! Which cluster is meant: Hadoop's own configuration files, or a URL alone.
//!
//! [`Properties`] reads `core-site.xml` and `hdfs-site.xml`; [`Cluster`] is what a client needs out of them for one URL:
//! transport, NameNodes with their addresses, defaults of files, protection. Everything is checked here, without the
//! network: errors name the file, the line and the property.
//!
//! It is *not* Hadoop's whole configuration: `final` is ignored (one reader, one order: `hdfs-site.xml` is stronger than
//! `core-site.xml`), other files are not included, and defaults of Hadoop apply only where [`Cluster`] says so.

mod cluster;
mod error;
mod properties;
#[cfg(test)]
mod tests;

pub use cluster::{Cluster, NameNode, Transport};
pub use error::ConfigurationError;
pub use properties::Properties;
