//! [`Library`]: the functions of the system's GSSAPI library, and the types they take (RFC 2744, C bindings of MIT).

use std::error::Error;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

use crate::GssError;

/// The name of the library with the number of its binary interface: MIT has kept that since 1998.
const FILE: &str = "libgssapi_krb5.so.2";

/// How peers speak with each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Mechanism {
    /// Kerberos 5 (RFC 4121), as SASL's GSSAPI has it.
    Kerberos,
    /// SPNEGO (RFC 4178), which agrees on Kerberos: HTTP's `Negotiate`.
    Spnego,
}

pub(crate) type NameHandle = *mut c_void;
pub(crate) type CredentialHandle = *mut c_void;
pub(crate) type ContextHandle = *mut c_void;

/// `gss_buffer_desc`: bytes, of ours or of the library's.
#[repr(C)]
pub(crate) struct Buffer {
    pub(crate) length: usize,
    pub(crate) value: *mut c_void,
}

impl Buffer {
    pub(crate) const EMPTY: Self = Self { length: 0, value: ptr::null_mut() };

    /// `bytes` for a function that reads them: the library's inputs are pointers to what is not constant, and unchanged.
    pub(crate) const fn lent(bytes: &[u8]) -> Self {
        Self { length: bytes.len(), value: bytes.as_ptr().cast_mut().cast() }
    }
}

/// `gss_OID_desc`: the name of a mechanism or of a kind of names.
#[repr(C)]
pub(crate) struct Oid {
    length: u32,
    elements: *const u8,
}

// SAFETY: it is never changed and points to what is never changed.
unsafe impl Sync for Oid {}

impl Oid {
    const fn new(encoded: &'static [u8]) -> Self {
        Self { length: encoded.len() as u32, elements: encoded.as_ptr() }
    }
}

/// 1.2.840.113554.1.2.2
static KERBEROS: Oid = Oid::new(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02]);
/// 1.3.6.1.5.5.2
static SPNEGO: Oid = Oid::new(&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x02]);
/// 1.2.840.113554.1.2.1.4, a name of the form `service@host`
pub(crate) static HOST_BASED_SERVICE: Oid = Oid::new(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x01, 0x04]);
/// 1.2.840.113554.1.2.2.1, a name of the form `user@REALM` or `service/host@REALM`
pub(crate) static PRINCIPAL: Oid = Oid::new(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x01]);

impl Mechanism {
    pub(crate) const fn oid(self) -> &'static Oid {
        match self {
            Self::Kerberos => &KERBEROS,
            Self::Spnego => &SPNEGO,
        }
    }
}

/// `gss_OID_set_desc`.
#[repr(C)]
pub(crate) struct OidSet {
    pub(crate) count: usize,
    pub(crate) elements: *const Oid,
}

/// `gss_key_value_element_desc`.
#[repr(C)]
pub(crate) struct KeyValue {
    pub(crate) key: *const c_char,
    pub(crate) value: *const c_char,
}

/// `gss_key_value_set_desc`: where credentials are.
#[repr(C)]
pub(crate) struct KeyValues {
    pub(crate) count: u32,
    pub(crate) elements: *const KeyValue,
}

