//! Every error code in answer to every request, once each: what a caller gets to see, and that nothing is lost, repeated or
//! waited for in vain.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::task::JoinSet;
use weir_codec::record_batch::{BatchHeader, EncodedBatch, Encoder, EncoderOptions};
use weir_event::EventBatch;

use crate::fake::{ApiKey, FakeCluster, Step};
use crate::{
    Cluster, ClusterError, ClusterOptions, Commit, Committed, ErrorClass, ErrorCode, FetchError, FetchOptions, Fetcher,
    GroupEvent, GroupMember, GroupOptions, GroupProtocol, NewTopic, OffsetAt, Place, Producer, ProducerOptions,
    SendError,
};

const PARTITIONS: i32 = 2;
const BATCHES: i64 = 3;
/// Of one case; a few dozen round trips and pauses of some milliseconds.
const DEADLINE: Duration = Duration::from_secs(20);

fn codes() -> impl Iterator<Item = i16> {
    (-1..=133).filter(|code| *code != 0)
}

async fn start() -> (FakeCluster, Cluster) {
    let fake = FakeCluster::start(1).await;
    let options = ClusterOptions { retry_pause: Duration::from_millis(1), ..ClusterOptions::new(fake.bootstrap()) };
    let cluster = Cluster::connect(options).await.expect("a cluster");
    (fake, cluster)
}

/// A batch of one record.
fn batch(name: &str) -> EncodedBatch {
    let mut encoder = Encoder::new(EncoderOptions::default()).expect("no level to be wrong");
    encoder.encode(&EventBatch::from_bodies(&[name], 0), Vec::new()).expect("a small batch")
}

/// Scenario: each error code in answer to each request that producing needs, before the deed and for Produce also after it
/// where brokers do so.
/// Guarantees: each batch is in the log once and acknowledged, or not in the log and handed back with that code; order is
/// kept; nobody waits for ever.
#[tokio::test]
async fn producers_meet_every_code() {
    let mut tasks = JoinSet::new();
    for api in [ApiKey::Produce, ApiKey::InitProducerId, ApiKey::Metadata] {
        tasks.spawn(async move {
            let (fake, cluster) = start().await;
            for step in codes().flat_map(|code| produce_steps(api, code)) {
                let case = produce_once(&fake, &cluster, api, step);
                tokio::time::timeout(DEADLINE, case).await.unwrap_or_else(|_| panic!("{api:?} {step:?}: hangs"));
            }
        });
    }
    tasks.join_all().await;
}

/// What a broker may do that answers so. DUPLICATE_SEQUENCE says that the batch is there; some more may come after the deed:
/// 3, 5 and 6 when the leader moves while the batch waits for replicas.
fn produce_steps(api: ApiKey, code: i16) -> Vec<Step> {
    match code {
        46 if api == ApiKey::Produce => vec![Step::ServeThenRefuse(code)],
        3 | 5 | 6 | 7 | 13 | 20 if api == ApiKey::Produce => vec![Step::Refuse(code), Step::ServeThenRefuse(code)],
        _ => vec![Step::Refuse(code)],
    }
}

async fn produce_once(fake: &FakeCluster, cluster: &Cluster, api: ApiKey, step: Step) {
    let (Step::Refuse(code) | Step::ServeThenRefuse(code)) = step else { panic!("no code in {step:?}") };
    let topic = format!("{step:?}");
    fake.create_topic(&topic, PARTITIONS as usize);
    let before = fake.requests(api);
    fake.script(api, [step]);
    let producer = Producer::new(cluster, ProducerOptions::default());
    let mut receipts = Vec::new();
    for number in 0..BATCHES {
        for partition in 0..PARTITIONS {
            let receipt = producer.send(&topic, partition, batch(&number.to_string())).await.expect("open");
            receipts.push((partition, receipt));
        }
    }
    let mut acknowledged = [0; PARTITIONS as usize];
    for (partition, receipt) in receipts {
        match receipt.await {
            Ok(_) => acknowledged[partition as usize] += 1,
            Err(SendError::Refused { code: given, .. }) => assert_eq!(given.code(), code, "{api:?}"),
            Err(error) => panic!("{api:?} {code}: {error}"),
        }
    }
    assert!(fake.requests(api) > before, "{api:?} {code}: not met");
    for (partition, acknowledged) in acknowledged.into_iter().enumerate() {
        let written = fake.batches(&topic, partition);
        assert_eq!(written.len(), acknowledged, "{api:?} {code}");
        let headers = written.iter().map(|bytes| BatchHeader::parse(bytes).expect("a header"));
        assert!(headers.zip(0..).all(|(header, offset)| header.base_offset == offset), "{api:?} {code}");
    }
}

