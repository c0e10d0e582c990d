//! Groups over a channel whose partitions come and go.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use weir_event::{ChannelId, EventBatch};

use super::*;
use crate::channel::{ChannelUsage, Position, ReadChunk};
use crate::receipt::ReceiptTicket;

/// What a test plays to the group, and what the group told the cursor.
#[derive(Default)]
struct Script {
    chunks: VecDeque<(u32, Range<u64>)>,
    taken_away: Vec<u32>,
    leaving: Vec<u32>,
    released: Vec<(u32, u64)>,
    partitions: u32,
    /// Partitions that cannot be read a second time.
    dead: Vec<u32>,
}

#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

impl Channel for Scripted {
    fn name(&self) -> &str {
        "shared"
    }
    fn is_durable(&self) -> bool {
        true
    }
    fn is_shared(&self) -> bool {
        true
    }
    fn try_append(&self, _: &EventBatch, ticket: ReceiptTicket) -> Result<(), AppendError> {
        Err(AppendError::Closed(ticket))
    }
    fn wait_for_room(&self, _: Duration) -> bool {
        false
    }
    fn cursor(&self, _: &str) -> Result<Box<dyn Cursor>, ChannelError> {
        Ok(Box::new(self.clone()))
    }
    fn usage(&self) -> ChannelUsage {
        ChannelUsage::default()
    }
    fn close(&self) -> Result<(), ChannelError> {
        Ok(())
    }
}

fn chunk(partition: u32, range: Range<u64>) -> ReadChunk {
    let bodies = vec![b"x"; (range.end - range.start) as usize];
    let batches = vec![EventBatch::from_bodies(&bodies, 0)];
    ReadChunk { partition, range, batches, stored: Vec::new(), lost: Vec::new(), unsynced: 0 }
}

impl Cursor for Scripted {
    fn positions(&self) -> Vec<Position> {
        let position = |partition| Position { channel: ChannelId { log: 1, partition }, released: 0, end: 0 };
        (0..self.0.lock().partitions.max(1)).map(position).collect()
    }
    fn repeats_below(&self, _: u32) -> u64 {
        0
    }
    fn taken_away(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.0.lock().taken_away)
    }
    fn leaving(&self) -> Vec<u32> {
        self.0.lock().leaving.clone()
    }
    fn read(&mut self, limit: ReadLimit) -> Result<Option<ReadChunk>, ChannelError> {
        self.read_of(limit, &mut |_| true)
    }
    fn read_of(
        &mut self,
        _: ReadLimit,
        is_wanted: &mut dyn FnMut(u32) -> bool,
    ) -> Result<Option<ReadChunk>, ChannelError> {
        let mut script = self.0.lock();
        let at = script.chunks.iter().position(|(partition, _)| is_wanted(*partition));
        Ok(at.and_then(|at| script.chunks.remove(at)).map(|(partition, range)| chunk(partition, range)))
    }
    fn read_again(&mut self, partition: u32, range: Range<u64>, _: ReadLimit) -> Result<ReadChunk, ChannelError> {
        match self.0.lock().dead.contains(&partition) {
            true => Err(ChannelError { channel: "shared".into(), message: "its replica is dead".into(), source: None }),
            false => Ok(chunk(partition, range)),
        }
    }
    fn release(&mut self, partition: u32, up_to: u64) {
        self.0.lock().released.push((partition, up_to));
    }
    fn wakeup(&self) -> Arc<Notify> {
        Arc::default()
    }
    fn backlog(&self) -> Backlog {
        Backlog::default()
    }
}

fn open(channel: &Scripted) -> Arc<Group> {
    Group::open("g", &["s".into()], Arc::new(channel.clone()), None, Arc::default()).expect("opens")
}

fn next(group: &Arc<Group>) -> Option<Delivery> {
    group.next(ReadLimit::events(1 << 20), &Arc::default()).expect("the channel works")
}

/// Scenario: a partition with two deliveries out is taken away and comes back from the same offset with other batch
/// bounds; then the old deliveries are acknowledged.
/// Guarantees: the old acknowledgement moves nothing of the new stay, another partition is not touched, and the new
/// delivery releases as usual.
#[test]
fn an_answer_for_an_earlier_stay_moves_nothing() {
    let channel = Scripted::default();
    channel.0.lock().chunks.extend([(3, 100..110), (3, 110..120), (4, 7..9)]);
    let group = open(&channel);
    let old: Vec<_> = std::iter::from_fn(|| next(&group)).collect();
    assert_eq!(old.len(), 3);
    channel.0.lock().taken_away.push(3);
    channel.0.lock().chunks.push_back((3, 100..105));
    let new = next(&group).expect("the new stay");
    for delivery in old {
        delivery.ack.ack();
    }
    assert_eq!(channel.0.lock().released, vec![(4, 9)]);
    new.ack.ack();
    assert_eq!(channel.0.lock().released, vec![(4, 9), (3, 105)]);
}

/// Scenario: deliveries come back, before and after their partition was taken away.
/// Guarantees: neither is delivered again here: its next owner does that.
#[test]
fn what_was_taken_away_is_not_retried() {
    let channel = Scripted::default();
    channel.0.lock().chunks.extend([(3, 0..10), (3, 10..20)]);
    let group = open(&channel);
    let (first, second) = (next(&group).expect("one"), next(&group).expect("two"));
    drop(first.ack);
    channel.0.lock().taken_away.push(3);
    drop(second.ack);
    assert!(next(&group).is_none());
    assert!(!group.is_anything_outstanding());
}

