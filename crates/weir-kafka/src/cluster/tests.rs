use std::time::Duration;

use kafka_protocol::messages::ApiKey;

use super::*;
use crate::fake::{FakeCluster, Step};
use crate::{ErrorClass, NewTopic};

async fn connect(fake: &FakeCluster) -> Cluster {
    let options = ClusterOptions { retry_pause: Duration::from_millis(1), ..ClusterOptions::new(fake.bootstrap()) };
    Cluster::connect(options).await.expect("a cluster")
}

/// Scenario: bootstrap addresses of which only the last answers, none answers, or one is no address.
/// Guarantees: one that answers is enough, and says which cluster it is; otherwise the error says what was tried.
#[tokio::test]
async fn one_bootstrap_address_is_enough() {
    let fake = FakeCluster::start(3).await;
    // Port 1 is never listened on here.
    let addresses = ["127.0.0.1:1".to_owned(), fake.bootstrap()[2].clone()];
    let cluster = Cluster::connect(ClusterOptions::new(addresses)).await.expect("a cluster");
    assert_eq!(cluster.brokers().iter().map(|broker| broker.id).collect::<Vec<_>>(), vec![1, 2, 3]);
    assert_eq!(cluster.id().as_deref(), Some("fake"));
    assert_eq!(cluster.brokers()[1].rack.as_deref(), Some("rack2"));
    let Err(error) = Cluster::connect(ClusterOptions::new(["127.0.0.1:1"])).await else { panic!("connected") };
    assert!(matches!(error, ClusterError::Unreachable { tried: 1, .. }), "{error}");
    let Err(error) = Cluster::connect(ClusterOptions::new(["nonsense"])).await else { panic!("connected") };
    assert!(matches!(error, ClusterError::Address { .. }), "{error}");
}

/// Scenario: topics are created, described, and asked for without being there; a broker fails once in between.
/// Guarantees: leaders are spread and known, passing errors are retried, a missing topic is an error that says so.
#[tokio::test]
async fn topics_are_created_and_described() {
    let fake = FakeCluster::start(2).await;
    let cluster = connect(&fake).await;
    // NOT_CONTROLLER, then a lost connection.
    fake.script(ApiKey::CreateTopics, [Step::Refuse(41), Step::Disconnect]);
    let new = NewTopic { name: "t".to_owned(), partitions: Some(3), replicas: None, settings: Vec::new() };
    let topic = cluster.create_topic(&new).await.expect("created");
    let leaders: Vec<_> = topic.partitions.iter().map(|partition| partition.leader).collect();
    assert_eq!(leaders, vec![Some(1), Some(2), Some(1)]);
    let again = cluster.create_topic(&new).await.expect_err("it is there");
    assert!(matches!(again, ClusterError::Refused { code: crate::ErrorCode::TOPIC_ALREADY_EXISTS, .. }), "{again}");
    let missing = cluster.topic("missing").await.expect_err("not there");
    assert_eq!(missing.class(), ErrorClass::RefreshMetadata);
    assert_eq!(cluster.topics().await.expect("all").len(), 1);
}

/// Scenario: the leader of a partition moves, and a broker that has not heard of it is asked.
/// Guarantees: a refresh finds the new leader.
#[tokio::test]
async fn refreshing_follows_leaders() {
    let fake = FakeCluster::start(2).await;
    fake.create_topic("t", 1);
    let cluster = connect(&fake).await;
    cluster.topic("t").await.expect("there");
    fake.move_leader("t", 0, 2);
    assert_eq!(cluster.leader("t", 0), Ok(Some(1)));
    cluster.refresh(&["t"]).await.expect("metadata");
    assert_eq!(cluster.leader("t", 0), Ok(Some(2)));
    assert!(cluster.leader("t", 1).is_err());
    assert_eq!(cluster.leader("u", 0), Ok(None));
}

/// Scenario: offsets are asked for while a leader moves.
/// Guarantees: the answer comes from the new leader.
#[tokio::test]
async fn offsets_are_found_after_a_move() {
    let fake = FakeCluster::start(2).await;
    fake.create_topic("t", 2);
    let cluster = connect(&fake).await;
    cluster.topic("t").await.expect("there");
    fake.move_leader("t", 0, 2);
    let mut found = cluster.offsets("t", &[0, 1], OffsetAt::Latest).await.expect("offsets");
    found.sort_by_key(|found| found.partition);
    assert_eq!(found.iter().map(|found| found.offset).collect::<Vec<_>>(), vec![Some(0), Some(0)]);
    let by_time = cluster.offsets("t", &[1], OffsetAt::Time(5)).await.expect("offsets");
    assert_eq!(by_time[0].offset, None);
}
