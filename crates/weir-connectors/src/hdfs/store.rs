//! An HDFS as a store.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tracing::{info, warn};
use weir_event::ChannelId;
use weir_hdfs::{CreateOptions, FileSystem, FileWriter, HdfsError, HdfsErrorKind};

use super::alone::Alone;
use super::complete;
use crate::io_thread::IoThread;
use crate::tree::name::InProgress;
use crate::tree::store::{Published, Ready, Store, StoreError};

/// The folder below the root with everything that is in progress.
pub(super) const IN_PROGRESS_FOLDER: &str = ".weir";
/// Behind the name of a stay: the folder through which its files go to their names.
const WAY_OUT: &str = ".out";
/// Folders known to be there; when there are more they are asked for again.
const FOLDERS_MAX: usize = 4096;

/// What the store is told once.
#[derive(Clone, Debug)]
pub(super) struct HdfsOptions {
    /// Name of the sink.
    pub(super) sink: String,
    /// Name of the agent, as it may stand in a path.
    pub(super) agent: String,
    /// How names of its files begin: sinks with different ones do not know each other.
    pub(super) prefix: String,
    /// Where paths begin, without a slash at the end.
    pub(super) root: String,
    /// How many folders below the root files are.
    pub(super) depth: usize,
    /// How files are made.
    pub(super) create: CreateOptions,
}

impl HdfsOptions {
    /// The folder of what is in progress.
    pub(super) fn work_folder(&self) -> String {
        format!("{}/{IN_PROGRESS_FOLDER}/{}", self.root, self.prefix)
    }
}

/// Files in an HDFS.
pub(super) struct Hdfs {
    options: HdfsOptions,
    file_system: Arc<dyn FileSystem>,
    /// Tells this run of this lane from all others.
    life: String,
    /// Number of stays and files so far: no name comes twice.
    count: u64,
    /// Folders of the stays that go on.
    stays: BTreeMap<ChannelId, String>,
    /// Directories of finished files that are there.
    folders: HashSet<PathBuf>,
    /// Directories that somebody is going to complete, and when their time ends.
    expected: HashSet<(PathBuf, i64)>,
    /// No other sink does the same; all lanes hold it, tests may do without.
    alone: Option<Arc<Alone>>,
    /// After the file system, whose tasks run on it.
    io: Arc<IoThread>,
}

/// A file in progress.
pub(super) struct HdfsFile {
    path: PathBuf,
    /// Where it goes through.
    way_out: String,
    /// `None` once it is closed or given up.
    writer: Option<Box<dyn FileWriter>>,
    bytes: u64,
}

impl Hdfs {
    pub(super) fn new(options: HdfsOptions, file_system: Arc<dyn FileSystem>, io: Arc<IoThread>) -> Self {
        let life = format!("{}.{}.{:016x}", options.agent, options.sink, fastrand::u64(..));
        let (stays, folders, expected) = Default::default();
        Self { options, file_system, life, count: 0, stays, folders, expected, alone: None, io }
    }

    /// Gives `alone` back when this is dropped, and all others who hold it.
    pub(super) fn keep_alone(&mut self, alone: Arc<Alone>) {
        self.alone = Some(alone);
    }

    /// Runs a task of the client on its own thread: transfers go on while this one compresses.
    async fn run<T, F>(&self, task: impl FnOnce(Arc<dyn FileSystem>) -> F) -> Result<T, HdfsError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, HdfsError>> + Send + 'static,
    {
        let broken = |error: tokio::task::JoinError| HdfsError {
            kind: HdfsErrorKind::Other,
            operation: "use",
            path: self.options.root.clone(),
            peer: String::new(),
            detail: error.to_string(),
        };
        self.io.spawn(task(self.file_system.clone())).await.unwrap_or_else(|error| Err(broken(error)))
    }

