//! The processes together.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use super::configuration;
use super::distribution::{Distribution, SHELL};
use super::service;
use super::volume::Volume;
use crate::home::Home;
use crate::process::{Output, RunError};
use crate::server::{Activity, Server};
use crate::start::{Fleet, Waiting, preparing, start, until};
use crate::{Control, StartError, Tuning, Watch, http, ports};

const NAMENODE: &str = "org.apache.hadoop.hdfs.server.namenode.NameNode";
const DATANODE: &str = "org.apache.hadoop.hdfs.server.datanode.DataNode";
const ADMIN: &str = "org.apache.hadoop.hdfs.tools.DFSAdmin";
const ERASURE_CODING: &str = "org.apache.hadoop.hdfs.tools.ECAdmin";
/// Ports of a process: data, web, inner requests. The NameNode has no data and answers its clients where DataNodes have it.
const PORTS_EACH: usize = 3;

/// What [`Cluster::start`] starts. The default: one NameNode, three DataNodes, three copies, blocks of 128 MiB.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClusterOptions {
    /// Number of NameNodes: 1, or 2 of a name service.
    pub namenodes: u32,
    /// Number of DataNodes, 1 to 9; they are called 1, 2, 3 and so on.
    pub datanodes: u32,
    /// On how many of them each block is, unless a client says otherwise.
    pub replication: u32,
    /// Size of a block, at least 4096.
    pub block_bytes: u64,
    /// Properties of every process, stronger than what the launcher sets: (`dfs.permissions.enabled`, `true`).
    pub properties: Vec<(String, String)>,
    /// Quick to start, or fast when warm.
    pub tuning: Tuning,
    /// Each DataNode has a file system in memory of so many bytes, which can be filled up; else a folder on the disk. Takes
    /// the right to mount, in a mount namespace that the caller has made.
    pub volume_bytes: Option<u64>,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        let (block_bytes, tuning) = (128 << 20, Tuning::default());
        Self {
            namenodes: 1,
            datanodes: 3,
            replication: 3,
            block_bytes,
            properties: Vec::new(),
            tuning,
            volume_bytes: None,
        }
    }
}

/// One process of a cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The one that knows names and blocks; of two the one that is active at first.
    NameNode,
    /// The other one of two.
    OtherNameNode,
    /// One of those that hold blocks, counted from 1.
    DataNode(u32),
}

/// A running HDFS; all of it ends when this is dropped. May be shared by tests: every method takes `&self`.
#[derive(Debug)]
pub struct Cluster {
    pub(super) options: ClusterOptions,
    pub(super) distribution: Distribution,
    pub(super) namenodes: Vec<Node>,
    datanodes: Vec<Node>,
    /// After the processes, which use them.
    volumes: Vec<Volume>,
    /// After the processes, which write to it.
    pub(super) home: Home,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) role: Role,
    server: Server,
    pub(super) folder: PathBuf,
    ports: [u16; PORTS_EACH],
}

impl Node {
    fn make(role: Role, home: &Home, ports: &[u16]) -> io::Result<Self> {
        let name = match role {
            Role::NameNode => "namenode".to_owned(),
            Role::OtherNameNode => "namenode-other".to_owned(),
            Role::DataNode(number) => format!("datanode-{number}"),
        };
        let folder = home.path().join(&name);
        fs::create_dir_all(&folder)?;
        let server = Server::new(name.replace('-', " "), home.path().join(format!("{name}.log")));
        Ok(Self { role, server, folder, ports: [ports[0], ports[1], ports[2]] })
    }

    pub(super) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports[0]).into()
    }

    pub(super) fn web(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports[1]).into()
    }

    fn place(&self) -> configuration::Place<'_> {
        configuration::Place { rpc: self.ports[0], web: self.ports[1], data: &self.folder }
    }

    /// What it says about one of its parts.
    pub(super) fn asked(&self, part: &str) -> io::Result<String> {
        Ok(http::get(self.web(), &format!("/jmx?qry=Hadoop:service={part}"))?.ok()?.text())
    }
}

impl Cluster {
    /// Starts the processes and waits until the NameNode knows every DataNode and takes writes: 15 s on two cores, and as
    /// long as a fetch takes if the jars are not in the cache.
    ///
    /// # Errors
    /// [`StartError`]; what the processes logged is then kept and its folder named on standard error.
    ///
    /// # Panics
    /// If the options ask for no DataNode or for more than nine, or for other than one or two NameNodes.
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
        assert!((1..=9).contains(&options.datanodes), "{} DataNodes are not between 1 and 9", options.datanodes);
        assert!((1..=2).contains(&options.namenodes), "{} NameNodes are neither 1 nor 2", options.namenodes);
        let distribution = Distribution::find_watched(watch).map_err(|error| watch.outcome(error))?;
        let what = format!("hdfs 3.4.3, {} NameNode(s) and {} DataNode(s)", options.namenodes, options.datanodes);
        start(&what, watch, || Self::prepare(options.clone(), distribution.clone()))
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

