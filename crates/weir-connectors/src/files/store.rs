//! The local disk as a store.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tracing::warn;
use weir_event::ChannelId;

use super::disk;
use super::error::FileError;
use crate::tree::name::InProgress;
use crate::tree::store::{Published, Ready, Store, StoreError};

/// How files and folders are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct DiskOptions {
    /// Permissions of files, before the umask.
    pub(super) file_mode: u32,
    /// Permissions of folders, before the umask.
    pub(super) directory_mode: u32,
    /// Whether files and folders are synced before anything is acknowledged.
    pub(super) sync: bool,
}

/// Files on a disk. Files in progress are beside the finished ones, hidden and locked.
pub(super) struct Disk {
    pub(super) sink: String,
    pub(super) options: DiskOptions,
    pub(super) channel_is_durable: bool,
}

/// A file in progress.
pub(super) struct DiskFile {
    path: PathBuf,
    file: File,
}

impl Disk {
    fn rename(&self, ready: &Ready<'_, DiskFile>) -> Result<(), FileError> {
        let DiskFile { path, file } = &*ready.file;
        if self.options.sync {
            file.sync_data().map_err(FileError::on("sync", path))?;
        }
        disk::rename_new(path, &ready.path).map_err(FileError::on("give the final name to", path))
    }

    /// What is to be said of a file that was renamed, after its folder was synced or not.
    fn renamed(&self, path: PathBuf, synced: Result<(), FileError>) -> Published {
        match synced {
            Ok(()) => Published::Done(path),
            Err(error) if self.channel_is_durable => {
                // Its name may not survive a power loss, and its events come again: it must not be relied upon.
                remove(&self.sink, &path);
                Published::Gone(error.into_store_error())
            }
            Err(error) => {
                warn!(sink = %self.sink, file = %path.display(), %error, "the name may not survive a power loss");
                Published::Done(path)
            }
        }
    }
}

#[async_trait(?Send)]
impl Store for Disk {
    type File = DiskFile;

    /// One agent has the channel, and its leftovers were dealt with at the start.
    async fn begin_stay(&mut self, _: ChannelId) -> Result<(), StoreError> {
        Ok(())
    }

    async fn end_stays(&mut self) {}

    fn every_name_counts(&self) -> bool {
        false
    }

    /// Creates the folder where that is missing.
    async fn create(&mut self, directory: &Path, name: InProgress, prefix: &str) -> Result<DiskFile, StoreError> {
        let path = directory.join(name.format(prefix));
        let create = || disk::create_in_progress(&path, self.options.file_mode);
        let file = match create() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                disk::create_directories(directory, self.options.directory_mode, self.options.sync)
                    .map_err(|error| FileError::new("create the folder", directory, error).into_store_error())?;
                create()
            }
            result => result,
        };
        let file = file.map_err(|error| FileError::new("create", &path, error).into_store_error())?;
        Ok(DiskFile { path, file })
    }

    fn path(file: &DiskFile) -> &Path {
        &file.path
    }

    async fn write(&mut self, file: &mut DiskFile, block: &[u8]) -> Result<(), StoreError> {
        file.file.write_all(block).map_err(|error| FileError::new("write", &file.path, error).into_store_error())
    }

    /// Folders are synced once each, and also for files that were renamed before one that failed.
    async fn publish(&mut self, files: Vec<Ready<'_, DiskFile>>) -> Vec<Published> {
        let mut failed = None;
        let mut renamed = 0;
        for ready in &files {
            if let Err(error) = self.rename(ready) {
                failed = Some(error.into_store_error());
                break;
            }
            renamed += 1;
        }
        let mut folders: BTreeMap<PathBuf, Vec<usize>> = BTreeMap::new();
        for (index, ready) in files.iter().enumerate().take(renamed) {
            let folder = ready.path.parent().unwrap_or(Path::new(".")).to_owned();
            folders.entry(folder).or_default().push(index);
        }
        let mut published: Vec<Published> = files.iter().map(|_| Published::Open(None)).collect();
        for (folder, indexes) in folders {
            let mut is_synced = !self.options.sync;
            for index in indexes {
                // Again only if it failed: the error is told of every file.
                let synced = if is_synced { Ok(()) } else { disk::sync_directory(&folder) };
                is_synced = synced.is_ok();
                let synced = synced.map_err(FileError::on("sync the folder", &folder));
                published[index] = self.renamed(files[index].path.clone(), synced);
            }
        }
        if let (Some(error), Some(Published::Open(cause))) = (failed, published.get_mut(renamed)) {
            *cause = Some(error);
        }
        published
    }

    async fn names(&mut self, directory: &Path) -> Result<Vec<String>, StoreError> {
        let failed = |error| FileError::new("list", directory, error).into_store_error();
        let entries = match std::fs::read_dir(directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            result => result.and_then(Iterator::collect::<std::io::Result<Vec<_>>>).map_err(failed)?,
        };
        if self.options.sync && !entries.is_empty() {
            // A file that a crashed run had only renamed may then be relied upon.
            disk::sync_directory(directory)
                .map_err(|error| FileError::new("sync the folder", directory, error).into_store_error())?;
        }
        Ok(entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }

    async fn cut_back(&mut self, file: &mut DiskFile, bytes: u64) -> Result<(), StoreError> {
        file.file.set_len(bytes).map_err(|error| FileError::new("cut", &file.path, error).into_store_error())
    }

    async fn remove(&mut self, file: DiskFile) {
        remove(&self.sink, &file.path);
    }
}

/// Removes a file whose events come again. One that cannot be removed is dealt with at the next start.
fn remove(sink: &str, path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        warn!(sink, file = %path.display(), %error, "unfinished file could not be removed");
    }
}
