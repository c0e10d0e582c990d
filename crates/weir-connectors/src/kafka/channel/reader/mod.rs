//! The reading side of the channel: one consumer group per sink group.
//!
//! ```text
//!   brokers --> Fetcher --> [ Stay of each partition: buffer ] --> KafkaCursor --> group, lanes, sinks
//!      ^        \---------- Driver, on the IoThread --------/           |
//!      '--- GroupMember: heartbeats, partitions; commits <--- released -'
//! ```
//!
//! The driver writes the buffer and the cursor reads it; both see it through [`shared::Shared`]. Heartbeats and commits
//! go on however long lanes are busy. What a lane wants again ([`again`]) is fetched anew: events that are out are not
//! kept in memory, for sinks hold them for minutes.

mod again;
mod cursor;
mod driver;
mod intake;
mod shared;
mod starts;
mod stay;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::mpsc;
use weir_engine::channel::{Cursor, Position};
use weir_event::ChannelId;
use weir_kafka::{ClusterError, FetchOptions, Fetcher, GroupMember};

use self::again::{AGAIN_BYTES, Again};
use self::cursor::{KafkaCursor, decoder};
use self::driver::{Close, Driver};
use self::intake::Intake;
use self::shared::Shared;
use self::starts::Whereabouts;
use super::health::Troubles;
use super::reach::Ready;
use crate::io_thread::IoThread;
use crate::kafka::consume::ConsumeSpec;
use crate::kafka::record::RecordSpec;

/// Name of the sink group whose consumer group is the one configured.
const DEFAULT_GROUP: &str = "default";
/// Smaller answers would make for more requests than work.
const ANSWER_BYTES_MIN: usize = 256 << 10;
/// How the channel reads: checked.
#[derive(Clone, Debug)]
pub(super) struct ReadSpec {
    pub(super) consume: ConsumeSpec,
    pub(super) fetch_memory: usize,
    pub(super) rack: Option<String>,
}

impl ReadSpec {
    /// The consumer group of a sink group.
    pub(super) fn consumer_group(&self, group: &str) -> String {
        match group {
            DEFAULT_GROUP => self.consume.consumer_group.clone(),
            other => format!("{}.{other}", self.consume.consumer_group),
        }
    }

    /// Most memory that the reading of one sink group takes: see `fetch_options` for the half; and what is read again.
    pub(super) fn memory_bytes(&self) -> u64 {
        (self.fetch_memory / 2 * 3 + AGAIN_BYTES) as u64
    }

    fn fetch_options(&self) -> FetchOptions {
        let defaults = FetchOptions::default();
        // One answer per broker may come on top of the limit, at which fetching pauses for good: with a 16th each, half as
        // much again is enough for 8 brokers.
        let bytes_max = (self.fetch_memory / 16).clamp(ANSWER_BYTES_MIN, defaults.bytes_max);
        FetchOptions {
            bytes_max,
            partition_bytes_max: bytes_max.min(defaults.partition_bytes_max),
            read_committed: self.consume.read_committed,
            rack: self.rack.clone(),
            ..defaults
        }
    }
}

/// What a group is opened with.
pub(super) struct Opening<'a> {
    pub(super) channel: &'a str,
    /// Of the engine.
    pub(super) group: &'a str,
    pub(super) read: &'a ReadSpec,
    pub(super) record: &'a RecordSpec,
    pub(super) troubles: &'a Arc<Troubles>,
}

/// The way to end a group's membership.
pub(super) struct Membership {
    commands: mpsc::Sender<Close>,
}

impl Membership {
    /// Commits what is released and leaves the group.
    ///
    /// # Errors
    /// What could not be done.
    pub(super) async fn close(&self) -> Result<(), String> {
        let (done, outcome) = tokio::sync::oneshot::channel();
        if self.commands.send(Close(done)).await.is_err() {
            return Ok(());
        }
        outcome.await.unwrap_or_else(|_| Err("the group's task ended".to_owned()))
    }
}

/// Reads the positions of a group, and begins to join it. Blocks for a few round trips.
///
/// # Errors
/// [`ClusterError`] if the positions cannot be had.
pub(super) fn open(
    io: &IoThread,
    ready: &Ready,
    opening: &Opening<'_>,
) -> Result<(Box<dyn Cursor>, Membership), ClusterError> {
    let read = opening.read;
    let (topic, log) = (ready.topic.name.clone(), ready.log);
    let consumer_group = read.consumer_group(opening.group);
    let whereabouts = Whereabouts {
        topic: topic.to_string(),
        group: consumer_group.clone(),
        at: read.consume.start,
        opened: ready.topic.id,
    };
    let partitions: Vec<u32> =
        (0..ready.topic.partitions.len()).filter_map(|index| u32::try_from(index).ok()).collect();
    let (cluster, asked) = (ready.cluster.clone(), whereabouts.clone());
    let starts = io.wait_for(async move { asked.starts(&cluster, &partitions).await });
    let starts = starts.transpose()?.map(|found| found.starts).unwrap_or_default();
    let known = starts.into_iter().map(|(partition, start)| {
        let channel = ChannelId { log, partition };
        Position { channel, released: start.offset, end: start.end }
    });
    let shared = Arc::new(Shared::new(known.collect()));
    let (commands, inbox) = mpsc::channel(1);
    let options = read.consume.group_options(&consumer_group, vec![topic.to_string()]);
    let _inside = io.handle().enter();
    let driver = Driver {
        name: opening.channel.to_owned(),
        log,
        cluster: ready.cluster.clone(),
        topic_id: ready.topic.id,
        anew: BTreeMap::new(),
        whereabouts: whereabouts.clone(),
        commit_interval: read.consume.commit_interval,
        revoke_wait: read.consume.revoke_wait(),
        shared: shared.clone(),
        troubles: opening.troubles.clone(),
        member: GroupMember::join(&ready.cluster, options.clone()),
        options,
        intake: Intake {
            fetcher: Fetcher::new(&ready.cluster, read.fetch_options()),
            topic,
            shared: shared.clone(),
            troubles: opening.troubles.clone(),
            memory_bytes: read.fetch_memory,
            astray: Vec::new(),
        },
        commands: inbox,
        pending: BTreeSet::new(),
        rejoin_at: None,
        closing: None,
    };
    io.spawn(driver.run());
    let cursor = KafkaCursor {
        channel: opening.channel.to_owned(),
        topic: whereabouts.topic.clone(),
        log,
        record: opening.record.clone(),
        shared,
        troubles: opening.troubles.clone(),
        again: Again::start(io, &ready.cluster, whereabouts, read.consume.read_committed),
        decoder: decoder(),
        repeats_below: BTreeMap::new(),
    };
    Ok((Box::new(cursor), Membership { commands }))
}
