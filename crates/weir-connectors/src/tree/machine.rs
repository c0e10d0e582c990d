//! What this machine is called.

use std::ffi::{CStr, CString};
use std::io;

/// The name of this machine.
pub(crate) fn host_name() -> io::Result<String> {
    // POSIX allows 255 bytes and a NUL.
    let mut buffer = [0_u8; 256];
    // SAFETY: the length given is one less than that of the buffer, so that a NUL is left whatever happens.
    if unsafe { libc::gethostname(buffer.as_mut_ptr().cast(), buffer.len() - 1) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let name = CStr::from_bytes_until_nul(&buffer).expect("the last byte of the buffer stays NUL");
    Ok(name.to_string_lossy().into_owned())
}

/// The full name that the resolver knows `name` by; asks the network if the machine is set up so.
pub(crate) fn full_host_name(name: &str) -> io::Result<String> {
    let c_name = CString::new(name)?;
    // SAFETY: the structure is plain numbers and pointers, for which zero and null are values.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_flags = libc::AI_CANONNAME;
    hints.ai_socktype = libc::SOCK_STREAM;
    let mut found = std::ptr::null_mut();
    // SAFETY: name, hints and result pointer live until the call returns; the null service is allowed.
    let code = unsafe { libc::getaddrinfo(c_name.as_ptr(), std::ptr::null(), &hints, &mut found) };
    if code != 0 || found.is_null() {
        return Err(io::Error::other(format!("the resolver does not know {name} (code {code})")));
    }
    // SAFETY: on success `found` points to a list whose first item may carry a name that ends in NUL; it is read
    // before the list is freed, and freed once.
    unsafe {
        let canonical = (*found).ai_canonname;
        let full = if canonical.is_null() {
            name.to_owned()
        } else {
            CStr::from_ptr(canonical).to_string_lossy().into_owned()
        };
        libc::freeaddrinfo(found);
        Ok(full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: the system is asked about itself.
    /// Guarantees: it answers something sensible.
    #[test]
    fn the_system_answers() {
        assert!(!host_name().expect("a name").is_empty());
        assert_eq!(full_host_name("127.0.0.1").expect("an address needs no resolver"), "127.0.0.1");
    }
}
