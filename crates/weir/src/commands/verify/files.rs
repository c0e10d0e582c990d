//! The files: what their names claim and what is in them.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;
use weir_hdfs::configuration::{Cluster, Properties, Transport};
use weir_hdfs::{
    FileSystem, HdfsError, HdfsErrorKind, LocalFileSystem, NativeHdfs, NativeOptions, WebHdfs, WebHdfsOptions,
};

use super::bodies;
use super::claims::{Claim, is_in_progress, parse};
use crate::exit::{Exit, Failure};

/// Pieces of a file that wait for its reader: 256 KiB each at most, as transports give them.
const PIECES_MAX: usize = 8;

const PROTECTED: &str = "the cluster asks for Kerberos or encrypts its data, so its files are read by WebHDFS, and the address \
                         of that is not known: give webhdfs://HOST:PORT/PATH, or --hadoop-conf with \
                         dfs.namenode.http-address";

/// A folder of a file system.
#[derive(Clone)]
pub(super) struct Tree {
    files: Arc<dyn FileSystem>,
    path: String,
}

/// What is in it.
#[derive(Default)]
pub(super) struct Listing {
    pub(super) claims: Vec<Claim>,
    /// Files that somebody is writing, or left behind.
    pub(super) in_progress: u64,
    /// Files with other names.
    pub(super) others: u64,
}

/// The folder that `url` names. A cluster is asked by WebHDFS, or by its own protocol where nobody gave an address of WebHDFS
/// and nobody has to prove who they are.
pub(super) fn open(url: &str, hadoop_conf: Option<&Path>, user: Option<&str>) -> Result<Tree, Failure> {
    let wrong = |error: &dyn std::error::Error| Failure {
        exit: Exit::Usage,
        message: format!("--hdfs {url}: {}", weir_engine::chain(error)),
    };
    let properties = match hadoop_conf {
        Some(folder) => Properties::load(folder),
        None => Properties::from_environment(),
    };
    let properties = properties.map_err(|error| wrong(&error))?;
    let cluster = Cluster::find(url, &properties).map_err(|error| wrong(&error))?;
    let files: Arc<dyn FileSystem> = match (cluster.transport, WebHdfsOptions::of(&cluster)) {
        (Transport::Local, _) => Arc::new(LocalFileSystem::new("/")),
        (_, Some(mut options)) => {
            options.user = user.map(str::to_owned);
            Arc::new(WebHdfs::new(options).map_err(|error| wrong(&error))?)
        }
        (_, None) => {
            let usage = |what| Failure { exit: Exit::Usage, message: format!("--hdfs {url}: {what}") };
            let options = native(&cluster, user).map_err(usage)?;
            Arc::new(NativeHdfs::new(options).map_err(|error| wrong(&error))?)
        }
    };
    Ok(Tree { files, path: cluster.path })
}

/// How Hadoop's own protocol reaches the cluster, or why it does not.
fn native(cluster: &Cluster, user: Option<&str>) -> Result<NativeOptions, &'static str> {
    if cluster.kerberos || cluster.data_encrypted {
        return Err(PROTECTED);
    }
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let user = user.map(str::to_owned).or_else(|| variable("HADOOP_USER_NAME")).or_else(|| variable("USER"));
    let user = user.ok_or("who reads the files is not known: give --user, or set HADOOP_USER_NAME")?;
    let options = NativeOptions::new(cluster.rpc_addresses(), user);
    Ok(NativeOptions { by_hostname: cluster.by_hostname, ..options })
}

impl Tree {
    pub(super) fn new(files: Arc<dyn FileSystem>, path: String) -> Self {
        Self { files, path }
    }

    /// Looks at every name below the folder. Memory: 150 bytes per file.
    pub(super) async fn list(&self) -> Result<Listing, Failure> {
        let mut listing = Listing::default();
        let mut left = vec![self.path.clone()];
        while let Some(directory) = left.pop() {
            let found = match self.files.list(&directory).await {
                // Gone since its parent was listed: folders of files in progress come and go.
                Err(error) if error.kind == HdfsErrorKind::NotFound && directory != self.path => continue,
                found => found.map_err(|error| Failure::new(error.to_string()))?,
            };
            for status in found {
                let path = format!("{}/{}", directory.trim_end_matches('/'), status.name);
                match parse(&status.name) {
                    _ if status.is_directory => left.push(path),
                    Some((log, partition, first, last)) => listing.claims.push(Claim {
                        log,
                        partition,
                        first,
                        last,
                        directory: directory.clone(),
                        name: status.name,
                        bytes: status.bytes,
                    }),
                    None if is_in_progress(&status.name) => listing.in_progress += 1,
                    // Markers and what lies beside our files, as Hadoop has it: not looked at.
                    None if status.name.starts_with(['.', '_']) => {}
                    None => listing.others += 1,
                }
            }
        }
        Ok(listing)
    }

    /// Gives `work` a function that calls another one with the hash of every line of the file, on a thread for it.
    pub(super) async fn hashes<T: Send + 'static>(
        &self,
        path: &str,
        work: impl FnOnce(&mut dyn FnMut(&mut dyn FnMut(u128)) -> io::Result<()>) -> io::Result<T> + Send + 'static,
    ) -> Result<T, String> {
        let mut reader = self.files.open(path, 0).await.map_err(|error| error.to_string())?;
        let (sender, receiver) = mpsc::channel(PIECES_MAX);
        let name = path.to_owned();
        let decoding = tokio::task::spawn_blocking(move || {
            let mut pump = Some(Pump { receiver, current: Bytes::new() });
            work(&mut |each| match pump.take() {
                Some(pump) => bodies::read(&name, pump, each),
                None => Ok(()),
            })
        });
        loop {
            let read = reader.read().await;
            let is_last = !matches!(read, Ok(Some(_)));
            // Whoever decodes may have given up: it says why.
            if let Some(piece) = read.transpose()
                && sender.send(piece).await.is_err()
            {
                break;
            }
            if is_last {
                break;
            }
        }
        drop(sender);
        match decoding.await {
            Ok(result) => result.map_err(|error| format!("{path}: {error}")),
            Err(broken) => std::panic::resume_unwind(broken.into_panic()),
        }
    }
}

/// The pieces of a file as somebody who may block reads them.
struct Pump {
    receiver: mpsc::Receiver<Result<Bytes, HdfsError>>,
    current: Bytes,
}

impl Read for Pump {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.receiver.blocking_recv() {
                None => return Ok(0),
                Some(piece) => self.current = piece.map_err(io::Error::other)?,
            }
        }
        let count = out.len().min(self.current.len());
        self.current.copy_to_slice(&mut out[..count]);
        Ok(count)
    }
}
