//! Consumer groups.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use weir_codec::record_batch::{Compression, Decoder, DecoderOptions};
use weir_event::ArenaPool;
use weir_kafka::{
    Assignor, Cluster, ClusterOptions, Commit, FetchOptions, Fetcher, GroupEvent, GroupMember, GroupOptions,
    GroupProtocol, OffsetAt, Place, Producer, ProducerOptions,
};
use weir_servers::kafka::{self, Version};

use crate::account::{batch, on_runtime};

const PARTITIONS: i32 = 12;

/// A member, and what it has.
struct Member {
    member: GroupMember,
    held: BTreeSet<Place>,
}

/// Options for fast tests.
fn options(group: &str, protocol: GroupProtocol) -> GroupOptions {
    GroupOptions {
        heartbeat_interval: Duration::from_millis(200),
        session_timeout: Duration::from_secs(10),
        protocol,
        ..GroupOptions::new(group, ["t"])
    }
}

impl Member {
    fn join(cluster: &Cluster, options: GroupOptions) -> Self {
        Self { member: GroupMember::join(cluster, options), held: BTreeSet::new() }
    }

    /// Takes events until it has `count` partitions, committing what is to be given up.
    async fn until(&mut self, count: usize) -> Result<(), Failed> {
        while self.held.len() != count {
            self.follow().await?;
        }
        Ok(())
    }

