//! [`Context`].

use std::ffi::c_int;
use std::fmt;
use std::ptr;

use crate::handles::{Credential, Name};
use crate::library::{Buffer, ContextHandle, Library, Mechanism};
use crate::{Credentials, GssError};

/// What a context is asked for: each side proves itself; messages are protected, cannot be repeated, and stay in order.
/// `GSS_C_MUTUAL_FLAG`, `_REPLAY_`, `_SEQUENCE_`, `_CONF_`, `_INTEG_`.
const FLAGS_ASKED: u32 = FLAG_MUTUAL | 4 | 8 | 16 | 32;
const FLAG_MUTUAL: u32 = 2;

/// What to do after a step.
#[derive(Clone, PartialEq, Eq)]
pub enum Step {
    /// Send this token to the peer, and take the next step with its answer.
    Continue(Vec<u8>),
    /// This side is done. A token, if there is one, still goes to the peer.
    Done(Option<Vec<u8>>),
}

impl fmt::Debug for Step {
    /// Tokens are not printed: whoever has the first may be able to use it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Continue(token) => write!(f, "Continue({} bytes)", token.len()),
            Self::Done(token) => write!(f, "Done({} bytes)", token.as_ref().map_or(0, Vec::len)),
        }
    }
}

/// A security context that this side opens.
pub struct Context {
    target: String,
    name: Name,
    mechanism: Mechanism,
    credential: Credential,
    session: Session,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let established = self.session.is_established;
        f.debug_struct("Context").field("target", &self.target).field("is_established", &established).finish()
    }
}

impl Context {
    /// A context with `target`, a service and the host it is on: `kafka@broker1.example.org`. What becomes of the host's name
    /// before it is a principal (canonical name, realm) is up to the library's configuration. May block, see the crate.
    ///
    /// # Errors
    /// [`GssError`] if the library or the credentials are missing, or the target is no name.
    pub fn new(target: &str, mechanism: Mechanism, credentials: &Credentials) -> Result<Self, GssError> {
        let library = Library::get()?;
        let name = Name::of_service(library, target)?;
        let credential = credentials.acquire(library, mechanism)?;
        let session = Session::new(library, target.to_owned(), mechanism);
        Ok(Self { target: target.to_owned(), name, mechanism, credential, session })
    }

    /// Takes the peer's token, and gives ours. The first step is with an empty one, and may block, see the crate.
    ///
    /// # Errors
    /// [`GssError`] if the peer is refused or did not prove who it is, or there is no ticket for it; the context is then of no
    /// further use.
    pub fn step(&mut self, token: &[u8]) -> Result<Step, GssError> {
        self.session.expect_established(false)?;
        let library = self.session.library;
        let (mut minor, mut flags) = (0, 0);
        let (mut lent, mut ours) = (Buffer::lent(token), library.received());
        // SAFETY: the handles are those of this context, null where there is none yet or the default is meant; the token
        // lives until the call returns and is only read; our token is released by its owner; null is for channel bindings
        // that there are not, and for results that are not wanted.
        let major = unsafe {
            (library.gss_init_sec_context)(
                &mut minor,
                self.credential.handle,
                &mut self.session.handle,
                self.name.handle,
                self.mechanism.oid(),
                FLAGS_ASKED,
                0,
                ptr::null_mut(),
                &mut lent,
                ptr::null_mut(),
                &mut ours.buffer,
                &mut flags,
                ptr::null_mut(),
            )
        };
        let what = || format!("open a security context with {}", self.target);
        let token = ours.bytes().to_vec();
        if library.check((major, minor), self.mechanism, what)? {
            return Ok(Step::Continue(token));
        }
        if flags & FLAG_MUTUAL == 0 {
            return Err(GssError::NotMutual { target: self.target.clone() });
        }
        self.session.is_established = true;
        Ok(Step::Done(Some(token).filter(|token| !token.is_empty())))
    }

    /// Whether both sides have agreed.
    #[must_use]
    pub const fn is_established(&self) -> bool {
        self.session.is_established
    }

    /// Protects a message against change, and if `confidential` against being read.
    ///
    /// # Errors
    /// [`GssError`] before the context is established, or if its time is over.
    pub fn wrap(&mut self, message: &[u8], confidential: bool) -> Result<Vec<u8>, GssError> {
        self.session.wrap(message, confidential)
    }

    /// Checks a message of the peer and takes the protection off.
    ///
    /// # Errors
    /// [`GssError`] before the context is established, and if the message was changed, repeated, or is not of the peer.
    pub fn unwrap(&mut self, message: &[u8]) -> Result<Vec<u8>, GssError> {
        self.session.unwrap(message)
    }
}

/// What both sides of a context have.
pub(crate) struct Session {
    pub(crate) library: &'static Library,
    pub(crate) peer: String,
    pub(crate) mechanism: Mechanism,
    /// Null before the first step.
    pub(crate) handle: ContextHandle,
    pub(crate) is_established: bool,
}

impl Session {
    pub(crate) const fn new(library: &'static Library, peer: String, mechanism: Mechanism) -> Self {
        Self { library, peer, mechanism, handle: ptr::null_mut(), is_established: false }
    }

    pub(crate) fn expect_established(&self, expected: bool) -> Result<(), GssError> {
        if self.is_established == expected {
            return Ok(());
        }
        Err(GssError::OutOfTurn { target: self.peer.clone(), established: self.is_established })
    }

    pub(crate) fn wrap(&mut self, message: &[u8], confidential: bool) -> Result<Vec<u8>, GssError> {
        self.expect_established(true)?;
        let (mut minor, mut is_confidential) = (0, 0);
        let (mut lent, mut wrapped) = (Buffer::lent(message), self.library.received());
        // SAFETY: the context is established; the message lives until the call returns and is only read; the result is
        // released by its owner.
        let major = unsafe {
            (self.library.gss_wrap)(
                &mut minor,
                self.handle,
                c_int::from(confidential),
                0,
                &mut lent,
                &mut is_confidential,
                &mut wrapped.buffer,
            )
        };
        let what = || format!("protect a message for {}", self.peer);
        self.library.check((major, minor), self.mechanism, what)?;
        if confidential && is_confidential == 0 {
            let detail = "the context cannot encrypt".to_owned();
            return Err(GssError::Failed { what: what(), detail });
        }
        Ok(wrapped.bytes().to_vec())
    }

    pub(crate) fn unwrap(&mut self, message: &[u8]) -> Result<Vec<u8>, GssError> {
        self.expect_established(true)?;
        let (mut minor, mut lent, mut plain) = (0, Buffer::lent(message), self.library.received());
        // SAFETY: as for wrapping; null for results that are not wanted.
        let major = unsafe {
            (self.library.gss_unwrap)(
                &mut minor,
                self.handle,
                &mut lent,
                &mut plain.buffer,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        self.library.check((major, minor), self.mechanism, || format!("check a message of {}", self.peer))?;
        Ok(plain.bytes().to_vec())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.handle.is_null() {
            return;
        }
        let mut minor = 0;
        // SAFETY: the handle was made by this library, and this is its only owner; null says that no token for the peer is
        // wanted.
        unsafe { (self.library.gss_delete_sec_context)(&mut minor, &mut self.handle, ptr::null_mut()) };
    }
}

// SAFETY: the library ties none of its handles to a thread (only the texts of failures, which are read before a call
// returns), and a context has no clones: one thread at a time uses it.
unsafe impl Send for Context {}
