//! What the standard library has no call for, and the syncs of folders.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::Space;

/// Makes what is in a folder durable: names, not contents.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes a folder and its parents, each of them durable.
pub(super) fn make_folders(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().ok_or(io::ErrorKind::NotFound)?;
    make_folders(parent)?;
    match fs::create_dir(folder) {
        // Somebody else was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_folder(parent),
    }
}

/// Renames `from` to `to` unless there is a `to`; durable.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match rename_no_replace(from, to) {
        // Not every file system knows the flag; a link refuses a name that is there as well. Folders cannot be linked.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) => {
            if from.is_dir() {
                if to.symlink_metadata().is_ok() {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                fs::rename(from, to)?;
            } else {
                fs::hard_link(from, to)?;
                fs::remove_file(from)?;
            }
        }
        result => result?,
    }
    for folder in [to.parent(), from.parent().filter(|folder| to.parent() != Some(folder))].into_iter().flatten() {
        sync_folder(folder)?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn rename_no_replace(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (c_path(from)?, c_path(to)?);
    // SAFETY: both pointers are to strings with a NUL at their end that live until the call returns.
    let result =
        unsafe { libc::renameat2(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::RENAME_NOREPLACE) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(not(target_os = "linux"))]
fn rename_no_replace(_from: &Path, _to: &Path) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

/// Space of the file system that `path` is on.
pub(super) fn space(path: &Path) -> io::Result<Space> {
    let path = c_path(path)?;
    // SAFETY: the structure is plain numbers, for which zero is a value.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the string ends in NUL and `found` is a whole structure; both live until the call returns.
    if unsafe { libc::statvfs(path.as_ptr(), &mut found) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let [all, free, available] =
        [found.f_blocks, found.f_bfree, found.f_bavail].map(|blocks| found.f_frsize.saturating_mul(blocks));
    Ok(Space { bytes: all, used_bytes: all.saturating_sub(free), remaining_bytes: available })
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}
