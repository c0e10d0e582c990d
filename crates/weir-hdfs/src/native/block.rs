//! A block being written: packets on their way, and what became of them.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::time::{Duration, Instant};

use super::datanode::Link;
use super::frame;
use super::packet::{self, Packet};
use super::pipeline::{Broken, Place};
use super::wire::{Block, DatanodeId, LocatedBlock, PipelineAck};

/// Sequence number of packets that only show that we live.
const HEARTBEAT: i64 = -1;

/// One block, its pipeline, its packets.
pub(super) struct OpenBlock {
    pub(super) located: LocatedBlock,
    /// With the generation that is valid now.
    pub(super) block: Block,
    pub(super) places: Vec<Place>,
    /// Nodes that were left out without proof.
    pub(super) guessed: Vec<DatanodeId>,
    pub(super) link: Link,
    /// Packets without an acknowledgement, oldest first.
    pub(super) unacked: VecDeque<Packet>,
    /// How many of them are sent, and how many bytes of the next.
    unsent: (usize, usize),
    /// Bytes of the block that all nodes have.
    pub(super) acked: u64,
    next_sequence: i64,
    /// When something was last heard, or last began to be owed.
    heard: Instant,
    /// The same, or when the silence was last found to have a reason.
    excused: Instant,
}

impl OpenBlock {
    pub(super) fn new(located: LocatedBlock, block: Block, places: Vec<Place>, link: Link) -> Self {
        Self {
            located,
            block,
            places,
            guessed: Vec::new(),
            link,
            unacked: VecDeque::new(),
            unsent: (0, 0),
            acked: 0,
            next_sequence: 0,
            heard: Instant::now(),
            excused: Instant::now(),
        }
    }

    /// Queues a packet; the caller bounds how many.
    pub(super) fn push(&mut self, offset: u64, data: &[u8], new_bytes: usize, is_last: bool, sync: bool) {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let wire = packet::encode(sequence, offset, data, is_last, sync);
        self.queue(Packet { sequence, end: offset + data.len() as u64, new_bytes, is_last, is_synced: sync, wire });
    }

    /// Keeps the nodes from giving us up, which they do after a minute.
    pub(super) fn push_heartbeat(&mut self) {
        let wire: Bytes = packet::encode(HEARTBEAT, 0, &[], false, false);
        let (sequence, end, new_bytes) = (HEARTBEAT, self.acked, 0);
        self.queue(Packet { sequence, end, new_bytes, is_last: false, is_synced: false, wire });
    }

    fn queue(&mut self, packet: Packet) {
        if self.unacked.is_empty() {
            self.heard();
        }
        self.unacked.push_back(packet);
    }

    /// Goes on with a new pipeline: everything unacknowledged is sent again.
    pub(super) fn resume(&mut self, link: Link) {
        (self.link, self.unsent) = (link, (0, 0));
        self.heard();
    }

    fn heard(&mut self) {
        self.heard = Instant::now();
        self.excused = self.heard;
    }

    /// Whom to leave out where every node answers, and yet something stands still: a disk, or the way from one to the next. It
    /// cannot be known which. The last: the NameNode sorts by distance from us, and every other choice is no better.
    pub(super) fn guess(&mut self) -> usize {
        let last = self.places.len().saturating_sub(1);
        if last > 0 {
            self.guessed.push(self.places[last].node.clone());
        }
        last
    }

    /// Waits for as long again, where disks are what is waited for, for `sync_timeout` at most; else `false`.
    pub(super) fn excuse(&mut self, sync_timeout: Duration) -> bool {
        let is_synced = self.unacked.front().is_some_and(|packet| packet.is_synced);
        let is_excused = is_synced && self.heard.elapsed() < sync_timeout;
        if is_excused {
            self.excused = Instant::now();
        }
        is_excused
    }

    /// Does what can be done first: sends a part, or takes acknowledgements, whose new bytes it returns. Safe to cancel.
    pub(super) async fn step(&mut self, timeout: Duration) -> Result<usize, Broken> {
        let (mut input, mut output) = self.link.stream.split();
        let (sent, position) = self.unsent;
        let next = self.unacked.get(sent);
        let part = next.map_or(&[][..], |packet| &packet.wire[position..]);
        let failed = |error: std::io::Error| Broken { bad: Some(0), reason: error.to_string() };
        tokio::select! {
            filled = frame::fill(&mut input, &mut self.link.received) => {
                filled.map_err(failed)?;
                self.take_acks()
            }
            written = output.write(part), if !part.is_empty() => {
                let position = position + written.map_err(failed)?;
                let done = next.is_some_and(|packet| position == packet.wire.len());
                self.unsent = if done { (sent + 1, 0) } else { (sent, position) };
                Ok(0)
            }
            () = tokio::time::sleep_until(self.excused + timeout), if !self.unacked.is_empty() => {
                let silence = self.heard.elapsed().as_secs_f32();
                Err(Broken { bad: None, reason: format!("no acknowledgement for {silence:.1} s") })
            }
        }
    }

    fn take_acks(&mut self) -> Result<usize, Broken> {
        let mut bytes = 0;
        let failed = |error: std::io::Error| Broken { bad: Some(0), reason: error.to_string() };
        while let Some(ack) = frame::take::<PipelineAck>(&mut self.link.received).map_err(failed)? {
            self.heard();
            if let Some(bad) = ack.replies.iter().position(|reply| *reply != 0) {
                let reason = format!("it answers a packet with status {}", ack.replies[bad]);
                return Err(Broken { bad: Some(bad), reason });
            }
            let front = self.unacked.front().map(|packet| packet.sequence);
            if front != Some(ack.sequence) || self.unsent.0 == 0 {
                let reason = format!("it acknowledges packet {} where {front:?} is due", ack.sequence);
                return Err(Broken { bad: Some(0), reason });
            }
            if let Some(packet) = self.unacked.pop_front() {
                self.unsent.0 -= 1;
                self.acked = self.acked.max(packet.end);
                bytes += packet.new_bytes;
            }
        }
        Ok(bytes)
    }
}
