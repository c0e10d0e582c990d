//! A pipeline: the DataNodes of one block, the first of which we talk to.

use std::io;
use std::time::Duration;

use super::datanode::{self, Link};
use super::packet::CHUNK_BYTES;
use super::wire::{
    Block, BlockAnswerOfNode, CachingStrategy, Checksum, Datanode, DatanodeId, LocatedBlock, WriteBlock,
};

/// Stages of a block, as Hadoop counts them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub(super) enum Stage {
    Recovery = 3,
    CloseRecovery = 5,
    Create = 6,
}

/// A node and where on it the block is.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) node: DatanodeId,
    pub(super) storage_type: i32,
    pub(super) storage_id: String,
}

/// The places of a located block.
pub(super) fn places(located: &LocatedBlock) -> Vec<Place> {
    let nodes = located.nodes.iter().filter_map(|node| node.id.clone()).enumerate();
    let place = |(index, node)| Place {
        node,
        storage_type: located.storage_types.get(index).copied().unwrap_or(1),
        storage_id: located.storage_ids.get(index).cloned().unwrap_or_default(),
    };
    nodes.map(place).collect()
}

/// What a set-up is about.
pub(super) struct SetUp<'a> {
    pub(super) stage: Stage,
    pub(super) client: &'a str,
    /// The block and its token; in a recovery the token of the new generation, the block with the old one.
    pub(super) located: &'a LocatedBlock,
    pub(super) block: &'a Block,
    pub(super) places: &'a [Place],
    pub(super) generation: u64,
    pub(super) acked: u64,
    pub(super) sent: u64,
    pub(super) by_hostname: bool,
    pub(super) timeout: Duration,
}

/// Who is to blame for a pipeline that failed.
#[derive(Debug)]
pub(super) struct Broken {
    /// Index of the node; `None` if nobody knows.
    pub(super) bad: Option<usize>,
    pub(super) reason: String,
}

/// Connects the nodes.
pub(super) async fn set_up(of: &SetUp<'_>) -> Result<Link, Broken> {
    let first = of.places.first().expect("no pipeline is set up with no node");
    let rest = || of.places.iter().skip(1);
    let request = WriteBlock {
        header: Some(datanode::client_header(of.block, of.located.token.as_ref(), of.client)),
        targets: rest()
            .map(|place| Datanode { id: Some(place.node.clone()), location: Some("/default-rack".to_owned()) })
            .collect(),
        stage: of.stage as i32,
        nodes: of.places.len() as u32,
        bytes_min: of.acked,
        bytes_max: of.sent,
        generation: of.generation,
        // 2: CRC32C.
        checksum: Some(Checksum { kind: 2, chunk_bytes: CHUNK_BYTES as u32 }),
        caching: Some(CachingStrategy {}),
        storage_type: Some(first.storage_type),
        storage_types: rest().map(|place| place.storage_type).collect(),
        storage_id: Some(first.storage_id.clone()),
        storage_ids: rest().map(|place| place.storage_id.clone()).collect(),
    };
    let address = datanode::address(&first.node, of.by_hostname);
    let asked = tokio::time::timeout(of.timeout, datanode::ask(&address, datanode::WRITE, &request)).await;
    match asked {
        Err(_) => Err(Broken { bad: None, reason: format!("{address} does not answer within {:?}", of.timeout) }),
        Ok(Err(error)) => Err(Broken { bad: Some(0), reason: format!("{address}: {}", cause(&error)) }),
        Ok(Ok((link, answer))) if answer.status == 0 => Ok(link),
        Ok(Ok((_, answer))) => Err(refused(of, &address, &answer)),
    }
}

fn cause(error: &io::Error) -> String {
    error.to_string()
}

fn refused(of: &SetUp<'_>, address: &str, answer: &BlockAnswerOfNode) -> Broken {
    let link = answer.first_bad.as_deref().unwrap_or_default();
    let bad = of.places.iter().position(|place| {
        link == datanode::address(&place.node, false) || link == datanode::address(&place.node, true)
    });
    let said = answer.message.as_deref().unwrap_or("it refuses the block").lines().next().unwrap_or_default();
    let link = if link.is_empty() { address } else { link };
    Broken { bad: bad.or(Some(0)), reason: format!("{link} (status {}): {said}", answer.status) }
}

/// Asks each node by itself, to find the one that is silent.
pub(super) async fn find_silent(of: &SetUp<'_>) -> Option<usize> {
    let mut probes = tokio::task::JoinSet::new();
    for (index, place) in of.places.iter().enumerate() {
        let (address, block) = (datanode::address(&place.node, of.by_hostname), of.block.clone());
        let (token, timeout) = (of.located.token.clone(), of.timeout);
        probes.spawn(async move { (index, datanode::lives(&address, &block, token.as_ref(), timeout).await) });
    }
    let mut silent = None;
    while let Some(probe) = probes.join_next().await {
        if let Ok((index, false)) = probe {
            silent = Some(silent.map_or(index, |other: usize| other.min(index)));
        }
    }
    silent
}
