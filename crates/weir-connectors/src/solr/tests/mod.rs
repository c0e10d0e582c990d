//! The sink against a scripted cluster in this process. Real ones: `tests/real` of this crate.

use std::sync::Arc;
use std::time::Duration;

use weir_config::Diagnostics;
use weir_engine::agent::Plan;
use weir_engine::channel::{Channel, MemoryChannel, MemoryLimits, ReadLimit};
use weir_engine::delivery::{DEAD_LETTER_REASON, Delivery, DeliveryError};
use weir_engine::group::Group;
use weir_engine::receipt::Receipt;
use weir_engine::sink::{FlushReason, Sink, SinkContext};
use weir_event::{EventBatch, HeaderName, Span, TextColumn, names};
use weir_solr::fake::{FakeSolr, Step};
use weir_testkit::agent::{config, plan};

mod days;

const LIMITS: MemoryLimits = MemoryLimits { bytes_max: 1 << 26, events_max: 1 << 20 };
/// 2026-11-23 08:40 UTC.
const NOW_MS: i64 = 1_795_423_200_000;

/// A sink between a channel and a cluster of this process.
struct Rig {
    solr: FakeSolr,
    channel: Arc<MemoryChannel>,
    dead: Arc<MemoryChannel>,
    group: Arc<Group>,
    sink: Box<dyn Sink>,
}

impl Rig {
    /// A cluster with a collection `logs` of two shards, and a sink with `options` besides the usual.
    async fn new(options: &str) -> Self {
        let solr = FakeSolr::start().await.expect("a port");
        solr.create("logs", 2);
        let toml = format!(
            "[sources.in]\ntype = 'generate'\nchannels = ['c']\n[channels.c]\ntype = 'memory'\n[sinks.out]\ntype = 'solr'\nchannel = 'c'\nurls = ['{}']\nencoding = 'json'\nlinger = '1 ms'\n{options}\n",
            solr.url()
        );
        let spec = plan(&toml, &crate::registry()).sinks.remove(0).spec;
        let channel = Arc::new(MemoryChannel::new("c", LIMITS, 1));
        let dead = Arc::new(MemoryChannel::new("dead", LIMITS, 2));
        let group =
            Group::open("g", &["out".into()], channel.clone(), Some(dead.clone()), Arc::default()).expect("opens");
        let context = SinkContext {
            name: "out".into(),
            agent: "edge".into(),
            data_dir: None,
            channel_is_durable: true,
            channel_is_shared: false,
            positions: group.positions(),
            faults: group.ledger().faults.clone(),
        };
        let sink = spec.start(&context).expect("starts without a server").remove(0);
        Self { solr, channel, dead, group, sink }
    }

    /// Puts a batch into the channel and gives it to the sink.
    async fn deliver(&mut self, batch: &EventBatch) -> Result<(), DeliveryError> {
        let receipt = Receipt::new(|_| {});
        self.channel.try_append(batch, receipt.ticket()).expect("there is room");
        let next = self.next().expect("a delivery");
        self.sink.deliver(next).await
    }

    fn next(&self) -> Option<Delivery> {
        self.group.next(ReadLimit::events(1 << 24), &Arc::default()).expect("readable")
    }

    async fn finish(&mut self) {
        self.sink.flush(FlushReason::Shutdown).await.expect("finished");
    }

    fn delivered(&self) -> u64 {
        self.group.ledger().delivered.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// How often something of this kind went wrong.
    fn faults(&self, kind: &str) -> u64 {
        self.group.ledger().faults.snapshot().get(kind).copied().unwrap_or_default()
    }

    /// Bodies in the dead letter channel, and why.
    fn dead_letters(&self) -> Vec<(String, String)> {
        let mut cursor = self.dead.cursor("look").expect("opens");
        let Ok(Some(read)) = cursor.read(ReadLimit::events(1 << 24)) else { return Vec::new() };
        let mut letters = Vec::new();
        for batch in &read.batches {
            for row in 0..batch.len() {
                let reason = batch.header(row, DEAD_LETTER_REASON.as_str()).unwrap_or_default();
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                letters.push((text(batch.body(row)), text(&reason)));
            }
        }
        letters
    }
}

fn run<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(30), test).await.expect("in time") });
}

fn texts(values: &[&str]) -> TextColumn {
    let (mut arena, mut spans) = (Vec::new(), Vec::new());
    for value in values {
        spans.push(if value.is_empty() { Span::ABSENT } else { Span::new(arena.len(), value.len()) });
        arena.extend_from_slice(value.as_bytes());
    }
    TextColumn { arena: arena.into(), spans: Arc::new(spans) }
}

