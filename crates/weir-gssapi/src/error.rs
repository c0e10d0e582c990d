//! [`GssError`].

use thiserror::Error;

/// Why there is no security context, or why it did not do what was asked. Holds no key, ticket or token.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum GssError {
    /// The library is not there, or is another.
    #[error(
        "Kerberos needs {library}, which cannot be used ({detail}): install libgssapi-krb5-2 (Debian, Ubuntu) or \
         krb5-libs (Red Hat)"
    )]
    Library {
        /// Its file name.
        library: &'static str,
        /// What the system said.
        detail: String,
    },
    /// A name or path that the library cannot be given.
    #[error("{what} {text:?} holds a zero byte")]
    ZeroByte {
        /// Which.
        what: &'static str,
        /// The text.
        text: String,
    },
    /// The library refused; the text is its own.
    #[error("cannot {what}: {detail}")]
    Failed {
        /// What was tried, with whom.
        what: String,
        /// The library's reasons: of GSSAPI, and of the mechanism.
        detail: String,
    },
    /// The peer accepted, but did not prove who it is.
    #[error("{target} did not prove who it is")]
    NotMutual {
        /// The peer.
        target: String,
    },
    /// A message was to be wrapped or unwrapped before the peers agreed, or a step taken after.
    #[error("the security context with {target} is {}", if *established { "established already" } else { "not established yet" })]
    OutOfTurn {
        /// The peer.
        target: String,
        /// Whether the peers have agreed.
        established: bool,
    },
}
