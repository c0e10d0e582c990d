//! The state of the simulated disk: what programs see, and what a power loss leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::SyncSite;

/// What a power loss tears: sectors are written whole or not at all.
const SECTOR_BYTES: usize = 512;

/// How an operation fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// The device reports an error.
    Io,
    /// No space left; hits only what may need space.
    Space,
    /// A read or write is cut short, or interrupted; hits only those.
    Short,
}

/// A planned fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The operation it hits, counted from 1 since the plan was made.
    pub at: u64,
    /// How.
    pub kind: FaultKind,
    /// Whether every later operation fails too.
    pub is_persistent: bool,
}

/// What a power loss does to what no sync covered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// All of it is gone.
    All,
    /// All of it happens to be on the disk.
    Nothing,
    /// Each sector, length and directory operation by chance.
    Some,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operation {
    Read,
    Write,
    Allocate,
    Sync,
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Node {
    Dir,
    File(usize),
}

#[derive(Clone, Debug)]
enum DirChange {
    Set(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf, Node),
}

impl DirChange {
    fn dir(&self) -> Option<&Path> {
        let (Self::Set(path, _) | Self::Remove(path) | Self::Rename(path, _, _)) = self;
        path.parent()
    }

    fn apply(self, nodes: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Set(path, node) => drop(nodes.insert(path, node)),
            Self::Remove(path) => drop(nodes.remove(&path)),
            Self::Rename(from, to, node) => {
                nodes.remove(&from);
                nodes.insert(to, node);
            }
        }
    }
}

#[derive(Default)]
pub(super) struct Inode {
    pub(super) seen: Vec<u8>,
    pub(super) durable: Vec<u8>,
    dirty: BTreeSet<usize>,
    /// Smallest length since the last sync, if the length changed.
    cut_to: Option<usize>,
}

impl Inode {
    pub(super) fn write(&mut self, bytes: &[u8], at: usize) {
        if self.seen.len() < at + bytes.len() {
            self.resize(at + bytes.len());
        }
        self.seen[at..at + bytes.len()].copy_from_slice(bytes);
        if !bytes.is_empty() {
            self.dirty.extend(at / SECTOR_BYTES..=(at + bytes.len() - 1) / SECTOR_BYTES);
        }
    }

    pub(super) fn resize(&mut self, bytes: usize) {
        let shortest = self.cut_to.unwrap_or(self.seen.len()).min(self.seen.len()).min(bytes);
        self.cut_to = Some(shortest);
        self.seen.resize(bytes, 0);
        self.dirty.retain(|sector| sector * SECTOR_BYTES < bytes);
    }

    /// Makes those changes durable that `keeps` says; forgets about the others.
    pub(super) fn settle(&mut self, mut keeps: impl FnMut() -> bool) {
        if let Some(cut_to) = self.cut_to.take()
            && keeps()
        {
            self.durable.truncate(cut_to);
            self.durable.resize(self.seen.len(), 0);
        }
        for sector in std::mem::take(&mut self.dirty) {
            let from = sector * SECTOR_BYTES;
            let to = (from + SECTOR_BYTES).min(self.seen.len()).min(self.durable.len());
            if keeps() && from < to {
                self.durable[from..to].copy_from_slice(&self.seen[from..to]);
            }
        }
    }
}

pub(super) struct Medium {
    random: fastrand::Rng,
    pub(super) operations: u64,
    pub(super) plan: Option<Fault>,
    pub(super) power_fails_at: Option<u64>,
    pub(super) is_down: bool,
    /// Handles of an earlier life do not work.
    pub(super) life: u64,
    pub(super) skipped: Option<SyncSite>,
    pub(super) capacity_bytes: Option<u64>,
    pub(super) inodes: Vec<Inode>,
    pub(super) nodes: BTreeMap<PathBuf, Node>,
    durable_nodes: BTreeMap<PathBuf, Node>,
    changes: Vec<DirChange>,
    pub(super) locks: BTreeMap<PathBuf, String>,
}

impl Medium {
    pub(super) fn new(seed: u64) -> Self {
        let nodes = BTreeMap::from([(PathBuf::from("/"), Node::Dir)]);
        Self {
            random: fastrand::Rng::with_seed(seed),
            operations: 0,
            plan: None,
            power_fails_at: None,
            is_down: false,
            life: 0,
            skipped: None,
            capacity_bytes: None,
            inodes: Vec::new(),
            durable_nodes: nodes.clone(),
            nodes,
            changes: Vec::new(),
            locks: BTreeMap::new(),
        }
    }

