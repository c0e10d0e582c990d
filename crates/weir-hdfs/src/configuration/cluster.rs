//! One cluster, checked.

use std::path::PathBuf;

use super::{ConfigurationError, Properties};

/// Ports of Hadoop 3 where an address has none.
const RPC_PORT: u16 = 8020;
const HTTP_PORT: u16 = 9870;
const HTTPS_PORT: u16 = 9871;
/// Hadoop's bound of copies (`dfs.replication.max`).
const REPLICATION_MAX: u64 = 512;

/// How a file system is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// Hadoop's own protocol: `hdfs://`.
    Native,
    /// WebHDFS or HttpFS: `webhdfs://`, and over TLS `swebhdfs://`.
    Web {
        /// Whether over TLS.
        tls: bool,
    },
    /// A folder of this machine, or one mounted into it: `file://`.
    Local,
}

/// One NameNode (or an HttpFS in its place), as `host:port`; an address that nobody gave is absent.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct NameNode {
    /// Hadoop's own protocol.
    pub rpc: Option<String>,
    /// WebHDFS.
    pub http: Option<String>,
    /// WebHDFS over TLS.
    pub https: Option<String>,
}

/// What a client needs to know of a cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cluster {
    /// How it is to be reached.
    pub transport: Transport,
    /// `host:port`, or the name of the name service; empty for a folder.
    pub name: String,
    /// Path of the URL without a slash at its end, `/` at least: an absolute path of the file system.
    pub path: String,
    /// In the order in which they are to be asked; not empty unless the transport is [`Transport::Local`].
    pub namenodes: Vec<NameNode>,
    /// `dfs.replication`, if set.
    pub replication: Option<u16>,
    /// `dfs.blocksize`, if set.
    pub block_bytes: Option<u64>,
    /// `hadoop.security.authentication` is `kerberos`.
    pub kerberos: bool,
    /// `dfs.namenode.kerberos.principal`, with `_HOST` for the host of the NameNode.
    pub principal: Option<String>,
    /// `dfs.data.transfer.protection`, if set: `authentication`, `integrity` or `privacy`.
    pub data_protection: Option<String>,
    /// `dfs.encrypt.data.transfer`.
    pub data_encrypted: bool,
    /// `dfs.client.use.datanode.hostname`: DataNodes by host name, not by address.
    pub by_hostname: bool,
}

impl Cluster {
    /// The cluster that `url` names: `hdfs://host:port/path`, `hdfs://nameservice/path`, `webhdfs://...`, `swebhdfs://...`,
    /// `file:///path`, or only `/path` in the file system that `fs.defaultFS` names.
    ///
    /// # Errors
    /// [`ConfigurationError`]: the URL, or a property that it needs.
    pub fn find(url: &str, properties: &Properties) -> Result<Self, ConfigurationError> {
        let wrong = |what: &str| ConfigurationError::Url { url: url.to_owned(), what: what.to_owned() };
        if url.starts_with('/') {
            let name = "fs.defaultFS";
            let why =
                "so a path alone names no file system: give hdfs://host:port/path, or the folder of the configuration";
            let default = properties.get(name)?.ok_or_else(|| properties.error(name, why))?;
            let default = default.trim_end_matches('/');
            if !default.contains("://") {
                return Err(properties.error(name, "is no URL"));
            }
            return Self::find(&format!("{default}{url}"), properties).map_err(|error| match error {
                ConfigurationError::Url { what, .. } => properties.error(name, &what),
                other => other,
            });
        }
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("is no URL: hdfs://host:port/path expected"))?;
        let transport = match scheme {
            "hdfs" => Transport::Native,
            "webhdfs" => Transport::Web { tls: false },
            "swebhdfs" => Transport::Web { tls: true },
            "file" => Transport::Local,
            _ => return Err(wrong("the scheme is none of hdfs, webhdfs, swebhdfs, file")),
        };
        let (name, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if path.split('/').any(|part| part == "." || part == "..") {
            return Err(wrong("the path has . or .. in it"));
        }
        let path = match path.trim_end_matches('/') {
            "" => "/",
            path => path,
        };
        match (transport, name.is_empty()) {
            (Transport::Local, false) => return Err(wrong("file:// takes no host: file:///path with three slashes")),
            (Transport::Native | Transport::Web { .. }, true) => return Err(wrong("has no host")),
            _ => {}
        }
        if name.contains('@') || name.contains('?') || name.contains('#') {
            return Err(wrong("neither user, query nor fragment belongs here"));
        }
        let namenodes = match transport {
            Transport::Local => Vec::new(),
            _ => namenodes(name, transport, properties, &wrong)?,
        };
        Self { namenodes, ..Self::bare(transport, name, path) }.with(properties)
    }