/// What is wrong with a configuration.
fn faults(toml: &str) -> String {
    let mut diagnostics = Diagnostics::new();
    let _ = Plan::new(&config(toml, &crate::registry()), &crate::registry(), &mut diagnostics);
    diagnostics.render(false)
}

/// Eight events of severities 0 to 7.
fn events() -> EventBatch {
    let bodies: Vec<_> = (0..8).map(|number| format!("message {number} denied")).collect();
    let mut batch = EventBatch::from_bodies(&bodies, NOW_MS);
    batch.set_i64(names::SEVERITY, (0..8).collect());
    batch.set_i64(names::TIMESTAMP, (0..8).map(|number| NOW_MS + number).collect());
    batch.set_text(names::HOST, texts(&["fw1", "fw2", "", "fw1", "17", "sw1", "sw2", "x"]));
    batch
}

/// Scenario: events with and without the headers of the default mapping.
/// Guarantees: fields have their types; an absent header has no field; the id is channel, partition and offset.
#[test]
fn events_become_documents() {
    run(async {
        let mut rig = Rig::new("collection = 'logs'\nheader_fields = 'header_*_s'").await;
        let mut batch = events();
        batch.set_constant(HeaderName::new("site.name"), "north");
        rig.deliver(&batch).await.expect("taken in");
        rig.finish().await;
        let id = format!("{:016x}-0-3", rig.group.positions()[0].channel.log);
        let document = rig.solr.document(&id).expect("it is there");
        let expected = serde_json::json!({
            "id": id, "ts": "2026-11-23T08:40:00.003Z", "host": "fw1", "severity": 3, "message": "message 3 denied",
            "header_site_name_s": "north",
        });
        assert_eq!(document, expected);
        let without_host = format!("{:016x}-0-2", rig.group.positions()[0].channel.log);
        assert!(rig.solr.document(&without_host).expect("it is there").get("host").is_none());
        assert_eq!((rig.solr.added().len(), rig.solr.misrouted(), rig.delivered()), (8, 0, 8));
    });
}

/// Scenario: every header becomes a field of its name, and the sender has named headers like the unique key, like a mapped
/// field, like Solr's own `_version_`, and two that become the same; in both encodings; the key among the fields.
/// Guarantees: no header overwrites the id or another field, so every event has its document; what is left out is known.
/// A configuration that writes the key twice is refused.
#[test]
fn headers_never_overwrite_the_key() {
    run(async {
        let mut rig = Rig::new("collection = 'logs'\nheader_fields = '*'").await;
        let mut batch = events();
        for (header, value) in [("id", "mine"), ("message", "x"), ("-version-", "1"), ("a.b", "one"), ("a-b", "two")] {
            batch.set_constant(HeaderName::new(header), value);
        }
        rig.deliver(&batch).await.expect("taken in");
        rig.finish().await;
        assert_eq!((rig.solr.added().len(), rig.solr.ids("logs").len(), rig.delivered()), (8, 8, 8));
        let document = rig.solr.document(&rig.solr.ids("logs")[0]).expect("it is there");
        assert!(document["message"].as_str().is_some_and(|text| text.ends_with("denied")), "{document}");
        assert!(document.get("_version_").is_none() && document["a_b"] == "one", "{document}");
        assert_eq!(rig.faults("headers left out"), 4 * 8);
    });
    for encoding in ["json", "javabin"] {
        let toml = |fields: &str| {
            format!(
                "[sources.in]\ntype = 'generate'\nchannels = ['c']\n[channels.c]\ntype = 'memory'\n[sinks.out]\n\
                 type = 'solr'\nchannel = 'c'\nurls = ['http://a']\ncollection = 'c'\nencoding = '{encoding}'\n{fields}"
            )
        };
        assert_eq!(faults(&toml("fields = { a = '%{b}' }")), "");
        let faults = faults(&toml("key_field = 'k'\nfields = { k = '%{b}' }"));
        assert!(faults.contains("field k is the unique key"), "{faults}");
    }
}