    fn prepare(options: ClusterOptions, distribution: Distribution) -> Result<Self, StartError> {
        let home = Home::new("hdfs").map_err(preparing("make a temporary folder"))?;
        let namenodes = options.namenodes as usize;
        let all = (namenodes + options.datanodes as usize) * PORTS_EACH;
        let ports = ports::free(all).map_err(preparing("find free ports"))?;
        let roles = [Role::NameNode, Role::OtherNameNode].into_iter().take(namenodes);
        let roles = roles.chain((1..=options.datanodes).map(Role::DataNode));
        let nodes = roles.zip(ports.chunks_exact(PORTS_EACH)).map(|(role, ports)| Node::make(role, &home, ports));
        let mut nodes = nodes.collect::<io::Result<Vec<_>>>().map_err(preparing("make the folder of a process"))?;
        let datanodes = nodes.split_off(namenodes);
        let volume = |node: &Node| options.volume_bytes.map(|bytes| Volume::mount(&node.folder, bytes));
        let volumes = datanodes.iter().filter_map(volume).collect::<io::Result<Vec<_>>>();
        let volumes = volumes.map_err(preparing("mount the volume of a DataNode"))?;
        let cluster = Self { options, distribution, namenodes: nodes, datanodes, volumes, home };
        let places: Vec<_> = cluster.namenodes.iter().map(Node::place).collect();
        configuration::write(&cluster.configuration(), &places, &cluster.options)
            .map_err(preparing("write the configuration"))?;
        Ok(cluster)
    }

    /// `host:port` where clients reach the NameNode; of two the one that is active at first.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.namenodes[0].address()
    }

    /// The file system as clients name it: `hdfs://host:port`, or by the name service.
    #[must_use]
    pub fn url(&self) -> String {
        if self.namenodes.len() > 1 { service::URL.to_owned() } else { format!("hdfs://{}", self.address()) }
    }

    /// `host:port` of the NameNode's web server: WebHDFS, metrics.
    #[must_use]
    pub fn web_address(&self) -> SocketAddr {
        self.namenodes[0].web()
    }

    /// The folder with `core-site.xml` and `hdfs-site.xml`, for clients that want them.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.home.path().join("configuration")
    }

    /// Hadoop's own shell: `["-put", "-", "/a"]` with what to put as `input`, `["-cat", "/a"]`. 3 to 5 s a call.
    ///
    /// # Errors
    /// [`RunError`] if it fails.
    pub fn shell(&self, arguments: &[&str], input: &[u8]) -> Result<Output, RunError> {
        self.distribution.run(&self.configuration(), self.home.path(), SHELL, arguments, input)
    }

    /// Hadoop's own administration: `["-safemode", "enter"]`. 3 to 5 s a call.
    ///
    /// # Errors
    /// [`RunError`] if it fails.
    pub fn admin(&self, arguments: &[&str]) -> Result<Output, RunError> {
        self.distribution.run(&self.configuration(), self.home.path(), ADMIN, arguments, b"")
    }

    /// Hadoop's own administration of erasure coding: `["-setPolicy", "-path", "/a", "-policy", "XOR-2-1-1024k"]`. 3 to 5 s a
    /// call.
    ///
    /// # Errors
    /// [`RunError`] if it fails.
    pub fn erasure_coding(&self, arguments: &[&str]) -> Result<Output, RunError> {
        self.distribution.run(&self.configuration(), self.home.path(), ERASURE_CODING, arguments, b"")
    }

    /// How many DataNodes the NameNode (of two the first one that answers) takes for alive. A killed one counts for 14 s.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn live_datanodes(&self) -> io::Result<u32> {
        let states = self.namenodes.iter().map(|node| node.asked("NameNode,name=FSNamesystemState"));
        let state = states.reduce(Result::or).expect("there is a NameNode")?;
        number_of(&state, "NumLiveDataNodes").ok_or_else(|| io::Error::other("it does not say"))
    }

    /// Waits until the NameNode takes `count` DataNodes for alive.
    ///
    /// # Panics
    /// After 60 s.
    #[track_caller]
    pub fn until_live(&self, count: u32) {
        until(&format!("{count} DataNodes"), || self.live_datanodes(), |live| *live == count);
    }

    /// Makes the volumes of all DataNodes larger or smaller; they notice with their next report.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn resize_volumes(&self, bytes: u64) -> io::Result<()> {
        self.volumes.iter().try_for_each(|volume| volume.resize(bytes))
    }

    #[track_caller]
    fn node(&self, role: Role) -> &Node {
        let found = self.namenodes.iter().chain(&self.datanodes).find(|node| node.role == role);
        found.unwrap_or_else(|| panic!("there is no {role:?} among {} DataNodes", self.datanodes.len()))
    }
}

