//! DataNodes that failed us a moment ago.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// More would be most of a cluster; the one that failed first is forgotten then.
const NODES_MAX: usize = 64;

/// Shared by all files of a client. The lock guards the map alone and is never held over an await.
pub(super) struct Excluded {
    time: Duration,
    nodes: Mutex<HashMap<String, Node>>,
}

struct Node {
    since: Instant,
    /// The only form in which a NameNode takes it.
    address: Option<IpAddr>,
}

impl Excluded {
    pub(super) fn new(time: Duration) -> Self {
        Self { time, nodes: Mutex::default() }
    }

    /// Does not use the node at `authority` for a while.
    pub(super) fn add(&self, authority: &str, address: Option<IpAddr>) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if nodes.len() >= NODES_MAX && !nodes.contains_key(authority) {
            let first = nodes.iter().min_by_key(|(_, node)| node.since).map(|(authority, _)| authority.clone());
            first.and_then(|first| nodes.remove(&first));
        }
        nodes.insert(authority.to_owned(), Node { since: Instant::now(), address });
    }

    pub(super) fn contains(&self, authority: &str) -> bool {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.get(authority).is_some_and(|node| node.since.elapsed() < self.time)
    }

    /// Addresses for the NameNode, with commas between; `None` if there are none. Forgets whose time is over.
    pub(super) fn listed(&self) -> Option<String> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|_, node| node.since.elapsed() < self.time);
        let addresses: Vec<_> = nodes.values().filter_map(|node| node.address).map(|it| it.to_string()).collect();
        (!addresses.is_empty()).then(|| addresses.join(","))
    }
}
