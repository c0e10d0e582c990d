//! [`SecurityContext`]: what protects connections, made ready once for all of a cluster.

use std::sync::Arc;

use super::{Sasl, Security, TlsContext, TlsError};

/// TLS and credentials made ready.
#[derive(Clone, Default)]
pub(crate) struct SecurityContext {
    pub(super) tls: Option<TlsContext>,
    pub(super) authenticator: Option<Authenticator>,
}

impl SecurityContext {
    /// Reads the system's authorities if asked to; opens no connection.
    pub(crate) fn new(security: &Security) -> Result<Self, TlsError> {
        let tls = security.tls.as_ref().map(TlsContext::new).transpose()?;
        let authenticator = security.sasl.as_ref().map(|sasl| Authenticator { sasl: Arc::new(sasl.clone()) });
        Ok(Self { tls, authenticator })
    }
}

/// The credentials of all connections of a cluster. Cloning shares it.
#[derive(Clone)]
pub(super) struct Authenticator {
    pub(super) sasl: Arc<Sasl>,
}