    fn bare(transport: Transport, name: &str, path: &str) -> Self {
        Self {
            transport,
            name: name.to_owned(),
            path: path.to_owned(),
            namenodes: Vec::new(),
            replication: None,
            block_bytes: None,
            kerberos: false,
            principal: None,
            data_protection: None,
            data_encrypted: false,
            by_hostname: false,
        }
    }

    fn with(mut self, properties: &Properties) -> Result<Self, ConfigurationError> {
        self.replication = number(properties, "dfs.replication", 1, REPLICATION_MAX)?
            .map(|number| u16::try_from(number).expect("at most 512"));
        self.block_bytes = number(properties, "dfs.blocksize", 512, 1 << 50)?;
        self.kerberos = match properties.get("hadoop.security.authentication")?.as_deref() {
            None | Some("simple") => false,
            Some("kerberos") => true,
            Some(_) => {
                return Err(properties.error("hadoop.security.authentication", "is neither simple nor kerberos"));
            }
        };
        self.principal = properties.get("dfs.namenode.kerberos.principal")?;
        self.data_protection = properties.get("dfs.data.transfer.protection")?;
        self.data_encrypted = switch(properties, "dfs.encrypt.data.transfer")?;
        self.by_hostname = switch(properties, "dfs.client.use.datanode.hostname")?;
        Ok(self)
    }

    /// The folder of a [`Transport::Local`].
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        PathBuf::from(&self.path)
    }

    /// Addresses of WebHDFS, `host:port`, in the order of the NameNodes; empty if nobody gave one.
    #[must_use]
    pub fn web_addresses(&self, tls: bool) -> Vec<String> {
        let each = self.namenodes.iter();
        each.filter_map(|node| if tls { node.https.clone() } else { node.http.clone() }).collect()
    }

    /// Addresses of Hadoop's own protocol, `host:port`, in the order of the NameNodes; empty if nobody gave one.
    #[must_use]
    pub fn rpc_addresses(&self) -> Vec<String> {
        self.namenodes.iter().filter_map(|node| node.rpc.clone()).collect()
    }
}

/// Those of a name service, or the one at `name`.
fn namenodes(
    name: &str,
    transport: Transport,
    properties: &Properties,
    wrong: &dyn Fn(&str) -> ConfigurationError,
) -> Result<Vec<NameNode>, ConfigurationError> {
    let services = list(properties, "dfs.nameservices")?;
    if services.iter().any(|service| service == name) {
        return service(name, transport, properties);
    }
    let default = match transport {
        Transport::Web { tls: true } => HTTPS_PORT,
        Transport::Web { tls: false } => HTTP_PORT,
        _ => RPC_PORT,
    };
    let address = address(name, default).map_err(|what| wrong(&what))?;
    let node = match transport {
        Transport::Web { tls: true } => NameNode { https: Some(address), ..NameNode::default() },
        Transport::Web { tls: false } => NameNode { http: Some(address), ..NameNode::default() },
        // Its WebHDFS is known only if the properties are of this very NameNode.
        _ => single(address, properties)?,
    };
    Ok(vec![node])
}

/// A NameNode without a name service, by the address that the URL gives.
fn single(rpc: String, properties: &Properties) -> Result<NameNode, ConfigurationError> {
    let same = properties.get("fs.defaultFS")?.is_some_and(|default| {
        let authority = default.strip_prefix("hdfs://").map(|rest| rest.split('/').next().unwrap_or(rest));
        authority.and_then(|authority| address(authority, RPC_PORT).ok()).is_some_and(|own| own == rpc)
    });
    let web = |name: &str, port| if same { web(properties, name, port, Some(&rpc)) } else { Ok(None) };
    let http = web("dfs.namenode.http-address", HTTP_PORT)?;
    let https = web("dfs.namenode.https-address", HTTPS_PORT)?;
    Ok(NameNode { rpc: Some(rpc), http, https })
}

