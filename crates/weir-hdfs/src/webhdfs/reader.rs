//! [`WebReader`].

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{Method, Response, Url};
use tokio::time::timeout;

use super::client::{Call, Client, authority, error, of_transport};
use super::remote::refusal;
use crate::{FileReader, HdfsError, HdfsErrorKind};

/// Every DataNode of three, and once more.
const ATTEMPTS: usize = 4;

/// A file being read, from one DataNode after the other if need be.
pub(super) struct WebReader {
    client: Arc<Client>,
    path: String,
    offset: u64,
    open: Option<(Url, Response)>,
    ended: bool,
}

impl WebReader {
    /// Opens at `offset`.
    pub(super) async fn open(client: Arc<Client>, path: &str, offset: u64) -> Result<Self, HdfsError> {
        let mut reader = Self { client, path: path.to_owned(), offset, open: None, ended: false };
        reader.again(&mut 0).await?;
        Ok(reader)
    }

    /// At the end: there is nothing to ask for.
    pub(super) fn at_end(client: Arc<Client>, path: &str, offset: u64) -> Self {
        Self { client, path: path.to_owned(), offset, open: None, ended: true }
    }

    /// Opens where reading stopped, on a node that answers.
    async fn again(&mut self, failures: &mut usize) -> Result<(), HdfsError> {
        loop {
            let query = vec![("offset", self.offset.to_string())];
            let call = Call { method: Method::GET, operation: "open", op: "OPEN", path: &self.path, query };
            let url = self.client.datanode(&call).await?;
            match self.request(&url).await {
                Ok(response) => {
                    self.open = Some((url, response));
                    return Ok(());
                }
                Err(error) => self.failed(&url, error, failures).await?,
            }
        }
    }

    async fn request(&self, url: &Url) -> Result<Response, HdfsError> {
        let peer = authority(url);
        let failed = |kind, detail: String| error(kind, "open", &self.path, &peer, detail);
        let request = self.client.http.get(url.clone());
        let own = self.client.authenticator.negotiates() && self.client.options.addresses.contains(&peer);
        let request = match own {
            true => self.client.authenticator.prove(&peer, request).await.map(|(request, _)| request),
            false => Ok(request),
        };
        let request = request.map_err(|detail| failed(HdfsErrorKind::PermissionDenied, detail))?;
        let patience = self.client.options.write_timeout;
        let response = match timeout(patience, request.send()).await {
            Ok(response) => response.map_err(|cause| failed(HdfsErrorKind::Unavailable, of_transport(cause)))?,
            Err(_) => return Err(failed(HdfsErrorKind::Timeout, format!("no answer within {patience:?}"))),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = timeout(patience, response.bytes()).await.ok().and_then(Result::ok).unwrap_or_default();
        let refusal = refusal(status, &body);
        Err(failed(refusal.kind, refusal.detail))
    }

    /// Whether it is worth asking another node.
    async fn failed(&self, url: &Url, error: HdfsError, failures: &mut usize) -> Result<(), HdfsError> {
        *failures += 1;
        let passes = matches!(error.kind, HdfsErrorKind::Timeout | HdfsErrorKind::Unavailable | HdfsErrorKind::Corrupt);
        if !passes || *failures >= ATTEMPTS {
            return Err(error);
        }
        self.client.exclude(url, &error.detail).await;
        Ok(())
    }
}

#[async_trait]
impl FileReader for WebReader {
    async fn read(&mut self) -> Result<Option<Bytes>, HdfsError> {
        let mut failures = 0;
        while !self.ended {
            let Some((url, response)) = &mut self.open else {
                self.again(&mut failures).await?;
                continue;
            };
            let patience = self.client.options.write_timeout;
            let failed = |kind, detail: String| error(kind, "read", &self.path, &authority(url), detail);
            let error = match timeout(patience, response.chunk()).await {
                Ok(Ok(Some(bytes))) => {
                    self.offset += bytes.len() as u64;
                    return Ok(Some(bytes));
                }
                Ok(Ok(None)) => {
                    self.ended = true;
                    break;
                }
                Ok(Err(cause)) => failed(HdfsErrorKind::Unavailable, of_transport(cause)),
                Err(_) => failed(HdfsErrorKind::Timeout, format!("nothing came for {patience:?}")),
            };
            let (url, _) = self.open.take().expect("it was there above");
            self.failed(&url, error, &mut failures).await?;
        }
        self.open = None;
        Ok(None)
    }
}