    /// Counts an operation and fails it if that is planned. `Ok(true)`: it is to be cut short.
    pub(super) fn begin(&mut self, operation: Operation) -> io::Result<bool> {
        if self.is_down {
            return Err(io::Error::other("the power is off"));
        }
        self.operations += 1;
        if self.power_fails_at.is_some_and(|at| self.operations >= at) {
            self.is_down = true;
            // A write that was under way may be on the disk in part.
            return if operation == Operation::Write { Ok(true) } else { Err(io::Error::other("the power failed")) };
        }
        let Some(fault) = self.plan else { return Ok(false) };
        if self.operations < fault.at || (self.operations > fault.at && !fault.is_persistent) {
            return Ok(false);
        }
        let moves_bytes = matches!(operation, Operation::Read | Operation::Write);
        match fault.kind {
            FaultKind::Io => Err(io::Error::from_raw_os_error(libc::EIO)),
            FaultKind::Space if operation == Operation::Read || operation == Operation::Other => Ok(false),
            FaultKind::Space => Err(io::Error::from_raw_os_error(libc::ENOSPC)),
            FaultKind::Short if !moves_bytes => Ok(false),
            FaultKind::Short if self.operations.is_multiple_of(2) => Err(io::ErrorKind::Interrupted.into()),
            FaultKind::Short => Ok(true),
        }
    }

    /// Space is taken by what programs see, deleted files not counted.
    pub(super) fn has_room(&self, more: u64) -> bool {
        let used: u64 = self
            .nodes
            .values()
            .map(|node| if let Node::File(inode) = node { self.inodes[*inode].seen.len() as u64 } else { 0 })
            .sum();
        self.capacity_bytes.is_none_or(|capacity| used + more <= capacity)
    }

    pub(super) fn chance(&mut self) -> bool {
        self.random.bool()
    }

    pub(super) fn sync_file(&mut self, inode: usize) {
        self.inodes[inode].settle(|| true);
    }

    /// After a failed sync, part of the content is on the disk, and nothing of it is written again.
    pub(super) fn fail_sync(&mut self, inode: usize) {
        let random = &mut self.random;
        self.inodes[inode].settle(|| random.bool());
    }

    pub(super) fn set_node(&mut self, path: &Path, node: Node) {
        self.change(DirChange::Set(path.to_owned(), node));
    }

    pub(super) fn remove_node(&mut self, path: &Path) {
        self.change(DirChange::Remove(path.to_owned()));
    }

    pub(super) fn rename_node(&mut self, from: &Path, to: &Path, node: Node) {
        self.change(DirChange::Rename(from.to_owned(), to.to_owned(), node));
    }

    fn change(&mut self, change: DirChange) {
        change.clone().apply(&mut self.nodes);
        self.changes.push(change);
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) {
        let (settled, open) =
            std::mem::take(&mut self.changes).into_iter().partition(|change| change.dir() == Some(dir));
        self.changes = open;
        for change in Vec::into_iter(settled) {
            change.apply(&mut self.durable_nodes);
        }
    }

    /// The power goes and comes back.
    pub(super) fn power_loss(&mut self, loss: Loss) {
        let random = &mut self.random;
        let mut keeps = || match loss {
            Loss::All => false,
            Loss::Nothing => true,
            Loss::Some => random.bool(),
        };
        for change in std::mem::take(&mut self.changes) {
            if keeps() {
                change.apply(&mut self.durable_nodes);
            }
        }
        for inode in &mut self.inodes {
            inode.settle(&mut keeps);
            inode.seen.clone_from(&inode.durable);
        }
        // What lies in a directory that is gone is gone.
        let dirs: BTreeSet<PathBuf> =
            self.durable_nodes.iter().filter(|(_, node)| **node == Node::Dir).map(|(path, _)| path.clone()).collect();
        self.durable_nodes.retain(|path, _| path.ancestors().skip(1).all(|above| dirs.contains(above)));
        self.nodes = self.durable_nodes.clone();
        self.revive();
    }

    /// All processes are gone; the system is not.
    pub(super) fn revive(&mut self) {
        self.life += 1;
        self.locks.clear();
        self.is_down = false;
        self.power_fails_at = None;
        self.plan = None;
    }

    /// Makes everything durable as it is.
    pub(super) fn settle_all(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            change.apply(&mut self.durable_nodes);
        }
        for inode in &mut self.inodes {
            inode.settle(|| true);
        }
    }
}
