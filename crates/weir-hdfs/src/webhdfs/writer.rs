//! [`WebWriter`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::Method;
use tokio::time::{sleep, timeout};

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
    /// Copies that a block of the file has when all is well: unknown before the first APPEND, 0 where nobody can tell.
    copies: Option<usize>,
}

impl WebWriter {
    pub(super) fn new(client: Arc<Client>, path: &str, upload: Upload) -> Self {
        let path = path.to_owned();
        Self { client, path, upload: Some(upload), written: 0, acknowledged: 0, copies: None }
    }

    /// What is there, or an APPEND.
    async fn upload(&mut self) -> Result<&mut Upload, HdfsError> {
        if self.upload.is_none() {
            // Half of what a write may take. In vain: a node is gone, or the NameNode is silent.
            let patience = self.client.options.write_timeout / 2;
            if self.written > 0 && self.client.copies_come() && timeout(patience, self.settle()).await.is_err() {
                tracing::debug!(path = %self.path, copies = self.copies, "appends without all copies");
                self.client.copies_missed();
            }
            let call = Call {
                method: Method::POST,
                operation: "append to",
                op: "APPEND",
                path: &self.path,
                query: Vec::new(),
            };
            let url = self.client.datanode(&call).await?;
            self.upload = Some(Upload::begin(&self.client, Method::POST, "append to", &self.path, url));
        }
        Ok(self.upload.as_mut().expect("it was made above"))
    }

    /// Waits until the NameNode has heard of every copy of the last block, before an APPEND. It calls a file complete with the
    /// first it hears of, and has those written on that it knows; where there are no more DataNodes than copies, Hadoop's
    /// client then looks in vain for one more, and breaks off ("Failed to replace a bad datanode"): on a busy machine every
    /// fifth file. A refusal is no reason to wait: the APPEND will say what is wrong.
    async fn settle(&mut self) {
        if self.copies.is_none() {
            let status = self.client.status("append to", &self.path).await;
            self.copies = status.ok().map(|status| usize::from(status.replication));
        }
        let Some(copies) = self.copies.filter(|copies| *copies > 0) else { return };
        let mut pause = Duration::from_millis(5);
        loop {
            match self.client.blocks("append to", &self.path, self.written - 1).await {
                Ok(blocks) if blocks.copies_of_last().is_some_and(|known| known < copies) => sleep(pause).await,
                Err(error) if error.kind == HdfsErrorKind::Unsupported => return self.copies = Some(0),
                Ok(_) | Err(_) => return,
            }
            pause = (pause * 2).min(Duration::from_millis(200));
        }
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