/// Scenario: conditions on numbers, texts and bodies, turned round, and a sample.
/// Guarantees: what meets all of them is indexed; the rest is counted by the first that it does not meet.
#[test]
fn what_is_not_selected_is_counted() {
    let conditions = [
        ("select = [{ header = 'Severity', at_most = 4 }]", 5, "not selected: Severity"),
        ("select = [{ header = 'Severity', at_least = 2, at_most = 4, not = true }]", 5, "not selected: Severity"),
        ("select = [{ header = 'host', one_of = ['fw1', 'sw1'] }]", 3, "not selected: host"),
        ("select = [{ header = 'host', matches = '^fw[0-9]$' }]", 3, "not selected: host"),
        ("select = [{ header = 'host', equals = 'fw1', not = true }]", 6, "not selected: host"),
        ("select = [{ contains = 'message 3' }]", 1, "not selected: body"),
        ("select = [{ contains = 'denied' }, { header = 'none', equals = 'x' }]", 0, "not selected: none"),
    ];
    for (options, indexed, reason) in conditions {
        run(async {
            let mut rig = Rig::new(&format!("collection = 'logs'\n{options}")).await;
            rig.deliver(&events()).await.expect("taken in");
            rig.finish().await;
            let dropped = rig.group.ledger().dropped.snapshot();
            assert_eq!((rig.solr.added().len(), rig.delivered()), (indexed, indexed as u64), "{options}");
            assert_eq!(dropped.get(reason).copied().unwrap_or_default(), 8 - indexed as u64, "{options}: {dropped:?}");
        });
    }
}

/// Scenario: one of four events, delivered to two sinks.
/// Guarantees: about a quarter is indexed, the same one by both.
#[test]
fn a_sample_is_the_same_each_time() {
    run(async {
        let bodies: Vec<_> = (0..4000).map(|number| format!("{number}")).collect();
        let batch = EventBatch::from_bodies(&bodies, NOW_MS);
        let mut chosen = Vec::new();
        for _ in 0..2 {
            let mut rig = Rig::new("collection = 'logs'\nsample = 4").await;
            rig.deliver(&batch).await.expect("taken in");
            rig.finish().await;
            chosen.push(rig.solr.added());
            let dropped = rig.group.ledger().dropped.snapshot();
            assert_eq!(dropped.values().sum::<u64>() + rig.delivered(), 4000, "{dropped:?}");
        }
        assert!((800..1200).contains(&chosen[0].len()), "{}", chosen[0].len());
        assert_eq!(chosen[0], chosen[1]);
    });
}

/// Scenario: documents that Solr refuses, and, asked for, values that do not fit; among good ones.
/// Guarantees: they alone are dead letters, with the reason; the others are indexed and the delivery is acknowledged.
#[test]
fn poison_goes_to_the_dead_letters() {
    run(async {
        let fields = "fields = { bad = 'int %{host}', message = 'text %{body}' }";
        let mut rig = Rig::new(&format!("collection = 'logs'\n{fields}")).await;
        rig.deliver(&events()).await.expect("taken in");
        rig.finish().await;
        let letters = rig.dead_letters();
        assert_eq!((rig.solr.added().len(), rig.delivered(), letters.len()), (7, 7, 1));
        assert_eq!(letters[0].0, "message 4 denied");
        assert!(letters[0].1.contains("Error adding field 'bad'"), "{letters:?}");

        let fields = "fields = { number = 'int %{host}' }";
        let mut rig = Rig::new(&format!("collection = 'logs'\n{fields}")).await;
        rig.deliver(&events()).await.expect("taken in");
        rig.finish().await;
        assert_eq!((rig.delivered(), rig.faults("values left out")), (8, 6));

        let fields = "fields = { number = 'int %{host}' }\non_bad_value = 'reject'";
        let mut rig = Rig::new(&format!("collection = 'logs'\n{fields}")).await;
        rig.deliver(&events()).await.expect("taken in");
        rig.finish().await;
        // Events 2 and 4 have no host and a number for one.
        assert_eq!((rig.delivered(), rig.dead_letters().len()), (2, 6));
        let letters = rig.dead_letters();
        assert!(letters.iter().any(|(_, reason)| reason == "field number: \"fw1\" is no Int"), "{letters:?}");
    });
}

/// Scenario: thousands of events that lack what their ids are made of.
/// Guarantees: all are dead letters, in one batch: they cost no batch each.
#[test]
fn events_refused_alike_are_refused_together() {
    run(async {
        let mut rig = Rig::new("collection = 'logs'\nid = '%{serial}'").await;
        let bodies: Vec<_> = (0..3000).map(|number| number.to_string()).collect();
        rig.deliver(&EventBatch::from_bodies(&bodies, NOW_MS)).await.expect("taken in");
        rig.finish().await;
        assert_eq!(rig.dead_letters().len(), 3000);
        let mut cursor = rig.dead.cursor("count").expect("opens");
        let read = cursor.read(ReadLimit::events(1 << 24)).expect("readable").expect("letters");
        assert_eq!(read.batches.len(), 1);
    });
}

