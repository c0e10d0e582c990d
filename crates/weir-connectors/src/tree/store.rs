//! What keeps the files: a disk, or a file system elsewhere.

use std::error::Error;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use weir_engine::delivery::DeliveryError;
use weir_event::ChannelId;

use super::name::InProgress;

/// A failed operation, in words for the person who has to put it right.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct StoreError {
    message: String,
    source: Box<dyn Error + Send + Sync>,
}

impl StoreError {
    /// With what was attempted, on what, and what to do.
    pub(crate) fn new(message: impl Into<String>, source: impl Error + Send + Sync + 'static) -> Self {
        Self { message: message.into(), source: Box::new(source) }
    }

    /// As the answer to a delivery: it comes again.
    pub(crate) fn into_delivery_error(self) -> DeliveryError {
        DeliveryError::Retry { message: self.message, after: None, source: Some(self.source) }
    }
}

/// A file with all its events, and the name that it is to get.
pub(crate) struct Ready<'a, F> {
    pub(crate) path: PathBuf,
    pub(crate) file: &'a mut F,
}

/// What came of a [`Ready`] file.
pub(crate) enum Published {
    /// It has its final name, and keeps it.
    Done(PathBuf),
    /// It is still in progress; without an error it was not tried because another failed.
    Open(Option<StoreError>),
    /// It is no more.
    Gone(StoreError),
}

/// What keeps the files of one sink. Every call ends in bounded time.
#[async_trait(?Send)]
pub(crate) trait Store: Send {
    /// A file in progress. Dropping it leaves it as a crash would.
    type File: Send;

    /// A partition comes here, or its files have failed: afterwards no file that anybody had in progress for it can get a
    /// final name.
    async fn begin_stay(&mut self, channel: ChannelId) -> Result<(), StoreError>;

    /// No file is in progress, and partitions may leave.
    async fn end_stays(&mut self);

    /// Whether events of any offset may be in finished files already: partitions come and go, and another agent that does
    /// not know that yet may finish a file before [`Store::begin_stay`].
    fn every_name_counts(&self) -> bool;

    /// Creates a file that will be put into `directory`.
    async fn create(&mut self, directory: &Path, name: InProgress, prefix: &str) -> Result<Self::File, StoreError>;

    /// Before the first file of a stretch of time that ends at `until_ms` is put into `directory`; may be told again.
    async fn expects(&mut self, _directory: &Path, _until_ms: i64) -> Result<(), StoreError> {
        Ok(())
    }

    /// Events of `channel` have come: no stretch of time is over before it says so. May be told again.
    async fn hears_of(&mut self, _channel: ChannelId) -> Result<(), StoreError> {
        Ok(())
    }

    /// All events of `channel` from before `until_ms` (a start of a stretch) are in finished files, but for stragglers.
    async fn passed(&mut self, _channel: ChannelId, _until_ms: i64) -> Result<(), StoreError> {
        Ok(())
    }

    /// Where a file is while it is in progress.
    fn path(file: &Self::File) -> &Path;

    /// Adds a block. It need not be stored when this returns; a later call tells if it could not be.
    async fn write(&mut self, file: &mut Self::File, block: &[u8]) -> Result<(), StoreError>;

    /// Makes what is stored of a file in progress durable, and readable where the store can show files in progress.
    async fn sync(&mut self, _file: &mut Self::File) -> Result<(), StoreError> {
        Ok(())
    }

    /// Makes files durable and gives them their names, one answer each, in order. Nothing is ever overwritten.
    async fn publish(&mut self, files: Vec<Ready<'_, Self::File>>) -> Vec<Published>;

    /// Names in `directory`, none if there is no such directory; they are durable then.
    async fn names(&mut self, directory: &Path) -> Result<Vec<String>, StoreError>;

    /// Takes back what is behind the first `bytes`.
    async fn cut_back(&mut self, file: &mut Self::File, bytes: u64) -> Result<(), StoreError>;

    /// Removes a file whose events come again. What cannot be removed now is dealt with later.
    async fn remove(&mut self, file: Self::File);
}
