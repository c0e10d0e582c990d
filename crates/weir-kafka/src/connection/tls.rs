//! TLS by rustls.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Secret;

/// What TLS needs. Texts are PEM. By default the authorities of the system vouch for the peer, and this client shows no
/// certificate.
#[derive(Clone)]
pub struct TlsOptions {
    /// Certificates of authorities that may vouch for the peer; empty if those of the system are enough.
    pub authorities_pem: String,
    /// Whether the authorities that the operating system trusts may vouch for the peer, too. They are read once, when the
    /// options are made ready: a few milliseconds.
    pub system_authorities: bool,
    /// Certificate chain and private key of this client, where brokers want one.
    pub identity_pem: Option<(String, Secret)>,
    /// The name that the peer's certificate bears; `None` for the host of each address.
    pub server_name: Option<String>,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self { authorities_pem: String::new(), system_authorities: true, identity_pem: None, server_name: None }
    }
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("system_authorities", &self.system_authorities)
            .field("server_name", &self.server_name)
            .field("has_identity", &self.identity_pem.is_some())
            .finish_non_exhaustive()
    }
}

/// Why TLS options cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// Not PEM, or nothing of the kind in it.
    #[error("{what} cannot be read as PEM: {detail}")]
    Pem {
        /// Which text.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// Nobody could vouch for the peer.
    #[error("the system trusts no authority that can be read{}: give authorities as PEM", because(.detail))]
    NoAuthority {
        /// What went wrong when looking for them; empty if there are none.
        detail: String,
    },
    /// rustls refused them.
    #[error("the certificates cannot be used")]
    Refused(#[from] rustls::Error),
}

/// Options made ready.
#[derive(Clone)]
pub(crate) struct TlsContext {
    connector: TlsConnector,
    server_name: Option<String>,
}

impl TlsContext {
    pub(crate) fn new(options: &TlsOptions) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in authorities(options)? {
            roots.add(certificate)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match &options.identity_pem {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = certificates("the client's certificate chain", chain)?;
                let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes())
                    .map_err(|error| TlsError::Pem { what: "the client's private key", detail: error.to_string() })?;
                builder.with_client_auth_cert(chain, key)?
            }
        };
        Ok(Self { connector: Arc::new(config).into(), server_name: options.server_name.clone() })
    }

    /// The handshake over `socket` with the peer at `host`.
    pub(super) async fn handshake(&self, socket: TcpStream, host: &str) -> io::Result<TlsStream<TcpStream>> {
        let name = self.server_name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        self.connector.connect(name, socket).await
    }
}

/// The authorities that may vouch for the peer: at least one.
pub(super) fn authorities(options: &TlsOptions) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let given = !options.authorities_pem.trim().is_empty();
    let mut all = match given || !options.system_authorities {
        true => certificates("the authorities", &options.authorities_pem)?,
        false => Vec::new(),
    };
    if options.system_authorities {
        let found = rustls_native_certs::load_native_certs();
        let detail = found.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        // Systems carry certificates that rustls cannot use; each is of no use for itself alone.
        let usable = |certificate: &CertificateDer<'static>| RootCertStore::empty().add(certificate.clone()).is_ok();
        all.extend(found.certs.into_iter().filter(usable));
        if all.is_empty() {
            return Err(TlsError::NoAuthority { detail });
        }
    }
    Ok(all)
}

fn because(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(" ({detail})") }
}

fn certificates(what: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let all = all.map_err(|error| TlsError::Pem { what, detail: error.to_string() })?;
    if all.is_empty() {
        return Err(TlsError::Pem { what, detail: "no certificate in it".to_owned() });
    }
    Ok(all)
}
