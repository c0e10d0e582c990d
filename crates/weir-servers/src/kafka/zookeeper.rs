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
use crate::server::Server;
use crate::{StartError, Tuning, zookeeper};

#[derive(Debug)]
pub(super) struct ZooKeeper {
    pub(super) server: Server,
    folder: PathBuf,
}

impl ZooKeeper {
    /// Writes its files under `folder`; it will listen at `port` of 127.0.0.1.
    pub(super) fn write(port: u16, folder: PathBuf, version: Version) -> io::Result<Self> {
        fs::create_dir_all(folder.join("data"))?;
        fs::write(folder.join("zoo.cfg"), zookeeper::configuration(&folder.join("data"), port))?;
        fs::write(folder.join("logging.properties"), version.release().logging_text("INFO"))?;
        Ok(Self { server: Server::new("ZooKeeper".to_owned(), folder.join("server.log")), folder })
    }

    /// Starts the process. Brokers wait for it as long as they are told to.
    pub(super) fn start(&self, distribution: &Distribution, tuning: Tuning) -> Result<(), StartError> {
        let mut command = distribution.java(&self.folder.join("logging.properties"));
        command.args(tuning.arguments(zookeeper::HEAP_MIB)).arg(zookeeper::CLASS).arg(self.folder.join("zoo.cfg"));
        self.server.start(command.current_dir(&self.folder))
    }
}
