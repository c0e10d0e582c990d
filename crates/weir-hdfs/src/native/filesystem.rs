//! [`NativeHdfs`]: the calls that are about names.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::driver::Driver;
use super::excluded::Excluded;
use super::namenode::NameNodes;
use super::options::NativeOptions;
use super::packet::CHUNK_BYTES;
use super::reader::NativeReader;
use super::wire::{
    ClientRequest, CreateRequest, DatanodeId, DefaultsAnswer, DeleteRequest, Empty, FileAnswer, FileStatus, Flag,
    ListAnswer, ListRequest, MakeRequest, PathClientRequest, PathRequest, Permission, RenameRequest, Stats,
};
use super::writer::{COMMANDS_MAX, NativeWriter, Shared};
use crate::{CreateOptions, Faults, FileReader, FileSystem, FileWriter, HdfsError, HdfsErrorKind, Space, Status};

/// A lease may be taken from us 60 s after it was last renewed.
const RENEW_EVERY: Duration = Duration::from_secs(15);
/// The smallest window with which the parts of a write never wait for each other: two packets and what is between them.
const WINDOW_BYTES_MIN: usize = 256 << 10;

/// An HDFS by Hadoop's own protocol. Cheap to clone; files share connection and lease. Needs a tokio runtime.
#[derive(Clone)]
pub struct NativeHdfs {
    client: Arc<Client>,
}

/// What all files of a client have in common.
pub(super) struct Client {
    pub(super) options: NativeOptions,
    pub(super) namenodes: NameNodes,
    pub(super) excluded: Excluded,
    open_files: AtomicUsize,
    /// Renews the lease; ends with the client. Guards the slot alone.
    renewing: Mutex<Option<AbortHandle>>,
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(task) = self.renewing.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

impl Client {
    /// Gives the node no blocks for a while.
    pub(super) fn exclude(&self, node: &DatanodeId, path: &str, reason: &str) {
        let address = super::datanode::address(node, self.options.by_hostname);
        tracing::warn!(path, address, reason, "a DataNode failed, and gets no new blocks for a while");
        self.excluded.add(node);
        self.options.faults.count(Faults::DATANODE_LEFT_OUT);
    }

    fn renew(self: &Arc<Self>) {
        let mut slot = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let weak = Arc::downgrade(self);
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(RENEW_EVERY).await;
                let Some(client) = weak.upgrade() else { return };
                if client.open_files.load(Ordering::Relaxed) == 0 {
                    continue;
                }
                let request = ClientRequest { client: client.namenodes.client.clone() };
                let renewed = client.namenodes.call::<Empty>(("renew the lease", ""), "renewLease", &request).await;
                if let Err(error) = renewed {
                    tracing::warn!(%error, "the lease of open files was not renewed");
                }
            }
        });
        *slot = Some(task.abort_handle());
    }
}

/// Counts a file as open.
struct Open(Arc<Client>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open_files.fetch_sub(1, Ordering::Relaxed);
    }
}

fn status(file: FileStatus) -> Status {
    let path = String::from_utf8_lossy(&file.path).into_owned();
    Status {
        name: path.rsplit('/').next().unwrap_or_default().to_owned(),
        is_directory: file.kind == 1,
        bytes: file.bytes,
        modified_ms: file.modified_ms as i64,
        owner: file.owner,
        permission: file.permission.map_or(0, |permission| permission.bits as u16),
        replication: file.replication.unwrap_or(0) as u16,
        block_bytes: file.block_bytes.unwrap_or(0),
    }
}

impl NativeHdfs {
    /// Connects with the first call.
    ///
    /// # Errors
    /// `Other` if no NameNode is named.
    pub fn new(mut options: NativeOptions) -> Result<Self, HdfsError> {
        if options.namenodes.is_empty() {
            return Err(refusal("open", "/", HdfsErrorKind::Other, "no NameNode is named".to_owned()));
        }
        options.window_bytes = options.window_bytes.max(WINDOW_BYTES_MIN);
        let (namenodes, excluded) = (NameNodes::new(&options), Excluded::new(options.exclude_time));
        let (open_files, renewing) = (AtomicUsize::new(0), Mutex::new(None));
        Ok(Self { client: Arc::new(Client { options, namenodes, excluded, open_files, renewing }) })
    }

    async fn shape(&self, path: &str, options: &CreateOptions) -> Result<(u32, u64), HdfsError> {
        if let (Some(replication), Some(block_bytes)) = (options.replication, options.block_bytes) {
            return Ok((replication.into(), block_bytes));
        }
        let answer: DefaultsAnswer =
            self.client.namenodes.call(("create", path), "getServerDefaults", &Empty {}).await?;
        let defaults = answer.defaults.unwrap_or_default();
        let replication = options.replication.map_or(defaults.replication, u32::from);
        Ok((replication, options.block_bytes.unwrap_or(defaults.block_bytes)))
    }
}

fn refusal(operation: &'static str, path: &str, kind: HdfsErrorKind, detail: String) -> HdfsError {
    HdfsError { kind, operation, path: path.to_owned(), peer: String::new(), detail }
}

