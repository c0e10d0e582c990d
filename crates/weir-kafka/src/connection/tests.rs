use std::task::Poll;
use std::time::Duration;

use kafka_protocol::messages::{ApiKey, MetadataRequest};

use super::*;
use crate::fake::{FakeCluster, Step};

const TIMEOUT: Duration = Duration::from_secs(30);

async fn open(fake: &FakeCluster, options: &ConnectionOptions) -> Result<Connection, ConnectionError> {
    let security = SecurityContext::new(&options.security).expect("no TLS");
    Connection::open(&fake.bootstrap()[0], options, &security).await
}

/// Scenario: a broker that knows only old versions, then one that refuses the version of the first question.
/// Guarantees: the newest version both know is used, and one without any is an error that names both ranges.
#[tokio::test]
async fn versions_are_agreed_on() {
    let fake = FakeCluster::start(1).await;
    fake.limit_versions(ApiKey::Metadata, 1, 9);
    // UNSUPPORTED_VERSION: the fake, as a broker does, then answers in version 0.
    fake.script(ApiKey::ApiVersions, [Step::Refuse(35)]);
    let connection = open(&fake, &ConnectionOptions::default()).await.expect("a connection");
    assert_eq!(connection.version::<MetadataRequest>().expect("a common version"), 9);
    connection.call(&MetadataRequest::default(), TIMEOUT).await.expect("an answer");
    fake.limit_versions(ApiKey::Metadata, 90, 99);
    let newer = open(&fake, &ConnectionOptions::default()).await.expect("a connection");
    let error = newer.call(&MetadataRequest::default(), TIMEOUT).await.expect_err("no common version");
    assert!(matches!(error, ConnectionError::Unsupported { theirs: Some((90, 99)), ours: (4, 12), .. }), "{error}");
}

/// Scenario: eight requests at once on one connection.
/// Guarantees: all are answered, each with its own answer.
#[tokio::test]
async fn requests_share_a_connection() {
    let fake = FakeCluster::start(1).await;
    fake.create_topic("t", 3);
    let options = ConnectionOptions { in_flight_requests_max: 3, ..ConnectionOptions::default() };
    let connection = open(&fake, &options).await.expect("a connection");
    let calls = (0..8).map(|_| {
        let connection = connection.clone();
        tokio::spawn(async move { connection.call(&MetadataRequest::default().with_topics(None), TIMEOUT).await })
    });
    for call in calls.collect::<Vec<_>>() {
        let answer = call.await.expect("no panic").expect("an answer");
        assert_eq!(answer.topics[0].partitions.len(), 3);
    }
    assert_eq!(fake.requests(ApiKey::Metadata), 8);
}

/// Scenario: a broker hangs up, sends garbage, or stays silent, while several requests wait.
/// Guarantees: every waiter learns the same cause, and so does whoever comes later.
#[tokio::test]
async fn failures_reach_every_waiter() {
    for step in [Step::Disconnect, Step::Garble, Step::Ignore] {
        let fake = FakeCluster::start(1).await;
        let connection = open(&fake, &ConnectionOptions::default()).await.expect("a connection");
        fake.script(ApiKey::Metadata, [step]);
        // Short only where the broker is silent for good.
        let timeout = if step == Step::Ignore { Duration::from_millis(50) } else { TIMEOUT };
        let calls: Vec<_> = (0..3)
            .map(|_| {
                let connection = connection.clone();
                tokio::spawn(async move { connection.call(&MetadataRequest::default(), timeout).await })
            })
            .collect();
        for call in calls {
            let error = call.await.expect("no panic").expect_err("the connection is gone");
            let expected = match step {
                Step::Disconnect => matches!(error, ConnectionError::Closed { .. } | ConnectionError::Io { .. }),
                Step::Garble => matches!(error, ConnectionError::Malformed { .. }),
                _ => matches!(error, ConnectionError::TimedOut { what: "Metadata", .. }),
            };
            assert!(expected, "{step:?}: {error}");
        }
        assert!(!connection.is_up());
        assert!(connection.call(&MetadataRequest::default(), TIMEOUT).await.is_err());
    }
}

/// Scenario: an answer larger than the limit.
/// Guarantees: it is refused by its length alone.
#[tokio::test]
async fn answers_have_a_largest_size() {
    let fake = FakeCluster::start(1).await;
    fake.create_topic("t", 3_000);
    let options = ConnectionOptions { response_bytes_max: 10_000, ..ConnectionOptions::default() };
    let connection = open(&fake, &options).await.expect("a connection");
    let error = connection.call(&MetadataRequest::default().with_topics(None), TIMEOUT).await.expect_err("too large");
    assert!(error.to_string().contains("the limit is 10000"), "{error}");
}

/// Scenario: SASL PLAIN with the right and a wrong password, and a mechanism the broker lacks.
/// Guarantees: only the first connects; the others say why; the password is in no message.
#[tokio::test]
async fn credentials_are_checked() {
    let fake = FakeCluster::start(1).await;
    fake.require_password("correct horse");
    let with =
        |sasl| ConnectionOptions { security: Security { tls: None, sasl: Some(sasl) }, ..ConnectionOptions::default() };
    assert!(open(&fake, &plain("correct horse")).await.is_ok());
    let Err(error) = open(&fake, &plain("wrong horse")).await else { panic!("let in") };
    assert!(error.to_string().ends_with("did not agree on PLAIN: wrong password"), "{error}");
    let scram = Sasl::Scram {
        mechanism: ScramMechanism::Sha512,
        username: "user".to_owned(),
        password: Secret::new("correct horse"),
    };
    let Err(error) = open(&fake, &with(scram.clone())).await else { panic!("let in") };
    assert!(error.to_string().contains("the broker offers PLAIN"), "{error}");
    assert!(!format!("{scram:?}").contains("horse"));
}

