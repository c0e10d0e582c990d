//! The processes together.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::collection::Collection;
use super::distribution::Distribution;
use crate::home::Home;
use crate::http::{self, Answer};
use crate::server::{Activity, Server};
use crate::start::{Fleet, Waiting, preparing, start, until};
use crate::{Control, StartError, Tuning, Watch, logging, ports, zookeeper};

/// Heap of a node: indexing buffers of 64 MiB each, and what merges them.
const NODE_HEAP_MIB: u32 = 512;
/// A dead node is missed after this: 15 s by default, more than half of what a test is willing to wait.
const SESSION_MS: u32 = 8000;
/// ZooKeeper answers its four letters at once.
const PROBE_PATIENCE: Duration = Duration::from_secs(2);

/// What [`Cluster::start`] starts. The default: two nodes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClusterOptions {
    /// Number of nodes, 1 to 9; they are called 1, 2, 3 and so on.
    pub nodes: u32,
    /// Quick to start, or fast when warm.
    pub tuning: Tuning,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self { nodes: 2, tuning: Tuning::default() }
    }
}

/// One process of a cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The one that knows which nodes live and who leads.
    ZooKeeper,
    /// One of those that hold indexes, counted from 1.
    Node(u32),
}

/// A running SolrCloud; all of it ends when this is dropped. May be shared by tests: every method takes `&self`.
#[derive(Debug)]
pub struct Cluster {
    distribution: Distribution,
    tuning: Tuning,
    zookeeper: Node,
    nodes: Vec<Node>,
    /// After the processes, which write to it.
    home: Home,
}

#[derive(Debug)]
struct Node {
    role: Role,
    server: Server,
    folder: PathBuf,
    port: u16,
}

impl Node {
    fn make(role: Role, home: &Home, port: u16) -> io::Result<Self> {
        let name = match role {
            Role::ZooKeeper => "zookeeper".to_owned(),
            Role::Node(number) => format!("node-{number}"),
        };
        let folder = home.path().join(&name);
        fs::create_dir_all(&folder)?;
        let server = Server::new(name.replace('-', " "), home.path().join(format!("{name}.log")));
        Ok(Self { role, server, folder, port })
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// How ZooKeeper knows it.
    fn live_name(&self) -> String {
        format!("127.0.0.1:{}_solr", self.port)
    }
}

impl Cluster {
    /// Starts the processes and waits until every node knows all of them: 12 s on two cores, and as long as a fetch takes if
    /// the jars are not in the cache.
    ///
    /// # Errors
    /// [`StartError`]; what the processes logged is then kept and its folder named on standard error.
    ///
    /// # Panics
    /// If the options ask for no node or for more than nine.
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
        assert!((1..=9).contains(&options.nodes), "{} nodes are not between 1 and 9", options.nodes);
        let distribution = Distribution::find_watched(watch).map_err(|error| watch.outcome(error))?;
        let what = format!("solr 9.10.1, {} node(s) and ZooKeeper", options.nodes);
        start(&what, watch, || Self::prepare(&options, distribution.clone()))
    }

    /// Starts a cluster for `test` alone, and keeps what was logged if that returns an error (or panics).
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

    fn prepare(options: &ClusterOptions, distribution: Distribution) -> Result<Self, StartError> {
        let home = Home::new("solr").map_err(preparing("make a temporary folder"))?;
        let ports = ports::free(1 + options.nodes as usize).map_err(preparing("find free ports"))?;
        let roles = std::iter::once(Role::ZooKeeper).chain((1..=options.nodes).map(Role::Node));
        let nodes = roles.zip(&ports).map(|(role, port)| Node::make(role, &home, *port));
        let mut nodes = nodes.collect::<io::Result<Vec<_>>>().map_err(preparing("make the folder of a process"))?;
        let others = nodes.split_off(1);
        let zookeeper = nodes.pop().expect("the first role is that of ZooKeeper");
        let cluster = Self { distribution, tuning: options.tuning, zookeeper, nodes: others, home };
        cluster.write().map_err(preparing("write the files of a process"))?;
        cluster.distribution.compile(&cluster.classes()).map_err(preparing("compile what starts a node"))?;
        Ok(cluster)
    }

