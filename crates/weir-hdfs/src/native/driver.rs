//! What writes a file: one task, which ends with its writer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::block::OpenBlock;
use super::filesystem::Client;
use super::packet::{CHUNK_BYTES, PACKET_BYTES};
use super::pipeline::{self, Broken, SetUp, Stage};
use super::wire::{
    AbandonBlockRequest, AddBlockRequest, Block, BlockAnswer, CompleteRequest, Empty, Flag, FsyncRequest, LocatedBlock,
};
use super::writer::Shared;
use crate::{HdfsError, HdfsErrorKind};

/// Nodes that may fail one after the other before a block is given up.
pub(super) const ATTEMPTS_MAX: usize = 8;
/// Nodes give a silent client up after 60 s.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(20);
/// Between two questions whether a file is complete: first, and at most.
const COMPLETE_BACK_OFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(400));
/// Between two questions for a block while the one before has no copy that the NameNode knows of.
const BLOCK_BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(400));

/// What a writer asks for.
pub(super) enum Command {
    Data(Bytes),
    Flush { sync: bool, done: oneshot::Sender<()> },
    Close { done: oneshot::Sender<u64> },
}

pub(super) struct Driver {
    pub(super) client: Arc<Client>,
    pub(super) shared: Arc<Shared>,
    pub(super) path: String,
    pub(super) file_id: Option<u64>,
    pub(super) block_bytes: u64,
    /// The block that is being written.
    pub(super) block: Option<OpenBlock>,
    /// The one before it.
    pub(super) last: Option<Block>,
    /// From a chunk's begin on: bytes that are in no packet, behind those that only are there because sums are of whole chunks.
    pub(super) buffer: Vec<u8>,
    /// How many of the buffer's bytes were sent already.
    pub(super) buffer_sent: usize,
    /// Where in the block the buffer begins.
    pub(super) offset: u64,
    /// Of the file, without the buffer's unsent part.
    pub(super) length: u64,
    /// Whether blocks are synced at their end.
    pub(super) is_synced: bool,
    /// Whether the NameNode was told to remember the block.
    pub(super) is_known: bool,
}

