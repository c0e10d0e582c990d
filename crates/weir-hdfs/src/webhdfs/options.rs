//! What WebHDFS needs to be told.

use std::path::PathBuf;
use std::time::Duration;

use weir_gssapi::Credentials;

use crate::Faults;
use crate::configuration::{Cluster, Transport};

/// Who we are to the cluster.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Authentication {
    /// Nobody asks: the user's name is believed.
    #[default]
    Simple,
    /// Kerberos by SPNEGO, HTTP's `Negotiate`.
    Kerberos(Credentials),
    /// A delegation token that somebody else keeps valid, in the form that WebHDFS gives it out.
    Token(String),
}

/// Options of [`WebHdfs`](super::WebHdfs).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebHdfsOptions {
    /// `host:port` of the NameNodes, or of an HttpFS: at least one.
    pub addresses: Vec<String>,
    /// Whether over TLS.
    pub tls: bool,
    /// A file with authorities (PEM) besides those of the system.
    pub authorities_file: Option<PathBuf>,
    /// Name of the user where nobody asks for proof; that of the login if absent (`HADOOP_USER_NAME`, then `USER`).
    pub user: Option<String>,
    /// How we prove it.
    pub authentication: Authentication,
    /// How long a call may take over all NameNodes, and how long a file may take to be completed. 30 s.
    pub namenode_timeout: Duration,
    /// How long a file being written or read may stand still. 10 s. Then a DataNode that does not answer is left; one that
    /// does has `pipeline_timeout`.
    pub write_timeout: Duration,
    /// How long a file being written may stand still on a DataNode that answers: it waits for another one, which its own client
    /// gives up after 60 s and 5 s for each copy (`dfs.client.socket-timeout`), to go on with those that are left. To leave it
    /// earlier is of no use: the next DataNode is given the silent one as well, where there are no more than copies. 90 s.
    pub pipeline_timeout: Duration,
    /// How long a DataNode that failed is not asked again. 60 s.
    pub excluded_time: Duration,
    /// Bytes of a file that wait to be sent, at most. 4 MiB.
    pub queue_bytes: u32,
    /// Who counts what it gets over.
    pub faults: Faults,
}

impl WebHdfsOptions {
    /// Defaults for these NameNodes.
    #[must_use]
    pub fn new(addresses: Vec<String>, tls: bool) -> Self {
        Self {
            addresses,
            tls,
            authorities_file: None,
            user: None,
            authentication: Authentication::Simple,
            namenode_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(10),
            pipeline_timeout: Duration::from_secs(90),
            excluded_time: Duration::from_secs(60),
            queue_bytes: 4 << 20,
            faults: Faults::default(),
        }
    }

    /// Defaults for a cluster: over TLS if its URL says so, or if it has no other address; Kerberos if the cluster has it.
    /// `None` if no address of WebHDFS is known.
    #[must_use]
    pub fn of(cluster: &Cluster) -> Option<Self> {
        let asked = match cluster.transport {
            Transport::Web { tls } => Some(tls),
            Transport::Native => None,
            Transport::Local => return None,
        };
        let tls = asked.unwrap_or_else(|| cluster.web_addresses(false).is_empty());
        let addresses = cluster.web_addresses(tls);
        let mut options = Self::new(addresses, tls);
        if cluster.kerberos {
            options.authentication = Authentication::Kerberos(Credentials::Default);
        }
        Some(options).filter(|options| !options.addresses.is_empty())
    }

    /// The name that is believed.
    pub(super) fn user(&self) -> Option<String> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        self.user.clone().or_else(|| variable("HADOOP_USER_NAME")).or_else(|| variable("USER"))
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum WebHdfsError {
    /// There is nobody to ask.
    #[error("no address of WebHDFS is known: set dfs.namenode.http-address, or give webhdfs://host:port")]
    NoAddress,
    /// The authorities cannot be read.
    #[error("cannot use the authorities in {}: {what}", file.display())]
    Authorities {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The machine trusts nobody.
    #[error("the system trusts no authority that can be read: give a file with authorities")]
    NoAuthority,
    /// The HTTP client cannot be made.
    #[error("cannot make an HTTP client")]
    Client(#[source] reqwest::Error),
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
}
