//! The trait that every transport implements.

use async_trait::async_trait;
use bytes::Bytes;

use crate::HdfsError;

/// How a file is made.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
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

/// A file system.
#[async_trait]
pub trait FileSystem: Send + Sync {
    /// Makes a file.
    async fn create(&self, path: &str, options: &CreateOptions) -> Result<Box<dyn FileWriter>, HdfsError>;
    /// Opens a file.
    async fn open(&self, path: &str, offset: u64) -> Result<Box<dyn FileReader>, HdfsError>;
    /// Status of a path.
    async fn status(&self, path: &str) -> Result<Option<Status>, HdfsError>;
    /// Lists a directory.
    async fn list(&self, path: &str) -> Result<Vec<Status>, HdfsError>;
    /// Renames without overwriting.
    async fn rename(&self, from: &str, to: &str) -> Result<(), HdfsError>;
    /// Deletes; whether something was there.
    async fn delete(&self, path: &str, recursive: bool) -> Result<bool, HdfsError>;
    /// Makes a directory and its parents.
    async fn make_directories(&self, path: &str, permission: Option<u16>) -> Result<(), HdfsError>;
    /// Whether the file is closed now.
    async fn recover_lease(&self, path: &str) -> Result<bool, HdfsError>;
    /// Space.
    async fn space(&self) -> Result<Space, HdfsError>;
}

/// A file being written.
#[async_trait]
pub trait FileWriter: Send {
    /// Writes.
    async fn write(&mut self, bytes: Bytes) -> Result<(), HdfsError>;
    /// Visible.
    async fn flush(&mut self) -> Result<(), HdfsError>;
    /// Durable.
    async fn sync(&mut self) -> Result<(), HdfsError>;
    /// Completes.
    async fn close(self: Box<Self>) -> Result<u64, HdfsError>;
    /// Gives up.
    async fn abandon(self: Box<Self>);
    /// Acknowledged.
    fn bytes_acked(&self) -> u64;
}

/// A file being read.
#[async_trait]
pub trait FileReader: Send {
    /// Next bytes; `None` at the end.
    async fn read(&mut self) -> Result<Option<Bytes>, HdfsError>;
}