/// Scenario: each error code in answer to each request that reading as a member of a group needs, by both protocols; of
/// Fetch and OffsetFetch said of each partition, and of the whole.
/// Guarantees: a reader that starts again where it is told to gets each record once; what it is told is that code; nobody
/// waits for ever.
#[tokio::test]
async fn readers_meet_every_code() {
    let common = [ApiKey::FindCoordinator, ApiKey::OffsetFetch, ApiKey::OffsetCommit];
    let classic = [ApiKey::JoinGroup, ApiKey::SyncGroup, ApiKey::Heartbeat, ApiKey::Fetch, ApiKey::ListOffsets];
    let by_classic = common.iter().chain(&classic).map(|api| (GroupProtocol::Classic, *api));
    let consumer = [ApiKey::ConsumerGroupHeartbeat, ApiKey::Metadata];
    let by_consumer = common.iter().chain(&consumer).map(|api| (GroupProtocol::Auto, *api));
    let mut tasks = JoinSet::new();
    for (protocol, api) in by_classic.chain(by_consumer) {
        tasks.spawn(async move {
            let (fake, cluster) = start().await;
            fake.create_topic("t", PARTITIONS as usize);
            let producer = Producer::new(&cluster, ProducerOptions::default());
            for partition in (0..BATCHES).flat_map(|_| 0..PARTITIONS) {
                producer.send("t", partition, batch("body")).await.expect("open").await.expect("written");
            }
            let both = [ApiKey::Fetch, ApiKey::OffsetFetch].contains(&api);
            for code in codes() {
                for step in [Step::Refuse(code), Step::RefuseWhole(code)].into_iter().take(1 + usize::from(both)) {
                    let case = Reader::read_once(&fake, &cluster, protocol, api, step);
                    let done = tokio::time::timeout(DEADLINE, case).await;
                    done.unwrap_or_else(|_| panic!("{protocol:?} {api:?} {step:?}: hangs"));
                }
            }
        });
    }
    tasks.join_all().await;
}

/// What a careful caller does: nothing counts before it is committed, and what fails is begun again.
struct Reader<'a> {
    cluster: &'a Cluster,
    options: GroupOptions,
    code: i16,
    member: GroupMember,
    fetcher: Fetcher,
    held: BTreeSet<Place>,
    /// Where each partition goes on.
    next: BTreeMap<i32, i64>,
}

impl<'a> Reader<'a> {
    async fn read_once(fake: &FakeCluster, cluster: &'a Cluster, protocol: GroupProtocol, api: ApiKey, step: Step) {
        let (Step::Refuse(code) | Step::RefuseWhole(code)) = step else { panic!("no code in {step:?}") };
        let options = GroupOptions {
            heartbeat_interval: Duration::from_millis(2),
            protocol,
            ..GroupOptions::new(format!("{step:?}"), ["t"])
        };
        let before = fake.requests(api);
        fake.script(api, [step]);
        if api == ApiKey::Metadata {
            // Everything needed is known, so somebody has to ask.
            let _ = cluster.refresh(&["t"]).await;
        }
        let mut reader = Self {
            cluster,
            member: GroupMember::join(cluster, options.clone()),
            options,
            code,
            fetcher: Fetcher::new(cluster, FetchOptions { partition_bytes_max: 1, ..FetchOptions::default() }),
            held: BTreeSet::new(),
            next: (0..PARTITIONS).map(|partition| (partition, 0)).collect(),
        };
        while reader.next.values().any(|next| *next < BATCHES) || fake.requests(api) == before {
            reader.step().await;
        }
        reader.member.leave().await;
    }

    /// Whether an error is the one that was scripted, or that the membership is another since.
    fn expect(&self, code: ErrorCode) {
        assert!(code.code() == self.code || code.class() == ErrorClass::Fatal, "{code} where {} is due", self.code);
    }

    fn expect_refused(&self, error: &ClusterError) {
        match error {
            ClusterError::Refused { code, .. } => self.expect(*code),
            other => panic!("code {}: {other}", self.code),
        }
    }

    async fn step(&mut self) {
        tokio::select! {
            event = self.member.next() => match event.expect("it goes on until it fails") {
                GroupEvent::Assigned(places) => {
                    for found in self.committed(&places).await {
                        let Some(offset) = found.offset else { panic!("no offset to start from") };
                        assert_eq!(self.next[&found.place.partition], offset, "code {}", self.code);
                        self.fetcher.assign("t", found.place.partition, offset);
                    }
                    self.held.extend(places);
                }
                GroupEvent::Revoke(places) => {
                    self.drop_places(&places);
                    self.member.revoked().await;
                }
                GroupEvent::Lost(places) => self.drop_places(&places),
                GroupEvent::Failed(error) => {
                    self.expect_refused(&error);
                    assert!(self.held.is_empty(), "lost before it failed");
                    self.member = GroupMember::join(self.cluster, self.options.clone());
                }
            },
            fetched = self.fetcher.next(), if !self.held.is_empty() => match fetched {
                Ok(fetched) => {
                    let next = self.next[&fetched.partition];
                    let offsets = fetched.batches.iter().map(|batch| batch.header.base_offset);
                    assert_eq!(offsets.collect::<Vec<_>>(), (next..fetched.next_offset).collect::<Vec<_>>());
                    self.commit(fetched.partition, fetched.next_offset).await;
                }
                Err(FetchError::Refused { partition, code, .. }) => {
                    self.expect(code);
                    self.fetcher.assign("t", partition, self.next[&partition]);
                }
                Err(FetchError::OutOfRange { partition, .. }) => {
                    assert_eq!(self.code, 1);
                    self.fetcher.assign("t", partition, self.next[&partition]);
                }
                Err(error) => panic!("code {}: {error}", self.code),
            },
            // To look again whether the script was met.
            () = tokio::time::sleep(Duration::from_millis(2)) => {}
        }
    }

