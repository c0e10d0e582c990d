//! Kerberos for clients: security contexts (RFC 2743) by the operating system's GSSAPI library, loaded at run time.
//!
//! ```text
//!   Context::new(target, mechanism, credentials) --> step(b"") --> token to the peer
//!                                                    step(token from the peer) --> Continue(token) ... Done(token)
//!                                                    wrap, unwrap
//! ```
//!
//! One binary thus runs with and without Kerberos installed: where the library is missing, opening a context says which
//! package has it. The library is MIT's, `libgssapi_krb5.so.2`; realms, key distribution centres and default caches are
//! whatever its own configuration says (`krb5.conf`, `KRB5_CONFIG`).
//!
//! This is *not* a SASL or HTTP implementation: who speaks a protocol carries the tokens. It keeps nothing but the library
//! itself, and what the library keeps: tickets got by a keytab stay in memory until they run out.
//!
//! Blocking: a first step, and making a context from a keytab, may ask a key distribution centre over the network and wait
//! for as long as the library's configuration says, some 10 s and more if none answers. Everything else computes only.
//! So contexts are opened on a thread that may block. A context may move between threads.

#[cfg(feature = "acceptor")]
mod acceptor;
mod context;
mod credentials;
mod error;
mod handles;
mod library;

#[cfg(feature = "acceptor")]
pub use acceptor::Acceptor;
pub use context::{Context, Step};
pub use credentials::Credentials;
pub use error::GssError;
pub use library::Mechanism;