    fn write(&self) -> io::Result<()> {
        fs::write(self.logging(), logging::log4j2("warn"))?;
        let configuration = zookeeper::configuration(&self.zookeeper.folder, self.zookeeper.port);
        fs::write(self.zookeeper.folder.join("zoo.cfg"), configuration)?;
        for node in &self.nodes {
            let text = format!(
                "<solr><solrcloud><str name='host'>127.0.0.1</str><int name='hostPort'>{}</int>\
                 <str name='hostContext'>solr</str><int name='zkClientTimeout'>{SESSION_MS}</int>\
                 <str name='zkHost'>{}</str></solrcloud></solr>\n",
                node.port,
                self.zookeeper()
            );
            fs::write(node.folder.join("solr.xml"), text)?;
        }
        Ok(())
    }

    /// `host:port` of ZooKeeper, for clients that ask it where the nodes are; its root is Solr's.
    #[must_use]
    pub fn zookeeper(&self) -> SocketAddr {
        self.zookeeper.address()
    }

    /// `host:port` of a node.
    #[must_use]
    pub fn address(&self, node: u32) -> SocketAddr {
        self.node(Role::Node(node)).address()
    }

    /// Where a node answers: `http://host:port/solr`.
    #[must_use]
    pub fn url(&self, node: u32) -> String {
        format!("http://{}/solr", self.address(node))
    }

    /// GET of `path` behind [`Cluster::url`] of a node.
    ///
    /// # Errors
    /// If it does not answer. Any status is an answer.
    pub fn get(&self, node: u32, path: &str) -> io::Result<Answer> {
        http::get(self.address(node), &format!("/solr{path}"))
    }

    /// POST of `body` to `path` behind [`Cluster::url`] of a node.
    ///
    /// # Errors
    /// If it does not answer. Any status is an answer.
    pub fn post(&self, node: u32, path: &str, content_type: &str, body: &[u8]) -> io::Result<Answer> {
        http::post(self.address(node), &format!("/solr{path}"), content_type, body)
    }

    /// Uploads the config set, creates the collection and waits until all its replicas are active. 4 to 8 s.
    ///
    /// # Errors
    /// What the first node that is up answers.
    pub fn create_collection(&self, collection: &Collection) -> io::Result<()> {
        let up = self.nodes.iter().find(|node| node.server.is_up());
        let up = up.ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "no node is up"))?;
        let (address, name) = (up.address(), &collection.name);
        for (file, text) in [("schema.xml", &collection.schema), ("solrconfig.xml", &collection.configuration)] {
            let path = format!(
                "/solr/admin/configs?action=UPLOAD&name={name}&filePath={file}&overwrite=true&cleanup=false&wt=json"
            );
            http::post(address, &path, "application/octet-stream", text.as_bytes())?.ok()?;
        }
        let path = format!(
            "/solr/admin/collections?action=CREATE&name={name}&numShards={}&replicationFactor={}\
             &collection.configName={name}&waitForFinalState=true&wt=json",
            collection.shards, collection.replicas
        );
        http::get(address, &path)?.ok().map(drop)
    }

    /// The nodes that the first one that answers takes for alive, in no particular order. A killed one counts for 8 s.
    ///
    /// # Errors
    /// What the last one asked did wrong.
    pub fn live_nodes(&self) -> io::Result<Vec<u32>> {
        let mut result = Err(io::Error::new(io::ErrorKind::NotConnected, "no node is up"));
        for node in self.nodes.iter().filter(|node| node.server.is_up()) {
            if result.is_err() {
                result = self.live_by(node);
            }
        }
        result
    }

    fn live_by(&self, node: &Node) -> io::Result<Vec<u32>> {
        let answer = http::get(node.address(), "/solr/admin/collections?action=CLUSTERSTATUS&wt=json")?.ok()?.text();
        let live = live_part(&answer).ok_or_else(|| io::Error::other("it does not say who lives"))?;
        let numbers =
            self.nodes.iter().zip(1..).filter(|(node, _)| live.contains(&format!("\"{}\"", node.live_name())));
        Ok(numbers.map(|(_, number)| number).collect())
    }

    /// Waits until exactly `nodes`, ascending, are taken for alive.
    ///
    /// # Panics
    /// After 60 s.
    #[track_caller]
    pub fn until_live(&self, nodes: &[u32]) {
        until(&format!("nodes {nodes:?}"), || self.live_nodes(), |live| live == nodes);
    }

    #[track_caller]
    fn node(&self, role: Role) -> &Node {
        let found = std::iter::once(&self.zookeeper).chain(&self.nodes).find(|node| node.role == role);
        found.unwrap_or_else(|| panic!("there is no {role:?} among {} nodes", self.nodes.len()))
    }

    fn classes(&self) -> PathBuf {
        self.home.path().join("classes")
    }

    fn logging(&self) -> PathBuf {
        self.home.path().join("logging.properties")
    }
}

