//! How a cluster starts: files, ports and data folders of the nodes, their processes, and the wait until all know all.

use std::hash::{BuildHasher, RandomState};
use std::io;

use super::certificates::Certificates;
use super::cluster::Cluster;
use super::distribution::Distribution;
use super::node::Node;
use super::options::ClusterOptions;
use super::properties::{self, Place};
use super::zookeeper::ZooKeeper;
use crate::home::Home;
use crate::process::RunError;
use crate::server::{Activity, Server};
use crate::start::{Fleet, Waiting, preparing, start};
use crate::{Control, StartError, Watch, ports};

impl Cluster {
    /// Starts the brokers and waits until each of them knows all of them: 2 s for one, 5 s for three on two cores, and as
    /// long as a fetch takes if the jars are not in the cache.
    ///
    /// # Errors
    /// [`StartError`]; what the nodes logged is then kept and its folder named on standard error.
    ///
    /// # Panics
    /// If the options ask for no broker or for more than nine, or for SASL of a release with a `ZooKeeper`.
    pub fn start(options: ClusterOptions) -> Result<Self, StartError> {
        Self::start_watched(options, &Watch::patient())
    }

    /// The same for somebody who watches and may cancel: then nothing is left, neither processes nor files.
    ///
    /// # Errors
    /// As [`Cluster::start`], and [`StartError::Cancelled`].
    ///
    /// # Panics
    /// As [`Cluster::start`].
    pub fn start_watched(options: ClusterOptions, watch: &Watch<'_>) -> Result<Self, StartError> {
        assert!((1..=9).contains(&options.brokers), "{} brokers are not between 1 and 9", options.brokers);
        assert!(
            !(options.has_sasl() && options.version.release().has_zookeeper),
            "no SASL with a release that has a ZooKeeper"
        );
        let distribution = Distribution::find_watched(options.version, watch).map_err(|error| watch.outcome(error))?;
        let what = format!("kafka {}, {} broker(s)", options.version.text(), options.brokers);
        start(&what, watch, || Self::prepare(options.clone(), distribution.clone()))
    }

    /// Starts a cluster for `test` alone, and keeps what the nodes logged if that returns an error (or panics).
    ///
    /// # Errors
    /// What `test` returned, or that there is no cluster.
    pub fn with<E: From<StartError>>(
        options: ClusterOptions,
        test: impl FnOnce(&Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let cluster = Self::start(options)?;
        test(&cluster).inspect_err(|_| cluster.keep_logs())
    }

    fn prepare(options: ClusterOptions, distribution: Distribution) -> Result<Self, StartError> {
        let home = Home::new("kafka").map_err(preparing("make a temporary folder"))?;
        let certificates = match options.listeners.iter().any(|listener| listener.has_tls()) {
            false => None,
            true => {
                let made = Certificates::make(&home.path().join("certificates"));
                Some(made.map_err(preparing("make certificates"))?)
            }
        };
        let places = places(&options).map_err(preparing("find free ports"))?;
        let mut nodes = Vec::new();
        for place in &places {
            let text = properties::of_node(place, &places, &options, certificates.as_ref());
            let folder = home.path().join(format!("broker-{}", place.id));
            let node = Node::write(place.clone(), folder, &text, &options);
            nodes.push(node.map_err(preparing("write the files of a broker"))?);
        }
        let zookeeper = options.version.release().has_zookeeper.then(|| {
            let folder = home.path().join("zookeeper");
            ZooKeeper::write(properties::zookeeper_port(&places), folder, options.version)
        });
        let zookeeper = zookeeper.transpose().map_err(preparing("write the files of ZooKeeper"))?;
        Ok(Self { options, distribution, certificates, nodes, zookeeper, home })
    }

    /// Prepares the nodes' folders, all at once: each takes a Java machine for a second.
    fn format(&self) -> Result<(), RunError> {
        let cluster = new_cluster_id();
        let has_sasl = self.options.has_sasl();
        std::thread::scope(|scope| {
            let cluster = &cluster;
            let format = |node| scope.spawn(move || Node::format(node, &self.distribution, cluster, has_sasl));
            let formatting: Vec<_> = self.nodes.iter().map(format).collect();
            formatting.into_iter().try_for_each(|thread| thread.join().expect("formatting does not panic"))
        })
    }
}

impl Fleet for Cluster {
    const KIND: &'static str = "kafka";
    type Role = u32;

    fn home(&self) -> &Home {
        &self.home
    }

    fn server(&self, broker: u32) -> &Server {
        &self.node(broker).server
    }

    fn start_one(&self, broker: u32) -> Result<(), StartError> {
        self.node(broker).start(&self.distribution, &self.options)
    }

    fn first_not_ready(&self) -> Result<Option<Waiting<'_>>, StartError> {
        if let Some(zookeeper) = &self.zookeeper {
            zookeeper.server.activity()?;
        }
        let mut up = Vec::new();
        for node in &self.nodes {
            if node.server.activity()? == Activity::Up {
                up.push(node);
            }
        }
        Ok(up.iter().find_map(|node| {
            let reason = match node.metadata() {
                Err(error) => error.to_string(),
                Ok(metadata) if up.iter().all(|other| metadata.brokers.contains(&other.place.id)) => return None,
                Ok(metadata) => format!("it knows brokers {:?}", metadata.brokers),
            };
            Some((&node.server, reason))
        }))
    }

    fn servers(&self) -> Vec<&Server> {
        let zookeeper = self.zookeeper.iter().map(|zookeeper| &zookeeper.server);
        self.nodes.iter().map(|node| &node.server).chain(zookeeper).collect()
    }

    fn start_all(&self, watch: &Watch<'_>) -> Result<(), StartError> {
        match &self.zookeeper {
            Some(zookeeper) => zookeeper.start(&self.distribution, self.options.tuning)?,
            None => self.format().map_err(preparing("format the folder of a broker"))?,
        }
        for node in &self.nodes {
            self.start_one(node.place.id)?;
        }
        self.until_ready(watch)
    }

    fn place(&self) -> String {
        self.bootstrap()
    }
}

/// Ports for every node: controller, plain listener, further listeners.
fn places(options: &ClusterOptions) -> io::Result<Vec<Place>> {
    let each = 2 + options.listeners.len();
    let ports = ports::free(options.brokers as usize * each)?;
    let place = |(id, ports): (u32, &[u16])| Place {
        id,
        controller: ports[0],
        plain: ports[1],
        listeners: ports[2..].to_vec(),
    };
    Ok((1..).zip(ports.chunks_exact(each)).map(place).collect())
}

/// 16 bytes in base64 without padding, as Kafka wants it. New for each cluster, so that a node that finds a stranger on a
/// port it knows is turned away. 21 hexadecimal digits are base64 too; the last of 22 characters holds 2 bits, here zero.
fn new_cluster_id() -> String {
    let random = RandomState::new();
    let digits = format!("{:016x}{:016x}", random.hash_one(1), random.hash_one(2));
    format!("{}A", &digits[..21])
}
