//! A real SolrCloud: some nodes and one ZooKeeper, each a process, started from Maven artifacts on 127.0.0.1.
//!
//! ```no_run
//! use weir_servers::solr::{Cluster, ClusterOptions, Collection, Control, Role};
//!
//! let cluster = Cluster::start(ClusterOptions::default())?;
//! cluster.create_collection(&Collection { shards: 2, ..Collection::new("logs") })?;
//! cluster.post(1, "/logs/update/json/docs?commit=true", "application/json", br#"[{"id": "1", "msg": "hello"}]"#)?;
//! let found = cluster.get(2, "/logs/select?q=msg:hello")?.text();
//! cluster.kill(Role::Node(2))?;
//! cluster.restart(Role::Node(2))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A start takes 12 s on two cores, so a test binary shares one cluster. A node is Jetty with Solr in it, put together by 30
//! lines of Java (`SolrNode.java`) that are compiled at each start: that takes a JDK, not only a Java to run things.
//!
//! It is *not* a distribution of Solr: there is no admin page and no `_default` config set.

mod cluster;
mod collection;
mod distribution;

pub use crate::{Control, ControlError, StartError};
#[cfg(test)]
pub(crate) use cluster::live_part;
pub use cluster::{Cluster, ClusterOptions, Role};
pub use collection::Collection;
pub use distribution::Distribution;
