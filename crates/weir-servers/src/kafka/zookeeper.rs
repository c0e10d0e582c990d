//! What the nodes of an old release find each other by. It comes with the release's own jars.
//!
//! ```text
//! zookeeper/ { zoo.cfg, logging.properties, server.log, data/ }
//! ```

use std::fs;
use std::io;
use std::path::PathBuf;

use super::distribution::Distribution;
use super::options::Version;
use crate::StartError;
use crate::server::Server;

const CLASS: &str = "org.apache.zookeeper.server.quorum.QuorumPeerMain";

#[derive(Debug)]
pub(super) struct ZooKeeper {
    pub(super) server: Server,
    folder: PathBuf,
}

impl ZooKeeper {
    /// Writes its files under `folder`; it will listen at `port` of 127.0.0.1.
    pub(super) fn write(port: u16, folder: PathBuf, version: Version) -> io::Result<Self> {
        fs::create_dir_all(folder.join("data"))?;
        // Sessions may be 2 to 20 ticks long.
        let configuration = format!(
            "tickTime=500\ndataDir={}\nclientPortAddress=127.0.0.1\nclientPort={port}\nadmin.enableServer=false\n\
             maxClientCnxns=0\n",
            folder.join("data").display()
        );
        fs::write(folder.join("zoo.cfg"), configuration)?;
        fs::write(folder.join("logging.properties"), version.release().logging_text("INFO"))?;
        Ok(Self { server: Server::new("ZooKeeper".to_owned(), folder.join("server.log")), folder })
    }

    /// Starts the process. Brokers wait for it by themselves.
    pub(super) fn start(&self, distribution: &Distribution) -> Result<(), StartError> {
        let mut command = distribution.java(&self.folder.join("logging.properties"));
        command.args(["-Xmx128m", CLASS]).arg(self.folder.join("zoo.cfg"));
        self.server.start(command.current_dir(&self.folder))
    }
}
