//! [`CredentialsError`], and the thread on which credentials are got.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use tokio::sync::oneshot;
use weir_gssapi::GssError;

/// Why there are no credentials to show to a broker. Passes with its cause: it is tried again with the next connection.
/// Holds no secret and no token.
#[derive(Debug, Error)]
pub enum CredentialsError {
    /// The file with the token.
    #[error("cannot read a token from {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is something, but it is no token.
    #[error("{place} has no token: {detail}")]
    NoToken {
        /// The file, or the address of the token endpoint.
        place: String,
        /// What is wrong with what is there.
        detail: &'static str,
    },
    /// No answer, no connection, or an address that is none.
    #[error("cannot ask the token endpoint {url}")]
    Endpoint {
        /// Its address.
        url: String,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The token endpoint does not know this client, or does not allow what it asks for.
    #[error("the token endpoint {url} answered {status}: {detail}")]
    Refused {
        /// Its address.
        url: String,
        /// The status of the answer.
        status: u16,
        /// `error` and `error_description` of the answer (RFC 6749), or its beginning.
        detail: String,
    },
    /// Kerberos gives no ticket.
    #[error("no Kerberos ticket")]
    Kerberos(#[from] GssError),
    /// The system gives no thread, or the thread gave no result.
    #[error("cannot get credentials on a thread of their own")]
    Thread(#[source] io::Error),
}

/// Runs what may block. On a thread rather than on the runtime's: one that waits for a silent server would hold up the end of
/// the runtime. If nobody waits any more, the work is done all the same.
pub(super) async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CredentialsError> {
    let (sender, result) = oneshot::channel();
    let thread = std::thread::Builder::new().name("weir-auth".to_owned());
    let spawned = thread.spawn(move || {
        // A caller that has stopped waiting is no fault.
        let _ = sender.send(work());
    });
    spawned.map_err(CredentialsError::Thread)?;
    result.await.map_err(|_| CredentialsError::Thread(io::Error::other("it panicked")))
}