    async fn follow(&mut self) -> Result<(), Failed> {
        match self.member.next().await.ok_or("the membership ended")? {
            GroupEvent::Assigned(places) => self.held.extend(places),
            GroupEvent::Lost(places) => self.held.retain(|place| !places.contains(place)),
            GroupEvent::Revoke(places) => {
                let commit = |place: &Place| Commit { place: place.clone(), offset: 0, metadata: None };
                self.member.commit(&places.iter().map(commit).collect::<Vec<_>>()).await?;
                self.held.retain(|place| !places.contains(place));
                self.member.revoked().await;
            }
            GroupEvent::Failed(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Whether there is nothing to do now.
    async fn is_undisturbed(&mut self) -> bool {
        let mut next = Box::pin(self.member.next());
        poll_fn(|context| Poll::Ready(next.as_mut().poll(context).is_pending())).await
    }
}

/// Takes events until both have as many partitions as named; they must not share one.
async fn both(first: &mut Member, a: usize, second: &mut Member, b: usize) -> Result<(), Failed> {
    let outcomes = tokio::join!(first.until(a), second.until(b));
    outcomes.0.and(outcomes.1)?;
    assert!(first.held.is_disjoint(&second.held));
    Ok(())
}

/// Runs `work` with a broker that has short sessions and a topic `t` of 12 partitions.
fn with_topic(
    version: Version,
    work: impl AsyncFnOnce(&kafka::Cluster, &Cluster) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let properties = [
        ("group.consumer.min.session.timeout.ms", "5000"),
        ("group.consumer.session.timeout.ms", "10000"),
        ("group.consumer.min.heartbeat.interval.ms", "200"),
        ("group.consumer.heartbeat.interval.ms", "200"),
    ];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let options = kafka::ClusterOptions { version, properties, ..kafka::ClusterOptions::default() };
    kafka::Cluster::with(options, |server| {
        server.create_topic(&kafka::Topic { partitions: PARTITIONS as u32, ..kafka::Topic::new("t") })?;
        on_runtime(async {
            let cluster = Cluster::connect(ClusterOptions::new(server.bootstrap().split(','))).await?;
            work(server, &cluster).await
        })
    })
}

/// The classic protocol, against either version.
pub(crate) fn classic(version: Version) -> Result<(), Failed> {
    with_topic(version, async |server, cluster| {
        // What a broker without the other protocol has members do by themselves.
        let protocol = if version.has_consumer_protocol() { GroupProtocol::Classic } else { GroupProtocol::Auto };
        members_share(server, cluster, &options("share", protocol)).await?;
        static_members_return(cluster, &options("static", GroupProtocol::Auto)).await?;
        every_record_once(cluster, "once", protocol).await?;
        java_and_we(server, cluster, "java-second", false).await?;
        java_and_we(server, cluster, "java-first", true).await
    })
}

/// The consumer protocol, and both in one group.
pub(crate) fn consumer(version: Version) -> Result<(), Failed> {
    with_topic(version, async |server, cluster| {
        members_share(server, cluster, &options("share", GroupProtocol::Consumer)).await?;
        static_members_return(cluster, &options("static", GroupProtocol::Consumer)).await?;
        every_record_once(cluster, "once", GroupProtocol::Auto).await?;
        both_protocols_share(cluster).await
    })
}

/// Scenario: one member has all partitions; a second comes, commits an offset with text and leaves; a third comes and is
/// dropped without a word.
/// Guarantees: each rebalance ends with even shares and disjoint sets; what is to be given up can still be committed; the
/// offset is read back, by members and by others, and Kafka's own tool shows it; a silent member's partitions come back
/// after its session timeout.
async fn members_share(server: &kafka::Cluster, cluster: &Cluster, options: &GroupOptions) -> Result<(), Failed> {
    let mut first = Member::join(cluster, options.clone());
    first.until(12).await?;
    let mut second = Member::join(cluster, options.clone());
    both(&mut first, 6, &mut second, 6).await?;
    let place = second.held.first().cloned().ok_or("no partition")?;
    let note = Some("note".to_owned());
    second.member.commit(&[Commit { place: place.clone(), offset: 0, metadata: note.clone() }]).await?;
    let committed = first.member.committed(std::slice::from_ref(&place)).await?;
    assert_eq!(committed.first().map(|found| (found.offset, found.metadata.clone())), Some((Some(0), note)));
    assert_eq!(cluster.committed(&options.group, std::slice::from_ref(&place)).await?, committed);
    let shown = server.tools().groups(&["--describe", "--group", &options.group])?.text();
    assert!(shown.lines().any(|line| line.contains(" t ")), "{shown}");
    second.member.leave().await;
    first.until(12).await?;
    let mut third = Member::join(cluster, options.clone());
    both(&mut first, 6, &mut third, 6).await?;
    drop(third);
    first.until(12).await?;
    first.member.leave().await;
    Ok(())
}

/// Scenario: of two static members one ends and comes back within the session timeout, then once more after it was dropped
/// without a word.
/// Guarantees: it gets the partitions it had, and the other is not disturbed. (The classic members divide by ranges, where
/// any rebalance takes everything from everyone, so that none could pass unseen.) Only with the consumer protocol, one that
/// was dropped is not let in before its session is over, and waits for that.
async fn static_members_return(cluster: &Cluster, options: &GroupOptions) -> Result<(), Failed> {
    let named =
        |name: &str| GroupOptions { instance: Some(name.to_owned()), assignor: Assignor::Range, ..options.clone() };
    let (mut stays, mut returns) = (Member::join(cluster, named("a")), Member::join(cluster, named("b")));
    both(&mut stays, 6, &mut returns, 6).await?;
    for dropped in [false, true] {
        let Member { member, held } = returns;
        if dropped {
            drop(member);
        } else {
            member.leave().await;
        }
        returns = Member::join(cluster, named("b"));
        if dropped && options.protocol == GroupProtocol::Consumer {
            let stay = async {
                while stays.held.len() <= 12 {
                    stays.follow().await?;
                }
                Ok::<(), Failed>(())
            };
            tokio::select! {
                done = returns.until(6) => done?,
                done = stay => done?,
            }
            assert!(stays.held.is_disjoint(&returns.held));
            break;
        }
        returns.until(6).await?;
        assert_eq!(returns.held, held);
        assert!(stays.is_undisturbed().await);
        let commit = |place: &Place| Commit { place: place.clone(), offset: 0, metadata: None };
        stays.member.commit(&stays.held.iter().map(commit).collect::<Vec<_>>()).await?;
    }
    Ok(())
}

/// Scenario: three members share the topic, each reads what it has from the committed offsets; one leaves half-way.
/// Guarantees: even shares, and each record is read by exactly one of them.
async fn every_record_once(cluster: &Cluster, group: &str, protocol: GroupProtocol) -> Result<(), Failed> {
    let mut members: Vec<Member> = (0..3).map(|_| Member::join(cluster, options(group, protocol))).collect();
    let [first, second, third] = &mut members[..] else { return Err("three members".into()) };
    let outcomes = tokio::join!(first.until(4), second.until(4), third.until(4));
    outcomes.0.and(outcomes.1).and(outcomes.2)?;
    produce(cluster, "t", group, 10).await?;
    let mut bodies = Vec::new();
    bodies.extend(read(cluster, group, third).await?);
    let third = members.pop().ok_or("three members")?;
    third.member.leave().await;
    let [first, second] = &mut members[..] else { return Err("two members".into()) };
    both(first, 6, second, 6).await?;
    for member in &mut members {
        bodies.extend(read(cluster, group, member).await?);
    }
    let expected = (0..PARTITIONS).flat_map(|partition| bodies_of(group, partition, 10)).collect::<BTreeSet<_>>();
    assert_eq!(bodies.len(), expected.len());
    assert_eq!(bodies.into_iter().collect::<BTreeSet<_>>(), expected);
    Ok(())
}

fn bodies_of(run: &str, partition: i32, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{run} {partition}-{number}")).collect()
}

/// `count` records to each partition.
async fn produce(cluster: &Cluster, topic: &str, run: &str, count: usize) -> Result<(), Failed> {
    let producer = Producer::new(cluster, ProducerOptions::default());
    for partition in 0..PARTITIONS {
        let records = batch(&bodies_of(run, partition, count), Compression::None)?;
        producer.send(topic, partition, records).await?.await?;
    }
    Ok(())
}

/// Reads the records of a run from what a member has: from the committed offsets to the end of now. Commits.
async fn read(cluster: &Cluster, run: &str, member: &Member) -> Result<Vec<String>, Failed> {
    let places: Vec<Place> = member.held.iter().cloned().collect();
    let numbers: Vec<i32> = places.iter().map(|place| place.partition).collect();
    let mut fetcher = Fetcher::new(cluster, FetchOptions::default());
    let mut left = BTreeSet::new();
    let ends = cluster.offsets("t", &numbers, OffsetAt::Latest).await?;
    for committed in member.member.committed(&places).await? {
        let partition = committed.place.partition;
        let start = committed.offset.unwrap_or(0);
        if ends.iter().any(|end| end.partition == partition && end.offset > Some(start)) {
            fetcher.assign("t", partition, start);
            left.insert(partition);
        }
    }
    let mut decoder = Decoder::new(ArenaPool::new(1 << 20, 2), DecoderOptions::default());
    let mut bodies = Vec::new();
    while !left.is_empty() {
        let fetched = fetcher.next().await?;
        for batch in fetched.batches {
            let events = decoder.decode(batch.bytes, None, 0)?.into_events().ok_or("a control batch")?;
            let texts = (0..events.len()).map(|row| String::from_utf8_lossy(events.body(row)).into_owned());
            bodies.extend(texts.filter(|text| text.starts_with(run)));
        }
        if fetched.next_offset >= fetched.high_watermark {
            left.remove(&fetched.partition);
        }
        let place = Place { topic: fetched.topic, partition: fetched.partition };
        member.member.commit(&[Commit { place, offset: fetched.next_offset, metadata: None }]).await?;
    }
    Ok(bodies)
}

/// Scenario: Kafka's console consumer, with its own cooperative-sticky assignor, joins a group in which we have everything,
/// or we join one where it has; it reads what comes, and ends.
/// Guarantees: the two share evenly whoever divides; it reads exactly what is in the partitions that are not ours; its share
/// comes to us when it ends.
async fn java_and_we(server: &kafka::Cluster, cluster: &Cluster, topic: &str, java_first: bool) -> Result<(), Failed> {
    server.create_topic(&kafka::Topic { partitions: PARTITIONS as u32, ..kafka::Topic::new(topic) })?;
    let options =
        GroupOptions { topics: vec![topic.to_owned()], ..options(&format!("group-{topic}"), GroupProtocol::Classic) };
    let assignor = "partition.assignment.strategy=org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
    let flag = "--consumer-property";
    let mut arguments = vec!["--group", &options.group, flag, assignor, flag, "auto.commit.interval.ms=200"];
    if server.distribution().version().has_common_flags() {
        // Renamed; the old name is still taken, with a warning.
        arguments
            .iter_mut()
            .filter(|argument| **argument == flag)
            .for_each(|argument| *argument = "--command-property");
    }
    let early = if java_first { 12 } else { 0 };
    std::thread::scope(|scope| {
        let arguments = &arguments;
        let java = |count| scope.spawn(move || server.tools().consume(topic, count, arguments));
        let work = async {
            let places: Vec<Place> =
                (0..PARTITIONS).map(|partition| Place { topic: topic.into(), partition }).collect();
            let (mut ours, reading);
            if java_first {
                produce(cluster, topic, "early", 1).await?;
                reading = java(early + 60);
                let deadline = Instant::now() + Duration::from_secs(60);
                while cluster.committed(&options.group, &places).await?.iter().any(|found| found.offset.is_none()) {
                    assert!(Instant::now() < deadline, "the console consumer has committed nothing");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                ours = Member::join(cluster, options.clone());
            } else {
                ours = Member::join(cluster, options.clone());
                ours.until(12).await?;
                reading = java(60);
            }
            ours.until(6).await?;
            let mut expected = BTreeSet::new();
            for place in &places {
                let theirs = !ours.held.contains(place);
                expected.extend(bodies_of("late", place.partition, 10).into_iter().filter(|_| theirs));
                expected.extend(bodies_of("early", place.partition, 1).into_iter().filter(|_| java_first));
            }
            produce(cluster, topic, "late", 10).await?;
            ours.until(12).await?;
            Ok::<_, Failed>((expected, reading))
        };
        // The console consumer is waited for by a thread, and so is what goes on at the same time.
        let (expected, reading) = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(work))?;
        let printed = reading.join().map_err(|_| "the console consumer's thread panicked")??.text();
        assert_eq!(printed.lines().count(), early + 60);
        assert_eq!(printed.lines().map(str::to_owned).collect::<BTreeSet<_>>(), expected);
        Ok(())
    })
}

/// Scenario: a group of a member by the classic protocol is joined by one that takes what the broker offers, then the first
/// leaves; the same the other way round.
/// Guarantees: both kinds share evenly, and each takes over from the other.
async fn both_protocols_share(cluster: &Cluster) -> Result<(), Failed> {
    for (group, kinds) in [
        ("old-first", [GroupProtocol::Classic, GroupProtocol::Auto]),
        ("new-first", [GroupProtocol::Auto, GroupProtocol::Classic]),
    ] {
        let [mut first, mut second] = kinds.map(|kind| Member::join(cluster, options(group, kind)));
        both(&mut first, 6, &mut second, 6).await?;
        first.member.leave().await;
        second.until(12).await?;
        second.member.leave().await;
    }
    Ok(())
}
