//! The nodes together, once they run: see `start.rs` for how they come to.

use std::io;
use std::path::PathBuf;

use super::certificates::Certificates;
use super::distribution::Distribution;
use super::node::{self, Node};
use super::options::{ClusterOptions, Listener, Mechanism, Topic};
use super::probe::Metadata;
use super::properties;
use super::tools::Tools;
use super::zookeeper::ZooKeeper;
use crate::home::Home;
use crate::process::RunError;
use crate::start::until;

/// Running brokers; all end when this is dropped. May be shared by tests: every method takes `&self`.
#[derive(Debug)]
pub struct Cluster {
    pub(super) options: ClusterOptions,
    pub(super) distribution: Distribution,
    pub(super) certificates: Option<Certificates>,
    pub(super) nodes: Vec<Node>,
    /// What the nodes of an old release find each other by.
    pub(super) zookeeper: Option<ZooKeeper>,
    /// After all that write to it.
    pub(super) home: Home,
}

impl Cluster {
    /// `host:port` of every broker, separated by commas: the plain listener.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.nodes.iter().map(|node| node.address().to_string()).collect::<Vec<_>>().join(",")
    }

    /// `host:port` of `listener` of every broker, separated by commas.
    ///
    /// # Panics
    /// If the options did not ask for this listener.
    #[must_use]
    pub fn bootstrap_by(&self, listener: Listener) -> String {
        let asked = self.options.listeners.iter().position(|asked| *asked == listener);
        let index = asked.unwrap_or_else(|| panic!("the cluster was started without {listener:?}"));
        self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.place.listeners[index])).collect::<Vec<_>>().join(",")
    }

    /// `host:port` of the plain listener of `broker`.
    #[must_use]
    pub fn address(&self, broker: u32) -> String {
        self.node(broker).address().to_string()
    }

    /// The properties of a Java client that comes in by `listener`; `mechanism` matters where that has SASL.
    ///
    /// # Panics
    /// If `listener` has TLS and the options asked for no listener with TLS.
    #[must_use]
    pub fn client_properties(&self, listener: Listener, mechanism: Mechanism) -> String {
        properties::of_client(listener, mechanism, self.certificates.as_ref())
    }

    /// What a TLS client needs; `None` if the options asked for no listener with TLS.
    #[must_use]
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// What the cluster was started with.
    #[must_use]
    pub fn options(&self) -> &ClusterOptions {
        &self.options
    }

    /// The release, with those of its tools that need no cluster.
    #[must_use]
    pub fn distribution(&self) -> &Distribution {
        &self.distribution
    }

    /// Kafka's own tools, by the plain listener.
    #[must_use]
    pub fn tools(&self) -> Tools<'_> {
        Tools::new(self)
    }

    /// Creates a topic and waits until every partition has a leader. 1 to 2 s.
    ///
    /// # Errors
    /// [`RunError`] if the tool fails: the topic exists, or wants more brokers than there are.
    pub fn create_topic(&self, topic: &Topic) -> Result<(), RunError> {
        self.tools().create(topic)?;
        self.until("the new topic is led", |metadata| {
            (0..topic.partitions)
                .all(|partition| metadata.partition(&topic.name, partition).is_some_and(|state| state.leader.is_some()))
        });
        Ok(())
    }

    /// What the first broker that answers knows. A paused or dead one is not asked.
    ///
    /// # Errors
    /// What the last one asked did wrong.
    pub fn metadata(&self) -> io::Result<Metadata> {
        let mut result = Err(io::Error::new(io::ErrorKind::NotConnected, "no broker is up"));
        for node in &self.nodes {
            if result.is_err() && node.server.is_up() {
                result = node.metadata();
            }
        }
        result
    }

    /// Waits until `condition` holds for [`Cluster::metadata`].
    ///
    /// # Panics
    /// After 60 s, naming `what` was waited for.
    #[track_caller]
    pub fn until(&self, what: &str, condition: impl Fn(&Metadata) -> bool) {
        until(what, || self.metadata(), condition);
    }

    /// Waits until every partition is led and on all its replicas in full: the cluster is healed.
    ///
    /// # Panics
    /// After 60 s.
    #[track_caller]
    pub fn until_in_sync(&self) {
        self.until("every partition is in sync", |metadata| {
            metadata
                .partitions
                .iter()
                .all(|state| state.leader.is_some() && state.in_sync.len() == state.replicas.len())
        });
    }

    /// The segments of `partition` of `topic` on `broker`, oldest first: for [`Distribution::dump_log`].
    ///
    /// # Errors
    /// If this broker has no such partition.
    pub fn segments(&self, broker: u32, topic: &str, partition: u32) -> io::Result<Vec<PathBuf>> {
        node::segments(&self.node(broker).data(), topic, partition)
    }

    #[track_caller]
    pub(super) fn node(&self, broker: u32) -> &Node {
        let found = self.nodes.iter().find(|node| node.place.id == broker);
        found.unwrap_or_else(|| panic!("there is no broker {broker} among {}", self.nodes.len()))
    }
}
