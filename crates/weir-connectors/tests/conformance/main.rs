//! Every component of the registry through its suite. A type without a line in a table below fails
//! `every_type_is_in_a_table`.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use weir_codec::record_batch::{Encoder, EncoderOptions};
use weir_connectors::io_thread::IoThread;
use weir_connectors::registry;
use weir_event::EventBatch;
use weir_kafka::fake::{ApiKey, FakeCluster, Step};
use weir_kafka::{Cluster, ClusterOptions, Producer, ProducerOptions};
use weir_solr::fake::FakeSolr;
use weir_testkit::conformance;
use weir_testkit::conformance::channel::Subject;

/// Channels: type, options, options of a channel that is full after a few MiB.
const CHANNELS: &[(&str, &str, &str)] = &[
    ("memory", "type = 'memory'", "type = 'memory'\ncapacity_bytes = '1 MiB'"),
    (
        "file",
        "type = 'file'\nsegment_bytes = '1 MiB'\ncapacity_bytes = '64 MiB'",
        "type = 'file'\nsegment_bytes = '1 MiB'\ncapacity_bytes = '64 MiB'",
    ),
];

/// Sinks: type, options.
const SINKS: &[(&str, &str)] = &[
    ("null", "type = 'null'"),
    ("logger", "type = 'logger'"),
    ("files", "type = 'files'\npath = '{folder}/%Y'\nroll_events = 7_000"),
    ("hdfs", "type = 'hdfs'\npath = 'file://{folder}/%Y'\nroll_events = 7_000"),
];

/// Sources that need nobody to feed them: type, options.
const SOURCES: &[(&str, &str)] = &[("generate", "type = 'generate'\nrate = '50k/s'")];

#[test]
fn every_type_is_in_a_table() {
    let registry = registry();
    let known = |names: Vec<&'static str>, tables: Vec<&str>| {
        for name in names {
            assert!(tables.contains(&name), "type {name} has no line in tests/conformance");
        }
    };
    let channels = CHANNELS.iter().map(|line| line.0).chain(["kafka"]).collect();
    known(registry.channels.iter().map(|c| c.spec.name).collect(), channels);
    let sinks = SINKS.iter().map(|line| line.0).chain(["kafka", "solr"]).collect();
    known(registry.sinks.iter().map(|s| s.spec.name).collect(), sinks);
    let sources = SOURCES.iter().map(|line| line.0).chain(["syslog", "kafka"]).collect();
    known(registry.sources.iter().map(|s| s.spec.name).collect(), sources);
    let faults = registry.catalogue().faults();
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn channels_conform() {
    for (name, options, small) in CHANNELS {
        let folder = tempfile::tempdir().expect("a folder");
        println!("channel {name}");
        let (registry, folder) = (&registry(), folder.path());
        conformance::channel::run(&Subject { registry, options, small, before_filling: &|| {}, folder });
    }
}

#[test]
fn channel_kafka_conforms() {
    let (_thread, brokers) = brokers();
    for topic in ["order", "groups", "again", "stored", "full", "close", "durable", "reopen"] {
        brokers.create_topic(topic, 1);
    }
    let options = format!(
        "type = 'kafka'\nbrokers = {:?}\ntopic = '{{name}}'\nconsumer_group = '{{name}}'\ncommit_interval = '50 ms'",
        brokers.bootstrap()
    );
    // What is in flight fills it, so brokers are slow for as long as that takes.
    let before_filling = || brokers.script(ApiKey::Produce, [Step::Delay(Duration::from_secs(3))]);
    let small = format!("{options}\nin_flight_bytes = '1 MiB'");
    let folder = tempfile::tempdir().expect("a folder");
    let (registry, folder) = (&registry(), folder.path());
    let subject = Subject { registry, options: &options, small: &small, before_filling: &before_filling, folder };
    conformance::channel::run(&subject);
}

#[test]
fn sinks_conform() {
    for (name, options) in SINKS {
        let folder = tempfile::tempdir().expect("a folder");
        println!("sink {name}");
        conformance::sink::run(&registry(), options, folder.path());
    }
}

/// Brokers in this process with a topic `t` of one partition, and the thread they live on.
fn brokers() -> (IoThread, FakeCluster) {
    let thread = IoThread::start("brokers").expect("a thread");
    let brokers = thread.wait_for(FakeCluster::start(1)).expect("brokers");
    brokers.create_topic("t", 1);
    (thread, brokers)
}

#[test]
fn sink_kafka_conforms() {
    let (_thread, brokers) = brokers();
    let folder = tempfile::tempdir().expect("a folder");
    let options = format!("type = 'kafka'\nbrokers = {:?}\ntopic = 't'", brokers.bootstrap());
    conformance::sink::run(&registry(), &options, folder.path());
}

#[test]
fn sink_solr_conforms() {
    let thread = IoThread::start("solr").expect("a thread");
    let solr = thread.wait_for(FakeSolr::start()).expect("a thread").expect("a port");
    solr.create("logs", 2);
    let folder = tempfile::tempdir().expect("a folder");
    let options = format!("type = 'solr'\nurls = ['{}']\ncollection = 'logs'\nencoding = 'json'", solr.url());
    conformance::sink::run(&registry(), &options, folder.path());
    assert_eq!(solr.misrouted(), 0);
}

#[test]
fn sources_conform() {
    for (name, options) in SOURCES {
        println!("source {name}");
        conformance::source::run(&registry(), options, &|| {});
    }
}

#[test]
fn source_syslog_conforms() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let options = format!("type = 'syslog'\nlisten = ['tcp://127.0.0.1:{port}']\nlanes = 2");
    let feed = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the source listens");
        for number in 0..200 {
            writeln!(stream, "<134>Nov 22 10:00:00 fw1 test: event {number}").expect("written");
        }
    };
    conformance::source::run(&registry(), &options, &feed);
}

#[test]
fn source_kafka_conforms() {
    let (thread, brokers) = brokers();
    let bootstrap = brokers.bootstrap();
    let options = format!("type = 'kafka'\nbrokers = {bootstrap:?}\ntopics = ['t']\ncommit_interval = '10 ms'");
    let feed = || {
        let bootstrap = bootstrap.clone();
        let fed = thread.wait_for(async move {
            let cluster = Cluster::connect(ClusterOptions::new(bootstrap)).await.expect("a cluster");
            let producer = Producer::new(&cluster, ProducerOptions::default());
            let mut encoder = Encoder::new(EncoderOptions::default()).expect("no level");
            for _ in 0..10 {
                let encoded =
                    encoder.encode(&EventBatch::from_bodies(&[b"event"; 20], 0), Vec::new()).expect("encoded");
                producer.send("t", 0, encoded).await.expect("open").await.expect("written");
            }
        });
        fed.expect("fed");
    };
    conformance::source::run(&registry(), &options, &feed);
}
