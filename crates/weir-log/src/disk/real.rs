//! The operating system's files.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use super::{Access, Disk, DiskFile, DiskLock, Entry, Locked, SyncSite};

/// Files of the operating system, opened without following a cache of handles.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

/// Log files hold other people's data: nobody but the owner and the group may read them.
const FILE_MODE: u32 = 0o640;
const DIR_MODE: u32 = 0o750;

struct RealFile(File);

struct RealLock {
    /// The lock lives as long as this file is open.
    _file: File,
}

impl DiskLock for RealLock {}

impl Disk for RealDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<bool> {
        match std::fs::DirBuilder::new().mode(DIR_MODE).create(dir) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(access == Access::Write).open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::hard_link(from, to)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Deleted since: the tools list beside a running agent.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                entries.push(Entry { name, bytes: metadata.len() });
            }
        }
        Ok(entries)
    }

    fn sync_dir(&self, dir: &Path, _site: SyncSite) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<Locked> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)?;
                file.write_all(holder.as_bytes())?;
                Ok(Locked::Held(Box::new(RealLock { _file: file })))
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.take(256).read_to_string(&mut holder)?;
                Ok(Locked::Taken { holder })
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl DiskFile for RealFile {
    fn read(&self, out: &mut Vec<u8>, bytes: usize, at: u64) -> io::Result<usize> {
        out.reserve(bytes);
        let at = i64::try_from(at).map_err(|_| io::ErrorKind::InvalidInput)?;
        let room = out.spare_capacity_mut();
        // SAFETY: `room` is at least `bytes` long (reserved above) and ours alone; the kernel writes at most `bytes` bytes into it.
        let got = unsafe { libc::pread(self.0.as_raw_fd(), room.as_mut_ptr().cast(), bytes, at) };
        let Ok(got) = usize::try_from(got) else { return Err(io::Error::last_os_error()) };
        // SAFETY: the kernel has initialised the first `got` bytes of the spare room.
        unsafe { out.set_len(out.len() + got) };
        Ok(got)
    }

    fn write(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        self.0.write_at(bytes, at)
    }

    fn sync(&self, _site: SyncSite) -> io::Result<()> {
        self.0.sync_data()
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let length = i64::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: a plain system call on a file descriptor that lives as long as `self`.
        let outcome = unsafe { libc::fallocate(self.0.as_raw_fd(), 0, 0, length) };
        if outcome == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        // A file system without preallocation: appends may then meet a full disk inside a segment, which is handled too.
        if error.raw_os_error() == Some(libc::EOPNOTSUPP) {
            return self.0.set_len(bytes);
        }
        Err(error)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}