    fn count(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

/// Makes the folders of a stay and removes those of all others.
async fn begin_stay(
    file_system: Arc<dyn FileSystem>,
    partition: String,
    stay: String,
) -> Result<Vec<String>, HdfsError> {
    let way_out = format!("{stay}{WAY_OUT}");
    file_system.make_directories(&format!("{partition}/{stay}"), None).await?;
    file_system.make_directories(&format!("{partition}/{way_out}"), None).await?;
    let mut others = file_system.list(&partition).await?;
    others.retain(|found| found.name != stay && found.name != way_out);
    // Ways out first: whoever still writes has no way to a name from then on.
    others.sort_by_key(|found| !found.name.ends_with(WAY_OUT));
    let mut removed = Vec::new();
    for found in others {
        let path = format!("{partition}/{}", found.name);
        if file_system.delete(&path, true).await? {
            removed.push(path);
        }
    }
    Ok(removed)
}

/// Removes the folders of a stay, and that of the partition if nobody else has one in it.
async fn end_stay(file_system: Arc<dyn FileSystem>, stay: String) -> Result<(), HdfsError> {
    file_system.delete(&format!("{stay}{WAY_OUT}"), true).await?;
    file_system.delete(&stay, true).await?;
    if let Some((partition, _)) = stay.rsplit_once('/') {
        // Refused unless it is empty.
        let _ = file_system.delete(partition, false).await;
    }
    Ok(())
}

/// A file that is to be finished.
struct Finishing {
    writer: Option<Box<dyn FileWriter>>,
    from: String,
    /// On the way: in a folder that is there as long as the stay goes on.
    through: String,
    to: String,
    folder: String,
    folder_is_there: bool,
    bytes: u64,
}

/// Closes a file and gives it its final name.
///
/// In two steps, the first of which is into a folder that ends with the stay: creating a file in a stay that is over fails
/// with most servers, but HttpFS makes the folder anew.
async fn finish(file_system: Arc<dyn FileSystem>, file: Finishing) -> Result<(), HdfsError> {
    let Finishing { writer, from, through, to, folder, folder_is_there, bytes } = file;
    let wrong = |detail: String| HdfsError {
        kind: HdfsErrorKind::Corrupt,
        operation: "finish",
        path: from.clone(),
        peer: String::new(),
        detail,
    };
    let writer = writer.ok_or_else(|| wrong("an earlier call failed".to_owned()))?;
    let stored = writer.close().await?;
    if stored != bytes {
        return Err(wrong(format!("{stored} bytes are stored instead of {bytes}")));
    }
    if !folder_is_there {
        file_system.make_directories(&folder, None).await?;
    }
    rename(&*file_system, &from, &through, bytes).await?;
    match rename(&*file_system, &through, &to, bytes).await {
        Err(error) if folder_is_there && error.kind == HdfsErrorKind::NotFound => {
            // Somebody may have removed the folder since.
            file_system.make_directories(&folder, None).await?;
            rename(&*file_system, &through, &to, bytes).await
        }
        renamed => renamed,
    }
}

/// Renames a file of `bytes`; finds out what became of it if the answer was lost.
async fn rename(file_system: &dyn FileSystem, from: &str, to: &str, bytes: u64) -> Result<(), HdfsError> {
    let Err(error) = file_system.rename(from, to).await else { return Ok(()) };
    let (old, new) = (file_system.status(from).await?, file_system.status(to).await?);
    if old.is_none() && new.is_some_and(|new| new.bytes == bytes) { Ok(()) } else { Err(error) }
}

/// With what to do about it.
fn store_error(error: HdfsError) -> StoreError {
    let advice = match error.kind {
        HdfsErrorKind::PermissionDenied => "give this user write permission there, or set user or kerberos_principal",
        HdfsErrorKind::NoSpace => "free space or raise the quota",
        HdfsErrorKind::SafeMode => "the NameNode takes no changes until it has left safe mode",
        HdfsErrorKind::Standby => "no NameNode is active",
        HdfsErrorKind::NotFound => "another agent may have taken the partition over",
        HdfsErrorKind::Timeout | HdfsErrorKind::Unavailable => {
            "see whether NameNode and DataNodes run, can be reached and have space"
        }
        _ => "see the logs of NameNode and DataNodes",
    };
    StoreError::new(format!("{error}; {advice}; events wait in the channel until it works"), error)
}

#[async_trait(?Send)]
impl Store for Hdfs {
    type File = HdfsFile;

    async fn begin_stay(&mut self, channel: ChannelId) -> Result<(), StoreError> {
        self.stays.remove(&channel);
        let number = self.count();
        let stay = format!("{}.{number}", self.life);
        let ChannelId { log, partition } = channel;
        let folder = format!("{}/{log:016x}-{partition}", self.options.work_folder());
        let path = format!("{folder}/{stay}");
        let removed = self.run(|file_system| begin_stay(file_system, folder, stay)).await;
        let removed = removed.map_err(store_error)?;
        for folder in removed {
            info!(sink = %self.options.sink, folder, "what was in progress is removed: its events come again");
        }
        self.stays.insert(channel, path);
        Ok(())
    }

    async fn end_stays(&mut self) {
        let ending: Vec<_> = std::mem::take(&mut self.stays)
            .into_values()
            .map(|stay| (stay.clone(), self.io.spawn(end_stay(self.file_system.clone(), stay))))
            .collect();
        // All at once: each has its deadline, and a server that is gone is waited for once.
        for (folder, task) in ending {
            if let Ok(Err(error)) = task.await {
                warn!(sink = %self.options.sink, folder, %error, "an empty folder is left; the next stay removes it");
            }
        }
    }

    fn every_name_counts(&self) -> bool {
        true
    }

    async fn create(&mut self, _: &Path, name: InProgress, prefix: &str) -> Result<HdfsFile, StoreError> {
        let number = self.count();
        let Some(stay) = self.stays.get(&name.channel) else {
            let message = format!("no stay of partition {} has begun", name.channel.partition);
            let nowhere = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(StoreError::new(message, nowhere));
        };
        // Several directories may have a file that begins at one offset, after one another.
        let own = format!("{number}{}", name.format(prefix));
        let (path, way_out) = (format!("{stay}/{own}"), format!("{stay}{WAY_OUT}/{own}"));
        let (at, options) = (path.clone(), self.options.create.clone());
        let created = self.run(|file_system| async move { file_system.create(&at, &options).await }).await;
        let writer = Some(created.map_err(store_error)?);
        Ok(HdfsFile { path: path.into(), way_out, writer, bytes: 0 })
    }

    async fn expects(&mut self, directory: &Path, until_ms: i64) -> Result<(), StoreError> {
        let key = (directory.to_owned(), until_ms);
        if self.expected.contains(&key) {
            return Ok(());
        }
        let (root, work) = (self.options.root.clone(), self.options.work_folder());
        let path = directory.to_string_lossy().into_owned();
        self.run(|files| async move { complete::expect(&*files, &work, &root, &path, until_ms).await })
            .await
            .map_err(store_error)?;
        if self.expected.len() >= FOLDERS_MAX {
            self.expected.clear();
        }
        self.expected.insert(key);
        Ok(())
    }

    async fn hears_of(&mut self, channel: ChannelId) -> Result<(), StoreError> {
        let work = self.options.work_folder();
        self.run(|files| async move { complete::hear_of(&*files, &work, channel).await }).await.map_err(store_error)
    }

    async fn passed(&mut self, channel: ChannelId, until_ms: i64) -> Result<(), StoreError> {
        let (root, depth) = (self.options.root.clone(), self.options.depth);
        let work = self.options.work_folder();
        let completed = self
            .run(|files| async move { complete::pass(&*files, &work, (&root, depth), channel, until_ms).await })
            .await
            .map_err(store_error)?;
        for directory in completed {
            info!(sink = %self.options.sink, directory, "complete");
        }
        Ok(())
    }

    fn path(file: &HdfsFile) -> &Path {
        &file.path
    }

    async fn write(&mut self, file: &mut HdfsFile, block: &[u8]) -> Result<(), StoreError> {
        let Some(writer) = &mut file.writer else { return Ok(()) };
        let written = writer.write(Bytes::copy_from_slice(block)).await;
        file.bytes += block.len() as u64;
        written.map_err(store_error)
    }

    async fn sync(&mut self, file: &mut HdfsFile) -> Result<(), StoreError> {
        let Some(writer) = &mut file.writer else { return Ok(()) };
        writer.sync().await.map_err(store_error)
    }

    /// All at once: what takes long is the answer of the last DataNode, not the work.
    async fn publish(&mut self, files: Vec<Ready<'_, HdfsFile>>) -> Vec<Published> {
        let mut finishing = Vec::with_capacity(files.len());
        for Ready { path, file } in files {
            let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
            let task = Finishing {
                writer: file.writer.take(),
                from: file.path.to_string_lossy().into_owned(),
                through: file.way_out.clone(),
                to: path.to_string_lossy().into_owned(),
                folder: folder.to_string_lossy().into_owned(),
                folder_is_there: self.folders.contains(&folder),
                bytes: file.bytes,
            };
            finishing.push((path, folder, self.io.spawn(finish(self.file_system.clone(), task))));
        }
        let mut published = Vec::with_capacity(finishing.len());
        for (path, folder, task) in finishing {
            let outcome = match task.await {
                Ok(Ok(())) => {
                    if self.folders.len() >= FOLDERS_MAX {
                        self.folders.clear();
                    }
                    self.folders.insert(folder);
                    Published::Done(path)
                }
                Ok(Err(error)) => {
                    self.folders.remove(&folder);
                    Published::Open(Some(store_error(error)))
                }
                Err(error) => {
                    let message = format!("a file could not be finished: {}", path.display());
                    Published::Open(Some(StoreError::new(message, error)))
                }
            };
            published.push(outcome);
        }
        published
    }

    async fn names(&mut self, directory: &Path) -> Result<Vec<String>, StoreError> {
        let path = directory.to_string_lossy().into_owned();
        match self.run(|file_system| async move { file_system.list(&path).await }).await {
            Ok(found) => Ok(found.into_iter().filter(|file| !file.is_directory).map(|file| file.name).collect()),
            Err(error) if error.kind == HdfsErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(store_error(error)),
        }
    }

    /// Files of an HDFS cannot be cut, and only whole blocks were given to it: so there is nothing to take back.
    async fn cut_back(&mut self, _: &mut HdfsFile, _: u64) -> Result<(), StoreError> {
        Ok(())
    }

    /// Lets go of it; the beginning of the next stay removes the file.
    async fn remove(&mut self, mut file: HdfsFile) {
        if let Some(writer) = file.writer.take() {
            self.io.spawn(writer.abandon());
        }
    }
}
