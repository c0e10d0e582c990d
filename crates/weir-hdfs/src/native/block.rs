//! A block being written: packets on their way, and what became of them.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::time::{Duration, Instant, sleep_until};

use super::datanode::Link;
use super::frame;
use super::options::NativeOptions;
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
    /// Whether the only node that is left was found too slow.
    pub(super) is_known_slow: bool,
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
    pace: Pace,
}

/// A time over which is counted what is acknowledged. It is over early when all is that was owed at its begin.
struct Pace {
    since: Instant,
    /// Of the last packet that was owed then.
    sequence: i64,
    bytes: usize,
    is_too_slow: bool,
}

impl Pace {
    fn begin(unacked: &VecDeque<Packet>) -> Self {
        let sequence = unacked.back().map_or(HEARTBEAT, |packet| packet.sequence);
        Self { since: Instant::now(), sequence, bytes: 0, is_too_slow: false }
    }
}

impl OpenBlock {
    pub(super) fn new(located: LocatedBlock, block: Block, places: Vec<Place>, link: Link) -> Self {
        Self {
            located,
            block,
            places,
            guessed: Vec::new(),
            is_known_slow: false,
            link,
            unacked: VecDeque::new(),
            unsent: (0, 0),
            acked: 0,
            next_sequence: 0,
            heard: Instant::now(),
            excused: Instant::now(),
            pace: Pace::begin(&VecDeque::new()),
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
        let is_first = self.unacked.is_empty();
        self.unacked.push_back(packet);
        if is_first {
            self.heard();
            self.pace = Pace::begin(&self.unacked);
        }
    }

    /// Goes on with a new pipeline: everything unacknowledged is sent again.
    pub(super) fn resume(&mut self, link: Link) {
        (self.link, self.unsent) = (link, (0, 0));
        self.heard();
        self.pace = Pace::begin(&self.unacked);
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
    pub(super) async fn step(&mut self, options: &NativeOptions) -> Result<usize, Broken> {
        let timeout = options.write_timeout;
        let (mut input, mut output) = self.link.stream.split();
        let (sent, position) = self.unsent;
        let next = self.unacked.get(sent);
        let part = next.map_or(&[][..], |packet| &packet.wire[position..]);
        let failed = |error: std::io::Error| Broken { bad: Some(0), reason: error.to_string() };
        tokio::select! {
            // What has come counts before how long it took.
            biased;
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
            () = sleep_until(self.excused + timeout), if !self.unacked.is_empty() => {
                self.pace.is_too_slow = false;
                let silence = self.heard.elapsed().as_secs_f32();
                Err(Broken { bad: None, reason: format!("no acknowledgement for {silence:.1} s") })
            }
            () = sleep_until(self.pace.since + timeout), if !self.unacked.is_empty() => self.judge_pace(options),
        }
    }

    fn judge_pace(&mut self, options: &NativeOptions) -> Result<usize, Broken> {
        let time = options.write_timeout.as_secs_f64();
        let bytes_min = (f64::from(options.bytes_per_second_min) * time) as usize;
        let bytes = self.pace.bytes;
        // That disks are waited for is measured by another patience.
        let is_synced = self.unacked.front().is_some_and(|packet| packet.is_synced);
        self.pace = Pace::begin(&self.unacked);
        if is_synced || bytes >= bytes_min {
            return Ok(0);
        }
        self.pace.is_too_slow = true;
        Err(Broken { bad: None, reason: format!("only {bytes} bytes were acknowledged within {time:.1} s") })
    }

    /// Whether the only node that is left was just found too slow, which is better than none.
    pub(super) fn is_slow_alone(&self) -> bool {
        self.pace.is_too_slow && self.places.len() == 1
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
                self.pace.bytes += packet.wire.len();
                if packet.sequence >= self.pace.sequence {
                    self.pace = Pace::begin(&self.unacked);
                }
            }
        }
        Ok(bytes)
    }
}