    fn drop_places(&mut self, places: &[Place]) {
        for place in places {
            self.held.remove(place);
            self.fetcher.unassign("t", place.partition);
        }
    }

    /// Committed offsets, or the earliest where there is none.
    async fn committed(&self, places: &[Place]) -> Vec<Committed> {
        let mut found = loop {
            match self.member.committed(places).await {
                Ok(found) => break found,
                Err(error) => self.expect_refused(&error),
            }
        };
        for found in found.iter_mut().filter(|found| found.offset.is_none()) {
            let earliest = loop {
                match self.cluster.offsets("t", &[found.place.partition], OffsetAt::Earliest).await {
                    Ok(earliest) => break earliest,
                    Err(error) => self.expect_refused(&error),
                }
            };
            found.offset = earliest[0].offset;
        }
        found
    }

    /// Commits what was read; if that fails, it is read again.
    async fn commit(&mut self, partition: i32, offset: i64) {
        let place = Place { topic: "t".into(), partition };
        match self.member.commit(&[Commit { place, offset, metadata: None }]).await {
            Ok(()) => {
                self.next.insert(partition, offset);
            }
            Err(error) => {
                self.expect_refused(&error);
                self.fetcher.assign("t", partition, self.next[&partition]);
            }
        }
    }
}

/// Scenario: each error code in answer to the creation of a topic.
/// Guarantees: the topic is there in the end, or it is not and the caller is told that code; nobody waits for ever.
#[tokio::test]
async fn creating_topics_meets_every_code() {
    let (fake, cluster) = start().await;
    for code in codes() {
        fake.script(ApiKey::CreateTopics, [Step::Refuse(code)]);
        let name = format!("t{code}");
        let topic = NewTopic { name: name.clone(), partitions: Some(PARTITIONS), replicas: None, settings: Vec::new() };
        let created = tokio::time::timeout(DEADLINE, cluster.create_topic(&topic)).await;
        let is_there = |cluster: Cluster, name: String| async move {
            cluster.refresh(&[&name]).await.expect("metadata");
            cluster.cached_topic(&name).is_some()
        };
        match created.unwrap_or_else(|_| panic!("{code}: hangs")) {
            Ok(topic) => assert_eq!(topic.partitions.len(), PARTITIONS as usize, "{code}"),
            Err(ClusterError::Refused { code: given, .. }) => {
                assert_eq!(given.code(), code);
                assert_eq!(given.class(), ErrorClass::RejectBatch, "{given}");
                assert!(!is_there(cluster.clone(), name).await, "{given}, and yet it is there");
            }
            Err(error) => panic!("{code}: {error}"),
        }
    }
    assert_eq!(fake.requests(ApiKey::CreateTopics) - codes().count(), created_twice(), "one more for what passes");
}

/// Codes after which a topic is asked for once more.
fn created_twice() -> usize {
    let stays = |code: &ErrorCode| code.class() == ErrorClass::RejectBatch;
    codes().filter_map(ErrorCode::from_wire).filter(|code| !stays(code)).count()
}

/// Scenario: each error code in answer to a member that leaves by the classic protocol.
/// Guarantees: it has left all the same, and does not wait for ever; the next member gets what it had.
#[tokio::test]
async fn leaving_meets_every_code() {
    let (fake, cluster) = start().await;
    fake.create_topic("t", PARTITIONS as usize);
    let options = GroupOptions {
        heartbeat_interval: Duration::from_millis(2),
        protocol: GroupProtocol::Classic,
        ..GroupOptions::new("g", ["t"])
    };
    for code in codes() {
        let case = async {
            let mut member = GroupMember::join(&cluster, options.clone());
            let Some(GroupEvent::Assigned(places)) = member.next().await else { panic!("{code}: nothing assigned") };
            assert_eq!(places.len(), PARTITIONS as usize, "{code}");
            fake.script(ApiKey::LeaveGroup, [Step::Refuse(code)]);
            member.leave().await;
        };
        tokio::time::timeout(DEADLINE, case).await.unwrap_or_else(|_| panic!("{code}: hangs"));
    }
    assert_eq!(fake.requests(ApiKey::LeaveGroup), codes().count());
}
