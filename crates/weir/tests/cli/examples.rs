//! The examples in `configs/`: each checks, and each runs.

use std::collections::BTreeSet;
use std::path::PathBuf;

use weir_connectors::io_thread::IoThread;
use weir_kafka::fake::FakeCluster;

use crate::components::types;
use crate::support::{Running, done, eventually, folder, free_port, repository, status, weir};

/// The files of `configs/`, but for the reference file, which is made from the code and tested with it.
fn examples() -> Vec<PathBuf> {
    let found = std::fs::read_dir(repository().join("configs")).expect("the folder of the examples");
    let found = found.map(|entry| entry.expect("an entry").path());
    let is_example = |path: &PathBuf| path.is_file() && !path.ends_with("reference.toml");
    let mut found: Vec<_> = found.filter(is_example).collect();
    found.sort();
    found
}

/// Scenario: every example, with nothing set in the environment.
/// Guarantees: it checks without errors and without warnings.
#[test]
fn every_example_checks() {
    for example in examples() {
        let done = done(weir(&["check"]).arg(&example));
        assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{}", example.display());
    }
}

/// Scenario: the examples, read together.
/// Guarantees: every type of component is shown in one of them.
#[test]
fn every_type_has_an_example() {
    let text: String = examples().into_iter().map(|path| std::fs::read_to_string(path).expect("reads")).collect();
    let missing: BTreeSet<_> =
        types().into_iter().filter(|name| !text.contains(&format!("type = \"{name}\"\n"))).collect();
    assert_eq!(missing, BTreeSet::new());
}

/// Brokers in this process with the topic of the examples, and the thread they live on.
fn brokers() -> (IoThread, FakeCluster) {
    let thread = IoThread::start("brokers").expect("a thread");
    let brokers = thread.wait_for(FakeCluster::start(1)).expect("brokers");
    brokers.create_topic("netmeta", 4);
    (thread, brokers)
}

/// Scenario: every example is started with free ports, new folders and brokers that are there, and stopped.
/// Guarantees: it starts, answers, and ends with a closed ledger and exit code 0.
#[test]
fn every_example_runs() {
    let (_thread, brokers) = brokers();
    let broker = &brokers.bootstrap()[0];
    for example in examples() {
        let folder = folder();
        let place = |name: &str| folder.path().join(name).display().to_string();
        let (data, out, port) = (place("data"), place("out"), free_port().to_string());
        let hdfs = format!("file://{}", place("hdfs"));
        let environment = [
            ("WEIR_DATA", data.as_str()),
            ("WEIR_OUT", &out),
            ("WEIR_HOST", "127.0.0.1"),
            ("WEIR_SYSLOG_PORT", &port),
            ("WEIR_RATE", "20k/s"),
            ("WEIR_EVENTS", "0"),
            ("WEIR_BROKER", broker),
            ("WEIR_HDFS", &hdfs),
        ];
        let mut agent = Running::start(&[&example], &environment);
        let address = agent.admin();
        let source = &status(&address)["sources"][0];
        if source["type"] == "generate" {
            eventually("events", || (status(&address)["sources"][0]["durable"].as_u64()? > 100).then_some(()));
        }
        let done = agent.stop();
        assert_eq!(done.code, Some(0), "{}:\n{}", example.display(), done.err);
        assert_eq!(done.json()["status"]["ledger"]["closes"], true, "{}", example.display());
    }
}
