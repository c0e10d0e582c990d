//! The writer that a caller holds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;

use super::driver::Command;
use crate::{FileWriter, HdfsError, HdfsErrorKind};

/// Commands that wait; their bytes are bounded by the window.
pub(super) const COMMANDS_MAX: usize = 256;
/// A larger write is taken in parts, so that it never waits for all of the window.
const PART_BYTES: usize = 64 << 10;

/// What writer and task have in common.
pub(super) struct Shared {
    /// Bytes that may still be taken.
    window: Semaphore,
    acked: AtomicU64,
    /// What ended the task. Guards the slot alone.
    error: Mutex<Option<HdfsError>>,
}

impl Shared {
    pub(super) fn new(window_bytes: usize) -> Self {
        Self { window: Semaphore::new(window_bytes), acked: AtomicU64::new(0), error: Mutex::new(None) }
    }

    pub(super) fn acked(&self, bytes: usize) {
        self.acked.fetch_add(bytes as u64, Ordering::Relaxed);
        self.window.add_permits(bytes);
    }

    pub(super) fn fail(&self, error: HdfsError) {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.window.close();
    }
}

/// Dropped, its task ends.
pub(super) struct NativeWriter {
    pub(super) path: String,
    pub(super) shared: Arc<Shared>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) task: AbortHandle,
}

impl Drop for NativeWriter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl NativeWriter {
    fn failed(&self) -> HdfsError {
        let error = self.shared.error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        error.unwrap_or_else(|| HdfsError {
            kind: HdfsErrorKind::Other,
            operation: "write",
            path: self.path.clone(),
            peer: String::new(),
            detail: "the file's task has ended".to_owned(),
        })
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, HdfsError> {
        let (done, answer) = oneshot::channel();
        self.commands.send(command(done)).await.map_err(|_| self.failed())?;
        answer.await.map_err(|_| self.failed())
    }
}

#[async_trait]
impl FileWriter for NativeWriter {
    async fn write(&mut self, mut bytes: Bytes) -> Result<(), HdfsError> {
        while !bytes.is_empty() {
            let part = bytes.split_to(bytes.len().min(PART_BYTES));
            // Below 64 KiB each; given back when acknowledged.
            let permits = self.shared.window.acquire_many(part.len() as u32).await.map_err(|_| self.failed())?;
            self.commands.send(Command::Data(part)).await.map_err(|_| self.failed())?;
            permits.forget();
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), HdfsError> {
        self.ask(|done| Command::Flush { sync: false, done }).await
    }

    async fn sync(&mut self) -> Result<(), HdfsError> {
        self.ask(|done| Command::Flush { sync: true, done }).await
    }

    async fn close(self: Box<Self>) -> Result<u64, HdfsError> {
        self.ask(|done| Command::Close { done }).await
    }

    async fn abandon(self: Box<Self>) {}

    fn bytes_acked(&self) -> u64 {
        self.shared.acked.load(Ordering::Relaxed)
    }
}
