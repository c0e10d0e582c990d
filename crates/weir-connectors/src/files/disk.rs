//! Operations on files and folders that the standard library lacks or does not make durable.

use std::ffi::CString;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

/// Creates `path` and what is missing above it. With `sync`, a folder is durable before anything is put into it.
pub(super) fn create_directories(path: &Path, mode: u32, sync: bool) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_directories(parent, mode, sync)?;
    }
    match DirBuilder::new().mode(mode).create(path) {
        Ok(()) if sync => sync_directory(parent.unwrap_or(Path::new("."))),
        // Somebody else was faster, or something else has the name: then creating files in it will say so.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// Creates the file `path` and locks it, so that nobody takes it for a leftover. A leftover of ours that has the name
/// is replaced; one that is in use is an error.
pub(super) fn create_in_progress(path: &Path, mode: u32) -> io::Result<File> {
    let create = || OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let file = match create() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if !lock(&File::open(path)?)? {
                return Err(io::Error::new(
                    error.kind(),
                    "another sink writes this file: give each sink a prefix of its own",
                ));
            }
            std::fs::remove_file(path)?;
            create()?
        }
        result => result?,
    };
    lock(&file)?;
    Ok(file)
}

/// How often a lock is asked for, and how long in between. A program that this process is starting holds copies of all
/// open files, and with them the locks of those that were closed meanwhile, until it begins to run: microseconds to
/// milliseconds, 100 ms on a machine that is out of breath.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Locks `file` until it is closed; `false` if someone else has it for good, which takes 100 ms to be known. A file system
/// without locks counts as free.
pub(super) fn lock(file: &File) -> io::Result<bool> {
    let mut tries = 1;
    let outcome = loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if tries < LOCK_TRIES => {
                tries += 1;
                std::thread::sleep(LOCK_PAUSE);
            }
            outcome => break outcome,
        }
    };
    match outcome {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Makes the names in the folder `path` durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Renames `from` to `to` unless there is a `to`; atomic.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    match rename_no_replace(from, to) {
        // Not every file system knows the flag.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) => {}
        result => return result,
    }
    // Only this lane gives out names of this channel and prefix, so nobody comes in between.
    if to.symlink_metadata().is_ok() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} is there already", to.display())));
    }
    std::fs::rename(from, to)
}

#[cfg(target_os = "linux")]
fn rename_no_replace(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (c_path(from)?, c_path(to)?);
    // SAFETY: both pointers are to strings with a NUL at their end that live until the call returns.
    let result =
        unsafe { libc::renameat2(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::RENAME_NOREPLACE) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Bytes free for us and in all on the file system of `path`.
pub(super) fn space(path: &Path) -> io::Result<(u64, u64)> {
    let path = c_path(path)?;
    // SAFETY: the structure is plain numbers, for which zero is a value.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the string ends in NUL and `found` is a whole structure; both live until the call returns.
    if unsafe { libc::statvfs(path.as_ptr(), &mut found) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let block = found.f_frsize as u64;
    Ok((block.saturating_mul(found.f_bavail as u64), block.saturating_mul(found.f_blocks as u64)))
}

/// The user that permissions are judged by.
pub(super) fn user_id() -> u32 {
    // SAFETY: has no arguments and cannot fail.
    unsafe { libc::geteuid() }
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a file is renamed to a name that is free, and to one that is not.
    /// Guarantees: nothing is ever overwritten.
    #[test]
    fn renaming_never_overwrites() {
        let folder = tempfile::tempdir().expect("a folder");
        let [a, b, c] = ["a", "b", "c"].map(|name| folder.path().join(name));
        std::fs::write(&a, "a").expect("writes");
        std::fs::write(&b, "b").expect("writes");
        let error = rename_new(&a, &b).expect_err("the name is taken");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&b).expect("reads"), b"b");
        rename_new(&a, &c).expect("the name is free");
        assert_eq!(std::fs::read(&c).expect("reads"), b"a");
    }

    /// Scenario: a file in progress is created where a leftover is, and where one in use is.
    /// Guarantees: the leftover is replaced, the one in use is not touched.
    #[test]
    fn files_in_use_are_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/er/x.tmp");
        create_directories(path.parent().expect("has one"), 0o750, true).expect("creates");
        std::fs::write(&path, "leftover").expect("writes");
        let file = create_in_progress(&path, 0o640).expect("replaces");
        assert_eq!(file.metadata().expect("is there").len(), 0);
        create_in_progress(&path, 0o640).expect_err("in use");
        drop(file);
        create_in_progress(&path, 0o640).expect("free again");
    }

    /// Scenario: a file is closed and locked again while other threads start programs, which get copies of what is open.
    /// Guarantees: the lock is had; nobody is taken for a second sink.
    #[test]
    fn programs_being_started_do_not_keep_files_locked() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.tmp");
        let start =
            || (0..100).all(|_| std::process::Command::new("true").status().is_ok_and(|status| status.success()));
        std::thread::scope(|scope| {
            let starter = scope.spawn(start);
            while !starter.is_finished() {
                create_in_progress(&path, 0o640).expect("the file before was closed");
            }
            assert!(starter.join().expect("does not panic"), "programs were started");
        });
    }

    /// Scenario: the system is asked about itself.
    /// Guarantees: it answers something sensible.
    #[test]
    fn the_system_answers() {
        let (free, total) = space(Path::new("/")).expect("there is a root");
        assert!(free <= total && total > 0);
    }
}
