//! The file system that the options name.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tracing::info;
use weir_config::{Diagnostics, Options};
use weir_engine::source::StartError;
use weir_gssapi::Credentials;
use weir_hdfs::configuration::{Cluster, Properties, Transport};
use weir_hdfs::webhdfs::Authentication;
use weir_hdfs::{Fallback, Faults, FileSystem, LocalFileSystem, NativeHdfs, NativeOptions, WebHdfs, WebHdfsOptions};

use crate::io_thread::IoThread;

/// How much of a file may wait or be under way: at 100 MB/s a fiftieth of a second, more than a pipeline of three takes.
pub(super) const CLIENT_WINDOW_BYTES: u32 = 2 << 20;
/// How long WebHDFS is used after Hadoop's own protocol failed: a server that was started again is back by then.
const FALL_BACK_TIME: Duration = Duration::from_secs(60);

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
        if let Some(why) = connection.why_out_of_reach() {
            let hint = "set web_address = \"NAMENODE:9870\", or hadoop_conf to a folder whose hdfs-site.xml has dfs.namenode.http-address";
            diagnostics.push(options.error("path", why).with_hint(hint));
            return None;
        }
        Some(connection)
    }

    /// What is known of the cluster.
    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
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
        web.queue_bytes = CLIENT_WINDOW_BYTES;
        Some(web)
    }

    /// Why there is no way to the cluster, if there is none.
    fn why_out_of_reach(&self) -> Option<String> {
        if self.cluster.transport == Transport::Local || self.native().is_some() || self.web().is_some() {
            return None;
        }
        let needs = match self.guard() {
            Some(guard) => format!("{guard}, which only WebHDFS is spoken for, and"),
            None => "there is no address of Hadoop's own protocol, and".to_owned(),
        };
        Some(format!("{needs} no address of WebHDFS is known for this cluster"))
    }

    /// What of the cluster Hadoop's own protocol is not spoken for.
    fn guard(&self) -> Option<&'static str> {
        if self.cluster.kerberos || self.credentials.is_some() {
            Some("the cluster asks for Kerberos")
        } else if self.cluster.data_encrypted || self.cluster.data_protection.is_some() {
            Some("the cluster encrypts or protects data transfer")
        } else {
            None
        }
    }

    /// Hadoop's own protocol, for a path that begins with `hdfs://`, where the cluster does not guard it.
    fn native(&self) -> Option<NativeOptions> {
        let namenodes: Vec<_> = self.cluster.namenodes.iter().filter_map(|node| node.rpc.clone()).collect();
        if self.cluster.transport != Transport::Native || namenodes.is_empty() || self.guard().is_some() {
            return None;
        }
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let user = self.user.clone().or_else(|| variable("HADOOP_USER_NAME")).or_else(|| variable("USER"));
        let mut native = NativeOptions::new(namenodes, user.unwrap_or_else(|| "weir".to_owned()));
        native.by_hostname = self.cluster.by_hostname;
        (native.namenode_timeout, native.write_timeout) = (self.call_timeout, self.write_timeout);
        native.window_bytes = CLIENT_WINDOW_BYTES as usize;
        Some(native)
    }

    /// The client; connects to nobody yet. `faults` counts what it gets over.
    pub(super) fn file_system(
        &self,
        sink: &str,
        io: &IoThread,
        faults: Faults,
    ) -> Result<Arc<dyn FileSystem>, StartError> {
        let _inside = io.handle().enter();
        if self.cluster.transport == Transport::Local {
            return Ok(Arc::new(LocalFileSystem::new("/")));
        }
        let web = match self.web() {
            Some(options) => {
                let options = WebHdfsOptions { faults: faults.clone(), ..options };
                let failed = |error| StartError::new(format!("sink {sink}: no client for WebHDFS"), error);
                Some(Arc::new(WebHdfs::new(options).map_err(failed)?) as Arc<dyn FileSystem>)
            }
            None => None,
        };
        let native = match self.native() {
            Some(options) => {
                let options = NativeOptions { faults: faults.clone(), ..options };
                let failed = |error| StartError::new(format!("sink {sink}: no client for HDFS"), error);
                Some(Arc::new(NativeHdfs::new(options).map_err(failed)?) as Arc<dyn FileSystem>)
            }
            None => None,
        };
        match (native, web) {
            (Some(native), Some(web)) => {
                info!(sink, "HDFS by Hadoop's own protocol; by WebHDFS while that fails");
                let ways = (("Hadoop's own protocol", native), ("WebHDFS", web));
                Ok(Arc::new(Fallback::new(ways.0, ways.1, FALL_BACK_TIME, faults)))
            }
            (Some(only), None) => {
                info!(sink, "HDFS by Hadoop's own protocol; no address of WebHDFS is known to turn to");
                Ok(only)
            }
            (None, Some(only)) => {
                let because = self.guard().unwrap_or("the path says so");
                info!(sink, because, "HDFS by WebHDFS");
                Ok(only)
            }
            (None, None) => {
                let nobody = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
                Err(StartError::new(format!("sink {sink}: no address of the cluster is known"), nobody))
            }
        }
    }
}