/// Scenario: a busy cluster, a reset after the documents were taken, then quiet; two deliveries in flight meanwhile.
/// Guarantees: nothing is acknowledged before it is in, everything is in the end, under the same ids.
#[test]
fn what_passes_loses_nothing() {
    run(async {
        let mut rig = Rig::new("collection = 'logs'").await;
        rig.solr.script("shard1_a", [Step::Status(503, "busy", None), Step::ResetAfter]);
        rig.solr.script("shard2_a", [Step::Delay(Duration::from_millis(200))]);
        rig.deliver(&events()).await.expect("taken in");
        assert_eq!(rig.delivered(), 0);
        rig.deliver(&events()).await.expect("taken in");
        rig.finish().await;
        assert_eq!((rig.solr.added().len(), rig.delivered()), (16, 16));
        let counted = ["requests answered 503", "requests not answered"].map(|kind| rig.faults(kind));
        assert_eq!((counted, rig.faults("requests sent again")), ([1, 1], 2));
        assert!(!rig.group.is_anything_outstanding());
    });
}

/// Scenario: a storm: on both shards of a collection three requests of four are answered 429, now and then with the time to
/// wait, while deliveries keep coming.
/// Guarantees: every event is in, none of them by two requests that were taken, in spite of more refusals than a delivery
/// has tries elsewhere; each refusal is counted.
#[test]
fn a_storm_of_refusals_loses_and_doubles_nothing() {
    const DELIVERIES: usize = 60;
    const ROUNDS: usize = 5;
    run(async {
        let mut rig = Rig::new("collection = 'logs'\nbatch_documents = 16").await;
        let busy = |after| Step::Status(429, "Too many requests", after);
        let round = [busy(None), busy(Some(0)), busy(None), Step::Take];
        for core in ["shard1_a", "shard2_a"] {
            rig.solr.script(core, std::iter::repeat_n(round.clone(), ROUNDS).flatten());
        }
        for _ in 0..DELIVERIES {
            rig.deliver(&events()).await.expect("taken in");
        }
        rig.finish().await;
        let added = rig.solr.added();
        assert_eq!((added.len(), rig.delivered()), (8 * DELIVERIES, 8 * DELIVERIES as u64));
        assert!(added.values().all(|times| *times == 1), "{added:?}");
        assert_eq!(rig.faults("requests answered 429"), (2 * 3 * ROUNDS) as u64);
        assert!(rig.dead_letters().is_empty() && !rig.group.is_anything_outstanding());
    });
}

/// Scenario: a delivery for two collections, one of which is not there.
/// Guarantees: it comes back before anything of it is sent, however often; it is indexed once when both are there.
#[test]
fn nothing_is_sent_while_a_collection_is_missing() {
    run(async {
        let options = "collection = 'logs'\ncollection_header = 'host'\ncollections_allowed = ['sw1']";
        let mut rig = Rig::new(options).await;
        let error = rig.deliver(&events()).await.expect_err("there is no sw1");
        assert!(error.chain().contains("no collection or alias sw1"), "{}", error.chain());
        let again = rig.next().expect("it comes again");
        rig.sink.deliver(again).await.expect_err("there is still none");
        assert!(rig.solr.updates().is_empty(), "{:?}", rig.solr.updates());
        rig.solr.create("sw1", 1);
        let again = rig.next().expect("it comes again");
        rig.sink.deliver(again).await.expect("taken in");
        rig.finish().await;
        assert_eq!((rig.delivered(), rig.solr.ids("logs").len(), rig.solr.ids("sw1").len()), (8, 7, 1));
        assert!(rig.solr.added().values().all(|times| *times == 1));
    });
}

/// Scenario: a collection that is not there; a login that is refused.
/// Guarantees: the delivery comes back with a message that names the collection and the cause.
#[test]
fn a_missing_collection_is_named() {
    run(async {
        let mut rig = Rig::new("collection = 'other'").await;
        let error = rig.deliver(&events()).await.expect_err("there is none");
        assert!(error.chain().contains("there is no collection or alias other"), "{}", error.chain());
        rig.solr.require("Basic x");
        let next = rig.next().expect("it comes again");
        let error = rig.sink.deliver(next).await.expect_err("not let in");
        assert!(matches!(error, DeliveryError::Fatal { .. }) && error.chain().contains("401"), "{}", error.chain());
    });
}
