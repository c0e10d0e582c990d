//! The disk that programs see.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::medium::{Fault, Inode, Loss, Medium, Node, Operation};
use crate::disk::{Access, Disk, DiskFile, DiskLock, Entry, Locked, SyncSite};

/// A simulated disk. Cloning shares it. The directory `/` exists.
#[derive(Clone)]
pub struct SimDisk {
    medium: Arc<Mutex<Medium>>,
}

impl SimDisk {
    /// An empty disk whose chances follow `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { medium: Arc::new(Mutex::new(Medium::new(seed))) }
    }

    /// Operations since the last plan was made.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.medium.lock().operations
    }

    /// Starts counting operations anew and fails those of `fault`.
    pub fn plan_fault(&self, fault: Option<Fault>) {
        let mut medium = self.medium.lock();
        medium.operations = 0;
        medium.plan = fault;
    }

    /// Starts counting operations anew and cuts the power at operation `at` (from 1): it and all later ones fail, until
    /// [`SimDisk::power_loss`].
    pub fn plan_power_loss(&self, at: u64) {
        let mut medium = self.medium.lock();
        medium.operations = 0;
        medium.power_fails_at = Some(at);
    }

    /// Whether a planned power loss has happened.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.medium.lock().is_down
    }

    /// The power goes and comes back: open files and locks are gone, and of what was not synced what `loss` says.
    pub fn power_loss(&self, loss: Loss) {
        self.medium.lock().power_loss(loss);
    }

    /// All processes die, the system stays: open files and locks are gone, all content is there.
    pub fn kill_processes(&self) {
        self.medium.lock().revive();
    }

    /// Syncs of this kind pretend from here on.
    pub fn skip_syncs(&self, site: Option<SyncSite>) {
        self.medium.lock().skipped = site;
    }

    /// Bounds the sum of file lengths.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.medium.lock().capacity_bytes = bytes;
    }

    /// All files, by path.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let medium = self.medium.lock();
        medium.nodes.iter().filter(|(_, node)| **node != Node::Dir).map(|(path, _)| path.clone()).collect()
    }

    /// Content of a file; empty if there is none.
    #[must_use]
    pub fn content(&self, path: &Path) -> Vec<u8> {
        let medium = self.medium.lock();
        match medium.nodes.get(path) {
            Some(Node::File(inode)) => medium.inodes[*inode].seen.clone(),
            _ => Vec::new(),
        }
    }

    /// Changes a file behind everybody's back, durably.
    pub fn edit(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut medium = self.medium.lock();
        medium.settle_all();
        if let Some(Node::File(inode)) = medium.nodes.get(path).copied() {
            let inode = &mut medium.inodes[inode];
            change(&mut inode.seen);
            inode.durable.clone_from(&inode.seen);
        }
    }

    /// Removes a file behind everybody's back, durably.
    pub fn remove(&self, path: &Path) {
        let mut medium = self.medium.lock();
        medium.remove_node(path);
        medium.settle_all();
    }

    fn run<T>(&self, operation: Operation, act: impl FnOnce(&mut Medium) -> io::Result<T>) -> io::Result<T> {
        let mut medium = self.medium.lock();
        medium.begin(operation)?;
        act(&mut medium)
    }

    fn file(&self, medium: &Medium, inode: usize) -> Arc<dyn DiskFile> {
        Arc::new(SimFile { disk: self.clone(), inode, life: medium.life })
    }
}

fn parent_exists(medium: &Medium, path: &Path) -> io::Result<()> {
    let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    if medium.nodes.get(parent) == Some(&Node::Dir) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
}

