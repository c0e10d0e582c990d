//! Files being written and read.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::disk;
use super::filesystem::run;
use crate::{FileReader, FileWriter, HdfsError};

/// Large enough that a thread is worth asking, small enough for many readers.
const READ_BYTES: usize = 256 * 1024;

/// Writes at once: nothing is kept in this process.
pub(super) struct LocalWriter {
    path: String,
    file: Arc<File>,
    /// Until the name is durable.
    folder: Option<PathBuf>,
    written: u64,
    synced: u64,
}

impl LocalWriter {
    pub(super) fn new(path: &str, file: File, folder: Option<PathBuf>) -> Self {
        Self { path: path.to_owned(), file: Arc::new(file), folder, written: 0, synced: 0 }
    }
}

#[async_trait]
impl FileWriter for LocalWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<(), HdfsError> {
        let (file, length) = (Arc::clone(&self.file), bytes.len() as u64);
        run("write", &self.path, move || (&*file).write_all(&bytes)).await?;
        self.written += length;
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), HdfsError> {
        Ok(())
    }

    async fn sync(&mut self) -> Result<(), HdfsError> {
        let (file, folder) = (Arc::clone(&self.file), self.folder.clone());
        run("sync", &self.path, move || {
            file.sync_all()?;
            folder.as_deref().map_or(Ok(()), disk::sync_folder)
        })
        .await?;
        (self.folder, self.synced) = (None, self.written);
        Ok(())
    }

    async fn close(mut self: Box<Self>) -> Result<u64, HdfsError> {
        if self.folder.is_some() || self.synced < self.written {
            self.sync().await?;
        }
        Ok(self.written)
    }

    async fn abandon(self: Box<Self>) {}

    fn bytes_acked(&self) -> u64 {
        self.written
    }
}

/// Reads in order.
pub(super) struct LocalReader {
    path: String,
    file: Arc<File>,
}

impl LocalReader {
    pub(super) fn new(path: &str, file: File) -> Self {
        Self { path: path.to_owned(), file: Arc::new(file) }
    }
}

#[async_trait]
impl FileReader for LocalReader {
    async fn read(&mut self) -> Result<Option<Bytes>, HdfsError> {
        let file = Arc::clone(&self.file);
        let read = run("read", &self.path, move || {
            let mut buffer = vec![0; READ_BYTES];
            let count = (&*file).read(&mut buffer)?;
            buffer.truncate(count);
            Ok(Bytes::from(buffer))
        });
        Ok(Some(read.await?).filter(|bytes| !bytes.is_empty()))
    }
}
