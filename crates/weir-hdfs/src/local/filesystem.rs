//! [`LocalFileSystem`].

use std::fs::{self, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;

use super::disk;
use super::writer::{LocalReader, LocalWriter};
use crate::{CreateOptions, FileReader, FileSystem, FileWriter, HdfsError, HdfsErrorKind, Space, Status};

/// A local disk that is this slow is of no use to an ingest; a network file system that is gone shows only by silence.
const DEADLINE: Duration = Duration::from_secs(30);
/// Hadoop's: what the umask leaves of it.
const FILE_PERMISSION: u16 = 0o644;

/// A folder as a file system. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LocalFileSystem {
    root: PathBuf,
}

impl LocalFileSystem {
    /// The file system whose `/` is the folder `root`, which need not be there yet; `/` for that of the machine.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn place(&self, operation: &'static str, path: &str) -> Result<PathBuf, HdfsError> {
        let wrong = |what: &str| error(HdfsErrorKind::Other, operation, path, what.to_owned());
        let below = path.strip_prefix('/').ok_or_else(|| wrong("the path is not absolute"))?;
        if below.split('/').any(|part| part == "." || part == "..") {
            return Err(wrong("the path has . or .. in it"));
        }
        Ok(self.root.join(below))
    }

    /// Runs `work` with the place of `path` on a thread where it may block.
    async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        path: &str,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, HdfsError> {
        let place = self.place(operation, path)?;
        run(operation, path, move || work(&place)).await
    }
}

/// Runs `work`, which may block, with the deadline of this file system.
pub(super) async fn run<T: Send + 'static>(
    operation: &'static str,
    path: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, HdfsError> {
    match tokio::time::timeout(DEADLINE, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(result)) => result.map_err(|cause| of(operation, path, &cause)),
        Ok(Err(broken)) => Err(error(HdfsErrorKind::Other, operation, path, broken.to_string())),
        Err(_) => {
            let what = format!("no answer within {} s: is the disk or the file server there?", DEADLINE.as_secs());
            Err(error(HdfsErrorKind::Timeout, operation, path, what))
        }
    }
}

fn of(operation: &'static str, path: &str, cause: &io::Error) -> HdfsError {
    use io::ErrorKind as System;
    let kind = match cause.kind() {
        System::NotFound | System::NotADirectory => HdfsErrorKind::NotFound,
        System::AlreadyExists => HdfsErrorKind::AlreadyExists,
        System::PermissionDenied | System::ReadOnlyFilesystem => HdfsErrorKind::PermissionDenied,
        System::StorageFull | System::QuotaExceeded | System::FileTooLarge => HdfsErrorKind::NoSpace,
        System::TimedOut => HdfsErrorKind::Timeout,
        _ => HdfsErrorKind::Other,
    };
    error(kind, operation, path, cause.to_string())
}

fn error(kind: HdfsErrorKind, operation: &'static str, path: &str, detail: String) -> HdfsError {
    HdfsError { kind, operation, path: path.to_owned(), peer: String::new(), detail }
}

fn status(name: &str, found: &Metadata) -> Status {
    Status {
        name: name.to_owned(),
        is_directory: found.is_dir(),
        bytes: if found.is_dir() { 0 } else { found.len() },
        modified_ms: found.mtime().saturating_mul(1000).saturating_add(found.mtime_nsec() / 1_000_000),
        owner: found.uid().to_string(),
        permission: (found.permissions().mode() & 0o7777) as u16,
        replication: 1,
        block_bytes: found.blksize(),
    }
}

#[async_trait]
impl FileSystem for LocalFileSystem {
    async fn create(&self, path: &str, options: &CreateOptions) -> Result<Box<dyn FileWriter>, HdfsError> {
        let (overwrite, mode) = (options.overwrite, options.permission.unwrap_or(FILE_PERMISSION));
        let makes_parent = !options.parent_must_exist;
        let place = self.place("create", path)?;
        let parent = place.parent().map(Path::to_owned);
        let file = self.run("create", path, move |place| {
            if let Some(parent) = place.parent().filter(|_| makes_parent) {
                disk::make_folders(parent)?;
            }
            let mut how = OpenOptions::new();
            how.write(true).mode(u32::from(mode));
            match overwrite {
                true => how.create(true).truncate(true),
                false => how.create_new(true),
            };
            how.open(place)
        });
        Ok(Box::new(LocalWriter::new(path, file.await?, parent)))
    }

    async fn open(&self, path: &str, offset: u64) -> Result<Box<dyn FileReader>, HdfsError> {
        let file = self.run("open", path, move |place| {
            use io::{Seek, SeekFrom};
            let mut file = fs::File::open(place)?;
            if file.metadata()?.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            file.seek(SeekFrom::Start(offset))?;
            Ok(file)
        });
        Ok(Box::new(LocalReader::new(path, file.await?)))
    }

    async fn status(&self, path: &str) -> Result<Option<Status>, HdfsError> {
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        let work = move |place: &Path| fs::metadata(place).map(|found| status(&name, &found));
        match self.run("ask for", path, work).await {
            Ok(status) => Ok(Some(status)),
            Err(error) if error.kind == HdfsErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn list(&self, path: &str) -> Result<Vec<Status>, HdfsError> {
        let work = |place: &Path| {
            let mut all = Vec::new();
            for entry in fs::read_dir(place)? {
                let entry = entry?;
                // What goes while we list is not there; names that are no text are not ours.
                match (entry.file_name().to_str(), fs::metadata(entry.path())) {
                    (Some(name), Ok(found)) => all.push(status(name, &found)),
                    (_, Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            Ok(all)
        };
        self.run("list", path, work).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), HdfsError> {
        let target = self.place("rename to", to)?;
        let shown = format!("{from} to {to}");
        let source = self.place("rename", from)?;
        run("rename", &shown, move || disk::rename_new(&source, &target)).await
    }

    async fn delete(&self, path: &str, recursive: bool) -> Result<bool, HdfsError> {
        let work = move |place: &Path| {
            let found = match place.symlink_metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                found => found?,
            };
            let result = match (found.is_dir(), recursive) {
                (false, _) => fs::remove_file(place),
                (true, false) => fs::remove_dir(place),
                (true, true) => fs::remove_dir_all(place),
            };
            match result {
                // Somebody else was quicker.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                result => result?,
            }
            place.parent().map_or(Ok(()), disk::sync_folder)?;
            Ok(true)
        };
        self.run("delete", path, work).await
    }

    async fn make_directories(&self, path: &str, _permission: Option<u16>) -> Result<(), HdfsError> {
        self.run("make the directory", path, disk::make_folders).await
    }

    async fn recover_lease(&self, path: &str) -> Result<bool, HdfsError> {
        self.run("recover the lease of", path, |place| fs::metadata(place).map(|_| true)).await
    }

    async fn space(&self) -> Result<Space, HdfsError> {
        self.run("ask for the space of", "/", disk::space).await
    }
}
