//! [`ConnectionError`].

use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::CredentialsError;
use crate::ErrorCode;

/// Why a connection could not be made, or ended. Every request that waited on it gets a copy.
#[derive(Clone, Debug, Error)]
pub enum ConnectionError {
    /// No TCP connection, or no TLS session.
    #[error("cannot connect to {peer}: check address, port and the listener's security protocol")]
    Connect {
        /// Host and port.
        peer: Arc<str>,
        /// What the system or the TLS library said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The broker did not answer in time. Whether it acted on the request is unknown.
    #[error("{peer} did not answer {what} within {after:?}")]
    TimedOut {
        /// Host and port.
        peer: Arc<str>,
        /// The request.
        what: &'static str,
        /// The limit.
        after: Duration,
    },
    /// The broker hung up.
    #[error("{peer} closed the connection")]
    Closed {
        /// Host and port.
        peer: Arc<str>,
    },
    /// Reading or writing failed.
    #[error("connection to {peer} failed")]
    Io {
        /// Host and port.
        peer: Arc<str>,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// Bytes that are no answer to what was asked, or an answer beyond the size limit.
    #[error("{peer} sent what is not an answer to {what}: {detail}")]
    Malformed {
        /// Host and port.
        peer: Arc<str>,
        /// The request.
        what: &'static str,
        /// What is wrong with it.
        detail: Arc<str>,
    },
    /// No version of a request that both sides know.
    #[error("{peer} supports {what} in versions {theirs:?}, this client {ours:?}: brokers from 2.8 on are supported")]
    Unsupported {
        /// Host and port.
        peer: Arc<str>,
        /// The request.
        what: &'static str,
        /// First and last version of the broker; `None` if it does not have the request.
        theirs: Option<(i16, i16)>,
        /// First and last version of this client.
        ours: (i16, i16),
    },
    /// The broker refused the credentials, or is not who it has to be.
    #[error("{peer} and this client did not agree on {mechanism}: {detail}")]
    Authentication {
        /// Host and port.
        peer: Arc<str>,
        /// The SASL mechanism.
        mechanism: &'static str,
        /// The broker's message, or ours.
        detail: Arc<str>,
        /// The broker's code, if it gave one.
        code: Option<ErrorCode>,
    },
    /// There is nothing to show to the broker.
    #[error("no credentials for {peer} ({mechanism})")]
    Credentials {
        /// Host and port.
        peer: Arc<str>,
        /// The SASL mechanism.
        mechanism: &'static str,
        /// Why.
        #[source]
        source: Arc<CredentialsError>,
    },
    /// The broker limits how long credentials hold, and this client could not show them again in time.
    #[error("the session with {peer} ended")]
    SessionEnded {
        /// Host and port.
        peer: Arc<str>,
        /// Why it could not be renewed.
        #[source]
        source: Arc<Self>,
    },
}