fn inode_of(medium: &Medium, path: &Path) -> io::Result<usize> {
    match medium.nodes.get(path) {
        Some(Node::File(inode)) => Ok(*inode),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

impl std::fmt::Debug for SimDisk {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let medium = self.medium.lock();
        out.debug_struct("SimDisk")
            .field("operations", &medium.operations)
            .field("plan", &medium.plan)
            .finish_non_exhaustive()
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<bool> {
        self.run(Operation::Allocate, |medium| {
            if medium.nodes.contains_key(dir) {
                return Ok(false);
            }
            parent_exists(medium, dir)?;
            medium.set_node(dir, Node::Dir);
            Ok(true)
        })
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.run(Operation::Allocate, |medium| {
            parent_exists(medium, path)?;
            if medium.nodes.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            medium.inodes.push(Inode::default());
            let inode = medium.inodes.len() - 1;
            medium.set_node(path, Node::File(inode));
            Ok(self.file(medium, inode))
        })
    }

    fn open(&self, path: &Path, _access: Access) -> io::Result<Arc<dyn DiskFile>> {
        self.run(Operation::Other, |medium| Ok(self.file(medium, inode_of(medium, path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run(Operation::Allocate, |medium| {
            let inode = inode_of(medium, from)?;
            parent_exists(medium, to)?;
            medium.rename_node(from, to, Node::File(inode));
            Ok(())
        })
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.run(Operation::Other, |medium| {
            inode_of(medium, path)?;
            medium.remove_node(path);
            Ok(())
        })
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run(Operation::Allocate, |medium| {
            let inode = inode_of(medium, from)?;
            parent_exists(medium, to)?;
            if medium.nodes.contains_key(to) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            medium.set_node(to, Node::File(inode));
            Ok(())
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.run(Operation::Read, |medium| {
            if medium.nodes.get(dir) != Some(&Node::Dir) {
                return Err(io::ErrorKind::NotFound.into());
            }
            let entry = |(path, node): (&PathBuf, &Node)| {
                let Node::File(inode) = node else { return None };
                let name = path.file_name().filter(|_| path.parent() == Some(dir))?.to_str()?.to_owned();
                Some(Entry { name, bytes: medium.inodes[*inode].seen.len() as u64 })
            };
            Ok(medium.nodes.iter().filter_map(entry).collect())
        })
    }

    fn sync_dir(&self, dir: &Path, site: SyncSite) -> io::Result<()> {
        self.run(Operation::Sync, |medium| {
            if medium.skipped != Some(site) {
                medium.sync_dir(dir);
            }
            Ok(())
        })
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<Locked> {
        self.run(Operation::Other, |medium| {
            parent_exists(medium, path)?;
            if let Some(holder) = medium.locks.get(path) {
                return Ok(Locked::Taken { holder: holder.clone() });
            }
            medium.locks.insert(path.to_owned(), holder.to_owned());
            Ok(Locked::Held(Box::new(SimLock { disk: self.clone(), path: path.to_owned(), life: medium.life })))
        })
    }
}

struct SimLock {
    disk: SimDisk,
    path: PathBuf,
    life: u64,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut medium = self.disk.medium.lock();
        if medium.life == self.life {
            medium.locks.remove(&self.path);
        }
    }
}

struct SimFile {
    disk: SimDisk,
    inode: usize,
    life: u64,
}

impl SimFile {
    /// Runs `act` with the file; it learns whether to cut itself short.
    fn run<T>(&self, operation: Operation, act: impl FnOnce(&mut Medium, bool) -> io::Result<T>) -> io::Result<T> {
        let mut medium = self.disk.medium.lock();
        if medium.life != self.life {
            return Err(io::Error::other("this file was opened by a process that is gone"));
        }
        let outcome = medium.begin(operation);
        if let (Operation::Sync, Err(_)) = (operation, &outcome)
            && !medium.is_down
        {
            medium.fail_sync(self.inode);
        }
        act(&mut medium, outcome?)
    }
}

impl DiskFile for SimFile {
    fn read(&self, out: &mut Vec<u8>, bytes: usize, at: u64) -> io::Result<usize> {
        self.run(Operation::Read, |medium, is_short| {
            let seen = &medium.inodes[self.inode].seen;
            let from = usize::try_from(at).unwrap_or(usize::MAX).min(seen.len());
            let mut to = from.saturating_add(bytes).min(seen.len());
            if is_short && to > from {
                to = from + (to - from).div_ceil(2);
            }
            out.extend_from_slice(&seen[from..to]);
            Ok(to - from)
        })
    }

    fn write(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        self.run(Operation::Write, |medium, is_short| {
            let at = usize::try_from(at).map_err(|_| io::ErrorKind::InvalidInput)?;
            let taken = if is_short { bytes.len().div_ceil(2) } else { bytes.len() };
            let grows = (at + taken).saturating_sub(medium.inodes[self.inode].seen.len());
            if grows > 0 && !medium.has_room(grows as u64) {
                return Err(io::Error::from_raw_os_error(libc::ENOSPC));
            }
            if medium.is_down && medium.chance() {
                return Err(io::Error::other("the power failed"));
            }
            medium.inodes[self.inode].write(&bytes[..taken], at);
            if medium.is_down { Err(io::Error::other("the power failed")) } else { Ok(taken) }
        })
    }

    fn sync(&self, site: SyncSite) -> io::Result<()> {
        self.run(Operation::Sync, |medium, _| {
            if medium.skipped != Some(site) {
                medium.sync_file(self.inode);
            }
            Ok(())
        })
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.run(Operation::Allocate, |medium, _| {
            let bytes = usize::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
            let now = medium.inodes[self.inode].seen.len();
            if bytes > now {
                if !medium.has_room((bytes - now) as u64) {
                    return Err(io::Error::from_raw_os_error(libc::ENOSPC));
                }
                medium.inodes[self.inode].resize(bytes);
            }
            Ok(())
        })
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.run(Operation::Other, |medium, _| {
            let bytes = usize::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
            medium.inodes[self.inode].resize(bytes);
            Ok(())
        })
    }

    fn bytes(&self) -> io::Result<u64> {
        self.run(Operation::Read, |medium, _| Ok(medium.inodes[self.inode].seen.len() as u64))
    }
}
