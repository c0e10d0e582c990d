//! The file system that the options name.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use weir_config::{Diagnostics, Options};
use weir_engine::source::StartError;
use weir_gssapi::Credentials;
use weir_hdfs::configuration::{Cluster, Properties, Transport};
use weir_hdfs::webhdfs::Authentication;
use weir_hdfs::{FileSystem, LocalFileSystem, WebHdfs, WebHdfsOptions};

use crate::kafka::runtime::IoThread;

/// The option `path` in its two parts.
pub(super) struct Place<'a> {
    /// Scheme and host; empty if the path alone is given.
    base: &'a str,
    /// The path, with escapes.
    pub(super) template: &'a str,
}

impl<'a> Place<'a> {
    pub(super) fn split(path: &'a str) -> Self {
        let authority = path.find("://").map_or(0, |at| at + "://".len());
        let at = if authority == 0 { 0 } else { path[authority..].find('/').map_or(path.len(), |at| authority + at) };
        let (base, template) = path.split_at(at);
        Self { base, template }
    }
}

/// Where the files are, and how it is reached.
#[derive(Debug)]
pub(super) struct Connection {
    cluster: Cluster,
    web_address: Option<String>,
    user: Option<String>,
    credentials: Option<Credentials>,
    authorities_file: Option<PathBuf>,
    call_timeout: Duration,
    write_timeout: Duration,
}

impl Connection {
    /// `None` after an error.
    pub(super) fn from_options(options: &Options, place: &Place<'_>, diagnostics: &mut Diagnostics) -> Option<Self> {
        if !place.template.starts_with('/') {
            let message = "the path has no directory: it begins with / or with hdfs://HOST:PORT/, webhdfs://, file:///";
            diagnostics.push(options.error("path", message));
            return None;
        }
        let properties = match options.path_opt("hadoop_conf") {
            Some(folder) => Properties::load(folder),
            None => Properties::from_environment(),
        };
        let cluster = properties.and_then(|properties| Cluster::find(&format!("{}/", place.base), &properties));
        let cluster = cluster.map_err(|error| diagnostics.push(options.error("path", weir_engine::chain(&error)))).ok();
        let credentials = match (options.text_opt("kerberos_principal"), options.path_opt("kerberos_keytab")) {
            (Some(principal), Some(path)) => {
                Some(Credentials::Keytab { principal: principal.to_owned(), path: path.to_owned() })
            }
            (None, None) => None,
            (given, _) => {
                let missing = if given.is_some() { "kerberos_keytab" } else { "kerberos_principal" };
                let other = if given.is_some() { "kerberos_principal" } else { "kerberos_keytab" };
                diagnostics.push(options.error(other, format!("means nothing without {missing}")));
                return None;
            }
        };
        let connection = Self {
            cluster: cluster?,
            web_address: options.text_opt("web_address").map(str::to_owned),
            user: options.text_opt("user").map(str::to_owned),
            credentials,
            authorities_file: options.path_opt("ca").map(ToOwned::to_owned),
            call_timeout: options.duration("call_timeout"),
            write_timeout: options.duration("write_timeout"),
        };
        if connection.cluster.transport != Transport::Local && connection.web().is_none() {
            let message = "no address of WebHDFS is known for this cluster";
            let hint = "set web_address = \"NAMENODE:9870\", or hadoop_conf to a folder whose hdfs-site.xml has dfs.namenode.http-address";
            diagnostics.push(options.error("path", message).with_hint(hint));
            return None;
        }
        Some(connection)
    }

    fn web(&self) -> Option<WebHdfsOptions> {
        let mut web = match &self.web_address {
            Some(address) => {
                let tls = matches!(self.cluster.transport, Transport::Web { tls: true });
                let mut web = WebHdfsOptions::new(vec![address.clone()], tls);
                if self.cluster.kerberos {
                    web.authentication = Authentication::Kerberos(Credentials::Default);
                }
                web
            }
            None => WebHdfsOptions::of(&self.cluster)?,
        };
        if let Some(credentials) = &self.credentials {
            web.authentication = Authentication::Kerberos(credentials.clone());
        }
        web.user.clone_from(&self.user);
        web.authorities_file.clone_from(&self.authorities_file);
        (web.namenode_timeout, web.write_timeout) = (self.call_timeout, self.write_timeout);
        Some(web)
    }

    /// The client; connects to nobody yet.
    pub(super) fn file_system(&self, sink: &str, io: &IoThread) -> Result<Arc<dyn FileSystem>, StartError> {
        let _inside = io.handle().enter();
        match self.web() {
            _ if self.cluster.transport == Transport::Local => Ok(Arc::new(LocalFileSystem::new("/"))),
            Some(web) => {
                let failed = |error| StartError::new(format!("sink {sink}: no client for WebHDFS"), error);
                Ok(Arc::new(WebHdfs::new(web).map_err(failed)?))
            }
            None => Err(StartError::new(
                format!("sink {sink}: no address of WebHDFS is known"),
                std::io::Error::from(std::io::ErrorKind::AddrNotAvailable),
            )),
        }
    }
}
