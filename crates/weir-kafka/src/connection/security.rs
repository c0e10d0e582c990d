//! [`SecurityContext`]: what protects connections, made ready once for all of a cluster.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::credentials::on_thread;
use super::kerberos::Kerberos;
use super::token::Tokens;
use super::{CredentialsError, Sasl, Secret, Security, TlsContext, TlsError};

/// Threads that get tickets at the same time: a realm that does not answer blocks each for long, and connections try again.
const TICKET_THREADS_MAX: usize = 4;

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
        let authenticator = security.sasl.as_ref().map(Authenticator::new).transpose()?;
        Ok(Self { tls, authenticator })
    }
}

/// The credentials of all connections of a cluster. Cloning shares it.
#[derive(Clone)]
pub(super) struct Authenticator {
    pub(super) sasl: Arc<Sasl>,
    tokens: Option<Arc<Tokens>>,
    ticket_threads: Arc<Semaphore>,
}

impl Authenticator {
    fn new(sasl: &Sasl) -> Result<Self, TlsError> {
        let tokens = match sasl {
            Sasl::OauthBearer { token, .. } => Some(Arc::new(Tokens::new(token)?)),
            _ => None,
        };
        let ticket_threads = Arc::new(Semaphore::new(TICKET_THREADS_MAX));
        Ok(Self { sasl: Arc::new(sasl.clone()), tokens, ticket_threads })
    }

    /// A token for OAUTHBEARER.
    pub(super) async fn token(&self) -> Result<Secret, CredentialsError> {
        self.tokens.as_ref().expect("made ready for this mechanism").get().await
    }

    /// A ticket for the broker at `host`, and the first message of GSSAPI.
    pub(super) async fn ticket(&self, host: String) -> Result<(Kerberos, Vec<u8>), CredentialsError> {
        let permit = self.ticket_threads.clone().acquire_owned().await.expect("the semaphore is never closed");
        let sasl = self.sasl.clone();
        on_thread(move || {
            // Kept by the thread, which may outlast whoever asked.
            let _permit = permit;
            match &*sasl {
                Sasl::Gssapi { service, credentials } => Ok(Kerberos::open(service, &host, credentials)?),
                _ => unreachable!("only GSSAPI asks for tickets"),
            }
        })
        .await?
    }
}