macro_rules! functions {
    ($($(#[$attribute:meta])* $name:ident($($argument:ty),* $(,)?);)*) => {
        /// The functions, each with the types of its C declaration. The first argument is where the mechanism's own status
        /// goes, the result is GSSAPI's.
        pub(crate) struct Library {
            $($(#[$attribute])* pub(crate) $name: unsafe extern "C" fn(*mut u32, $($argument),*) -> u32,)*
            /// Only for its lifetime: the functions are in it.
            _file: libloading::Library,
        }

        impl Library {
            fn load(file: &'static str) -> Result<Self, GssError> {
                // The system's text is the source of the error, which itself says only what was called.
                let missing = |error: libloading::Error| {
                    let detail = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                    GssError::Library { library: file, detail }
                };
                // SAFETY: loading runs the library's initializers; those of MIT's Kerberos set up locks and nothing else.
                let loaded = unsafe { libloading::Library::new(file) }.map_err(missing)?;
                // SAFETY: the types above are those of the declarations in MIT's headers; the library stays loaded for as
                // long as the functions can be called, which is as long as this value is there.
                unsafe {
                    $($(#[$attribute])* let $name = *loaded.get(concat!(stringify!($name), "\0").as_bytes()).map_err(missing)?;)*
                    Ok(Self { $($(#[$attribute])* $name,)* _file: loaded })
                }
            }
        }
    };
}

functions! {
    gss_import_name(*mut Buffer, *const Oid, *mut NameHandle);
    gss_release_name(*mut NameHandle);
    gss_acquire_cred_from(
        NameHandle, u32, *const OidSet, c_int, *const KeyValues, *mut CredentialHandle, *mut *mut OidSet, *mut u32,
    );
    gss_release_cred(*mut CredentialHandle);
    gss_init_sec_context(
        CredentialHandle, *mut ContextHandle, NameHandle, *const Oid, u32, u32, *mut c_void, *mut Buffer,
        *mut *mut Oid, *mut Buffer, *mut u32, *mut u32,
    );
    #[cfg(feature = "acceptor")]
    gss_accept_sec_context(
        *mut ContextHandle, CredentialHandle, *mut Buffer, *mut c_void, *mut NameHandle, *mut *mut Oid, *mut Buffer,
        *mut u32, *mut u32, *mut CredentialHandle,
    );
    gss_delete_sec_context(*mut ContextHandle, *mut Buffer);
    gss_wrap(ContextHandle, c_int, u32, *mut Buffer, *mut c_int, *mut Buffer);
    gss_unwrap(ContextHandle, *mut Buffer, *mut Buffer, *mut c_int, *mut u32);
    gss_display_status(u32, c_int, *const Oid, *mut u32, *mut Buffer);
    gss_release_buffer(*mut Buffer);
}

/// Of a result: what is wrong, if anything. The rest are remarks.
const ERRORS: u32 = 0xffff_0000;
/// Of a result: another step is due.
const CONTINUE: u32 = 1;
/// The result that only says that the mechanism's status has the reason.
const FAILURE: u32 = 13 << 16;
/// What `gss_display_status` is asked for.
const STATUS_OF_GSSAPI: c_int = 1;
const STATUS_OF_MECHANISM: c_int = 2;
/// Lines of one status: a library that never ends its text must not keep us.
const STATUS_LINES_MAX: usize = 8;

impl Library {
    /// The library; loaded by the first call.
    pub(crate) fn get() -> Result<&'static Self, GssError> {
        static LIBRARY: OnceLock<Result<Library, GssError>> = OnceLock::new();
        LIBRARY.get_or_init(|| Self::load(FILE)).as_ref().map_err(Clone::clone)
    }

    /// Whether another step is due, or why there is none. To be called on the thread that got the results, before it calls
    /// anything else: texts of mechanisms are kept per thread.
    pub(crate) fn check(
        &self,
        (major, minor): (u32, u32),
        mechanism: Mechanism,
        what: impl FnOnce() -> String,
    ) -> Result<bool, GssError> {
        if major & ERRORS == 0 {
            return Ok(major & CONTINUE != 0);
        }
        let general = self.status(major, STATUS_OF_GSSAPI, mechanism);
        let particular = if minor == 0 { String::new() } else { self.status(minor, STATUS_OF_MECHANISM, mechanism) };
        let detail = match (major & ERRORS == FAILURE, particular.is_empty()) {
            (true, false) => particular,
            (false, false) => format!("{general} ({particular})"),
            (_, true) => general,
        };
        Err(GssError::Failed { what: what(), detail })
    }

    fn status(&self, status: u32, kind: c_int, mechanism: Mechanism) -> String {
        let mut lines = Vec::new();
        let mut more = 0;
        for _ in 0..STATUS_LINES_MAX {
            let (mut minor, mut text) = (0, self.received());
            // SAFETY: all pointers are to live values of ours; the identifier of the mechanism is static.
            let major = unsafe {
                (self.gss_display_status)(&mut minor, status, kind, mechanism.oid(), &mut more, &mut text.buffer)
            };
            if major & ERRORS != 0 {
                break;
            }
            lines.push(String::from_utf8_lossy(text.bytes()).into_owned());
            if more == 0 {
                break;
            }
        }
        if lines.is_empty() { format!("status {status:#x}") } else { lines.join("; ") }
    }

    /// An empty buffer for the library to fill.
    pub(crate) const fn received(&self) -> Received<'_> {
        Received { library: self, buffer: Buffer::EMPTY }
    }
}

/// Bytes that the library has allocated.
pub(crate) struct Received<'a> {
    library: &'a Library,
    pub(crate) buffer: Buffer,
}

impl Received<'_> {
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.buffer.value.is_null() {
            return &[];
        }
        // SAFETY: the library says so many bytes are there, and they stay until this is dropped.
        unsafe { std::slice::from_raw_parts(self.buffer.value.cast(), self.buffer.length) }
    }
}

impl Drop for Received<'_> {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the buffer is empty or was filled by this library, and nothing borrows from it any more.
        unsafe { (self.library.gss_release_buffer)(&mut minor, &mut self.buffer) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: the library is not installed.
    /// Guarantees: the error names it and the packages that have it.
    #[test]
    fn a_missing_library_is_named() {
        let error = Library::load("libgssapi_nowhere.so.2").err().expect("no such library");
        let text = error.to_string();
        assert!(
            text.starts_with("Kerberos needs libgssapi_nowhere.so.2, which cannot be used (libgssapi_nowhere.so.2: "),
            "{text}"
        );
        assert!(text.ends_with("install libgssapi-krb5-2 (Debian, Ubuntu) or krb5-libs (Red Hat)"), "{text}");
    }
}
