//! [`Credentials`].

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::GssError;
use crate::handles::{Credential, Name, Usage};
use crate::library::{Library, Mechanism};

/// Who this side is, and where its tickets come from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Credentials {
    /// Whatever the library's configuration and the environment say: the default cache (`KRB5CCNAME`, as filled by `kinit`),
    /// or the default client keytab (`KRB5_CLIENT_KTNAME`).
    #[default]
    Default,
    /// A cache of tickets that somebody else keeps filled.
    Cache {
        /// Its file.
        path: PathBuf,
    },
    /// A keytab: tickets are got with it when needed, kept in the memory of this process, and got anew when half of their
    /// time is over.
    Keytab {
        /// Whose key to use: `user@REALM`, or without the realm for the default one.
        principal: String,
        /// Its file.
        path: PathBuf,
    },
}

impl Credentials {
    /// May ask a key distribution centre.
    pub(crate) fn acquire(&self, library: &'static Library, mechanism: Mechanism) -> Result<Credential, GssError> {
        match self {
            Self::Default => Ok(Credential::standard(library)),
            Self::Cache { path } => {
                let what = || format!("use the ticket cache {}", path.display());
                let store = [("ccache", address("the ticket cache", "FILE:", path)?)];
                Credential::acquire(library, mechanism, Usage::Initiate, None, &store, what)
            }
            Self::Keytab { principal, path } => {
                let name = Name::of_principal(library, principal)?;
                let what = || format!("get credentials for {principal} from the keytab {}", path.display());
                // One cache per keytab and principal, so that all contexts share the tickets.
                let store = [
                    ("client_keytab", address("the keytab", "FILE:", path)?),
                    ("ccache", address("the principal or keytab", &format!("MEMORY:{principal}:"), path)?),
                ];
                Credential::acquire(library, mechanism, Usage::Initiate, Some(&name), &store, what)
            }
        }
    }
}

/// An address as the library has them: kind and place.
pub(crate) fn address(what: &'static str, kind: &str, path: &Path) -> Result<CString, GssError> {
    let bytes = [kind.as_bytes(), path.as_os_str().as_bytes()].concat();
    CString::new(bytes).map_err(|_| GssError::ZeroByte { what, text: format!("{kind}{}", path.display()) })
}
