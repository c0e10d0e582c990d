//! One node: its folder, its process, what it answers.
//!
//! ```text
//! broker-1/ { server.properties, logging.properties, server.log, data/<topic>-<partition>/<base offset>.log }
//! ```

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::distribution::Distribution;
use super::options::{ClusterOptions, PASSWORD, USER};
use super::probe::{self, Metadata};
use super::properties::{self, Place};
use crate::StartError;
use crate::process::RunError;
use crate::server::Server;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) server: Server,
    folder: PathBuf,
}

impl Node {
    /// Writes the node's files under `folder`.
    pub(super) fn write(place: Place, folder: PathBuf, properties: &str, options: &ClusterOptions) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let properties = properties::of_data(&folder.join("data")) + properties;
        fs::write(folder.join("server.properties"), properties)?;
        fs::write(folder.join("logging.properties"), options.version.release().logging_text("INFO"))?;
        let server = Server::new(format!("broker {}", place.id), folder.join("server.log"));
        Ok(Self { place, server, folder })
    }

    /// Prepares the data folder: once, before the first start.
    pub(super) fn format(&self, distribution: &Distribution, cluster: &str, has_sasl: bool) -> Result<(), RunError> {
        let mut arguments = vec!["format".into(), "--cluster-id".into(), cluster.into(), "--config".into()];
        arguments.push(OsString::from(self.properties()));
        if has_sasl {
            for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
                arguments.push("--add-scram".into());
                arguments.push(format!("{mechanism}=[name={USER},password={PASSWORD}]").into());
            }
        }
        distribution.run("kafka.tools.StorageTool", &arguments, b"").map(drop)
    }

    /// Starts the process; a moment later it may answer or have ended.
    pub(super) fn start(&self, distribution: &Distribution, options: &ClusterOptions) -> Result<(), StartError> {
        let mut command =
            distribution.node(options.tuning, &self.folder.join("logging.properties"), &self.properties());
        if let Some(kerberos) = &options.kerberos {
            // The launchers' own arguments end with the class; the machine takes further ones from here.
            let option = format!("-Djava.security.krb5.conf={}", kerberos.configuration.display());
            command.env("JAVA_TOOL_OPTIONS", option);
        }
        self.server.start(command.current_dir(&self.folder))
    }

    pub(super) fn properties(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.place.plain).into()
    }

    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        probe::ask(self.address())
    }
}

/// The segments of `partition` of `topic` under the data folder `data`, oldest first.
pub(super) fn segments(data: &Path, topic: &str, partition: u32) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(data.join(format!("{topic}-{partition}")))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            found.push(path);
        }
    }
    // Names are base offsets with leading zeros.
    found.sort_unstable();
    Ok(found)
}
