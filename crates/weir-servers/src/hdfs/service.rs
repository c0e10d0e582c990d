//! Two NameNodes of one name service, which share a folder of edits; who is active is said by hand.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use super::cluster::{Cluster, Node, Role};
use super::configuration::Place;
use crate::process::RunError;

/// The name service of a cluster with two NameNodes.
pub const NAME_SERVICE: &str = "weir";
/// The file system by it.
pub(super) const URL: &str = "hdfs://weir";
/// The NameNodes as the configuration calls them.
const IDENTIFIERS: [&str; 2] = ["first", "other"];
const ADMIN: &str = "org.apache.hadoop.hdfs.tools.DFSHAAdmin";

/// What a name service needs besides; `folder` is that of the configuration.
pub(super) fn properties(folder: &Path, namenodes: &[Place<'_>]) -> Vec<(String, String)> {
    let edits = folder.with_file_name("edits");
    let provider = "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider";
    let mut all = vec![
        ("dfs.nameservices".to_owned(), NAME_SERVICE.to_owned()),
        (format!("dfs.ha.namenodes.{NAME_SERVICE}"), IDENTIFIERS.join(",")),
        (format!("dfs.client.failover.proxy.provider.{NAME_SERVICE}"), provider.to_owned()),
        ("dfs.namenode.shared.edits.dir".to_owned(), format!("file://{}", edits.display())),
        ("dfs.ha.automatic-failover.enabled".to_owned(), "false".to_owned()),
        // Whoever makes one active has killed the other.
        ("dfs.ha.fencing.methods".to_owned(), "shell(/bin/true)".to_owned()),
        ("dfs.ha.tail-edits.period".to_owned(), "1".to_owned()),
    ];
    for (Place { rpc, web, data }, identifier) in namenodes.iter().zip(IDENTIFIERS) {
        let own = format!("{NAME_SERVICE}.{identifier}");
        all.push((format!("dfs.namenode.rpc-address.{own}"), format!("127.0.0.1:{rpc}")));
        all.push((format!("dfs.namenode.http-address.{own}"), format!("127.0.0.1:{web}")));
        all.push((format!("dfs.namenode.name.dir.{own}"), format!("file://{}", data.display())));
    }
    all
}

const fn identifier(role: Role) -> &'static str {
    IDENTIFIERS[matches!(role, Role::OtherNameNode) as usize]
}

impl Cluster {
    /// `host:port` where clients reach the NameNodes.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.namenodes.iter().map(Node::address).collect()
    }

    /// `host:port` of the NameNodes' web servers.
    #[must_use]
    pub fn web_addresses(&self) -> Vec<SocketAddr> {
        self.namenodes.iter().map(Node::web).collect()
    }

    /// Makes a NameNode of two the active one, whatever the other one is: kill that first. 5 s.
    ///
    /// # Errors
    /// [`RunError`] if it refuses.
    pub fn activate(&self, role: Role) -> Result<(), RunError> {
        let arguments = ["-ns", NAME_SERVICE, "-transitionToActive", "--forceactive", identifier(role)];
        self.distribution.run(&self.configuration(), self.home.path(), ADMIN, &arguments, b"").map(drop)
    }

    /// Arguments by which a NameNode knows which of two it is.
    pub(super) fn identity(&self, node: &Node) -> Vec<String> {
        match self.namenodes.len() {
            1 => Vec::new(),
            _ => vec!["-D".to_owned(), format!("dfs.ha.namenode.id={}", identifier(node.role))],
        }
    }

    /// Gives the second NameNode, if there is one, what the first was formatted with.
    pub(super) fn copy_names(&self) -> io::Result<()> {
        let [first, other] = &self.namenodes[..] else { return Ok(()) };
        let (from, to) = (first.folder.join("current"), other.folder.join("current"));
        fs::create_dir_all(&to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
        Ok(())
    }
}