impl Fleet for Cluster {
    const KIND: &'static str = "solr";
    type Role = Role;

    fn home(&self) -> &Home {
        &self.home
    }

    fn server(&self, role: Role) -> &Server {
        &self.node(role).server
    }

    fn start_one(&self, role: Role) -> Result<(), StartError> {
        let node = self.node(role);
        let java = |heap_mib_max| self.distribution.java(self.tuning, heap_mib_max, &self.logging(), &self.classes());
        let mut command: Command = match role {
            Role::ZooKeeper => {
                let mut command = java(zookeeper::HEAP_MIB);
                command.arg(zookeeper::CLASS).arg(node.folder.join("zoo.cfg"));
                command
            }
            Role::Node(_) => {
                let mut command = java(NODE_HEAP_MIB);
                // Config sets may be uploaded without a password.
                command.args(["-Dsolr.disableConfigSetsCreateAuthChecks=true", "-Djetty.testMode=true"]);
                command.arg(format!("-Dsolr.log.dir={}", node.folder.display()));
                command.args(["SolrNode", &node.port.to_string()]).arg(&node.folder);
                command
            }
        };
        node.server.start(command.current_dir(&node.folder))
    }

    fn first_not_ready(&self) -> Result<Option<Waiting<'_>>, StartError> {
        if self.zookeeper.server.activity()? == Activity::Up
            && let Err(error) = is_well(self.zookeeper())
        {
            return Ok(Some((&self.zookeeper.server, error.to_string())));
        }
        for (node, number) in self.nodes.iter().zip(1..) {
            if node.server.activity()? == Activity::Up {
                let reason = match self.live_by(node) {
                    Err(error) => error.to_string(),
                    Ok(live) if live.contains(&number) => continue,
                    Ok(_) => "it is not among the live ones".to_owned(),
                };
                return Ok(Some((&node.server, reason)));
            }
        }
        Ok(None)
    }

    fn servers(&self) -> Vec<&Server> {
        std::iter::once(&self.zookeeper).chain(&self.nodes).map(|node| &node.server).collect()
    }

    fn start_all(&self, watch: &Watch<'_>) -> Result<(), StartError> {
        self.start_one(Role::ZooKeeper)?;
        // A node that finds no ZooKeeper gives up.
        self.until_ready(watch)?;
        for node in &self.nodes {
            self.start_one(node.role)?;
        }
        self.until_ready(watch)
    }

    fn place(&self) -> String {
        let urls: Vec<_> = (1..).zip(&self.nodes).map(|(number, _)| self.url(number)).collect();
        urls.join(",")
    }
}

/// Asks ZooKeeper with its four letters.
fn is_well(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PROBE_PATIENCE)?;
    stream.set_read_timeout(Some(PROBE_PATIENCE))?;
    stream.write_all(b"ruok")?;
    let mut answer = String::new();
    stream.take(16).read_to_string(&mut answer)?;
    if answer == "imok" { Ok(()) } else { Err(io::Error::other(format!("it answers {answer:?}"))) }
}

/// The list of live nodes in the status of a cluster.
pub(crate) fn live_part(status: &str) -> Option<&str> {
    let (_, rest) = status.split_once("\"live_nodes\":[")?;
    Some(rest.split_once(']')?.0)
}
