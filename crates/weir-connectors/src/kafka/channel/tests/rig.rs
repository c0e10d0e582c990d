//! Fake brokers, channels on them, and what a test looks at.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_codec::record_batch::{BatchHeader, Decoder, DecoderOptions, EncodedBatch, HEADER_BYTES};
use weir_engine::channel::{Channel, ChannelError, Cursor, ReadChunk, ReadLimit};
use weir_engine::receipt::{Receipt, ReceiptFailure};
use weir_engine::registry::ChannelContext;
use weir_event::{ArenaPool, EventBatch, names};
use weir_kafka::fake::{ApiKey, FakeCluster, Step};
use weir_kafka::{
    Cluster, ClusterOptions, Commit, Committed, GroupEvent, GroupMember, GroupOptions, Place, Producer, ProducerOptions,
};
use weir_testkit::agent;
use weir_testkit::conformance::fixture::ticket;
use weir_testkit::wait::{PATIENCE, eventually};

use crate::io_thread::IoThread;
use crate::registry;

pub(super) const ALL: ReadLimit = ReadLimit::events(1 << 20);

/// Two brokers and a topic `t`.
pub(super) struct Rig {
    pub(super) fake: FakeCluster,
    cluster: Cluster,
    io: IoThread,
}

impl Rig {
    pub(super) fn start(partitions: usize) -> Self {
        let io = IoThread::start("fake").expect("a thread");
        let (fake, cluster) = io
            .wait_for(async {
                let fake = FakeCluster::start(2).await;
                let cluster = Cluster::connect(ClusterOptions::new(fake.bootstrap())).await.expect("a cluster");
                (fake, cluster)
            })
            .expect("no panic");
        if partitions > 0 {
            fake.create_topic("t", partitions);
        }
        Self { fake, cluster, io }
    }

    /// A channel on topic `t` with these options besides.
    pub(super) fn open(&self, options: &str) -> Arc<dyn Channel> {
        open_at(&self.fake.bootstrap(), options)
    }

    pub(super) fn script(&self, api: ApiKey, steps: &[Step]) {
        self.fake.script(api, steps.iter().copied());
    }

    /// Heartbeats so far, of either protocol of groups.
    pub(super) fn beats(&self) -> usize {
        self.fake.requests(ApiKey::Heartbeat) + self.fake.requests(ApiKey::ConsumerGroupHeartbeat)
    }

    /// The bodies in a partition, in order.
    pub(super) fn bodies(&self, partition: usize) -> Vec<String> {
        self.events(partition).iter().flat_map(bodies).collect()
    }

    /// The batches in a partition.
    pub(super) fn events(&self, partition: usize) -> Vec<EventBatch> {
        let mut decoder = Decoder::new(ArenaPool::new(1 << 16, 1), DecoderOptions::default());
        let batches = self.fake.batches("t", partition).into_iter();
        batches.filter_map(|bytes| decoder.decode(bytes, None, 0).expect("it decodes").into_events()).collect()
    }

    /// Writes a batch as it is.
    pub(super) fn produce(&self, partition: i32, batch: EncodedBatch) {
        let cluster = self.cluster.clone();
        let sent = self.io.wait_for(async move {
            let options = ProducerOptions { idempotent: false, ..ProducerOptions::default() };
            let producer = Producer::new(&cluster, options);
            producer.send("t", partition, batch).await.expect("open").await.expect("taken")
        });
        assert!(sent.is_some());
    }

    /// What a consumer group has committed for partition 0 and on.
    pub(super) fn committed(&self, group: &'static str, partitions: i32) -> Vec<Committed> {
        let cluster = self.cluster.clone();
        let places =
            move || (0..partitions).map(|partition| Place { topic: "t".into(), partition }).collect::<Vec<_>>();
        let found = self.io.wait_for(async move { cluster.committed(group, &places()).await });
        found.expect("no panic").expect("offsets")
    }

