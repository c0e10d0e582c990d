//! DataNodes that failed us a moment ago.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::wire::{Datanode, DatanodeId};

/// More would be most of a cluster; the one that failed first is forgotten then.
const NODES_MAX: usize = 64;

/// Shared by all files of a client. The lock guards the list alone and is never held over an await.
pub(super) struct Excluded {
    time: Duration,
    nodes: Mutex<Vec<(Instant, DatanodeId)>>,
}

impl Excluded {
    pub(super) const fn new(time: Duration) -> Self {
        Self { time, nodes: Mutex::new(Vec::new()) }
    }

    pub(super) fn add(&self, node: &DatanodeId) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|(_, other)| other.uuid != node.uuid);
        if nodes.len() >= NODES_MAX {
            nodes.remove(0);
        }
        nodes.push((Instant::now(), node.clone()));
    }

    /// For the NameNode. Forgets whose time is over.
    pub(super) fn listed(&self) -> Vec<Datanode> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|(since, _)| since.elapsed() < self.time);
        // A NameNode compares identities; it only insists on some rack.
        let rack = || Some("/default-rack".to_owned());
        nodes.iter().map(|(_, node)| Datanode { id: Some(node.clone()), location: rack() }).collect()
    }

    /// It was not that one.
    pub(super) fn forgive(&self, node: &DatanodeId) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|(_, other)| other.uuid != node.uuid);
    }

    /// There is nobody else: they get another chance.
    pub(super) fn forget(&self) {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
