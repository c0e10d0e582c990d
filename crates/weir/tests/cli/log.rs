//! `weir log` on a log that a run wrote.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Done, Running, done, folder, weir, write};

/// Events in each test's log.
const EVENTS: u64 = 3000;

/// Runs a generator into a log in `folder` until it has ended; two groups, of which one is left behind afterwards.
fn written_log(folder: &Path) -> PathBuf {
    let log = folder.join("log");
    let text = format!(
        "[sources.load]\ntype = \"generate\"\nrate = \"unlimited\"\nbatch_events = 500\nevents = {EVENTS}\nchannels = [\"spool\"]\n\
         [channels.spool]\ntype = \"file\"\npath = \"{}\"\nsegment_bytes = \"16 MiB\"\n\
         [sinks.a]\ntype = \"null\"\nchannel = \"spool\"\ngroup = \"archive\"\n\
         [sinks.b]\ntype = \"null\"\nchannel = \"spool\"\ngroup = \"old\"\n",
        log.display()
    );
    let run = Running::start(&[&write(folder, "agent.toml", &text)], &[]).end();
    assert_eq!(run.code, Some(0), "{}", run.err);
    log
}

fn log(command: &str, dir: &Path, args: &[&str]) -> Done {
    done(weir(&["log", command]).arg(dir).args(args))
}

/// Scenario: a log that was closed in order.
/// Guarantees: check finds it sound, with as many events as were written, and both groups at the end.
#[test]
fn a_closed_log_is_sound() {
    let folder = folder();
    let dir = written_log(folder.path());
    let text = log("check", &dir, &[]);
    assert_eq!(text.code, Some(0), "{}{}", text.out, text.err);
    assert!(text.out.contains("sound: 3,000 events"), "{}", text.out);
    let report = log("check", &dir, &["--json"]).json();
    assert_eq!((&report["sound"], &report["events"]), (&true.into(), &EVENTS.into()));
    let groups = log("groups", &dir, &["--json"]).json();
    let groups: Vec<_> =
        groups.as_array().expect("a list").iter().map(|group| (&group["name"], &group["position"])).collect();
    assert_eq!(groups, [(&"archive".into(), &EVENTS.into()), (&"old".into(), &EVENTS.into())]);
}

/// Scenario: events are dumped from the middle, across the border of two batches, as text and as JSON.
/// Guarantees: exactly the offsets asked for, in order, with headers and body; a missing log is named.
#[test]
fn dump_gives_what_is_asked_for() {
    let folder = folder();
    let dir = written_log(folder.path());
    let dumped = log("dump", &dir, &["--from", "495", "--to", "505", "--json"]);
    assert_eq!(dumped.code, Some(0), "{}", dumped.err);
    let events: Vec<Value> = dumped.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let offsets: Vec<_> = events.iter().map(|event| event["offset"].as_u64().expect("a number")).collect();
    assert_eq!(offsets, (495..505).collect::<Vec<_>>());
    assert!(events.iter().all(|event| event["headers"]["host"].is_string() && event["timestamp_ms"].is_i64()));
    let text = log("dump", &dir, &["--count", "3"]);
    let starts: Vec<_> = text.out.lines().map(|line| line.split(' ').next().expect("an offset")).collect();
    assert_eq!((starts, text.err.as_str()), (vec!["0", "1", "2"], ""));
    assert!(text.out.contains("Facility="), "{}", text.out);

    let missing = log("dump", &folder.path().join("nothing"), &[]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.err.contains("there is no log in") && missing.err.contains("segments/"), "{}", missing.err);
}

/// Scenario: a bit in the middle of a segment flips; then the log is repaired into a new folder.
/// Guarantees: check names segment and offsets, exit code 5; the copy is sound but for the gap, and dump shows the rest.
#[test]
fn damage_is_located_and_left_behind() {
    let folder = folder();
    let dir = written_log(folder.path());
    let segment =
        std::fs::read_dir(dir.join("segments")).expect("a folder").map(|entry| entry.expect("an entry").path());
    let segment = segment.max_by_key(|path| path.metadata().expect("a file").len()).expect("a segment");
    let mut bytes = std::fs::read(&segment).expect("reads");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).expect("writes");

    let text = log("check", &dir, &[]);
    assert_eq!(text.code, Some(5), "{}", text.out);
    for wanted in ["DAMAGED in 1 place", "500 events are gone", "weir log repair"] {
        assert!(text.out.contains(wanted), "{wanted:?} in {}", text.out);
    }
    let report = log("check", &dir, &["--json"]).json();
    let damaged = report["segments"]
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|segment| segment["damaged"].as_array().expect("a list"));
    let bytes = &damaged.collect::<Vec<_>>()[0]["bytes"];
    let (from, to) = (bytes[0].as_u64().expect("a number"), bytes[1].as_u64().expect("a number"));
    assert!((from..to).contains(&(middle as u64)), "{from}..{to} has {middle}");

    let copy = folder.path().join("copy");
    let repaired = log("repair", &dir, &["--to", &copy.display().to_string()]);
    assert_eq!(repaired.code, Some(0), "{}", repaired.err);
    assert!(repaired.out.contains("2,500 events") && repaired.out.contains("archive, old"), "{}", repaired.out);
    assert_eq!(log("dump", &copy, &[]).out.lines().count(), 2500);
    let again = log("repair", &dir, &["--to", &copy.display().to_string()]);
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains("not empty"), "{}", again.err);
}

/// Scenario: a group is dropped; then one that is not there; then from a folder without a log.
/// Guarantees: only the group goes; the others are named in the error; no log is made by a slip.
#[test]
fn a_group_can_be_dropped() {
    let folder = folder();
    let dir = written_log(folder.path());
    let dropped = log("drop-group", &dir, &["old"]);
    assert_eq!(dropped.code, Some(0), "{}", dropped.err);
    let names = log("groups", &dir, &[]);
    assert!(names.out.contains("archive") && !names.out.contains("old"), "{}", names.out);
    let unknown = log("drop-group", &dir, &["old"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.err.contains("the groups are: archive"), "{}", unknown.err);
    let nothing = folder.path().join("nothing");
    assert_eq!(log("drop-group", &nothing, &["old"]).code, Some(1));
    assert!(!nothing.exists());
}

/// Scenario: check and dump beside a running agent; drop-group is tried too.
/// Guarantees: the first two read what is durable; the last is refused and names the process.
#[test]
fn a_log_in_use_can_be_read() {
    let folder = folder();
    let dir = folder.path().join("log");
    let text = format!(
        "[sources.load]\ntype = \"generate\"\nrate = \"5k/s\"\nchannels = [\"spool\"]\n\
         [channels.spool]\ntype = \"file\"\npath = \"{}\"\nsegment_bytes = \"16 MiB\"\n\
         [sinks.a]\ntype = \"null\"\nchannel = \"spool\"\n",
        dir.display()
    );
    let mut agent = Running::start(&[&write(folder.path(), "agent.toml", &text)], &[]);
    let address = agent.admin();
    crate::support::eventually("events", || {
        (crate::support::status(&address)["sources"][0]["durable"].as_u64()? > 100).then_some(())
    });
    let checked = log("check", &dir, &[]);
    assert_eq!(checked.code, Some(0), "{}{}", checked.out, checked.err);
    assert_eq!(log("dump", &dir, &["--count", "5"]).out.lines().count(), 5);
    let refused = log("drop-group", &dir, &["default"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains(&format!("process {}", agent.pid())), "{}", refused.err);
    assert_eq!(agent.stop().code, Some(0));
}
