//! `weir verify --solr`: what an agent put into Solr, against the topic it took it from.

use std::path::Path;

use serde_json::{Value, json};
use weir_connectors::io_thread::IoThread;
use weir_kafka::fake::FakeCluster;
use weir_solr::fake::{FakeSolr, Step};

use crate::support::{Done, Running, done, eventually, folder, status, weir, write};
use crate::verify::{EVENTS, brokers, kafka_channel};

/// A cluster in this process with the collection `logs` of two shards.
fn solr(thread: &IoThread) -> FakeSolr {
    let solr = thread.wait_for(FakeSolr::start()).expect("it runs").expect("a port");
    solr.create("logs", 2);
    solr
}

/// Runs an agent that puts events into the topic, and one that puts those of them that `select` takes into Solr. Gives how
/// many it left out.
fn fill(folder: &Path, broker: &str, solr: &FakeSolr, select: &str) -> u64 {
    let channel = kafka_channel(broker);
    let made = format!(
        "[agent]\nname = 'edge'\n[sources.in]\ntype = 'generate'\nrate = 'unlimited'\nevents = {EVENTS}\n\
         channels = ['c']\n[channels.c]\n{channel}"
    );
    let ended = Running::start(&[&write(folder, "edge.toml", &made)], &[]).end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let kept = format!(
        "[agent]\nname = 'hub'\n[channels.c]\n{channel}\n[sinks.out]\ntype = 'solr'\nchannel = 'c'\n\
         urls = ['{}']\ncollection = 'logs'\nencoding = 'json'\n{select}",
        solr.url()
    );
    let mut agent = Running::start(&[&write(folder, "hub.toml", &kept)], &[]);
    let address = agent.admin();
    let left_out = eventually("everything is in Solr", || {
        let group = &status(&address)["groups"][0];
        let left_out = group["dropped"].as_object()?.values().filter_map(Value::as_u64).sum::<u64>();
        (group["delivered"].as_u64()? + left_out >= EVENTS).then_some(left_out)
    });
    let ended = agent.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    left_out
}

fn verify(brokers: &FakeCluster, solr: &FakeSolr, collection: &str, more: &[&str]) -> Done {
    let url = format!("{}/{collection}", solr.url());
    let mut command = weir(&["verify", "--brokers", &brokers.bootstrap()[0], "--topic", "events", "--json"]);
    done(command.args(["--solr", &url]).args(more))
}

/// What it says of Solr, with this exit code.
fn told(done: &Done, code: i32) -> Value {
    assert_eq!(done.code, Some(code), "{}{}", done.out, done.err);
    let report = done.json();
    assert_eq!(report["is_proven"], code == 0, "{report}");
    report["solr"].clone()
}

/// Scenario: every event of a topic is a document, in two shards of more than a page; then a document goes missing, one is in
/// both shards, one is of no event, one is missing on a follower only.
/// Guarantees: the untouched collection is proven, with exit code 0; each change is told with exit code 4, by ids and cores.
#[test]
fn every_change_of_the_documents_is_found() {
    let (thread, brokers) = brokers();
    let (solr, folder) = (solr(&thread), folder());
    assert_eq!(fill(folder.path(), &brokers.bootstrap()[0], &solr, ""), 0);
    let found = told(&verify(&brokers, &solr, "logs", &[]), 0);
    assert_eq!((&found["documents"], &found["found"]), (&EVENTS.into(), &EVENTS.into()), "{found}");

    let id = solr.added().into_keys().next().expect("some");
    let document = solr.document(&id).expect("it is there");
    let shard = if weir_solr::id_hash(id.as_bytes()) >= 0x8000_0000 { "shard1" } else { "shard2" };
    let other = if shard == "shard1" { "shard2" } else { "shard1" };
    solr.put("logs", other, &document);
    let found = told(&verify(&brokers, &solr, "logs", &[]), 4);
    assert_eq!((&found["twice"], &found["twice_examples"][0]), (&1.into(), &json!(id)), "{found}");
    for core in ["a", "b"] {
        solr.forget("logs", &format!("{other}_{core}"), &id);
        solr.forget("logs", &format!("{shard}_{core}"), &id);
    }
    let found = told(&verify(&brokers, &solr, "logs", &[]), 4);
    assert_eq!(found["missing_events"], 1, "{found}");
    let offset: u64 = id.rsplit_once('-').expect("an id of ours").1.parse().expect("a number");
    assert_eq!((&found["missing"][0]["first"], &found["missing"][0]["last"]), (&offset.into(), &offset.into()));
    solr.put("logs", shard, &document);

    solr.put("logs", shard, &json!({"id": "events-0-1"}));
    let found = told(&verify(&brokers, &solr, "logs", &[]), 4);
    assert_eq!((&found["unknown"], &found["unknown_examples"][0]), (&1.into(), &"events-0-1".into()), "{found}");
    for core in ["a", "b"] {
        solr.forget("logs", &format!("{shard}_{core}"), "events-0-1");
    }

    solr.forget("logs", &format!("{shard}_b"), &id);
    let found = told(&verify(&brokers, &solr, "logs", &[]), 4);
    assert_eq!(found["missing_events"], 0, "{found}");
    let uneven = &found["uneven"][0];
    assert_eq!((&uneven["collection"], &uneven["shard"]), (&"logs".into(), &shard.into()), "{found}");
    let count = |core: usize| uneven["cores"][core][1].as_u64().expect("a number");
    assert_eq!(count(0).abs_diff(count(1)), 1, "{found}");
}

