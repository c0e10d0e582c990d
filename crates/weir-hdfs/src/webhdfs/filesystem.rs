//! [`WebHdfs`].

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Method;

use super::client::{Answer, Call, Client, METRICS, error};
use super::json::{Batch, Beans, Done, Summary};
use super::reader::WebReader;
use super::upload::Upload;
use super::writer::WebWriter;
use super::{WebHdfsError, WebHdfsOptions};
use crate::{CreateOptions, FileReader, FileSystem, FileWriter, HdfsError, HdfsErrorKind, Space, Status};

/// HDFS over HTTP. Cheap to clone; all clones share connections and what they know of DataNodes.
#[derive(Clone)]
pub struct WebHdfs {
    client: Arc<Client>,
}

impl std::fmt::Debug for WebHdfs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebHdfs").field("addresses", &self.client.options.addresses).finish_non_exhaustive()
    }
}

impl WebHdfs {
    /// Makes a client; asks nobody yet. Reads certificates if it is over TLS.
    ///
    /// # Errors
    /// [`WebHdfsError`].
    pub fn new(options: WebHdfsOptions) -> Result<Self, WebHdfsError> {
        Ok(Self { client: Arc::new(Client::new(options)?) })
    }

    async fn done(&self, call: &Call<'_>) -> Result<(bool, Answer), HdfsError> {
        let answer = self.client.call(call).await?;
        Ok((answer.json::<Done>(call)?.boolean, answer))
    }

