//! What a cluster is to be like.

use std::path::PathBuf;

use crate::Tuning;

/// The user of every SASL mechanism.
pub const USER: &str = "weir";
/// The password of [`USER`], where the mechanism has one.
pub const PASSWORD: &str = "weir-secret";

/// A release of Apache Kafka.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum Version {
    /// The oldest that is promised, with a `ZooKeeper`: no SASL here, and a broker that was killed can be started again only
    /// when its old session has run out, after 5 s.
    V2_8,
    /// The last line before 4.0 took the oldest request versions away.
    V3_9,
    /// The current line.
    #[default]
    V4_3,
}

impl Version {
    /// As in the names of its artifacts.
    #[must_use]
    pub const fn text(self) -> &'static str {
        self.release().text
    }

    /// Whether groups may use the consumer protocol of KIP-848.
    #[must_use]
    pub const fn has_consumer_protocol(self) -> bool {
        self.release().has_consumer_protocol
    }

    /// Whether the tools take a client's property by `--command-property`; else each has its own flag for that.
    #[must_use]
    pub const fn has_common_flags(self) -> bool {
        self.release().has_common_flags
    }
}

/// A way into a broker besides the plain one, which every broker has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Listener {
    /// TLS; clients show no certificate.
    Tls,
    /// TLS; a client shows a certificate of [`Certificates::authority`](super::Certificates::authority) or is turned away.
    MutualTls,
    /// SASL with every [`Mechanism`], not encrypted.
    Sasl,
    /// SASL with every [`Mechanism`] over TLS.
    SaslTls,
    /// SASL with every [`Mechanism`] over TLS; a client shows a certificate as well.
    SaslMutualTls,
}

impl Listener {
    /// Its name in the broker's properties.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Tls => "TLS",
            Self::MutualTls => "MUTUAL_TLS",
            Self::Sasl => "SASL",
            Self::SaslTls => "SASL_TLS",
            Self::SaslMutualTls => "SASL_MUTUAL_TLS",
        }
    }

    /// Its `security.protocol`.
    pub(super) const fn protocol(self) -> &'static str {
        match self {
            Self::Tls | Self::MutualTls => "SSL",
            Self::Sasl => "SASL_PLAINTEXT",
            Self::SaslTls | Self::SaslMutualTls => "SASL_SSL",
        }
    }

    /// Whether it is encrypted.
    pub(super) const fn has_tls(self) -> bool {
        !matches!(self, Self::Sasl)
    }

    /// Whether clients say who they are by SASL.
    pub(super) const fn has_sasl(self) -> bool {
        matches!(self, Self::Sasl | Self::SaslTls | Self::SaslMutualTls)
    }

    /// Whether clients say who they are by certificates.
    pub(super) const fn wants_certificates(self) -> bool {
        matches!(self, Self::MutualTls | Self::SaslMutualTls)
    }
}

/// How a client says who it is on a SASL listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Mechanism {
    /// [`USER`] and [`PASSWORD`] in the clear.
    Plain,
    /// [`USER`] and [`PASSWORD`], salted and challenged.
    ScramSha256,
    /// [`USER`] and [`PASSWORD`], salted and challenged.
    ScramSha512,
    /// An unsigned token (`alg` is `none`) whose subject is [`USER`], with `iat` and `exp` in seconds: what a broker accepts
    /// while it is given no keys to check signatures with.
    OauthBearer,
}

impl Mechanism {
    /// Its registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }
}

/// What brokers need to take part in Kerberos.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kerberos {
    /// The realm's `krb5.conf`.
    pub configuration: PathBuf,
    /// Who the brokers are: `kafka/127.0.0.1@REALM`; the first part is the name of the service.
    pub principal: String,
    /// A keytab with the principal's key.
    pub keytab: PathBuf,
}

/// What [`Cluster::start`](super::Cluster::start) starts. The default: one broker of the current line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClusterOptions {
    /// The release; all nodes are of the same.
    pub version: Version,
    /// Number of nodes, 1 to 9; they are called 1, 2, 3 and so on, and are in `rack1`, `rack2` and so on.
    pub brokers: u32,
    /// Ways in besides the plain one, each on every node.
    pub listeners: Vec<Listener>,
    /// Kerberos on every listener with SASL, as the mechanism `GSSAPI`.
    pub kerberos: Option<Kerberos>,
    /// Properties of every node, stronger than what the launcher sets: (`message.max.bytes`, `65536`).
    pub properties: Vec<(String, String)>,
    /// Quick to start, or fast when warm.
    pub tuning: Tuning,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            version: Version::default(),
            brokers: 1,
            listeners: Vec::new(),
            kerberos: None,
            properties: Vec::new(),
            tuning: Tuning::default(),
        }
    }
}

impl ClusterOptions {
    /// Whether clients say who they are by SASL anywhere.
    pub(super) fn has_sasl(&self) -> bool {
        self.listeners.iter().any(|listener| listener.has_sasl())
    }
}

/// A topic to create.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Number of partitions.
    pub partitions: u32,
    /// On how many brokers each partition is; at most as many as there are.
    pub replication: u32,
    /// Its properties: (`min.insync.replicas`, `2`).
    pub properties: Vec<(String, String)>,
}

impl Topic {
    /// One partition on one broker, nothing set.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), partitions: 1, replication: 1, properties: Vec::new() }
    }
}
