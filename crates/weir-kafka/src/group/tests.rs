use std::collections::BTreeSet;
use std::time::Duration;

use kafka_protocol::messages::ApiKey;

use super::*;
use crate::fake::{FakeCluster, Step};
use crate::{Cluster, ClusterOptions, ErrorClass};

pub(super) async fn start(partitions: usize) -> (FakeCluster, Cluster) {
    let fake = FakeCluster::start(2).await;
    fake.create_topic("t", partitions);
    let options = ClusterOptions { retry_pause: Duration::from_millis(1), ..ClusterOptions::new(fake.bootstrap()) };
    let cluster = Cluster::connect(options).await.expect("a cluster");
    (fake, cluster)
}

fn join(cluster: &Cluster, assignor: Assignor) -> GroupMember {
    join_by(cluster, GroupProtocol::Classic, assignor)
}

fn join_by(cluster: &Cluster, protocol: GroupProtocol, assignor: Assignor) -> GroupMember {
    let heartbeat_interval = Duration::from_millis(5);
    GroupMember::join(cluster, GroupOptions { heartbeat_interval, protocol, assignor, ..GroupOptions::new("g", ["t"]) })
}

/// Takes events until the member has `count` partitions, confirming what is to be given up.
pub(super) async fn until(member: &mut GroupMember, held: &mut BTreeSet<Place>, count: usize) {
    while held.len() != count {
        match member.next().await.expect("the membership goes on") {
            GroupEvent::Assigned(places) => held.extend(places),
            GroupEvent::Lost(places) => held.retain(|place| !places.contains(place)),
            GroupEvent::Revoke(places) => {
                held.retain(|place| !places.contains(place));
                member.revoked().await;
            }
            GroupEvent::Failed(error) => panic!("{error}"),
        }
    }
}

/// Scenario: two members share six partitions, then one leaves; by both assignors and both protocols.
/// Guarantees: three each, then six again, never one with two members.
#[tokio::test]
async fn members_share_and_take_over() {
    for (protocol, assignor) in [
        (GroupProtocol::Classic, Assignor::CooperativeSticky),
        (GroupProtocol::Classic, Assignor::Range),
        (GroupProtocol::Auto, Assignor::CooperativeSticky),
    ] {
        let (fake, cluster) = start(6).await;
        let (mut first, mut held_first) = (join_by(&cluster, protocol, assignor), BTreeSet::new());
        until(&mut first, &mut held_first, 6).await;
        let (mut second, mut held_second) = (join_by(&cluster, protocol, assignor), BTreeSet::new());
        tokio::join!(until(&mut first, &mut held_first, 3), until(&mut second, &mut held_second, 3));
        assert!(held_first.is_disjoint(&held_second), "{assignor:?}");
        second.leave().await;
        until(&mut first, &mut held_first, 6).await;
        assert_eq!(fake.requests(ApiKey::JoinGroup) == 0, protocol == GroupProtocol::Auto);
    }
}

/// Scenario: offsets with and without text are committed and read; the coordinator fails in passing ways in between.
/// Guarantees: what was committed is read back; nothing is reported that was not committed.
#[tokio::test]
async fn offsets_are_kept() {
    let (fake, cluster) = start(2).await;
    let (mut member, mut held) = (join(&cluster, Assignor::default()), BTreeSet::new());
    until(&mut member, &mut held, 2).await;
    let places: Vec<Place> = held.iter().cloned().collect();
    // NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS
    fake.script(ApiKey::OffsetCommit, [Step::Refuse(16), Step::Disconnect, Step::Refuse(14)]);
    let commit = Commit { place: places[0].clone(), offset: 42, metadata: Some("note".to_owned()) };
    member.commit(&[commit]).await.expect("committed");
    fake.script(ApiKey::OffsetFetch, [Step::Refuse(14), Step::Disconnect]);
    let committed = member.committed(&places).await.expect("offsets");
    assert_eq!(
        committed[0],
        Committed { place: places[0].clone(), offset: Some(42), metadata: Some("note".to_owned()) }
    );
    assert_eq!(committed[1].offset, None);
    // Not a member; by the form that older brokers have, too.
    fake.script(ApiKey::FindCoordinator, [Step::Refuse(15)]);
    fake.script(ApiKey::OffsetFetch, [Step::Refuse(16), Step::Disconnect]);
    assert_eq!(cluster.committed("g", &places).await.expect("offsets"), committed);
    assert_eq!(cluster.committed("other", &places).await.expect("offsets")[0].offset, None);
    fake.limit_versions(ApiKey::OffsetFetch, 1, 6);
    fake.script(ApiKey::OffsetFetch, [Step::Disconnect]);
    assert_eq!(cluster.committed("g", &places).await.expect("offsets"), committed);
    // ILLEGAL_GENERATION
    fake.script(ApiKey::OffsetCommit, [Step::Refuse(22)]);
    let late = Commit { place: places[1].clone(), offset: 1, metadata: None };
    assert_eq!(member.commit(&[late]).await.expect_err("fenced").class(), ErrorClass::Fatal);
}

