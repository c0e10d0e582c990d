//! The indexer against a scripted cluster.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use super::*;
use crate::fake::{FakeSolr, Step};
use crate::{ClientOptions, DocumentsBuilder, Encoding, Form, Login};

mod refused;

const PATIENCE: Duration = Duration::from_secs(30);

fn run<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("in time") });
}

async fn cluster(shards: usize) -> FakeSolr {
    let fake = FakeSolr::start().await.expect("a port");
    fake.create("logs", shards);
    fake
}

fn options() -> IndexerOptions {
    IndexerOptions { linger: Duration::from_millis(1), ..IndexerOptions::default() }
}

fn client(fake: &FakeSolr) -> Client {
    let timeout = Duration::from_millis(500);
    Client::new(ClientOptions { request_timeout: timeout, ..ClientOptions::new([fake.url()]) }).expect("a client")
}

/// Documents `0..count`; `field` is added to those in `bad`.
fn documents(count: usize, field: &str, bad: &[usize]) -> Documents {
    let encoding = Encoding::new(Form::Json, [field.to_owned()]);
    let [id, message, field] = ["id", "message", field].map(|name| encoding.name(name));
    let mut builder = DocumentsBuilder::new(&encoding);
    for number in 0..count {
        builder.begin(&id, &format!("t-0-{number}"));
        builder.text(&message, b"hello");
        if bad.contains(&number) {
            builder.text(&field, b"x");
        }
        builder.end();
    }
    builder.finish()
}

async fn index(fake: &FakeSolr, options: IndexerOptions, documents: Documents) -> Report {
    let indexer = Indexer::new(client(fake), options);
    indexer.submit("logs", documents).await.expect("taken in").await
}

fn all_once(count: usize) -> BTreeMap<String, u64> {
    (0..count).map(|number| (format!("t-0-{number}"), 1)).collect()
}

/// Scenario: documents for two shards, more than a batch has.
/// Guarantees: each reaches the leader of its shard, once; the submission ends when all are in.
#[test]
fn documents_reach_their_shards() {
    run(async {
        let fake = cluster(2).await;
        let report = index(&fake, options(), documents(2000, "", &[])).await;
        assert!(report.rejected.is_empty() && report.handed_back.is_none(), "{report:?}");
        assert_eq!((fake.added(), fake.misrouted()), (all_once(2000), 0));
        assert!(fake.updates().len() >= 4, "{:?}", fake.updates());
    });
}

