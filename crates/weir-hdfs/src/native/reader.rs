//! Reading: block by block, from the first DataNode that has it right.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use prost::Message;
use tokio::io::AsyncWriteExt;

use super::connection::{Call, Connection};
use super::datanode::{self, Link};
use super::filesystem::Client;
use super::frame::{self, invalid};
use super::packet;
use super::pipeline;
use super::wire::{BlockRequest, LengthAnswer, LocatedBlock, LocationsAnswer, LocationsRequest, ReadBlock, ReadStatus};
use crate::{FileReader, HdfsError, HdfsErrorKind};

const DATANODE_PROTOCOL: &str = "org.apache.hadoop.hdfs.protocol.ClientDatanodeProtocol";
/// Blocks are asked for by this much of the file: 8 of the usual size, 150 KB of answer with the smallest allowed.
const AHEAD_BYTES: u64 = 1 << 30;

/// A copy of a block being read.
struct Current {
    /// Of its node, as it was asked for.
    address: String,
    link: Link,
    /// Where the block ends in the file.
    end: u64,
    /// 0: no sums.
    chunk_bytes: usize,
}

pub(super) struct NativeReader {
    client: Arc<Client>,
    path: String,
    offset: u64,
    blocks: Vec<LocatedBlock>,
    current: Option<Current>,
    /// Nodes of the block at `offset` that failed.
    failed: Vec<String>,
}

impl NativeReader {
    pub(super) async fn open(client: Arc<Client>, path: &str, offset: u64) -> Result<Self, HdfsError> {
        let (blocks, current, failed) = (Vec::new(), None, Vec::new());
        let mut reader = Self { client, path: path.to_owned(), offset, blocks, current, failed };
        reader.locate().await?;
        Ok(reader)
    }

    fn error(&self, kind: HdfsErrorKind, peer: &str, detail: String) -> HdfsError {
        HdfsError { kind, operation: "read", path: self.path.clone(), peer: peer.to_owned(), detail }
    }

    async fn locate(&mut self) -> Result<(), HdfsError> {
        let request = LocationsRequest { path: self.path.clone(), offset: self.offset, bytes: AHEAD_BYTES };
        let what = ("read", self.path.as_str());
        let answer: LocationsAnswer = self.client.namenodes.call(what, "getBlockLocations", &request).await?;
        let missing = || self.error(HdfsErrorKind::NotFound, "", "it is not there".to_owned());
        let located = answer.blocks.ok_or_else(missing)?;
        let mut blocks = located.blocks;
        if let Some(mut last) = located.last.filter(|_| located.is_open && !located.is_last_complete) {
            let visible = self.visible(&last).await;
            if let Some(block) = &mut last.block {
                block.bytes = Some(visible.max(block.bytes.unwrap_or(0)));
            }
            blocks.retain(|block| block.offset != last.offset);
            blocks.push(last);
        }
        self.blocks = blocks;
        Ok(())
    }

    /// How much of an open block readers see; 0 if nobody knows.
    async fn visible(&self, block: &LocatedBlock) -> u64 {
        let options = &self.client.options;
        for place in pipeline::places(block) {
            let host = if options.by_hostname { &place.node.host } else { &place.node.address };
            let address = format!("{host}:{}", place.node.ipc_port);
            let request = BlockRequest { block: block.block.clone() };
            let id = fastrand::u128(..).to_be_bytes();
            let times = (options.connect_timeout, options.connect_timeout);
            let asked = async {
                let opened = Connection::open(&address, &options.user, DATANODE_PROTOCOL, &id, times);
                let connection = opened.await.ok()?;
                let call = Call { id: 0, retry: 0, client_id: &id, method: "getReplicaVisibleLength" };
                LengthAnswer::decode(connection.call(&call, &request).await.ok()?).ok()
            };
            if let Ok(Some(length)) = tokio::time::timeout(options.connect_timeout, asked).await {
                return length.bytes;
            }
        }
        0
    }