    /// Whether the file is still open; `None` if the server cannot say.
    async fn is_open(&self, path: &str) -> Result<Option<bool>, HdfsError> {
        match self.client.blocks("recover the lease of", path, 0).await {
            Ok(blocks) => Ok(Some(blocks.is_under_construction)),
            Err(error) if error.kind == HdfsErrorKind::Unsupported => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Why a server did not rename, or that it did and its answer was lost.
    async fn explain_rename(&self, from: &str, to: &str, answer: Answer) -> Result<(), HdfsError> {
        let failed = |kind, detail: &str| Err(error(kind, "rename", &format!("{from} to {to}"), &answer.peer, detail));
        match (self.status(from).await?.is_some(), self.status(to).await?.is_some()) {
            // Names of files in progress are not given twice: what is gone was moved by the attempt whose answer was lost.
            (false, true) if answer.repeated => Ok(()),
            (false, _) => failed(HdfsErrorKind::NotFound, "there is nothing to rename"),
            (true, true) => failed(HdfsErrorKind::AlreadyExists, "the new name is taken"),
            (true, false) => failed(HdfsErrorKind::NotFound, "the directory of the new name is not there"),
        }
    }
}

fn get<'a>(operation: &'static str, op: &'static str, path: &'a str, query: Vec<(&'static str, String)>) -> Call<'a> {
    Call { method: Method::GET, operation, op, path, query }
}

fn permission(bits: Option<u16>) -> Option<(&'static str, String)> {
    bits.map(|bits| ("permission", format!("{bits:o}")))
}

#[async_trait]
impl FileSystem for WebHdfs {
    async fn create(&self, path: &str, options: &CreateOptions) -> Result<Box<dyn FileWriter>, HdfsError> {
        if !options.overwrite && self.status(path).await?.is_some() {
            let detail = "there is something of this name already";
            return Err(error(HdfsErrorKind::AlreadyExists, "create", path, "", detail));
        }
        let mut query = vec![
            ("overwrite", options.overwrite.to_string()),
            ("createparent", (!options.parent_must_exist).to_string()),
        ];
        if options.sync_blocks {
            query.push(("createflag", "CREATE,SYNC_BLOCK".to_owned()));
        }
        query.extend(options.replication.map(|count| ("replication", count.to_string())));
        query.extend(options.block_bytes.map(|bytes| ("blocksize", bytes.to_string())));
        query.extend(permission(options.permission));
        let call = Call { method: Method::PUT, operation: "create", op: "CREATE", path, query };
        let url = self.client.datanode(&call).await?;
        let upload = Upload::begin(&self.client, Method::PUT, "write", path, url);
        Ok(Box::new(WebWriter::new(Arc::clone(&self.client), path, upload)))
    }

    async fn open(&self, path: &str, offset: u64) -> Result<Box<dyn FileReader>, HdfsError> {
        if offset > 0 {
            // Servers refuse an offset at the end of a file.
            let status = self.status(path).await?;
            if status.is_some_and(|status| !status.is_directory && status.bytes == offset) {
                return Ok(Box::new(WebReader::at_end(Arc::clone(&self.client), path, offset)));
            }
        }
        Ok(Box::new(WebReader::open(Arc::clone(&self.client), path, offset).await?))
    }

    async fn status(&self, path: &str) -> Result<Option<Status>, HdfsError> {
        match self.client.status("ask for", path).await {
            Ok(status) => Ok(Some(status)),
            Err(error) if error.kind == HdfsErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn list(&self, path: &str) -> Result<Vec<Status>, HdfsError> {
        let mut all: Vec<Status> = Vec::new();
        loop {
            let after = all.last().map(|last| ("startAfter", last.name.clone()));
            let call = get("list", "LISTSTATUS_BATCH", path, after.into_iter().collect());
            let listing = self.client.call(&call).await?.json::<Batch>(&call)?.listing;
            let batch = listing.partial_listing.statuses.all;
            let ends = listing.remaining_entries == 0 || batch.is_empty();
            // A file is listed as itself, without a name.
            let own = path.rsplit('/').next();
            all.extend(batch.into_iter().map(|status| {
                let name = if status.path_suffix.is_empty() { own } else { None };
                status.status(name)
            }));
            if ends {
                return Ok(all);
            }
        }
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), HdfsError> {
        // With options it is the rename that overwrites nothing and says why; without, it moves into a directory `to`.
        let query = vec![("destination", to.to_owned()), ("renameoptions", "NONE".to_owned())];
        let call = Call { method: Method::PUT, operation: "rename", op: "RENAME", path: from, query };
        let answer =
            self.client.call(&call).await.map_err(|error| HdfsError { path: format!("{from} to {to}"), ..error })?;
        if answer.is_empty() && !answer.repeated {
            return Ok(());
        }
        if !answer.is_empty() && answer.json::<Done>(&call)?.boolean {
            return Ok(());
        }
        self.explain_rename(from, to, answer).await
    }

    async fn delete(&self, path: &str, recursive: bool) -> Result<bool, HdfsError> {
        let query = vec![("recursive", recursive.to_string())];
        let call = Call { method: Method::DELETE, operation: "delete", op: "DELETE", path, query };
        let (deleted, answer) = self.done(&call).await?;
        Ok(deleted || answer.repeated)
    }

    async fn make_directories(&self, path: &str, bits: Option<u16>) -> Result<(), HdfsError> {
        let query = permission(bits).into_iter().collect();
        let call = Call { method: Method::PUT, operation: "make the directory", op: "MKDIRS", path, query };
        match self.done(&call).await? {
            (true, _) => Ok(()),
            (false, answer) => {
                Err(error(HdfsErrorKind::Other, call.operation, path, &answer.peer, "the server did not make it"))
            }
        }
    }

    async fn recover_lease(&self, path: &str) -> Result<bool, HdfsError> {
        if self.is_open(path).await? == Some(false) {
            return Ok(true);
        }
        let operation = "recover the lease of";
        let call = Call { method: Method::POST, operation, op: "APPEND", path, query: Vec::new() };
        let url = self.client.datanode(&call).await?;
        let upload = Upload::begin(&self.client, Method::POST, operation, path, url);
        match upload.end(self.client.options.namenode_timeout).await {
            Ok(()) => Ok(true),
            Err(error) if error.kind == HdfsErrorKind::LeaseHeld => Ok(self.is_open(path).await? == Some(false)),
            Err(error) => Err(error),
        }
    }

    async fn space(&self) -> Result<Space, HdfsError> {
        let call = get("ask for the space of", "GETSTATUS", "/", Vec::new());
        match self.client.call(&call).await {
            Ok(answer) => Ok(answer.json::<Summary>(&call)?.status.into()),
            // Before Hadoop 3.4 only the metrics of the NameNode say it.
            Err(error) if error.kind == HdfsErrorKind::Unsupported => {
                let call = get("ask for the space of", METRICS, "/", Vec::new());
                let beans = self.client.call(&call).await?.json::<Beans>(&call)?.beans;
                beans.into_iter().next().map(Space::from).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }
}
