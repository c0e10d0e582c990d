//! The trait that every transport implements.
//!
//! Paths are absolute and '/'-separated. Every call has a deadline of its own inside and never hangs; a call that is dropped
//! may still be carried out by the server.

use async_trait::async_trait;
use bytes::Bytes;

use crate::HdfsError;

/// How a file is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreateOptions {
    /// Number of copies; the cluster's default if absent.
    pub replication: Option<u16>,
    /// Size of its blocks; the cluster's default if absent.
    pub block_bytes: Option<u64>,
    /// Whether a file that is there is replaced.
    pub overwrite: bool,
    /// Permission bits; 0o644 if absent, before the cluster's mask.
    pub permission: Option<u16>,
    /// Whether it is an error if the directory is not there, as of Unix; else it is made with those above it, as Hadoop does.
    pub parent_must_exist: bool,
    /// Whether each block is on the disks of its DataNodes when it is complete (WebHDFS: `SYNC_BLOCK`), so that a file that
    /// was closed outlives a power cut of all of them; else it is in their page caches, which the system writes out within
    /// half a minute or so. It costs a wait for the slowest of the disks at the end of each block: the time in which that one
    /// writes a block. Default: it is. A local file always is.
    pub sync_blocks: bool,
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self {
            replication: None,
            block_bytes: None,
            overwrite: false,
            permission: None,
            parent_must_exist: false,
            sync_blocks: true,
        }
    }
}

/// What is known of a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// The last part of the path.
    pub name: String,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Length of a file.
    pub bytes: u64,
    /// When it was changed, milliseconds since 1970.
    pub modified_ms: i64,
    /// Its owner.
    pub owner: String,
    /// Its permission bits.
    pub permission: u16,
    /// Number of copies of a file.
    pub replication: u16,
    /// Size of its blocks.
    pub block_bytes: u64,
}

/// What is left of the file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    /// All of it.
    pub bytes: u64,
    /// What is in use.
    pub used_bytes: u64,
    /// What is free.
    pub remaining_bytes: u64,
}

/// A file system. Cheap to share.
#[async_trait]
pub trait FileSystem: Send + Sync {
    /// Makes a file and the directories above it, and opens it for writing; nobody else can write it meanwhile.
    ///
    /// # Errors
    /// [`HdfsError`]; `AlreadyExists` unless it may be overwritten. Transports may tell some errors only with a later write.
    async fn create(&self, path: &str, options: &CreateOptions) -> Result<Box<dyn FileWriter>, HdfsError>;
    /// Opens a file to be read from `offset`, which must not be beyond its end.
    ///
    /// # Errors
    /// [`HdfsError`].
    async fn open(&self, path: &str, offset: u64) -> Result<Box<dyn FileReader>, HdfsError>;
    /// What is known of a path; `None` if nothing is there.
    ///
    /// # Errors
    /// [`HdfsError`].
    async fn status(&self, path: &str) -> Result<Option<Status>, HdfsError>;
    /// What is in a directory, sorted by name; a file is listed as itself. Asked for in pages, kept in memory: 150 bytes each.
    ///
    /// # Errors
    /// [`HdfsError`]; `NotFound` if the directory is not there.
    async fn list(&self, path: &str) -> Result<Vec<Status>, HdfsError>;
    /// Gives a file or directory another name, which must not be taken, in a directory that must be there. Once: where the
    /// server's answer was lost, this finds out what became of it.
    ///
    /// # Errors
    /// [`HdfsError`]; `AlreadyExists` if the new name is taken, `NotFound` if the old name or the directory of the new one is
    /// not there.
    async fn rename(&self, from: &str, to: &str) -> Result<(), HdfsError>;
    /// Deletes a file, also one that somebody is writing, or a directory, with all in it if `recursive`. Whether something was
    /// there.
    ///
    /// # Errors
    /// [`HdfsError`].
    async fn delete(&self, path: &str, recursive: bool) -> Result<bool, HdfsError>;
    /// Makes a directory and those above it, unless they are there.
    ///
    /// # Errors
    /// [`HdfsError`].
    async fn make_directories(&self, path: &str, permission: Option<u16>) -> Result<(), HdfsError>;
    /// Closes a file whose writer is dead. Whether it is closed now; if not, ask again after a second or so.
    ///
    /// # Errors
    /// [`HdfsError`].
    async fn recover_lease(&self, path: &str) -> Result<bool, HdfsError>;
    /// Space of the file system.
    ///
    /// # Errors
    /// [`HdfsError`].
    async fn space(&self) -> Result<Space, HdfsError>;
}

/// A file being written. Dropped, it is left as it is: its bytes may or may not arrive.
///
/// After an error the writer is of no further use: `abandon` it, and begin another file.
#[async_trait]
pub trait FileWriter: Send {
    /// Takes bytes to be written; waits only while too many wait already. Errors of earlier writes come here.
    ///
    /// # Errors
    /// [`HdfsError`].
    async fn write(&mut self, bytes: Bytes) -> Result<(), HdfsError>;
    /// Waits until readers see all that was written (`hflush`).
    ///
    /// # Errors
    /// [`HdfsError`].
    async fn flush(&mut self) -> Result<(), HdfsError>;
    /// Waits until all that was written is on the disks of all its DataNodes (`hsync`); see the transport for how far it
    /// keeps that.
    ///
    /// # Errors
    /// [`HdfsError`].
    async fn sync(&mut self) -> Result<(), HdfsError>;
    /// Ends the file and waits until it is complete: all of it visible, and enough copies of it. Its length.
    ///
    /// # Errors
    /// [`HdfsError`]; the file may be complete all the same.
    async fn close(self: Box<Self>) -> Result<u64, HdfsError>;
    /// Stops without waiting. The file is left as it is and should be deleted.
    async fn abandon(self: Box<Self>);
    /// How many bytes DataNodes said they have; a lower bound.
    fn bytes_acked(&self) -> u64;
}

/// A file being read, in order.
#[async_trait]
pub trait FileReader: Send {
    /// The next bytes, as many as there are at hand; `None` at the end.
    ///
    /// # Errors
    /// [`HdfsError`].
    async fn read(&mut self) -> Result<Option<Bytes>, HdfsError>;
}
