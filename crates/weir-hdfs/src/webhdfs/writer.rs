//! [`WebWriter`].

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::Method;

use super::client::{Call, Client};
use super::upload::Upload;
use crate::{FileWriter, HdfsError, HdfsErrorKind};

/// A file being written: one request, or several after flushes.
pub(super) struct WebWriter {
    client: Arc<Client>,
    path: String,
    /// Absent after a flush, until the next write.
    upload: Option<Upload>,
    written: u64,
    acknowledged: u64,
    /// A request was an APPEND.
    appended: bool,
}

impl WebWriter {
    pub(super) fn new(client: Arc<Client>, path: &str, upload: Upload) -> Self {
        let path = path.to_owned();
        Self { client, path, upload: Some(upload), written: 0, acknowledged: 0, appended: false }
    }

    /// What is there, or an APPEND.
    async fn upload(&mut self) -> Result<&mut Upload, HdfsError> {
        if self.upload.is_none() {
            let call = Call {
                method: Method::POST,
                operation: "append to",
                op: "APPEND",
                path: &self.path,
                query: Vec::new(),
            };
            let url = self.client.datanode(&call).await?;
            self.upload = Some(Upload::begin(&self.client, Method::POST, "append to", &self.path, url));
            self.appended = true;
        }
        Ok(self.upload.as_mut().expect("it was made above"))
    }

    /// Ends the request, which completes the file.
    async fn end(&mut self) -> Result<(), HdfsError> {
        let Some(upload) = self.upload.take() else { return Ok(()) };
        let url = upload.url().clone();
        let result = upload.end(self.client.options.namenode_timeout).await;
        self.judged(&url, &result).await;
        result?;
        self.acknowledged = self.written;
        Ok(())
    }

    /// A node that broke off is not asked again for a while; of one that is silent the upload knows more.
    async fn judged(&self, url: &reqwest::Url, result: &Result<(), HdfsError>) {
        if let Err(error) = result
            && error.kind == HdfsErrorKind::Unavailable
        {
            self.client.exclude(url, &error.detail).await;
        }
    }
}

#[async_trait]
impl FileWriter for WebWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<(), HdfsError> {
        let count = bytes.len() as u64;
        if count == 0 {
            return Ok(());
        }
        let upload = self.upload().await?;
        let result = upload.write(bytes).await;
        let url = upload.url().clone();
        self.judged(&url, &result).await;
        result?;
        self.written += count;
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), HdfsError> {
        self.end().await
    }

    async fn sync(&mut self) -> Result<(), HdfsError> {
        self.end().await
    }

    async fn close(mut self: Box<Self>) -> Result<u64, HdfsError> {
        self.end().await?;
        Ok(self.written)
    }

    async fn abandon(self: Box<Self>) {}

    fn bytes_acked(&self) -> u64 {
        self.acknowledged
    }
}