/// Scenario: heartbeats, joins and syncs meet passing errors, then the coordinator no longer knows the member.
/// Guarantees: the first are not noticed; after the last the partitions are reported lost and then assigned again.
#[tokio::test]
async fn memberships_survive_the_coordinator() {
    let (fake, cluster) = start(2).await;
    fake.script(ApiKey::FindCoordinator, [Step::Refuse(15), Step::Disconnect]);
    fake.script(ApiKey::JoinGroup, [Step::Refuse(14), Step::Disconnect, Step::Serve, Step::Refuse(16)]);
    fake.script(ApiKey::SyncGroup, [Step::Refuse(27), Step::Disconnect]);
    let (mut member, mut held) = (join(&cluster, Assignor::default()), BTreeSet::new());
    until(&mut member, &mut held, 2).await;
    // NOT_COORDINATOR, REBALANCE_IN_PROGRESS
    fake.script(ApiKey::Heartbeat, [Step::Refuse(16), Step::Disconnect, Step::Refuse(27)]);
    while fake.requests(ApiKey::Heartbeat) < 4 {
        tokio::task::yield_now().await;
    }
    fake.expel_members("g");
    assert!(matches!(member.next().await, Some(GroupEvent::Lost(places)) if places.len() == 2));
    assert!(matches!(member.next().await, Some(GroupEvent::Assigned(places)) if places.len() == 2));
}

/// Scenario: the coordinator takes heartbeats and never answers, while requests have far more time than a session.
/// Guarantees: by both protocols the partitions are given up when the session ends, not when the request does; later the
/// member has them again.
#[tokio::test]
async fn silence_ends_a_session() {
    for (protocol, beat) in
        [(GroupProtocol::Classic, ApiKey::Heartbeat), (GroupProtocol::Consumer, ApiKey::ConsumerGroupHeartbeat)]
    {
        let (fake, cluster) = start(2).await;
        let (heartbeat_interval, session_timeout) = (Duration::from_millis(5), Duration::from_millis(200));
        let options = GroupOptions { protocol, heartbeat_interval, session_timeout, ..GroupOptions::new("g", ["t"]) };
        let (mut member, mut held) = (GroupMember::join(&cluster, options), BTreeSet::new());
        until(&mut member, &mut held, 2).await;
        fake.script(beat, [Step::Ignore]);
        // Far below the 30 s that the request has.
        let told = tokio::time::timeout(Duration::from_secs(15), member.next()).await.expect("within the session");
        assert!(matches!(told, Some(GroupEvent::Lost(places)) if places.len() == 2), "{protocol:?}");
        held.clear();
        until(&mut member, &mut held, 2).await;
    }
}

/// Scenario: the coordinator refuses the member for good.
/// Guarantees: the partitions are lost, the reason is told, and then nothing more comes.
#[tokio::test]
async fn lasting_refusals_end_a_membership() {
    let (fake, cluster) = start(1).await;
    let (mut member, mut held) = (join(&cluster, Assignor::default()), BTreeSet::new());
    until(&mut member, &mut held, 1).await;
    // FENCED_INSTANCE_ID
    fake.script(ApiKey::Heartbeat, [Step::Refuse(82)]);
    assert!(matches!(member.next().await, Some(GroupEvent::Lost(_))));
    let Some(GroupEvent::Failed(error)) = member.next().await else { panic!("not told") };
    assert_eq!(error.to_string(), "staying in group g failed with FencedInstanceId (82)");
    assert!(member.next().await.is_none());
}

/// Scenario: a member changes its topics; a topic gains partitions.
/// Guarantees: partitions follow.
#[tokio::test]
async fn subscriptions_change() {
    let (fake, cluster) = start(2).await;
    fake.create_topic("u", 3);
    let (mut member, mut held) = (join(&cluster, Assignor::default()), BTreeSet::new());
    until(&mut member, &mut held, 2).await;
    member.set_topics(vec!["t".to_owned(), "u".to_owned()]).await;
    until(&mut member, &mut held, 5).await;
    fake.create_topic("u", 4);
    cluster.refresh(&["u"]).await.expect("metadata");
    until(&mut member, &mut held, 6).await;
}

