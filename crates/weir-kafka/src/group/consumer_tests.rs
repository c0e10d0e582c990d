//! The consumer protocol on the fake broker; what both protocols have in common is in `tests.rs`.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_protocol::messages::ApiKey;

use super::tests::{start, until};
use super::*;
use crate::fake::Step;
use crate::{Cluster, ErrorClass};

fn join(cluster: &Cluster, options: GroupOptions) -> GroupMember {
    GroupMember::join(cluster, GroupOptions { heartbeat_interval: Duration::from_millis(5), ..options })
}

fn consumer() -> GroupOptions {
    GroupOptions { protocol: GroupProtocol::Consumer, ..GroupOptions::new("g", ["t"]) }
}

/// Scenario: joining and staying meet every kind of passing trouble, answers get lost behind the deed, then the coordinator
/// fences the member, then forgets it.
/// Guarantees: the passing ones are not noticed; after each of the others everything is lost and assigned again.
#[tokio::test]
async fn memberships_survive_the_coordinator() {
    let (fake, cluster) = start(2).await;
    let beat = ApiKey::ConsumerGroupHeartbeat;
    fake.script(ApiKey::FindCoordinator, [Step::Refuse(15), Step::Disconnect]);
    fake.script(beat, [Step::Refuse(14), Step::Disconnect, Step::ServeThenDisconnect]);
    let (mut member, mut held) = (join(&cluster, consumer()), BTreeSet::new());
    until(&mut member, &mut held, 2).await;
    let before = fake.requests(beat);
    fake.script(beat, [Step::Refuse(16), Step::Disconnect, Step::ServeThenDisconnect, Step::Garble, Step::Refuse(-1)]);
    while fake.requests(beat) < before + 10 {
        tokio::task::yield_now().await;
    }
    // FENCED_MEMBER_EPOCH
    fake.script(beat, [Step::Refuse(110)]);
    assert!(matches!(member.next().await, Some(GroupEvent::Lost(places)) if places.len() == 2));
    assert!(matches!(member.next().await, Some(GroupEvent::Assigned(places)) if places.len() == 2));
    fake.expel_members("g");
    assert!(matches!(member.next().await, Some(GroupEvent::Lost(places)) if places.len() == 2));
    assert!(matches!(member.next().await, Some(GroupEvent::Assigned(places)) if places.len() == 2));
}

/// Scenario: the broker has only the preview of the protocol, or does not let the member in by it; the member insists or
/// does not, or is static.
/// Guarantees: without insistence it joins by the classic protocol, static ones at once; with it the reason is told.
#[tokio::test]
async fn the_classic_protocol_is_fallen_back_on() {
    let beat = ApiKey::ConsumerGroupHeartbeat;
    // UNSUPPORTED_VERSION, GROUP_ID_NOT_FOUND, INCONSISTENT_GROUP_PROTOCOL, UNSUPPORTED_ASSIGNOR
    for refusal in [None, Some(35), Some(69), Some(23), Some(112)] {
        for protocol in [GroupProtocol::Auto, GroupProtocol::Consumer] {
            let (fake, cluster) = start(2).await;
            match refusal {
                None => fake.limit_versions(beat, 0, 0),
                Some(code) => fake.script(beat, [Step::Refuse(code)]),
            }
            let options = GroupOptions { protocol, ..consumer() };
            let (mut member, mut held) = (join(&cluster, options), BTreeSet::new());
            if protocol == GroupProtocol::Consumer {
                assert!(matches!(member.next().await, Some(GroupEvent::Failed(_))), "{refusal:?}");
                assert!(member.next().await.is_none());
                continue;
            }
            until(&mut member, &mut held, 2).await;
            assert_eq!(fake.requests(beat), usize::from(refusal.is_some()));
            let commit = Commit { place: held.first().cloned().expect("two"), offset: 7, metadata: None };
            member.commit(&[commit]).await.expect("committed");
        }
    }
    let (fake, cluster) = start(2).await;
    let options = GroupOptions { instance: Some("one".to_owned()), ..GroupOptions::new("g", ["t"]) };
    let (mut member, mut held) = (join(&cluster, options), BTreeSet::new());
    until(&mut member, &mut held, 2).await;
    assert_eq!(fake.requests(beat), 0);
}

/// Scenario: offsets are committed and read while the member's epoch moves on, then the member is not known any more.
/// Guarantees: a stale epoch is waited out; a lost membership is an error that says to start anew.
#[tokio::test]
async fn offsets_follow_the_epoch() {
    let (fake, cluster) = start(2).await;
    let (mut member, mut held) = (join(&cluster, consumer()), BTreeSet::new());
    until(&mut member, &mut held, 2).await;
    let places: Vec<Place> = held.iter().cloned().collect();
    let commit = |offset| [Commit { place: places[0].clone(), offset, metadata: None }];
    // STALE_MEMBER_EPOCH
    fake.script(ApiKey::OffsetCommit, [Step::Refuse(113), Step::Disconnect, Step::Refuse(113)]);
    member.commit(&commit(42)).await.expect("committed");
    fake.script(ApiKey::OffsetFetch, [Step::Refuse(113), Step::Disconnect]);
    assert_eq!(member.committed(&places).await.expect("offsets")[0].offset, Some(42));
    // UNKNOWN_MEMBER_ID
    fake.script(ApiKey::OffsetCommit, [Step::Refuse(25)]);
    assert_eq!(member.commit(&commit(43)).await.expect_err("not a member").class(), ErrorClass::Fatal);
    // With another member the epoch moves on at a time the committing one does not know.
    let (mut second, mut held_second) = (join(&cluster, consumer()), BTreeSet::new());
    tokio::join!(until(&mut member, &mut held, 1), until(&mut second, &mut held_second, 1));
    let place = held.first().cloned().expect("one");
    member.commit(&[Commit { place, offset: 44, metadata: None }]).await.expect("committed");
}

