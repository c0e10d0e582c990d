use super::options::{ClusterOptions, Listener, Mechanism};
use super::probe::{PartitionState, parse};
use super::properties::{self, Place};

/// A metadata response of version 1: brokers 1 and 2, one topic with a led partition and one without a leader.
fn answer() -> Vec<u8> {
    fn string(out: &mut Vec<u8>, text: Option<&str>) {
        out.extend_from_slice(&text.map_or(-1, |text| text.len() as i16).to_be_bytes());
        out.extend_from_slice(text.unwrap_or_default().as_bytes());
    }
    fn numbers(out: &mut Vec<u8>, all: &[i32]) {
        all.iter().for_each(|number| out.extend_from_slice(&number.to_be_bytes()));
    }
    let mut out = Vec::new();
    numbers(&mut out, &[7, 2]);
    for broker in [1, 2] {
        numbers(&mut out, &[broker]);
        string(&mut out, Some("127.0.0.1"));
        numbers(&mut out, &[9092]);
        string(&mut out, None);
    }
    numbers(&mut out, &[1, 1]);
    out.extend_from_slice(&[0, 0]);
    string(&mut out, Some("events"));
    out.push(0);
    numbers(&mut out, &[2]);
    out.extend_from_slice(&[0, 0]);
    numbers(&mut out, &[0, 2, 2, 1, 2, 1, 2]);
    out.extend_from_slice(&[0, 5]);
    numbers(&mut out, &[1, -1, 1, 1, 0]);
    out
}

/// Scenario: a metadata response, whole and cut after every byte.
/// Guarantees: the whole one is understood; a cut one is an error, never a smaller cluster.
#[test]
fn metadata_is_read() {
    let answer = answer();
    let metadata = parse(&answer).expect("it is whole");
    assert_eq!(metadata.brokers, [1, 2]);
    let led = PartitionState {
        topic: "events".into(),
        partition: 0,
        leader: Some(2),
        replicas: vec![1, 2],
        in_sync: vec![2],
    };
    assert_eq!(metadata.partition("events", 0), Some(&led));
    assert_eq!(metadata.partition("events", 1).map(|state| state.leader), Some(None));
    assert_eq!(metadata.partition("others", 0), None);
    for length in 0..answer.len() {
        assert!(parse(&answer[..length]).is_err(), "cut to {length} bytes");
    }
}

/// Scenario: three nodes with a SASL listener and a property of the test.
/// Guarantees: each knows all voters and its own ports only; the test's property comes after the launcher's.
#[test]
fn nodes_get_their_own_ports() {
    let places: Vec<Place> = (1..=3)
        .map(|id| Place { id, controller: 100 + id as u16, plain: 200 + id as u16, listeners: vec![300 + id as u16] })
        .collect();
    let options = ClusterOptions {
        brokers: 3,
        listeners: vec![Listener::Sasl],
        properties: vec![("num.io.threads".into(), "1".into())],
        ..ClusterOptions::default()
    };
    let text = properties::of_node(&places[1], &places, &options, None);
    let values = |key: &str| -> Vec<&str> {
        text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
    };
    assert_eq!(values("node.id"), ["2"]);
    assert_eq!(values("controller.quorum.voters"), ["1@127.0.0.1:101,2@127.0.0.1:102,3@127.0.0.1:103"]);
    assert_eq!(values("listeners"), ["PLAINTEXT://127.0.0.1:202,SASL://127.0.0.1:302,CONTROLLER://127.0.0.1:102"]);
    assert_eq!(values("advertised.listeners"), ["PLAINTEXT://127.0.0.1:202,SASL://127.0.0.1:302"]);
    assert_eq!(values("offsets.topic.replication.factor"), ["3"]);
    assert_eq!(values("num.io.threads").last(), Some(&"1"));
    assert!(values("listener.name.sasl.plain.sasl.jaas.config")[0].contains("user_weir=\"weir-secret\""));
}

/// Scenario: none: this is checked when it is compiled.
/// Guarantees: the tests of a binary may share a cluster.
#[test]
fn a_cluster_can_be_shared() {
    fn shared<T: Send + Sync>() {}
    shared::<super::Cluster>();
}

/// Scenario: the properties of clients of a listener with SASL, by two mechanisms.
/// Guarantees: a token has a subject where the others have name and password.
#[test]
fn clients_say_who_they_are() {
    let text = properties::of_client(Listener::Sasl, Mechanism::ScramSha512, None);
    assert!(text.contains("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512\n"), "{text}");
    assert!(text.contains("username=\"weir\" password=\"weir-secret\""), "{text}");
    let text = properties::of_client(Listener::Sasl, Mechanism::OauthBearer, None);
    assert!(text.contains("unsecuredLoginStringClaim_sub=\"weir\""), "{text}");
}
