//! [`Acceptor`]: the other side.

use std::path::Path;
use std::ptr;

use crate::GssError;
use crate::context::{Session, Step};
use crate::credentials::address;
use crate::handles::{Credential, Usage};
use crate::library::{Buffer, Library, Mechanism};

/// A security context that a client opens with this side: for tests.
pub struct Acceptor {
    credential: Credential,
    session: Session,
}

impl Acceptor {
    /// A side that proves itself by any key of a keytab.
    ///
    /// # Errors
    /// [`GssError`] if the library or the keytab is missing.
    pub fn new(mechanism: Mechanism, keytab: &Path) -> Result<Self, GssError> {
        let library = Library::get()?;
        let store = [("keytab", address("the keytab", "FILE:", keytab)?)];
        let what = || format!("use the keytab {}", keytab.display());
        let credential = Credential::acquire(library, mechanism, Usage::Accept, None, &store, what)?;
        Ok(Self { credential, session: Session::new(library, "the client".to_owned(), mechanism) })
    }

    /// Takes the client's token, and gives ours. Does not block.
    ///
    /// # Errors
    /// [`GssError`] if the client is refused.
    pub fn step(&mut self, token: &[u8]) -> Result<Step, GssError> {
        self.session.expect_established(false)?;
        let library = self.session.library;
        let (mut minor, mut lent, mut ours) = (0, Buffer::lent(token), library.received());
        // SAFETY: as for the client's step; null is for channel bindings that there are not, and for results that are not
        // wanted.
        let major = unsafe {
            (library.gss_accept_sec_context)(
                &mut minor,
                &mut self.session.handle,
                self.credential.handle,
                &mut lent,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                &mut ours.buffer,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        let token = ours.bytes().to_vec();
        let what = || "accept a security context".to_owned();
        if library.check((major, minor), self.session.mechanism, what)? {
            return Ok(Step::Continue(token));
        }
        self.session.is_established = true;
        Ok(Step::Done(Some(token).filter(|token| !token.is_empty())))
    }

    /// See [`Context::wrap`](crate::Context::wrap).
    ///
    /// # Errors
    /// As there.
    pub fn wrap(&mut self, message: &[u8], confidential: bool) -> Result<Vec<u8>, GssError> {
        self.session.wrap(message, confidential)
    }

    /// See [`Context::unwrap`](crate::Context::unwrap).
    ///
    /// # Errors
    /// As there.
    pub fn unwrap(&mut self, message: &[u8]) -> Result<Vec<u8>, GssError> {
        self.session.unwrap(message)
    }
}

// SAFETY: as for `Context`.
unsafe impl Send for Acceptor {}