fn service(name: &str, transport: Transport, properties: &Properties) -> Result<Vec<NameNode>, ConfigurationError> {
    let identifiers = list(properties, &format!("dfs.ha.namenodes.{name}"))?;
    let suffixes = if identifiers.is_empty() {
        vec![format!(".{name}")]
    } else {
        identifiers.iter().map(|identifier| format!(".{name}.{identifier}")).collect()
    };
    let mut nodes = Vec::with_capacity(suffixes.len());
    for suffix in &suffixes {
        let key = format!("dfs.namenode.rpc-address{suffix}");
        let rpc =
            properties.get(&key)?.map(|value| address(&value, RPC_PORT).map_err(|what| properties.error(&key, &what)));
        let rpc = rpc.transpose()?;
        let http = web(properties, &format!("dfs.namenode.http-address{suffix}"), HTTP_PORT, rpc.as_deref())?;
        let https = web(properties, &format!("dfs.namenode.https-address{suffix}"), HTTPS_PORT, rpc.as_deref())?;
        let (needed, kind) = match transport {
            Transport::Web { tls: true } => (&https, "https-address"),
            Transport::Web { tls: false } => (&http, "http-address"),
            _ => (&rpc, "rpc-address"),
        };
        if needed.is_none() {
            let why = format!("but name service {name} needs it to be reached");
            return Err(ConfigurationError::Missing { name: format!("dfs.namenode.{kind}{suffix}"), why });
        }
        nodes.push(NameNode { rpc, http, https });
    }
    Ok(nodes)
}

/// A web address; servers give `0.0.0.0` for all of their own, which to a client means the host of `rpc`.
fn web(
    properties: &Properties,
    name: &str,
    port: u16,
    rpc: Option<&str>,
) -> Result<Option<String>, ConfigurationError> {
    let Some(value) = properties.get(name)? else { return Ok(None) };
    let address = address(&value, port).map_err(|what| properties.error(name, &what))?;
    let host = rpc.and_then(|rpc| rpc.rsplit_once(':')).map(|(host, _)| host);
    Ok(match (address.strip_prefix("0.0.0.0:"), host) {
        (Some(port), Some(host)) => Some(format!("{host}:{port}")),
        (Some(_), None) => None,
        (None, _) => Some(address),
    })
}

/// `host:port` with the port put in where it is missing.
fn address(value: &str, port: u16) -> Result<String, String> {
    let plain = |text: &str| !text.is_empty() && !text.contains(['/', ' ', ',', '$', '@']);
    // An IPv6 address has colons of its own and stands in brackets.
    let after_host = value.rfind(']').map_or(0, |end| end + 1);
    match value[after_host..].rfind(':').map(|colon| value.split_at(after_host + colon)) {
        None if plain(value) => Ok(format!("{value}:{port}")),
        Some((host, given)) if plain(host) && given[1..].parse::<u16>().is_ok_and(|port| port > 0) => {
            Ok(value.to_owned())
        }
        _ => Err(format!("{value:?} is not host:port")),
    }
}

fn list(properties: &Properties, name: &str) -> Result<Vec<String>, ConfigurationError> {
    let value = properties.get(name)?.unwrap_or_default();
    Ok(value.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
}

fn switch(properties: &Properties, name: &str) -> Result<bool, ConfigurationError> {
    match properties.get(name)?.map(|value| value.to_ascii_lowercase()).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(properties.error(name, "is neither true nor false")),
    }
}

/// A number, with k, m, g or t for powers of 1024 behind it.
fn number(properties: &Properties, name: &str, min: u64, max: u64) -> Result<Option<u64>, ConfigurationError> {
    let Some(value) = properties.get(name)? else { return Ok(None) };
    let lower = value.to_ascii_lowercase();
    let shift = match lower.chars().last() {
        Some('k') => 10,
        Some('m') => 20,
        Some('g') => 30,
        Some('t') => 40,
        _ => 0,
    };
    let digits = if shift == 0 { &lower[..] } else { &lower[..lower.len() - 1] };
    let number = digits.trim().parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    match number.filter(|number| (min..=max).contains(number)) {
        Some(number) => Ok(Some(number)),
        None => Err(properties.error(name, &format!("{value:?} is not a number from {min} to {max}"))),
    }
}
