//! [`ConnectionOptions`] and credentials.

use std::fmt;
use std::time::Duration;

use super::{KerberosCredentials, TlsOptions, TokenSource};

/// How connections are made and what they may use.
#[derive(Clone, Debug)]
pub struct ConnectionOptions {
    /// Name of this client in the brokers' logs and quotas; at most 32,767 bytes count.
    pub client_id: String,
    /// TLS and SASL; neither by default.
    pub security: Security,
    /// Limit on TCP, TLS and SASL handshakes together; `request_timeout` is one too, if it is shorter.
    pub connect_timeout: Duration,
    /// Limit on the answer to a request; requests that wait at the broker by design get their wait on top.
    pub request_timeout: Duration,
    /// Requests on one connection that have not been answered; the next waits. At least 1.
    pub in_flight_requests_max: usize,
    /// Largest answer, bytes; a larger one ends the connection.
    pub response_bytes_max: usize,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            client_id: "weir".to_owned(),
            security: Security::default(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            in_flight_requests_max: 16,
            // Twice the fetch limit of the default fetch options, and more than any metadata.
            response_bytes_max: 128 << 20,
        }
    }
}

impl ConnectionOptions {
    /// Limit on everything before the first request.
    pub(super) fn handshake_timeout(&self) -> Duration {
        self.connect_timeout.min(self.request_timeout)
    }
}

/// What protects a connection.
#[derive(Clone, Debug, Default)]
pub struct Security {
    /// TLS, if the listener has it.
    pub tls: Option<TlsOptions>,
    /// Credentials, if the listener wants them.
    pub sasl: Option<Sasl>,
}

/// A SASL mechanism and its credentials.
#[derive(Clone, Debug)]
pub enum Sasl {
    /// PLAIN: the password goes over the wire, so only with TLS.
    Plain {
        /// Name of the user.
        username: String,
        /// Its password.
        password: Secret,
    },
    /// SCRAM: the password stays here, and the broker proves that it knows it too.
    Scram {
        /// Which hash.
        mechanism: ScramMechanism,
        /// Name of the user.
        username: String,
        /// Its password.
        password: Secret,
    },
    /// OAUTHBEARER: a token that the broker knows how to check. Whoever reads it can use it, so only with TLS.
    OauthBearer {
        /// Where tokens come from.
        token: TokenSource,
        /// Names and values that the broker wants besides (KIP-342); names are letters only.
        extensions: Vec<(String, String)>,
    },
    /// GSSAPI: Kerberos, by the system's library, which is loaded when the first connection is made. Each side proves who it
    /// is; what is sent afterwards is protected by TLS or not at all.
    Gssapi {
        /// The first part of the brokers' principals: `kafka` in `kafka/broker1.example.org@EXAMPLE.ORG`. The second is the
        /// host of their addresses.
        service: String,
        /// Who this client is.
        credentials: KerberosCredentials,
    },
}

/// The hash of a SCRAM exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScramMechanism {
    /// SCRAM-SHA-256.
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

/// Text that is never printed.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
