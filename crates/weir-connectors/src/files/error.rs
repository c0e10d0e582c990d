//! What can go wrong with a file, in words for the person who has to put it right.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use weir_config::units::approx_bytes;
use weir_engine::source::StartError;

use super::disk;
use crate::tree::store::StoreError;

/// A failed operation on a file or folder.
#[derive(Debug, Error)]
pub(super) enum FileError {
    /// The disk or the quota is full.
    #[error(
        "failed to {operation} {path}: no space left ({free} free of {total} on the file system of {folder}); free space there, events wait in the channel",
        path = path.display(), folder = folder.display(), free = approx_bytes(*free), total = approx_bytes(*total)
    )]
    NoSpace {
        /// What was attempted, as an infinitive.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The folder it is in.
        folder: PathBuf,
        /// Bytes that are left for us; more than 0 means a quota or a lack of inodes.
        free: u64,
        /// Size of the file system in bytes.
        total: u64,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Permissions, or a file system that is mounted read-only.
    #[error(
        "failed to {operation} {path}: user id {user} may not; give it write permission on the folder, or choose another path",
        path = path.display()
    )]
    Denied {
        /// What was attempted, as an infinitive.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Who we are.
        user: u32,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Anything else.
    #[error("failed to {operation} {path}; events wait in the channel until it works", path = path.display())]
    Io {
        /// What was attempted, as an infinitive.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl FileError {
    /// The error of `operation` (an infinitive) on `path`.
    pub(super) fn new(operation: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
                let (free, total) = disk::space(&folder).unwrap_or_default();
                Self::NoSpace { operation, path, folder, free, total, source }
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Denied { operation, path, user: disk::user_id(), source }
            }
            _ => Self::Io { operation, path, source },
        }
    }

    /// For `map_err`: the error of `operation` on `path`.
    pub(super) fn on<'a>(operation: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::new(operation, path, source)
    }

    fn into_parts(self) -> (String, io::Error) {
        let message = self.to_string();
        let (Self::NoSpace { source, .. } | Self::Denied { source, .. } | Self::Io { source, .. }) = self;
        (message, source)
    }

    /// As what a store says.
    pub(super) fn into_store_error(self) -> StoreError {
        let (message, source) = self.into_parts();
        StoreError::new(message, source)
    }

    /// As the reason why sink `name` did not start.
    pub(super) fn into_start_error(self, name: &str) -> StartError {
        let (message, source) = self.into_parts();
        StartError::new(format!("sink {name}: {message}"), source)
    }
}
