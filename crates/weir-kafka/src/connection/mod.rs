//! Connections to brokers.
//!
//! ```text
//!   call --> [permit of the in-flight bound] --> correlation id, waiter at the back of the line --> writer task --> socket
//!   call <-- bytes <-- first waiter of the line  <-- reader task <-- socket
//! ```
//!
//! A broker answers the requests of one connection in their order, so the line of waiters is all the matching there is;
//! an answer out of line, a timeout, a failed read or write ends the connection, and every waiter learns the cause.
//! A request that a broker holds back (a fetch that waits for data, a join) holds back all behind it, so those who send
//! such requests have connections of their own.
//!
//! Where a broker limits how long credentials hold, they are shown again on the live connection: see `renewal`.

mod bearer;
mod credentials;
mod error;
mod handle;
mod kerberos;
mod line;
mod options;
mod pipe;
mod renewal;
mod sasl;
mod scram;
mod security;
mod tls;
mod token;

pub use credentials::CredentialsError;
pub use error::ConnectionError;
pub(crate) use handle::Connection;
pub use options::{ConnectionOptions, Sasl, ScramMechanism, Secret, Security};
pub(crate) use security::SecurityContext;
use tls::TlsContext;
pub use tls::{TlsError, TlsOptions};
pub use token::{TokenEndpoint, TokenSource};
pub use weir_gssapi::Credentials as KerberosCredentials;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod token_tests;