/// What a NameNode still needs until it is of use to so many DataNodes.
fn not_ready(namenode: &Node, datanodes: u32) -> Option<String> {
    match namenode.asked("NameNode,name=FSNamesystemState") {
        // Kerberos guards its web server, too; each DataNode said above that the NameNode knows it.
        Err(error) if error.to_string().starts_with("status 401") => {
            let log = fs::read_to_string(namenode.server.log()).unwrap_or_default();
            (!log.contains("Leaving safe mode")).then(|| "it is in safe mode".to_owned())
        }
        Err(error) => Some(error.to_string()),
        Ok(state) if number_of(&state, "NumLiveDataNodes").is_none_or(|live| live < datanodes) => {
            Some(format!("it does not know {datanodes} DataNodes"))
        }
        Ok(state) if !state.contains(r#""FSState" : "Operational""#) => Some("it is in safe mode".to_owned()),
        Ok(_) => None,
    }
}

impl Fleet for Cluster {
    const KIND: &'static str = "hdfs";
    type Role = Role;

    fn home(&self) -> &Home {
        &self.home
    }

    fn server(&self, role: Role) -> &Server {
        &self.node(role).server
    }

    fn start_one(&self, role: Role) -> Result<(), StartError> {
        let node = self.node(role);
        let mut command: Command = self.distribution.java(self.options.tuning, &self.configuration(), self.home.path());
        match role {
            Role::NameNode | Role::OtherNameNode => command.arg(NAMENODE).args(self.identity(node)),
            Role::DataNode(_) => {
                let [data, web, ipc] = node.ports;
                // One configuration for all; they differ in this.
                command.arg(DATANODE);
                command.args(["-D", &format!("dfs.datanode.data.dir=file://{}", node.folder.display())]);
                command.args(["-D", &format!("dfs.datanode.address=127.0.0.1:{data}")]);
                command.args(["-D", &format!("dfs.datanode.http.address=127.0.0.1:{web}")]);
                command.args(["-D", &format!("dfs.datanode.ipc.address=127.0.0.1:{ipc}")])
            }
        };
        node.server.start(&mut command)
    }

    fn first_not_ready(&self) -> Result<Option<Waiting<'_>>, StartError> {
        let mut up = 0;
        for node in &self.datanodes {
            if node.server.activity()? == Activity::Up {
                up += 1;
                // Its own word: the NameNode still counts one that was killed a moment ago.
                let reason = match node.asked("DataNode,name=DataNodeInfo") {
                    Err(error) => error.to_string(),
                    Ok(state) if state.contains(r#"ActorState\":\"RUNNING"#) => continue,
                    Ok(_) => "it is not yet known to the NameNode".to_owned(),
                };
                return Ok(Some((&node.server, reason)));
            }
        }
        for node in &self.namenodes {
            if node.server.activity()? == Activity::Up
                && let Some(reason) = not_ready(node, up)
            {
                return Ok(Some((&node.server, reason)));
            }
        }
        Ok(None)
    }

    fn servers(&self) -> Vec<&Server> {
        self.namenodes.iter().chain(&self.datanodes).map(|node| &node.server).collect()
    }

    fn start_all(&self, watch: &Watch<'_>) -> Result<(), StartError> {
        let mut format = self.identity(&self.namenodes[0]);
        format.extend(["-format".to_owned(), "-nonInteractive".to_owned()]);
        let format: Vec<_> = format.iter().map(String::as_str).collect();
        self.distribution
            .run(&self.configuration(), self.home.path(), NAMENODE, &format, b"")
            .map_err(preparing("format the folder of the NameNode"))?;
        self.copy_names().map_err(preparing("copy the folder of the NameNode"))?;
        for node in self.namenodes.iter().chain(&self.datanodes) {
            self.start_one(node.role)?;
        }
        self.until_ready(watch)?;
        match self.namenodes.len() {
            1 => Ok(()),
            _ => self.activate(Role::NameNode).map_err(preparing("make a NameNode the active one")),
        }
    }

    fn place(&self) -> String {
        self.url()
    }
}

/// The number behind `"name" : ` in what a process says of itself.
pub(crate) fn number_of(state: &str, name: &str) -> Option<u32> {
    let (_, rest) = state.split_once(&format!("\"{name}\" : "))?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
