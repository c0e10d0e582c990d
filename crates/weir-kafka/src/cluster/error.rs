//! [`ClusterError`].

use std::sync::Arc;

use thiserror::Error;

use crate::{ConnectionError, ErrorClass, ErrorCode, TlsError};

/// Why something asked of a cluster failed.
#[derive(Debug, Error)]
pub enum ClusterError {
    /// No bootstrap address, or one that is not host:port.
    #[error("{address:?} is no address of a broker: give host:port")]
    Address {
        /// The text as configured.
        address: String,
    },
    /// The TLS options cannot be used.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    /// None of the brokers can be reached; the source is what the last one tried gave.
    #[error("none of {tried} brokers can be reached")]
    Unreachable {
        /// How many were tried.
        tried: usize,
        /// The last failure.
        #[source]
        source: ConnectionError,
    },
    /// A broker could not be reached or did not answer.
    #[error("a broker did not answer")]
    Connection(#[from] ConnectionError),
    /// The cluster does not have this broker now.
    #[error("broker {broker} is not part of the cluster now")]
    NoBroker {
        /// Its id.
        broker: i32,
    },
    /// A broker answered with an error.
    #[error("{what} failed with {code}{}", detail.as_deref().map(|text| format!(": {text}")).unwrap_or_default())]
    Refused {
        /// What was asked, with the name of the topic or group.
        what: String,
        /// The error.
        code: ErrorCode,
        /// The broker's message.
        detail: Option<Arc<str>>,
    },
}

impl ClusterError {
    /// What to do about it.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Refused { code, .. } => code.class(),
            Self::Address { .. }
            | Self::Tls(_)
            | Self::Connection(ConnectionError::Unsupported { .. } | ConnectionError::Authentication { .. }) => {
                ErrorClass::RejectBatch
            }
            Self::Unreachable { .. } => ErrorClass::Retry,
            Self::Connection(_) | Self::NoBroker { .. } => ErrorClass::RefreshMetadata,
        }
    }
}