/// Scenario: a delivery of one of two partitions comes back and cannot be read again for a while; then it can.
/// Guarantees: the other partition goes on meanwhile, what came back of it included; the trouble is told; nothing of the
/// first is released or skipped, and it is delivered again in the end.
#[test]
fn a_partition_that_cannot_be_read_again_waits_alone() {
    let channel = Scripted::default();
    channel.0.lock().partitions = 2;
    channel.0.lock().chunks.extend([(0, 0..10), (1, 0..10)]);
    let group = open(&channel);
    drop((next(&group).expect("one").ack, next(&group).expect("two").ack));
    channel.0.lock().dead.push(0);
    channel.0.lock().chunks.extend([(1, 10..20), (0, 10..20), (1, 20..30)]);
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut found = Vec::new();
    while found.len() < 4 {
        assert!(Instant::now() < deadline, "{found:?}");
        assert!(group.retry_at(Seat::default()).is_some());
        if let Some(delivery) = next(&group) {
            found.push((delivery.ack.partition(), delivery.ack.range()));
            delivery.ack.ack();
        }
    }
    assert_eq!(found, vec![(1, 10..20), (1, 0..10), (0, 10..20), (1, 20..30)]);
    assert_eq!(channel.0.lock().released, vec![(1, 20), (1, 30)]);
    assert!(group.is_anything_outstanding());
    channel.0.lock().dead.clear();
    while group.is_anything_outstanding() {
        assert!(Instant::now() < deadline, "it is delivered again");
        if let Some(delivery) = next(&group) {
            delivery.ack.ack();
        }
    }
    assert_eq!(channel.0.lock().released.last(), Some(&(0, 20)));
    assert_eq!(group.retry_at(Seat::default()), None);
}

/// Scenario: a channel of one partition cannot read a range again.
/// Guarantees: the error goes to the lane, which waits: there is nothing else to go on with. The range is still there.
#[test]
fn a_channel_of_one_partition_says_so_itself() {
    let channel = Scripted::default();
    channel.0.lock().chunks.push_back((0, 0..10));
    let group = open(&channel);
    drop(next(&group).expect("one").ack);
    channel.0.lock().dead.push(0);
    assert!(group.next(ReadLimit::events(1 << 20), &Arc::default()).is_err());
    channel.0.lock().dead.clear();
    next(&group).expect("again").ack.ack();
    assert_eq!(channel.0.lock().released, vec![(0, 10)]);
}

/// Scenario: two lanes of a sink that keeps partitions; one sits on its deliveries, one of which came back. Then a partition
/// is about to leave, goes, and comes back.
/// Guarantees: the other lane gets everything of its own partitions and nothing else, is not told to hurry or to look for
/// what is not its own, and is woken for what came to it without its asking; a partition that comes back goes to its lane.
#[test]
fn lanes_that_keep_partitions_do_not_meet() {
    let channel = Scripted::default();
    channel.0.lock().partitions = 4;
    channel.0.lock().chunks.extend([(0, 0..10), (1, 0..10), (2, 0..10), (0, 10..20), (1, 10..20), (3, 0..10)]);
    let group = open(&channel);
    let [slow, quick] = [0, 1].map(|index| Arc::new(LaneAccount::new(Seat { index, lanes: 2 })));
    let next = |lane| group.next(ReadLimit::events(1 << 20), lane).expect("the channel works");
    let of = |delivery: &Delivery| (delivery.ack.partition(), delivery.ack.range());
    let stuck = next(&slow).expect("the first");
    assert_eq!(of(&stuck), (0, 0..10));
    let (_, returned) = group.wakeups();
    let woken = returned.notified();
    tokio::pin!(woken);
    woken.as_mut().enable();
    let taken: Vec<_> = std::iter::from_fn(|| next(&quick)).collect();
    let found: Vec<_> = taken.iter().map(of).collect();
    assert_eq!(found, [(1, 0..10), (1, 10..20), (3, 0..10)], "2 is for the other, asked or not");
    assert!(woken.as_mut().enable(), "which is told so");
    taken.into_iter().for_each(|delivery| delivery.ack.ack());
    let second = next(&slow).expect("its own");
    assert_eq!(of(&second), (2, 0..10));
    drop(stuck.ack);
    assert_eq!((slow.nacks(), quick.nacks(), quick.settled_events()), (1, 0, 30));
    assert!(group.retry_at(slow.seat()).is_some() && group.retry_at(quick.seat()).is_none());
    assert!(next(&quick).is_none(), "what came back is for the lane that had it");
    let (again, third) = (next(&slow).expect("again"), next(&slow).expect("the rest"));
    assert_eq!([of(&again), of(&third)], [(0, 0..10), (0, 10..20)]);
    channel.0.lock().leaving.push(3);
    assert!(group.is_in_a_hurry(quick.seat()) && !group.is_in_a_hurry(slow.seat()));
    let mut script = channel.0.lock();
    script.leaving.clear();
    script.taken_away.push(3);
    script.chunks.push_back((3, 0..10));
    drop(script);
    assert!(next(&slow).is_none());
    assert_eq!(next(&quick).as_ref().map(of), Some((3, 0..10)));
}