#[async_trait]
impl FileSystem for NativeHdfs {
    async fn create(&self, path: &str, options: &CreateOptions) -> Result<Box<dyn FileWriter>, HdfsError> {
        let (replication, block_bytes) = self.shape(path, options).await?;
        if block_bytes == 0 || block_bytes % CHUNK_BYTES as u64 != 0 {
            let detail = format!("a block of {block_bytes} bytes is not a multiple of {CHUNK_BYTES}");
            return Err(refusal("create", path, HdfsErrorKind::Other, detail));
        }
        let request = CreateRequest {
            path: path.to_owned(),
            masked: Some(Permission { bits: options.permission.unwrap_or(0o644).into() }),
            client: self.client.namenodes.client.clone(),
            // 1: create, 2: overwrite, 0x80: copies even where the directory has a policy of erasure coding, of which nothing is
            // known here.
            flags: 0x80 | if options.overwrite { 3 } else { 1 },
            parents: !options.parent_must_exist,
            replication,
            block_bytes,
        };
        let answer: FileAnswer = self.client.namenodes.call(("create", path), "create", &request).await?;
        self.client.open_files.fetch_add(1, Ordering::Relaxed);
        let open = Open(self.client.clone());
        self.client.renew();
        let (commands, queue) = mpsc::channel(COMMANDS_MAX);
        let shared = Arc::new(Shared::new(self.client.options.window_bytes));
        let driver = Driver {
            client: self.client.clone(),
            shared: shared.clone(),
            path: path.to_owned(),
            file_id: answer.file.and_then(|file| file.file_id),
            block_bytes,
            block: None,
            last: None,
            buffer: Vec::new(),
            buffer_sent: 0,
            offset: 0,
            length: 0,
            is_synced: options.sync_blocks,
            is_known: false,
        };
        let task = tokio::spawn(async move {
            let _open = open;
            driver.run(queue).await;
        });
        let task = task.abort_handle();
        Ok(Box::new(NativeWriter { path: path.to_owned(), shared, commands, task }))
    }

    async fn open(&self, path: &str, offset: u64) -> Result<Box<dyn FileReader>, HdfsError> {
        Ok(Box::new(NativeReader::open(self.client.clone(), path, offset).await?))
    }

    async fn status(&self, path: &str) -> Result<Option<Status>, HdfsError> {
        let request = PathRequest { path: path.to_owned() };
        let answer: FileAnswer = self.client.namenodes.call(("look at", path), "getFileInfo", &request).await?;
        let name = path.rsplit('/').next().unwrap_or_default();
        Ok(answer.file.map(|file| Status { name: name.to_owned(), ..status(file) }))
    }

    async fn list(&self, path: &str) -> Result<Vec<Status>, HdfsError> {
        let (mut all, mut after) = (Vec::new(), Vec::new());
        loop {
            let request = ListRequest { path: path.to_owned(), after, locations: false };
            let answer: ListAnswer = self.client.namenodes.call(("list", path), "getListing", &request).await?;
            let missing = || refusal("list", path, HdfsErrorKind::NotFound, "it is not there".to_owned());
            let listing = answer.listing.ok_or_else(missing)?;
            after = listing.entries.last().map(|entry| entry.path.clone()).unwrap_or_default();
            let is_end = listing.remaining == 0 || listing.entries.is_empty();
            all.extend(listing.entries.into_iter().map(status));
            if is_end {
                break;
            }
        }
        // A file is listed as itself, without a name.
        if let [only] = &mut all[..]
            && only.name.is_empty()
        {
            path.rsplit('/').next().unwrap_or_default().clone_into(&mut only.name);
        }
        Ok(all)
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), HdfsError> {
        let request = RenameRequest { from: from.to_owned(), to: to.to_owned(), overwrite: false };
        // A server that restarted meanwhile does not know the call again: then the source is gone and the target is there.
        let before = self.status(from).await?;
        let both = format!("{from} to {to}");
        let renamed = self.client.namenodes.call::<Empty>(("rename", &both), "rename2", &request).await;
        let Err(error) = renamed else { return Ok(()) };
        if let (HdfsErrorKind::NotFound | HdfsErrorKind::Timeout | HdfsErrorKind::Unavailable, Some(before)) =
            (error.kind, before)
            && self.status(from).await?.is_none()
            && let Some(after) = self.status(to).await?
            && (after.bytes, after.modified_ms, after.is_directory)
                == (before.bytes, before.modified_ms, before.is_directory)
        {
            return Ok(());
        }
        Err(error)
    }

    async fn delete(&self, path: &str, recursive: bool) -> Result<bool, HdfsError> {
        let request = DeleteRequest { path: path.to_owned(), recursive };
        Ok(self.client.namenodes.call::<Flag>(("delete", path), "delete", &request).await?.is)
    }

    async fn make_directories(&self, path: &str, permission: Option<u16>) -> Result<(), HdfsError> {
        let masked = Some(Permission { bits: permission.unwrap_or(0o755).into() });
        let request = MakeRequest { path: path.to_owned(), masked, parents: true };
        let made = self.client.namenodes.call::<Flag>(("make directory", path), "mkdirs", &request).await?;
        let refused = || refusal("make directory", path, HdfsErrorKind::Other, "the NameNode refuses".to_owned());
        made.is.then_some(()).ok_or_else(refused)
    }

    async fn recover_lease(&self, path: &str) -> Result<bool, HdfsError> {
        let request = PathClientRequest { path: path.to_owned(), client: self.client.namenodes.client.clone() };
        Ok(self.client.namenodes.call::<Flag>(("recover the lease of", path), "recoverLease", &request).await?.is)
    }

    async fn space(&self) -> Result<Space, HdfsError> {
        let stats: Stats = self.client.namenodes.call(("ask for the space of", "/"), "getFsStats", &Empty {}).await?;
        Ok(Space { bytes: stats.bytes, used_bytes: stats.used, remaining_bytes: stats.remaining })
    }
}