    /// Commits for a group that nobody is in.
    pub(super) fn commit(&self, group: &'static str, offset: i64) {
        let cluster = self.cluster.clone();
        let committed = self.io.wait_for(async move {
            let mut member = GroupMember::join(&cluster, GroupOptions::new(group, ["t"]));
            assert!(matches!(member.next().await, Some(GroupEvent::Assigned(_))));
            let place = Place { topic: "t".into(), partition: 0 };
            member.commit(&[Commit { place, offset, metadata: None }]).await.expect("committed");
            member.leave().await;
        });
        assert!(committed.is_some());
    }

    pub(super) fn offset(&self, group: &'static str) -> Option<i64> {
        self.committed(group, 1)[0].offset
    }
}

/// A channel on topic `t` at `brokers`.
pub(super) fn open_at(brokers: &[String], options: &str) -> Arc<dyn Channel> {
    let toml = format!(
        "[agent]\nmemory = '4 GiB'\n[channels.c]\ntype = 'kafka'\nbrokers = {brokers:?}\ntopic = 't'\ncommit_interval = '50 ms'\n\
         {options}\n[sinks.out]\ntype = 'null'\nchannel = 'c'\n"
    );
    let plan = agent::plan(&toml, &registry());
    let context = ChannelContext { name: "c".into(), data_dir: None };
    plan.channels[0].spec.open(&context).unwrap_or_else(|error| panic!("{error}: {:?}", error.source))
}

/// Events with these bodies.
pub(super) fn batch(bodies: &[&str]) -> EventBatch {
    let mut batch = EventBatch::from_bodies(bodies, 1_700_000_000_000);
    batch.set_constant(names::HOST, "fw1");
    batch
}

pub(super) fn bodies(batch: &EventBatch) -> Vec<String> {
    (0..batch.len()).map(|row| String::from_utf8_lossy(batch.body(row)).into_owned()).collect()
}

/// Appends as soon as there is room; the receipt.
pub(super) fn send(channel: &dyn Channel, batch: &EventBatch) -> Receipt {
    assert!(channel.wait_for_room(PATIENCE), "{:?}", channel.usage());
    let (ticket, receipt) = ticket();
    channel.try_append(batch, ticket).expect("there is room");
    receipt
}

/// Appends and waits for the outcome.
pub(super) fn append(channel: &dyn Channel, batch: &EventBatch) -> Result<(), ReceiptFailure> {
    send(channel, batch).wait(PATIENCE).expect("it settles")
}

/// The next chunk, which must come.
pub(super) fn next(cursor: &mut dyn Cursor) -> ReadChunk {
    let mut found = None;
    eventually("there is something to read", || {
        // As the engine does before each delivery.
        cursor.taken_away();
        found = cursor.read(ALL).expect("readable");
        found.is_some()
    });
    found.expect("it was waited for")
}

/// Reads until `count` events are there: bodies, and what to release of each partition.
pub(super) fn read(cursor: &mut dyn Cursor, count: usize) -> (Vec<String>, BTreeMap<u32, u64>) {
    let (mut found, mut ends) = (Vec::new(), BTreeMap::new());
    while found.len() < count {
        let chunk = next(cursor);
        let expected = ends.insert(chunk.partition, chunk.range.end);
        assert!(expected.is_none_or(|end| end == chunk.range.start), "ranges join");
        found.extend(chunk.batches.iter().flat_map(bodies));
    }
    (found, ends)
}

/// A whole batch of one record whose records are `records`, under a right checksum.
pub(super) fn crafted(attributes: i16, records: &[u8]) -> EncodedBatch {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes.extend_from_slice(records);
    let header = BatchHeader {
        base_offset: 0,
        batch_length: 0,
        partition_leader_epoch: -1,
        crc: 0,
        attributes,
        last_offset_delta: 0,
        base_timestamp: -1,
        max_timestamp: -1,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: 1,
    };
    EncodedBatch::finish(bytes, header)
}

/// What an error says, with its causes.
pub(super) fn text(error: &ChannelError) -> String {
    weir_engine::chain(error)
}