/// Scenario: a member with partitions joins again, and the coordinator takes the request and is never heard of again.
/// Guarantees: the partitions are given up when the session ends, not when the round would; later it has them again.
#[tokio::test]
async fn silence_while_joining_ends_a_session() {
    let (fake, cluster) = start(2).await;
    let (heartbeat_interval, session_timeout) = (Duration::from_millis(5), Duration::from_millis(200));
    let protocol = GroupProtocol::Classic;
    let options = GroupOptions { protocol, heartbeat_interval, session_timeout, ..GroupOptions::new("g", ["t"]) };
    let (mut member, mut held) = (GroupMember::join(&cluster, options), BTreeSet::new());
    until(&mut member, &mut held, 2).await;
    for api in [ApiKey::JoinGroup, ApiKey::SyncGroup] {
        let before = fake.requests(api);
        fake.script(api, [Step::Ignore]);
        member.set_topics(vec!["t".to_owned()]).await;
        while fake.requests(api) == before {
            tokio::task::yield_now().await;
        }
        fake.script(ApiKey::Heartbeat, [Step::Ignore]);
        // Far below the 90 s that the request has.
        let told = tokio::time::timeout(Duration::from_secs(15), member.next()).await.expect("within the session");
        assert!(matches!(told, Some(GroupEvent::Lost(places)) if places.len() == 2), "{api:?}");
        held.clear();
        until(&mut member, &mut held, 2).await;
    }
}

/// Scenario: a round waits for a member that does not join, for longer than a session lasts; then the coordinator does not
/// know the member any more that waits.
/// Guarantees: as long as the coordinator answers its heartbeats it keeps its partitions; then they are lost.
#[tokio::test]
async fn a_round_may_take_longer_than_a_session() {
    let (fake, cluster) = start(2).await;
    let (heartbeat_interval, session_timeout) = (Duration::from_millis(5), Duration::from_millis(200));
    let protocol = GroupProtocol::Classic;
    let options = GroupOptions { protocol, heartbeat_interval, session_timeout, ..GroupOptions::new("g", ["t"]) };
    let (mut first, mut held) = (GroupMember::join(&cluster, options.clone()), BTreeSet::new());
    until(&mut first, &mut held, 2).await;
    let (mut second, mut held_second) = (GroupMember::join(&cluster, options), BTreeSet::new());
    tokio::join!(until(&mut first, &mut held, 1), until(&mut second, &mut held_second, 1));
    // Without a word, so that the coordinator waits for it.
    drop(second);
    first.set_topics(vec!["t".to_owned()]).await;
    let begun = tokio::time::Instant::now();
    let before = fake.requests(ApiKey::Heartbeat);
    while fake.requests(ApiKey::Heartbeat) < before + 10 || begun.elapsed() < 3 * session_timeout {
        tokio::time::sleep(heartbeat_interval).await;
    }
    let told = tokio::time::timeout(Duration::ZERO, first.next()).await;
    assert!(told.is_err(), "{told:?}");
    fake.expel_members("g");
    assert!(matches!(first.next().await, Some(GroupEvent::Lost(places)) if places.len() == 1));
}

/// Scenario: the coordinator forgets a member while its owner takes its time to give up partitions.
/// Guarantees: the member hears that all is lost, and does not wait for the owner.
#[tokio::test]
async fn a_member_is_expelled_while_giving_up() {
    let (fake, cluster) = start(4).await;
    let (mut first, mut held) = (join(&cluster, Assignor::default()), BTreeSet::new());
    until(&mut first, &mut held, 4).await;
    let (mut second, mut held_second) = (join(&cluster, Assignor::default()), BTreeSet::new());
    let Some(GroupEvent::Revoke(places)) = first.next().await else { panic!("nothing to give up") };
    assert_eq!(places.len(), 2);
    fake.expel_members("g");
    // Far below the 60 s that the owner has.
    let told = tokio::time::timeout(Duration::from_secs(15), first.next()).await.expect("at the next heartbeat");
    assert!(matches!(told, Some(GroupEvent::Lost(places)) if places.len() == 4));
    held.clear();
    tokio::join!(until(&mut first, &mut held, 2), until(&mut second, &mut held_second, 2));
    assert!(held.is_disjoint(&held_second));
}