    /// Opens the block at the offset; `false` at the end of the file.
    async fn next_block(&mut self) -> Result<bool, HdfsError> {
        if self.find().is_none() {
            self.locate().await?;
        }
        let Some(located) = self.find() else { return Ok(false) };
        let Some(block) = located.block.clone() else { return Ok(false) };
        let end = located.offset + block.bytes.unwrap_or(0);
        let (by_hostname, timeout) = (self.client.options.by_hostname, self.client.options.connect_timeout);
        let mut reason = "no DataNode has it".to_owned();
        for place in pipeline::places(&located) {
            let address = datanode::address(&place.node, by_hostname);
            if self.failed.contains(&address) {
                continue;
            }
            let header = datanode::client_header(&block, located.token.as_ref(), &self.client.namenodes.client);
            let (offset, bytes) = (self.offset - located.offset, end - self.offset);
            let request = ReadBlock { header: Some(header), offset, bytes, checksums: Some(true) };
            let asked = tokio::time::timeout(timeout, datanode::ask(&address, datanode::READ, &request)).await;
            match asked {
                Ok(Ok((link, answer))) if answer.status == 0 => {
                    let sums = answer.checksum.and_then(|info| info.checksum).unwrap_or_default();
                    let chunk_bytes = match sums.kind {
                        0 => 0,
                        2 => sums.chunk_bytes.max(1) as usize,
                        kind => {
                            let detail = format!("its checksums are of type {kind}, not CRC32C: use WebHDFS");
                            return Err(self.error(HdfsErrorKind::Unsupported, &address, detail));
                        }
                    };
                    self.current = Some(Current { address, link, end, chunk_bytes });
                    return Ok(true);
                }
                Ok(Ok((_, answer))) => reason = answer.message.unwrap_or_default(),
                Ok(Err(error)) => reason = error.to_string(),
                Err(_) => reason = format!("no answer within {timeout:?}"),
            }
            reason = format!("{address}: {reason}");
            self.failed.push(address);
        }
        let detail = format!("no copy of block {} can be read; the last: {reason}", block.id);
        Err(self.error(HdfsErrorKind::Unavailable, "", detail))
    }

    fn find(&self) -> Option<LocatedBlock> {
        let here = |block: &&LocatedBlock| {
            let bytes = block.block.as_ref().and_then(|block| block.bytes).unwrap_or(0);
            block.offset <= self.offset && self.offset < block.offset + bytes
        };
        self.blocks.iter().find(here).cloned()
    }

    /// The next data of the current block; empty if the packet had none for us.
    async fn next_packet(&mut self) -> io::Result<Bytes> {
        let Some(Current { link, end, chunk_bytes, .. }) = &mut self.current else { return Ok(Bytes::new()) };
        let begin = self.blocks.iter().rfind(|block| block.offset <= self.offset).map_or(0, |block| block.offset);
        let (header, sums, mut data) = loop {
            if let Some(packet) = packet::take(&mut link.received)? {
                break packet;
            }
            frame::fill(&mut link.stream, &mut link.received).await?;
        };
        if *chunk_bytes > 0 && !packet::verify(&sums, &data, *chunk_bytes) {
            return Err(invalid("data does not match its checksums"));
        }
        // The node begins with a whole chunk, and ends with one.
        let at = begin + u64::try_from(header.offset).map_err(|_| invalid("a packet of a negative offset"))?;
        if at > self.offset {
            return Err(invalid("bytes are left out"));
        }
        data.advance(data.len().min((self.offset - at) as usize));
        data.truncate(data.len().min((*end - self.offset) as usize));
        self.offset += data.len() as u64;
        if self.offset == *end {
            // 6: the sums match. A node that does not hear it only logs.
            let thanks = ReadStatus { status: 6 }.encode_length_delimited_to_vec();
            let _ = link.stream.write_all(&thanks).await;
            self.current = None;
            self.failed.clear();
        } else if header.is_last {
            return Err(invalid("the block ends before its end"));
        }
        Ok(data)
    }
}

#[async_trait]
impl FileReader for NativeReader {
    async fn read(&mut self) -> Result<Option<Bytes>, HdfsError> {
        loop {
            if self.current.is_none() && !self.next_block().await? {
                return Ok(None);
            }
            let timeout = self.client.options.write_timeout;
            let peer = self.current.as_ref().map(|current| current.address.clone()).unwrap_or_default();
            let reason = match tokio::time::timeout(timeout, self.next_packet()).await {
                Ok(Ok(data)) if data.is_empty() => continue,
                Ok(Ok(data)) => return Ok(Some(data)),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("nothing came within {timeout:?}"),
            };
            tracing::warn!(path = %self.path, peer, reason, "a copy of a block is not read on");
            self.failed.push(peer);
            self.current = None;
        }
    }
}