fn plain(password: &str) -> ConnectionOptions {
    let sasl = Sasl::Plain { username: "user".to_owned(), password: Secret::new(password) };
    ConnectionOptions { security: Security { tls: None, sasl: Some(sasl) }, ..ConnectionOptions::default() }
}

/// Scenario: a broker that lets sessions last 50 ms, and hangs up if anything comes in the middle of an authentication;
/// eight callers send one request after another over one connection for ten sessions.
/// Guarantees: every request is answered, and none was sent twice.
#[tokio::test]
async fn sessions_are_renewed_under_load() {
    let fake = FakeCluster::start(1).await;
    fake.require_password("correct horse");
    fake.limit_sessions(Duration::from_millis(50));
    let options = ConnectionOptions { in_flight_requests_max: 4, ..plain("correct horse") };
    let connection = open(&fake, &options).await.expect("a connection");
    let call = async || {
        let mut answers = 0;
        while fake.requests(ApiKey::SaslAuthenticate) < 10 {
            connection.call(&MetadataRequest::default(), TIMEOUT).await.expect("an answer");
            answers += 1;
        }
        answers
    };
    let calls = async { tokio::join!(call(), call(), call(), call(), call(), call(), call(), call()) };
    let answers = tokio::time::timeout(TIMEOUT, calls).await.expect("ten sessions are over soon");
    let (a, b, c, d, e, f, g, h) = answers;
    assert_eq!(a + b + c + d + e + f + g + h, fake.requests(ApiKey::Metadata));
}

/// Scenario: somebody wants the line alone while an answer is due, and further requests come meanwhile.
/// Guarantees: he waits for the answer; the requests wait for him, and are then answered.
#[tokio::test]
async fn requests_wait_for_whoever_is_alone() {
    let fake = FakeCluster::start(1).await;
    let options = ConnectionOptions { in_flight_requests_max: 3, ..ConnectionOptions::default() };
    let connection = open(&fake, &options).await.expect("a connection");
    fake.script(ApiKey::Metadata, [Step::Delay(Duration::from_millis(50))]);
    let request = || {
        let connection = connection.clone();
        async move { connection.call(&MetadataRequest::default(), TIMEOUT).await.map(drop) }
    };
    let early = tokio::spawn(request());
    while fake.requests(ApiKey::Metadata) == 0 {
        tokio::task::yield_now().await;
    }
    let mut alone = Box::pin(connection.alone());
    let waiting = std::future::poll_fn(|context| Poll::Ready(alone.as_mut().poll(context).is_pending())).await;
    assert!(waiting, "an answer is due");
    let late: Vec<_> = (0..5).map(|_| tokio::spawn(request())).collect();
    let alone = alone.await.expect("a line");
    assert!(early.is_finished() || early.await.is_ok_and(|answer| answer.is_ok()));
    assert_eq!(connection.call_alone(&alone, &MetadataRequest::default(), TIMEOUT).await.map(drop).ok(), Some(()));
    assert_eq!(fake.requests(ApiKey::Metadata), 2, "none of the late ones");
    drop(alone);
    for call in late {
        call.await.expect("no panic").expect("an answer");
    }
    assert_eq!(fake.requests(ApiKey::Metadata), 7);
}

/// Scenario: the password changes while a session lasts.
/// Guarantees: the connection ends with the session and says why; the failure is one that passes, because a new connection
/// may have it right.
#[tokio::test]
async fn a_refused_renewal_ends_the_connection() {
    let fake = FakeCluster::start(1).await;
    fake.require_password("correct horse");
    fake.limit_sessions(Duration::from_millis(100));
    let connection = open(&fake, &plain("correct horse")).await.expect("a connection");
    fake.require_password("another horse");
    let error = loop {
        if let Err(error) = connection.call(&MetadataRequest::default(), TIMEOUT).await {
            break error;
        }
    };
    let ConnectionError::SessionEnded { source, .. } = &error else { panic!("{error}") };
    assert!(source.to_string().ends_with("did not agree on PLAIN: wrong password"), "{source}");
    assert_eq!(crate::ClusterError::from(error).class(), crate::ErrorClass::RefreshMetadata);
    assert!(!connection.is_up());
    assert!(open(&fake, &plain("another horse")).await.is_ok());
}

/// Scenario: PEM texts that are none; nobody to trust; the system's authorities.
/// Guarantees: the error says which text it is; without authorities of either kind nothing is set up; those of the system
/// are found where it has any, and come in addition.
#[test]
fn tls_options_are_checked() {
    let only = |authorities: &str| TlsOptions {
        authorities_pem: authorities.to_owned(),
        system_authorities: false,
        ..TlsOptions::default()
    };
    for text in ["nonsense", ""] {
        let error = TlsContext::new(&only(text)).err().expect("no certificates");
        assert_eq!(error.to_string(), "the authorities cannot be read as PEM: no certificate in it");
    }
    let nonsense = TlsOptions { authorities_pem: "nonsense".to_owned(), ..TlsOptions::default() };
    assert!(matches!(TlsContext::new(&nonsense).err(), Some(TlsError::Pem { what: "the authorities", .. })));
    match TlsContext::new(&TlsOptions::default()) {
        Ok(_) => {}
        // A system without certificates, as small containers are.
        Err(error) => assert!(matches!(error, TlsError::NoAuthority { .. }), "{error}"),
    }
}