/// Scenario: warnings and worse are selected; the size of what was left out is not given, given, wrong, and the collection is
/// another, empty one.
/// Guarantees: only the right size proves a selection; without one the exit code is 0 and nothing is called proven; an empty
/// collection is a difference.
#[test]
fn a_selection_is_proven_by_its_size() {
    let (thread, brokers) = brokers();
    let (solr, folder) = (solr(&thread), folder());
    let select = "[[sinks.out.select]]\nheader = 'Severity'\nat_most = 4\n";
    let left_out = fill(folder.path(), &brokers.bootstrap()[0], &solr, select);
    assert!((1..EVENTS).contains(&left_out));
    let counted = |count: u64| verify(&brokers, &solr, "logs", &["--left-out", &count.to_string()]);
    assert_eq!(told(&counted(left_out), 0)["missing_events"], left_out);
    told(&counted(left_out - 1), 4);
    told(&counted(left_out + 1), 4);
    told(&verify(&brokers, &solr, "logs", &[]), 4);
    let unsaid = verify(&brokers, &solr, "logs", &["--selective"]);
    assert_eq!(unsaid.code, Some(0), "{}", unsaid.out);
    let report = unsaid.json();
    assert_eq!((&report["is_proven"], &report["verdict"]), (&false.into(), &"selection_unchecked".into()));
    solr.create("empty", 1);
    told(&verify(&brokers, &solr, "empty", &["--selective"]), 4);
}

/// Scenario: an alias of two collections; of one that is there and one that is not; then cores are busy or end connections.
/// Guarantees: what is in all collections counts; an absent one is told with exit code 4; what passes is asked again, of
/// another core or later.
#[test]
fn aliases_and_busy_cores() {
    let (thread, brokers) = brokers();
    let (solr, folder) = (solr(&thread), folder());
    fill(folder.path(), &brokers.bootstrap()[0], &solr, "");
    solr.create("old", 1);
    let id = solr.added().into_keys().next().expect("some");
    let document = solr.document(&id).expect("it is there");
    for core in ["shard1_a", "shard1_b", "shard2_a", "shard2_b"] {
        solr.forget("logs", core, &id);
    }
    solr.put("old", "shard1", &document);
    let alias = |name: &str, members: &str| {
        let action = format!("action=CREATEALIAS&name={name}&collections={members}");
        ureq::get(format!("{}/admin/collections?{action}", solr.url())).call().expect("made");
    };
    alias("all", "logs,old");
    assert_eq!(told(&verify(&brokers, &solr, "all", &[]), 0)["found"], EVENTS);
    alias("holes", "logs,old,gone");
    let found = told(&verify(&brokers, &solr, "holes", &["--selective"]), 4);
    assert_eq!(found["absent_collections"], json!(["gone"]));

    let busy = || Step::Status(503, "busy", None);
    for core in ["logs_shard1_a", "logs_shard1_b"] {
        solr.script(&format!("{core}/select"), [busy(), Step::Reset]);
    }
    solr.script("logs_shard2_a/select", [busy(), busy(), busy()]);
    assert_eq!(told(&verify(&brokers, &solr, "all", &[]), 0)["found"], EVENTS);
}

/// Scenario: brokers and Solr want passwords; a configuration has them, with a selection behind an alias of daily collections
/// and ids that begin with a name. Then a sink that is not there is named, and one of two.
/// Guarantees: everything is taken from the configuration, what is given by hand goes before it, and without it nobody is let
/// in; what cannot be told is a wrong command line.
#[test]
fn guarded_clusters_are_reached_by_their_configuration() {
    let (thread, brokers) = brokers();
    let (solr, folder) = (solr(&thread), folder());
    fill(folder.path(), &brokers.bootstrap()[0], &solr, "");
    let action = "action=CREATEALIAS&name=days&collections=logs";
    ureq::get(format!("{}/admin/collections?{action}", solr.url())).call().expect("made");
    brokers.require_password("correct horse");
    solr.require("Basic dXNlcjpjb3JyZWN0IGhvcnNl");
    let channel = kafka_channel(&brokers.bootstrap()[0]);
    let sink = format!(
        "type = 'solr'\nchannel = 'c'\nurls = ['{}']\nuser = 'user'\npassword = 'env:SECRET'\n\
         collection = 'logs-%Y-%m-%d'\ncreate = {{ config_set = 'weir-syslog', alias = 'days' }}\n",
        solr.url()
    );
    let config = format!(
        "[agent]\nname = 'hub'\n[channels.c]\n{channel}\nsasl = {{ mechanism = 'PLAIN', user = 'user', \
         password = 'env:SECRET' }}\n[sinks.one]\ngroup = 'one'\n{sink}"
    );
    let one = write(folder.path(), "one.toml", &config);
    let two = write(folder.path(), "two.toml", &format!("{config}\n[sinks.two]\ngroup = 'other'\n{sink}"));
    let run = |file: &Path, more: &[&str]| {
        let mut command = weir(&["verify", "--json", "--config"]);
        done(command.arg(file).args(more).env("SECRET", "correct horse"))
    };
    let report = run(&one, &[]);
    assert_eq!(told(&report, 0)["found"], EVENTS);
    assert_eq!(report.json()["solr"]["url"], format!("{}/days", solr.url()));
    told(&run(&two, &["--sink", "two"]), 0);
    solr.create("empty", 1);
    told(&run(&one, &["--solr", &format!("{}/empty", solr.url())]), 4);
    for (file, more, words) in [
        (&one, &["--sink", "three"][..], "--sink three: the configuration has none"),
        (&one, &["--channel", "three"][..], "--channel three: the configuration has none"),
        (&two, &[][..], "say which with --sink"),
    ] {
        let done = run(file, more);
        assert!(done.code == Some(2) && done.err.contains(words), "{words}: {:?} {}", done.code, done.err);
    }
    let refused = verify(&brokers, &solr, "logs", &[]);
    assert_eq!(refused.code, Some(1), "{}{}", refused.out, refused.err);
}