/// Scenario: every answer that means "later": 429 and 503 with and without Retry-After, a 500 without a leader, a 200 with
/// an error inside, a page of a proxy, a reset before and after the documents were taken, silence.
/// Guarantees: all documents get in, none is rejected; repeats have the same ids.
#[test]
fn what_passes_is_tried_again() {
    let later = [
        Step::Status(429, "Too many requests", None),
        Step::Status(503, "Circuit breakers tripped", Some(1)),
        Step::Status(500, "no leader", None),
        Step::Status(404, "core is reloaded", None),
        Step::Raw(200, r#"{"responseHeader":{"status":0},"error":{"msg":"inside","code":503}}"#),
        Step::Raw(200, "<html>proxy</html>"),
        Step::Raw(502, "<html>bad gateway</html>"),
        Step::ResetAfter,
        Step::Reset,
        Step::Delay(Duration::from_secs(2)),
    ];
    for step in later {
        let text = format!("{step:?}");
        run(async {
            let fake = cluster(2).await;
            fake.script("shard1_a", [step]);
            let report = index(&fake, options(), documents(300, "", &[])).await;
            assert!(report.rejected.is_empty() && report.handed_back.is_none(), "{text}: {report:?}");
            assert_eq!(fake.added().len(), 300, "{text}");
        });
    }
}

/// Scenario: answers 429, 503 twice, 502, a reset, a shard without a leader, then quiet; then a login that is refused.
/// Guarantees: each is counted under its kind, and each time that documents go again.
#[test]
fn what_goes_wrong_is_counted() {
    run(async {
        let fake = cluster(1).await;
        let counts: Arc<Mutex<BTreeMap<&str, u64>>> = Arc::default();
        let counted = counts.clone();
        let faults = Faults::new(move |kind| *counted.lock().entry(kind).or_default() += 1);
        let indexer = Indexer::new(client(&fake), IndexerOptions { faults, ..options() });
        let busy = Step::Status(503, "busy", None);
        fake.script(
            "shard1_a",
            [Step::Status(429, "less", None), busy.clone(), busy, Step::Raw(502, "bad"), Step::Reset],
        );
        let report = indexer.submit("logs", documents(3, "", &[])).await.expect("taken in").await;
        assert!(report.handed_back.is_none());
        fake.script("shard1_a", [Step::Status(403, "not you", None)]);
        let report = indexer.submit("logs", documents(3, "", &[])).await.expect("taken in").await;
        assert!(report.handed_back.is_some());
        let expected = [
            (Faults::TOO_MANY_REQUESTS, 1),
            (Faults::BUSY, 2),
            (Faults::UNANSWERED, 1),
            (Faults::OTHER, 1),
            (Faults::DENIED, 1),
            (Faults::SENT_AGAIN, 5),
        ];
        assert_eq!(*counts.lock(), BTreeMap::from(expected));
    });
}

/// Scenario: a server asks to be left alone for a second.
/// Guarantees: it is, by every request to that shard; the other shard is served meanwhile.
#[test]
fn retry_after_is_honoured_and_other_shards_go_on() {
    run(async {
        let fake = cluster(2).await;
        fake.script("shard1_a", [Step::Status(503, "busy", Some(1))]);
        let started = std::time::Instant::now();
        let report = index(&fake, options(), documents(300, "", &[])).await;
        assert!(report.handed_back.is_none());
        assert!(started.elapsed() >= Duration::from_secs(1));
        let updates = fake.updates();
        assert_eq!(updates.iter().filter(|update| update.status == 503).count(), 1, "{updates:?}");
        let last_of_other = updates.iter().rposition(|update| update.core == "shard2_a");
        let second_try = updates.iter().rposition(|update| update.core == "shard1_a");
        assert!(last_of_other < second_try, "{updates:?}");
    });
}

/// Scenario: of two requests at once the first is asked to wait for two seconds, the second fails a little later without
/// such a word.
/// Guarantees: the longer wait counts.
#[test]
fn a_later_failure_does_not_shorten_the_wait() {
    run(async {
        let fake = cluster(1).await;
        fake.script("shard1_a", [Step::Status(503, "busy", Some(2)), Step::Late(Duration::from_millis(300), 503)]);
        let options = IndexerOptions { batch_documents_max: 10, ..options() };
        let started = std::time::Instant::now();
        let report = index(&fake, options, documents(20, "", &[])).await;
        assert!(report.handed_back.is_none() && started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
        assert_eq!(fake.updates().iter().filter(|update| update.status == 503).count(), 2);
    });
}

/// Scenario: the leader of a shard resets connections, another core leads soon after; a shard without a leader gets one.
/// Guarantees: the documents follow the leader.
#[test]
fn documents_follow_the_leader() {
    run(async {
        let fake = cluster(2).await;
        fake.lead("logs", "shard2", None);
        fake.script("shard1_a", vec![Step::Reset; 20]);
        let indexer = Indexer::new(client(&fake), options());
        let submission = indexer.submit("logs", documents(300, "", &[])).await.expect("taken in");
        fake.lead("logs", "shard1", Some("shard1_b"));
        while fake.updates().iter().all(|update| update.core != "shard1_b") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        fake.lead("logs", "shard2", Some("shard2_b"));
        let report = submission.await;
        assert!(report.handed_back.is_none() && indexer.troubles().is_empty(), "{:?}", indexer.troubles());
        assert_eq!(fake.added(), all_once(300));
        assert!(fake.updates().iter().all(|update| update.status == 0 || update.core.ends_with("_b")));
    });
}

/// Scenario: a collection is deleted while documents go to it, and while its state is known; then it is made again.
/// Guarantees: what was on its way is handed back at once as something that passes, the next question says that it is not
/// there, and as soon as it is documents get in.
#[test]
fn a_deleted_collection_is_noticed() {
    run(async {
        let fake = cluster(1).await;
        let client = client(&fake);
        let options = IndexerOptions { state_age_max: Duration::from_millis(1), ..options() };
        let long = IndexerOptions { state_age_max: Duration::from_secs(600), ..options.clone() };
        for options in [options, long] {
            let indexer = Indexer::new(client.clone(), options);
            let report = indexer.submit("logs", documents(3, "", &[])).await.expect("taken in").await;
            assert!(report.handed_back.is_none());
            client.get("/admin/collections?action=DELETE&name=logs").await.expect("deleted");
            match indexer.submit("logs", documents(3, "", &[])).await {
                Err(error) => assert!(matches!(error, RequestError::NoCollection { .. }), "{error}"),
                Ok(submission) => {
                    let handed_back = submission.await.handed_back.expect("handed back");
                    assert!(
                        !handed_back.is_permanent && handed_back.message.contains("no collection"),
                        "{handed_back:?}"
                    );
                }
            }
            let error = indexer.find("logs").await.expect_err("it is gone");
            assert!(matches!(error, RequestError::NoCollection { .. }), "{error}");
            assert_eq!(indexer.troubles(), Vec::<String>::new());
            fake.create("logs", 1);
            let report = indexer.submit("logs", documents(3, "", &[])).await.expect("taken in").await;
            assert!(report.handed_back.is_none());
        }
    });
}

/// Scenario: a shard without a leader, which then is not there any more: the collection has fewer shards.
/// Guarantees: while it lasts it is told with its name; afterwards its documents are in, and nothing is told of it.
#[test]
fn troubles_go_with_their_shard() {
    run(async {
        let fake = cluster(2).await;
        fake.lead("logs", "shard2", None);
        let indexer = Indexer::new(client(&fake), options());
        let submission = indexer.submit("logs", documents(100, "", &[])).await.expect("taken in");
        while indexer.troubles().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(indexer.troubles(), ["logs/shard2: shard shard2 of logs has no leader"]);
        fake.create("logs", 1);
        assert!(submission.await.handed_back.is_none());
        assert_eq!((fake.added().len(), indexer.troubles()), (100, Vec::new()));
        let error = RequestError::NoLeader { collection: "logs".to_owned(), shard: String::new() };
        assert_eq!(error.to_string(), "collection logs has no shard that takes these documents");
    });
}

/// Scenario: a shard that accepts nothing for longer than the options allow.
/// Guarantees: its documents are handed back with the reason, as something that passes.
#[test]
fn a_long_outage_hands_back() {
    run(async {
        let fake = cluster(1).await;
        fake.lead("logs", "shard1", None);
        let options = IndexerOptions { hand_back_after: Duration::from_millis(300), ..options() };
        let report = index(&fake, options, documents(10, "", &[])).await;
        let handed_back = report.handed_back.expect("handed back");
        assert!(!handed_back.is_permanent && handed_back.message.contains("no leader"), "{handed_back:?}");
    });
}

/// Scenario: fewer replicas than asked for, an answer that does not say how many, then enough; visibility asked for.
/// Guarantees: accepted only when enough have it; the parameters are sent, and never a commit.
#[test]
fn replicas_are_counted() {
    run(async {
        let fake = cluster(1).await;
        fake.script("shard1_a", [Step::Replicas(Some(1)), Step::Replicas(None)]);
        let commit_within = Some(Duration::from_secs(1));
        let options = IndexerOptions { replicas_min: Some(2), commit_within, ..options() };
        let report = index(&fake, options, documents(10, "", &[])).await;
        assert!(report.handed_back.is_none());
        assert!(fake.added().values().all(|times| *times == 3));
        for update in fake.updates() {
            assert!(update.query.contains("min_rf=2") && update.query.contains("commitWithin=1000"), "{update:?}");
            assert!(!update.query.contains("commit=") && !update.query.contains("softCommit"), "{update:?}");
        }
    });
}

/// Scenario: a cluster that asks who one is; a token that is renewed in its file.
/// Guarantees: the login is sent; after a refusal the token is read again, and the request sent again if it is another one.
#[test]
fn logins_are_sent_and_tokens_renewed() {
    run(async {
        let fake = cluster(1).await;
        fake.require("Basic d2VpcjpzZWNyZXQ=");
        let login = Login::Basic { user: "weir".to_owned(), password: "secret".to_owned() };
        let client = Client::new(ClientOptions { login, ..ClientOptions::new([fake.url()]) }).expect("a client");
        let indexer = Indexer::new(client, options());
        let report = indexer.submit("logs", documents(3, "", &[])).await.expect("known").await;
        assert!(report.handed_back.is_none());

        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        std::fs::write(&file, "old\n").expect("written");
        let login = Login::Bearer { file: file.clone() };
        let client = Client::new(ClientOptions { login, ..ClientOptions::new([fake.url()]) }).expect("a client");
        fake.require("Bearer new");
        client.cluster_state(None).await.expect_err("the old token");
        std::fs::write(&file, "new\n").expect("written");
        client.cluster_state(None).await.expect("the new token");

        // Renewed within the half minute that a token is kept for.
        let indexer = Indexer::new(client, options());
        indexer.find("logs").await.expect("known");
        std::fs::write(&file, "newer\n").expect("written");
        fake.require("Bearer newer");
        let report = indexer.submit("logs", documents(3, "", &[])).await.expect("known").await;
        assert!(report.handed_back.is_none(), "{:?}", report.handed_back);
    });
}

/// Scenario: the only address that was given ends after the state was asked for once; the cluster has others.
/// Guarantees: they are asked, and documents get in.
#[test]
fn other_addresses_are_learned() {
    run(async {
        let fake = cluster(1).await;
        let door = fake.door().await.expect("a port");
        let client = Client::new(ClientOptions::new([door.url()])).expect("a client");
        let options = IndexerOptions { state_age_max: Duration::ZERO, ..options() };
        let indexer = Indexer::new(client.clone(), options);
        indexer.find("logs").await.expect("it is there");
        drop(door);
        client.get("/admin/collections?action=CREATEALIAS&name=all&collections=logs").await.expect("an alias");
        let report = indexer.submit("all", documents(3, "", &[])).await.expect("taken in").await;
        assert!(report.handed_back.is_none());
    });
}

/// Scenario: a collection that is not there, an alias, and a first address that nobody listens at.
/// Guarantees: the first is said at once with its name; the others work.
#[test]
fn names_and_addresses() {
    run(async {
        let fake = cluster(1).await;
        let urls = ["http://127.0.0.1:1/solr".to_owned(), fake.url()];
        let client = Client::new(ClientOptions::new(urls)).expect("a client");
        let indexer = Indexer::new(client.clone(), options());
        let error = indexer.submit("other", documents(1, "", &[])).await.expect_err("there is none");
        assert!(error.to_string().contains("there is no collection or alias other"), "{error}");
        client.get("/admin/collections?action=CREATEALIAS&name=all&collections=logs").await.expect("an alias");
        let report = indexer.submit("all", documents(1, "", &[])).await.expect("the alias").await;
        assert!(report.handed_back.is_none());
    });
}
