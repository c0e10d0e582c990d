//! Names and credentials of the library, released when dropped.

use std::ffi::{CString, c_int};
use std::ptr;

use crate::library::{Buffer, CredentialHandle, KeyValue, KeyValues, Library, Mechanism, NameHandle, Oid, OidSet};
use crate::{GssError, library};

/// A name as the library has it.
pub(crate) struct Name {
    library: &'static Library,
    pub(crate) handle: NameHandle,
}

impl Name {
    /// `service@host`.
    pub(crate) fn of_service(library: &'static Library, text: &str) -> Result<Self, GssError> {
        Self::import(library, text, &library::HOST_BASED_SERVICE)
    }

    /// `user@REALM`, or in the default realm without one.
    pub(crate) fn of_principal(library: &'static Library, text: &str) -> Result<Self, GssError> {
        Self::import(library, text, &library::PRINCIPAL)
    }

    fn import(library: &'static Library, text: &str, kind: &'static Oid) -> Result<Self, GssError> {
        let mut name = Self { library, handle: ptr::null_mut() };
        let (mut minor, mut lent) = (0, Buffer::lent(text.as_bytes()));
        // SAFETY: the text lives until the call returns and is only read; the identifier is static; the handle is null, which
        // is where a new one goes.
        let major = unsafe { (library.gss_import_name)(&mut minor, &mut lent, kind, &mut name.handle) };
        library.check((major, minor), Mechanism::Kerberos, || format!("understand the name {text:?}"))?;
        Ok(name)
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the handle is null or was made by this library, and this is its only owner.
        unsafe { (self.library.gss_release_name)(&mut minor, &mut self.handle) };
    }
}

/// Which side of a context credentials are for.
#[derive(Clone, Copy)]
pub(crate) enum Usage {
    /// `GSS_C_INITIATE`
    Initiate = 1,
    /// `GSS_C_ACCEPT`
    #[cfg(feature = "acceptor")]
    Accept = 2,
}

/// Credentials as the library has them.
pub(crate) struct Credential {
    library: &'static Library,
    /// Null for the library's default.
    pub(crate) handle: CredentialHandle,
}

impl Credential {
    pub(crate) const fn standard(library: &'static Library) -> Self {
        Self { library, handle: ptr::null_mut() }
    }

    /// Credentials of `name`, or of whoever is there, from the places named in `store`: pairs of a kind and an address.
    pub(crate) fn acquire(
        library: &'static Library,
        mechanism: Mechanism,
        usage: Usage,
        name: Option<&Name>,
        store: &[(&'static str, CString)],
        what: impl FnOnce() -> String,
    ) -> Result<Self, GssError> {
        let mut credential = Self::standard(library);
        let keys: Vec<CString> =
            store.iter().map(|(key, _)| CString::new(*key).expect("no key has a zero byte")).collect();
        let pairs =
            keys.iter().zip(store).map(|(key, (_, value))| KeyValue { key: key.as_ptr(), value: value.as_ptr() });
        let pairs: Vec<KeyValue> = pairs.collect();
        let values = KeyValues { count: pairs.len() as u32, elements: pairs.as_ptr() };
        let mechanisms = OidSet { count: 1, elements: mechanism.oid() };
        let mut minor = 0;
        // SAFETY: name, mechanisms, pairs and their texts live until the call returns and are only read; the handle is null,
        // which is where a new one goes; null for a result means that it is not wanted.
        let major = unsafe {
            (library.gss_acquire_cred_from)(
                &mut minor,
                name.map_or(ptr::null_mut(), |name| name.handle),
                u32::MAX,
                &mechanisms,
                usage as c_int,
                &values,
                &mut credential.handle,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        library.check((major, minor), mechanism, what)?;
        Ok(credential)
    }
}

impl Drop for Credential {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the handle is null or was made by this library, and this is its only owner.
        unsafe { (self.library.gss_release_cred)(&mut minor, &mut self.handle) };
    }
}
