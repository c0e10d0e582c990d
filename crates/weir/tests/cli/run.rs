//! `weir run`: starting against obstacles, stopping in order.

use std::net::TcpListener;
use std::path::Path;

use crate::support::{Running, done, eventually, folder, status, weir, write};

/// A generator into a durable log into nowhere.
fn spooling(log: &Path, more: &str) -> String {
    format!(
        "[sources.load]\ntype = \"generate\"\nrate = \"20k/s\"\nchannels = [\"spool\"]\n{more}\n\
         [channels.spool]\ntype = \"file\"\npath = \"{}\"\nsegment_bytes = \"16 MiB\"\n\
         [sinks.out]\ntype = \"null\"\nchannel = \"spool\"\n",
        log.display()
    )
}

fn received(address: &str) -> Option<u64> {
    status(address)["sources"][0]["received"].as_u64()
}

/// Scenario: SIGTERM while events flow through a durable log.
/// Guarantees: the agent drains, everything accepted is delivered or still in the log, the ledger closes, exit code 0.
#[test]
fn sigterm_drains() {
    let folder = folder();
    let file = write(folder.path(), "agent.toml", &spooling(&folder.path().join("log"), ""));
    let mut agent = Running::start(&[&file], &[]);
    let address = agent.admin();
    eventually("events", || received(&address).filter(|received| *received > 1000));
    let done = agent.stop();
    assert_eq!(done.code, Some(0), "{}", done.err);
    let report = done.json();
    let (source, group) = (&report["status"]["sources"][0], &report["status"]["groups"][0]);
    assert_eq!(report["status"]["ledger"]["closes"], true);
    assert_eq!((&source["accepted"], &source["durable"]), (&source["received"], &source["received"]));
    assert_eq!((&group["delivered"], &group["backlog_events"]), (&source["received"], &0.into()));
}

/// Scenario: two signals, while a sink holds up the draining for longer than the test would wait.
/// Guarantees: the second signal ends the process at once with exit code 1.
#[test]
fn a_second_sigterm_ends_at_once() {
    let folder = folder();
    // The archive cannot finish its files below a file, so that draining would go on until the deadline.
    let text = "[agent]\nshutdown_deadline = \"1 h\"\n[sources.load]\ntype = \"generate\"\nchannels = [\"buffer\"]\n\
        [channels.buffer]\ntype = \"memory\"\n[sinks.out]\ntype = \"files\"\nchannel = \"buffer\"\npath = \"${OUT}/%Y\"\n";
    let file = write(folder.path(), "agent.toml", text);
    let out = folder.path().join("out");
    std::fs::create_dir(&out).expect("a folder");
    let year_in_the_way = (1970..2100).map(|year| out.join(year.to_string()));
    year_in_the_way.for_each(|path| std::fs::write(path, "").expect("writes"));
    let mut agent = Running::start(&[&file], &[("OUT", &out.display().to_string())]);
    let address = agent.admin();
    eventually("a retry", || (status(&address)["groups"][0]["retries"].as_u64()? > 0).then_some(()));
    agent.signal(libc::SIGTERM);
    eventually("the stop", || agent.log().contains("stopping").then_some(()));
    agent.signal(libc::SIGTERM);
    assert_eq!(agent.end().code, Some(1));
}

/// Scenario: a source that ends by itself after so many events.
/// Guarantees: the agent ends too, with everything delivered, and a second run goes on with the same log.
#[test]
fn an_agent_ends_with_its_sources() {
    let folder = folder();
    let file = write(folder.path(), "agent.toml", &spooling(&folder.path().join("log"), "events = 2000"));
    for run in 1..=2 {
        let done = Running::start(&[&file], &[]).end();
        assert_eq!(done.code, Some(0), "{}", done.err);
        let group = &done.json()["status"]["groups"][0];
        assert_eq!((&group["delivered"], &group["backlog_at_start"]), (&2000.into(), &0.into()), "run {run}");
    }
}

/// Scenario: a second process on a log that is in use.
/// Guarantees: it does not start, exit code 1; the message names the directory and the process that has it.
#[test]
fn a_second_process_on_a_log_is_refused() {
    let folder = folder();
    let log = folder.path().join("log");
    let file = write(folder.path(), "agent.toml", &spooling(&log, ""));
    let mut agent = Running::start(&[&file], &[]);
    let _address = agent.admin();
    let second = done(weir(&["run"]).arg(&file));
    assert_eq!(second.code, Some(1), "{}", second.err);
    for wanted in [log.display().to_string(), format!("process {}", agent.pid()), "stop it".to_owned()] {
        assert!(second.err.contains(&wanted), "{wanted:?} in {}", second.err);
    }
    assert_eq!(agent.stop().code, Some(0));
}

/// Scenario: another socket has the port of the source, then that of the admin endpoint.
/// Guarantees: the agent does not start, exit code 1; the message names the address.
#[test]
fn a_port_in_use_is_named() {
    let folder = folder();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let text = format!(
        "[sources.in]\ntype = \"syslog\"\nlisten = [\"tcp://{address}\"]\nchannels = [\"buffer\"]\n\
         [channels.buffer]\ntype = \"memory\"\n[sinks.out]\ntype = \"null\"\nchannel = \"buffer\"\n"
    );
    let file = write(folder.path(), "agent.toml", &text);
    let refused = done(weir(&["run"]).arg(&file));
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    assert!(refused.err.contains(&address) && refused.err.contains("in use"), "{}", refused.err);

    let spooling = write(folder.path(), "spooling.toml", &spooling(&folder.path().join("log"), ""));
    let refused = done(weir(&["run", "--admin", &address]).arg(&spooling));
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    assert!(refused.err.contains(&address) && refused.err.contains("--admin"), "{}", refused.err);
}

/// Scenario: a log in a place that cannot be written, whoever tries: below a file.
/// Guarantees: the agent does not start, exit code 1; the message names the path.
#[test]
fn a_log_that_cannot_be_written_is_named() {
    let folder = folder();
    let in_the_way = write(folder.path(), "in-the-way", "");
    let log = in_the_way.join("log");
    let file = write(folder.path(), "agent.toml", &spooling(&log, ""));
    let refused = done(weir(&["run"]).arg(&file));
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    assert!(refused.err.contains(&log.display().to_string()), "{}", refused.err);
}

/// Scenario: a configuration with an error.
/// Guarantees: the agent does not start, exit code 3; nothing was made on disk.
#[test]
fn a_wrong_configuration_does_not_start() {
    let folder = folder();
    let log = folder.path().join("log");
    let file = write(folder.path(), "agent.toml", &spooling(&log, "lanez = 2"));
    let refused = done(weir(&["run"]).arg(&file));
    assert_eq!(refused.code, Some(3), "{}", refused.err);
    assert!(refused.err.contains("did you mean \"lanes\"?") && !log.exists(), "{}", refused.err);
}

/// Scenario: an agent that is to log JSON, from start to end.
/// Guarantees: every line it logs is a JSON object with level and message.
#[test]
fn logs_are_structured() {
    let folder = folder();
    let text = spooling(&folder.path().join("log"), "events = 100");
    let file = write(folder.path(), "agent.toml", &format!("[agent]\nlog_format = \"json\"\n{text}"));
    let done = done(weir(&["run"]).arg(&file));
    assert_eq!(done.code, Some(0), "{}", done.err);
    for line in done.err.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
    assert!(done.err.contains("agent stopped"), "{}", done.err);
}