impl Driver {
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        if let Err(error) = self.serve(&mut commands).await {
            self.shared.fail(error);
        }
    }

    async fn serve(&mut self, commands: &mut mpsc::Receiver<Command>) -> Result<(), HdfsError> {
        while let Some(command) = self.next(commands).await? {
            match command {
                Command::Data(bytes) => self.data(bytes).await?,
                Command::Flush { sync, done } => {
                    let flushed = self.flush(sync).await;
                    self.told(flushed)?;
                    let _ = done.send(());
                }
                Command::Close { done } => {
                    let closed = self.close().await;
                    self.told(closed)?;
                    let _ = done.send(self.length);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Sets an error before whoever asked hears, by the end of `done`, that there is one.
    fn told(&self, result: Result<(), HdfsError>) -> Result<(), HdfsError> {
        result.inspect_err(|error| self.shared.fail(error.clone()))
    }

    async fn close(&mut self) -> Result<(), HdfsError> {
        self.finish_block().await?;
        self.complete().await
    }

    /// The next command; packets go on meanwhile.
    async fn next(&mut self, commands: &mut mpsc::Receiver<Command>) -> Result<Option<Command>, HdfsError> {
        let client = self.client.clone();
        loop {
            let Some(block) = &mut self.block else { return Ok(commands.recv().await) };
            let step = tokio::select! {
                command = commands.recv() => return Ok(command),
                step = block.step(&client.options) => step,
                () = tokio::time::sleep(HEARTBEAT_EVERY), if block.unacked.is_empty() => {
                    block.push_heartbeat();
                    continue;
                }
            };
            self.stepped(step).await?;
        }
    }

    async fn stepped(&mut self, step: Result<usize, Broken>) -> Result<(), HdfsError> {
        match step {
            Ok(bytes) => self.shared.acked(bytes),
            Err(broken) => self.recover(broken).await?,
        }
        Ok(())
    }

    async fn until_acked(&mut self) -> Result<(), HdfsError> {
        let client = self.client.clone();
        while let Some(block) = self.block.as_mut().filter(|block| !block.unacked.is_empty()) {
            let step = block.step(&client.options).await;
            self.stepped(step).await?;
        }
        Ok(())
    }

    async fn data(&mut self, mut bytes: Bytes) -> Result<(), HdfsError> {
        while !bytes.is_empty() {
            if self.block.is_none() {
                self.allocate().await?;
            }
            let room = PACKET_BYTES.min((self.block_bytes - self.offset) as usize) - self.buffer.len();
            self.buffer.extend_from_slice(&bytes.split_to(room.min(bytes.len())));
            if self.buffer.len() == PACKET_BYTES || self.offset + self.buffer.len() as u64 == self.block_bytes {
                self.seal(false);
            }
            if self.offset == self.block_bytes {
                self.finish_block().await?;
            }
        }
        Ok(())
    }

    /// Makes a packet of the buffer, and keeps what a later one must repeat.
    fn seal(&mut self, sync: bool) {
        let Some(block) = &mut self.block else { return };
        let new_bytes = self.buffer.len() - self.buffer_sent;
        if new_bytes > 0 {
            block.push(self.offset, &self.buffer, new_bytes, false, sync);
            self.length += new_bytes as u64;
            let whole = self.buffer.len() / CHUNK_BYTES * CHUNK_BYTES;
            self.buffer.drain(..whole);
            self.offset += whole as u64;
            self.buffer_sent = self.buffer.len();
        } else if sync {
            block.push(self.offset + self.buffer.len() as u64, &[], 0, false, true);
        }
    }

    async fn flush(&mut self, sync: bool) -> Result<(), HdfsError> {
        self.is_synced |= sync;
        self.seal(sync);
        self.until_acked().await?;
        if self.block.is_some() && !self.is_known {
            let request = FsyncRequest {
                path: self.path.clone(),
                client: self.client.namenodes.client.clone(),
                last_bytes: Some((self.offset + self.buffer.len() as u64) as i64),
                file_id: self.file_id,
            };
            self.client.namenodes.call::<Empty>(("flush", &self.path), "fsync", &request).await?;
            self.is_known = true;
        }
        Ok(())
    }

    async fn finish_block(&mut self) -> Result<(), HdfsError> {
        // Before the end, not with it: a block that is recovered while it ends is ended without being synced.
        self.seal(self.is_synced);
        self.until_acked().await?;
        let bytes = self.offset + self.buffer.len() as u64;
        if let Some(block) = &mut self.block {
            block.push(bytes, &[], 0, true, self.is_synced);
        }
        self.until_acked().await?;
        if let Some(block) = self.block.take() {
            self.last = Some(Block { bytes: Some(bytes), ..block.block });
        }
        self.buffer.clear();
        (self.buffer_sent, self.offset, self.is_known) = (0, 0, false);
        Ok(())
    }

    async fn complete(&mut self) -> Result<(), HdfsError> {
        let deadline = Instant::now() + self.client.options.namenode_timeout;
        let mut back_off = COMPLETE_BACK_OFF.0;
        let request = CompleteRequest {
            path: self.path.clone(),
            client: self.client.namenodes.client.clone(),
            last: self.last.clone(),
            file_id: self.file_id,
        };
        while !self.client.namenodes.call::<Flag>(("close", &self.path), "complete", &request).await?.is {
            if Instant::now() >= deadline {
                let detail = "no DataNode has told the NameNode of the last block".to_owned();
                return Err(self.error(HdfsErrorKind::Timeout, detail));
            }
            tokio::time::sleep(back_off).await;
            back_off = (back_off * 2).min(COMPLETE_BACK_OFF.1);
        }
        Ok(())
    }

    pub(super) fn error(&self, kind: HdfsErrorKind, detail: String) -> HdfsError {
        HdfsError { kind, operation: "write", path: self.path.clone(), peer: String::new(), detail }
    }

    /// Asks for a block until its nodes can be reached.
    async fn allocate(&mut self) -> Result<(), HdfsError> {
        let mut reason = String::new();
        for _ in 0..ATTEMPTS_MAX {
            let located = self.add_block().await?;
            let block = located.block.clone().unwrap_or_default();
            let places = pipeline::places(&located);
            if places.is_empty() {
                return Err(self.error(HdfsErrorKind::Other, "the NameNode gives a block without DataNodes".to_owned()));
            }
            let set_up = self.set_up(Stage::Create, &located, &block, &places, 0, (0, 0));
            let broken = match pipeline::set_up(&set_up).await {
                Ok(link) => {
                    self.block = Some(OpenBlock::new(located, block, places, link));
                    return Ok(());
                }
                Err(broken) => broken,
            };
            let bad = match broken.bad {
                Some(bad) => bad,
                None => pipeline::find_silent(&set_up).await.unwrap_or(places.len() - 1),
            };
            self.client.exclude(&places[bad].node, &self.path, &broken.reason);
            reason = broken.reason;
            let request = AbandonBlockRequest {
                block: Some(block),
                path: self.path.clone(),
                client: self.client.namenodes.client.clone(),
                file_id: self.file_id,
            };
            self.client.namenodes.call::<Empty>(("write", &self.path), "abandonBlock", &request).await?;
        }
        Err(self.error(HdfsErrorKind::Unavailable, format!("{ATTEMPTS_MAX} blocks were given up; the last: {reason}")))
    }

    async fn add_block(&self) -> Result<LocatedBlock, HdfsError> {
        let deadline = Instant::now() + self.client.options.namenode_timeout;
        let mut back_off = BLOCK_BACK_OFF.0;
        loop {
            let excluded = self.client.excluded.listed();
            let is_anybody_excluded = !excluded.is_empty();
            let request = AddBlockRequest {
                path: self.path.clone(),
                client: self.client.namenodes.client.clone(),
                previous: self.last.clone(),
                excluded,
                file_id: self.file_id,
            };
            let answer = self.client.namenodes.call::<BlockAnswer>(("write", &self.path), "addBlock", &request).await;
            match answer {
                Ok(answer) => return Ok(answer.block.unwrap_or_default()),
                // Nobody is left: those that failed get another chance.
                Err(error) if is_anybody_excluded && error.detail.contains("could only be") => {
                    self.client.excluded.forget();
                }
                // DataNodes tell of a finished block a moment later, or with their next heartbeat.
                Err(error)
                    if error.detail.starts_with("NotReplicatedYetException")
                        && Instant::now() + back_off < deadline =>
                {
                    tokio::time::sleep(back_off).await;
                    back_off = (back_off * 2).min(BLOCK_BACK_OFF.1);
                }
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn set_up<'a>(
        &'a self,
        stage: Stage,
        located: &'a LocatedBlock,
        block: &'a Block,
        places: &'a [pipeline::Place],
        generation: u64,
        (acked, sent): (u64, u64),
    ) -> SetUp<'a> {
        let options = &self.client.options;
        let (by_hostname, timeout) = (options.by_hostname, options.connect_timeout);
        let client = &self.client.namenodes.client;
        SetUp { stage, client, located, block, places, generation, acked, sent, by_hostname, timeout }
    }
}
