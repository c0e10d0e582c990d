//! The traits.

use std::io;
use std::path::Path;
use std::sync::Arc;

/// What a sync makes durable. Production code passes it; only the simulated disk looks at it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum SyncSite {
    /// Entries of a new directory of the log itself (`segments/`, `groups/`, `quarantine/`, the log directory).
    Directory,
    /// Record batches in the active segment: what receipts wait for.
    Data,
    /// The header of a new segment, before its first append.
    SegmentHeader,
    /// The directory entry of a new segment, before its first append.
    SegmentCreate,
    /// The directory after released segments were unlinked.
    SegmentDelete,
    /// The last segment found at open, before its content counts as durable.
    Recovered,
    /// A slot of a position file, before segments below the position are deleted.
    Position,
    /// The content of a new position file.
    PositionCreate,
    /// The directory entry of a new position file.
    PositionRename,
    /// The epoch (and, at close, the clean end) in the meta file.
    Meta,
    /// The content of a new meta file.
    MetaCreate,
    /// The directory entry of a new meta file.
    MetaRename,
    /// Copies of damaged segments, and the tools' output.
    Copy,
}

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing.
    Write,
}

/// One file of a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Name without the directory.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// A held lock; dropping it gives it up.
pub trait DiskLock: Send + Sync {}

/// Outcome of asking for a lock.
pub enum Locked {
    /// Ours until the guard is dropped.
    Held(Box<dyn DiskLock>),
    /// Somebody else's; what the lock file says about the holder (its process id).
    Taken {
        /// Content of the lock file.
        holder: String,
    },
}

/// A file system, as far as the log needs one. All calls block.
pub trait Disk: Send + Sync {
    /// Makes one directory. `false` if it was there already.
    fn create_dir(&self, dir: &Path) -> io::Result<bool>;
    /// Makes a file that must not exist yet, open for reading and writing.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens an existing file.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>>;
    /// Renames atomically, replacing `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a directory entry; open files stay readable.
    fn unlink(&self, path: &Path) -> io::Result<()>;
    /// A second name for a file.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// The regular files of a directory, in no particular order.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    /// Makes the entries of a directory durable.
    fn sync_dir(&self, dir: &Path, site: SyncSite) -> io::Result<()>;
    /// Takes the exclusive lock `path` without waiting and writes `holder` into it.
    fn lock(&self, path: &Path, holder: &str) -> io::Result<Locked>;
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Appends up to `bytes` bytes found at `at` to `out`; returns how many, 0 at the end of the file.
    fn read(&self, out: &mut Vec<u8>, bytes: usize, at: u64) -> io::Result<usize>;
    /// Writes at `at`; returns how many bytes were taken.
    fn write(&self, bytes: &[u8], at: u64) -> io::Result<usize>;
    /// `fdatasync`: content and length survive a power loss once this returns `Ok`. After an error nothing written
    /// since the last success may be trusted, and asking again proves nothing.
    fn sync(&self, site: SyncSite) -> io::Result<()>;
    /// Allocates the blocks of the first `bytes` bytes and grows the file to that length.
    fn allocate(&self, bytes: u64) -> io::Result<()>;
    /// Cuts or grows the file.
    fn truncate(&self, bytes: u64) -> io::Result<()>;
    /// Length in bytes.
    fn bytes(&self) -> io::Result<u64>;
}

/// Whether the disk or a quota is full: the one kind of fault that goes away by itself.
pub(crate) fn is_space_error(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Writes all of `bytes`, continuing after short writes and interruptions (L10).
pub(crate) fn write_all(file: &dyn DiskFile, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => {
                bytes = &bytes[taken..];
                at += taken as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Block size of [`read_tolerant`]: what a disk remaps or loses at once.
const BLOCK_BYTES: usize = 4096;

/// Replaces the content of `out` with `bytes` bytes found at `at`; fewer if the file ends.
///
/// A block that cannot be read becomes zeros, which the scan then finds to be damage: one bad sector must not hide
/// its segment. Only if no block at all can be read is this an error, for then the device is gone, not a sector.
pub(crate) fn read_tolerant(file: &dyn DiskFile, out: &mut Vec<u8>, bytes: usize, at: u64) -> io::Result<()> {
    out.clear();
    out.reserve(bytes);
    while out.len() < bytes {
        match file.read(out, bytes - out.len(), at + out.len() as u64) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return read_blocks(file, out, bytes, at),
        }
    }
    Ok(())
}

fn read_blocks(file: &dyn DiskFile, out: &mut Vec<u8>, bytes: usize, at: u64) -> io::Result<()> {
    let (mut good, mut last_error) = (!out.is_empty(), None);
    while out.len() < bytes {
        let position = at + out.len() as u64;
        let to_boundary = BLOCK_BYTES - (position % BLOCK_BYTES as u64) as usize;
        let want = to_boundary.min(bytes - out.len());
        match file.read(out, want, position) {
            Ok(0) => break,
            Ok(_) => good = true,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                last_error = Some(error);
                out.resize(out.len() + want, 0);
            }
        }
    }
    match last_error {
        Some(error) if !good => Err(error),
        _ => Ok(()),
    }
}
