//! Before a log is read: whether it may be, its directories, and its lock.

use std::io;
use std::path::Path;

use crate::SyncSite;
use crate::disk::{Disk, DiskLock, Locked};
use crate::errors::{OpenError, Refusal};
use crate::slots::{Kind, read_file};
use crate::survey::{Dirs, read_positions, survey};

/// Refuses a log that a newer version wrote, before anything is touched: taking the lock writes, too. Costs a second
/// reading of every header, out of the page cache; what counts is the reading under the lock, which refuses as well.
pub(super) fn refuse_newer(disk: &dyn Disk, dirs: &Dirs) -> Result<(), OpenError> {
    let look = || -> Result<(), Refusal> {
        read_file(disk, &dirs.meta(), Kind::Meta)?;
        read_positions(disk, dirs)?;
        survey(disk, dirs).map(drop)
    };
    match look() {
        Err(newer @ Refusal::Version { .. }) => Err(newer.into()),
        // What the disk does not let us read is met again under the lock.
        Err(Refusal::Io { .. }) | Ok(()) => Ok(()),
    }
}

/// Makes the directories of a log, durably.
pub(super) fn make_dirs(disk: &dyn Disk, dirs: &Dirs) -> Result<(), OpenError> {
    for dir in [&dirs.root, &dirs.segments, &dirs.groups, &dirs.quarantine].into_iter().chain(&dirs.fallback) {
        make_dir(disk, dir).map_err(OpenError::io("make the directory", dir))?;
    }
    Ok(())
}

/// Makes `dir`, and what is missing above it, durably.
fn make_dir(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let Some(parent) = dir.parent() else { return Ok(()) };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let is_new = match disk.create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_dir(disk, parent)?;
            disk.create_dir(dir)?
        }
        made => made?,
    };
    // Also if it was there: whoever made it may have died before this.
    match disk.sync_dir(parent, SyncSite::Directory) {
        // A directory that an administrator made, below one that we may pass but not read.
        Err(error) if !is_new && error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        outcome => outcome,
    }
}

/// Takes the lock of the log in `dir`, until the process ends or the lock is dropped.
pub(super) fn take_lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn DiskLock>, OpenError> {
    let path = dir.join("lock");
    let holder = format!("{}\n", std::process::id());
    match disk.lock(&path, &holder).map_err(OpenError::io("lock", &path))? {
        Locked::Held(lock) => Ok(lock),
        Locked::Taken { holder } => {
            let holder = holder.trim();
            let holder = if holder.is_empty() { "(unknown)" } else { holder };
            Err(OpenError::Locked { dir: dir.to_owned(), holder: holder.to_owned() })
        }
    }
}