/// Scenario: the owner takes its time to give up partitions, commits meanwhile, and then confirms; another time the
/// coordinator fences it meanwhile.
/// Guarantees: heartbeats go on; nobody gets the partitions before; a fenced member is told that all is lost.
#[tokio::test]
async fn giving_up_may_take_time() {
    for fenced in [false, true] {
        let (fake, cluster) = start(4).await;
        let beat = ApiKey::ConsumerGroupHeartbeat;
        let (mut first, mut held) = (join(&cluster, consumer()), BTreeSet::new());
        until(&mut first, &mut held, 4).await;
        let (mut second, mut held_second) = (join(&cluster, consumer()), BTreeSet::new());
        let Some(GroupEvent::Revoke(places)) = first.next().await else { panic!("nothing to give up") };
        assert_eq!(places.len(), 2);
        let before = fake.requests(beat);
        while fake.requests(beat) < before + 10 {
            tokio::task::yield_now().await;
        }
        if fenced {
            fake.expel_members("g");
            assert!(matches!(first.next().await, Some(GroupEvent::Lost(places)) if places.len() == 4));
            held.clear();
            tokio::join!(until(&mut first, &mut held, 2), until(&mut second, &mut held_second, 2));
        } else {
            let commits: Vec<Commit> =
                places.iter().map(|place| Commit { place: place.clone(), offset: 1, metadata: None }).collect();
            first.commit(&commits).await.expect("committed");
            held.retain(|place| !places.contains(place));
            first.revoked().await;
            until(&mut second, &mut held_second, 2).await;
        }
        assert!(held.is_disjoint(&held_second));
    }
}

/// Scenario: a member subscribes to a topic that metadata does not have yet, that gains partitions, and whose name the
/// broker refuses to give at first; then the member may not read at all.
/// Guarantees: partitions follow; the refusal is told with the broker's words.
#[tokio::test]
async fn subscriptions_follow_metadata() {
    let (fake, cluster) = start(2).await;
    let (mut member, mut held) = (join(&cluster, consumer()), BTreeSet::new());
    until(&mut member, &mut held, 2).await;
    fake.create_topic("u", 3);
    fake.script(ApiKey::Metadata, [Step::Disconnect, Step::Refuse(5)]);
    member.set_topics(vec!["t".to_owned(), "u".to_owned()]).await;
    until(&mut member, &mut held, 5).await;
    fake.create_topic("u", 4);
    until(&mut member, &mut held, 6).await;
    member.set_topics(vec!["u".to_owned()]).await;
    until(&mut member, &mut held, 4).await;
    // GROUP_AUTHORIZATION_FAILED
    fake.script(ApiKey::ConsumerGroupHeartbeat, [Step::Refuse(30)]);
    assert!(matches!(member.next().await, Some(GroupEvent::Lost(places)) if places.len() == 4));
    let Some(GroupEvent::Failed(error)) = member.next().await else { panic!("not told") };
    assert_eq!(error.to_string(), "staying in group g failed with GroupAuthorizationFailed (30): as scripted");
}

/// Scenario: by both protocols, a member is fenced and has joined again when its owner, who has not heard of either, commits
/// what it has of before; another member has gone on from there meanwhile.
/// Guarantees: the late commit is refused and moves nothing, also once its owner knows; one of the new stay is taken.
#[tokio::test]
async fn a_commit_counts_for_the_stay_it_is_of() {
    for (protocol, beat) in
        [(GroupProtocol::Consumer, ApiKey::ConsumerGroupHeartbeat), (GroupProtocol::Classic, ApiKey::Heartbeat)]
    {
        let (fake, cluster) = start(1).await;
        let (mut member, mut held) = (join(&cluster, GroupOptions { protocol, ..consumer() }), BTreeSet::new());
        until(&mut member, &mut held, 1).await;
        let place = held.first().cloned().expect("one");
        let commit = |offset| [Commit { place: place.clone(), offset, metadata: None }];
        member.commit(&commit(900)).await.expect("committed");
        fake.expel_members("g");
        let before = fake.requests(beat);
        while fake.requests(beat) < before + 20 {
            tokio::task::yield_now().await;
        }
        let refused = member.commit(&commit(500)).await.expect_err("of an earlier stay");
        assert_eq!(refused.class(), ErrorClass::Fatal, "{protocol:?}");
        assert!(matches!(member.next().await, Some(GroupEvent::Lost(places)) if places.len() == 1));
        assert!(member.commit(&commit(500)).await.is_err(), "{protocol:?}");
        let places = [place.clone()];
        assert_eq!(cluster.committed("g", &places).await.expect("offsets")[0].offset, Some(900), "{protocol:?}");
        assert!(matches!(member.next().await, Some(GroupEvent::Assigned(places)) if places.len() == 1));
        member.commit(&commit(901)).await.expect("committed");
    }
}
