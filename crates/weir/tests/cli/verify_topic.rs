//! `weir verify`: topics that have lost some of their events, or have none.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use weir_kafka::fake::FakeCluster;

use crate::support::{done, folder, weir, write};
use crate::verify::{EVENTS, brokers, difference, files, fill, kafka_channel, verify};

/// Partition, first and last offset that a file's name claims.
fn claim(path: &Path) -> (usize, u64, u64) {
    let name = path.file_name().expect("a name").to_str().expect("text");
    let parts: Vec<&str> = name.split('.').collect();
    let partition = parts[1].rsplit_once('-').expect("LOG-PARTITION").1;
    let (first, last) = parts[2].split_once('-').expect("FIRST-LAST");
    let number = |text: &str| text.parse().expect("a number");
    (partition.parse().expect("a number"), number(first), number(last))
}

fn lines(path: &Path) -> u64 {
    fs::read_to_string(path).expect("readable").lines().count() as u64
}

/// Lines that are missing, whether or not another file claims their offsets.
fn missing(found: &Value) -> u64 {
    let different = found["different"].as_array().expect("a list");
    let lines = different.iter().filter_map(|it| it["missing_lines"].as_u64()).sum::<u64>();
    found["missing_events"].as_u64().expect("a number") + lines
}

/// Lets retention take the first third of each partition; gives the oldest offsets.
fn expire(brokers: &FakeCluster, files: &[PathBuf]) -> Vec<u64> {
    let start = |partition| {
        let ends = files.iter().map(|path| claim(path)).filter(|claim| claim.0 == partition).map(|claim| claim.2);
        let start = ends.max().expect("events everywhere") / 3;
        brokers.delete_below("events", partition, i64::try_from(start).expect("small"));
        start
    };
    (0..3).map(start).collect()
}

/// Scenario: files of several directories reach over each other and over the oldest offset of each partition, since retention
/// has taken a third; then a later file is taken away, one of those that reach over, and a line is put twice into a later one.
/// Guarantees: what the topic still has is proven, though not every offset of every file is there; each change is found, with
/// as many missing lines as there were in the file.
#[test]
fn what_retention_left_is_compared() {
    let (_thread, brokers) = brokers();
    let broker = &brokers.bootstrap()[0];
    let folder = folder();
    let out = fill(folder.path(), &kafka_channel(broker), "roll_events = 200\n");
    let all = files(&out);
    let starts = expire(&brokers, &all);
    let report = verify(broker, &out);
    assert_eq!(report.code, Some(0), "{}{}", report.out, report.err);
    let report = report.json();
    assert_eq!((&report["is_proven"], &report["hdfs"]["not_compared"]), (&true.into(), &0.into()));
    let older = all.iter().filter(|path| claim(path).2 < starts[claim(path).0]).count();
    assert!(older > 0);
    assert_eq!(report["hdfs"]["older"], older);

    let aside = folder.path().join("aside");
    let later: Vec<_> = all.iter().filter(|path| claim(path).1 >= starts[claim(path).0]).collect();
    let middle = later.iter().min_by_key(|path| claim(path).1).expect("some");
    let count = lines(middle);
    fs::rename(middle, &aside).expect("moved");
    let found = difference(&verify(broker, &out));
    assert_eq!(missing(&found), count, "{found}");
    fs::rename(&aside, middle).expect("moved");

    let over = all.iter().find(|path| (claim(path).1..=claim(path).2).contains(&starts[claim(path).0]));
    let over = over.expect("some reach over");
    fs::rename(over, &aside).expect("moved");
    let found = difference(&verify(broker, &out));
    assert!((1..=lines(&aside)).contains(&missing(&found)), "{found}");
    fs::rename(&aside, over).expect("moved");

    let text = fs::read_to_string(middle).expect("readable");
    let first = text.lines().next().expect("a line");
    fs::write(middle, format!("{first}\n{text}")).expect("written");
    let found = difference(&verify(broker, &out));
    assert_eq!(found["different"][0]["extra_lines"], 1, "{found}");
}

/// Scenario: a topic without events and an empty folder; then a topic all of whose events have expired.
/// Guarantees: nothing to compare is no proof: exit code 4, and the text says why.
#[test]
fn nothing_to_compare_is_no_proof() {
    let (_thread, brokers) = brokers();
    let broker = &brokers.bootstrap()[0];
    let folder = folder();
    let out = folder.path().join("out");
    fs::create_dir(&out).expect("a folder");
    assert_eq!(difference(&verify(broker, &out))["files"], 0);
    let text = weir(&["verify", "--brokers", broker, "--topic", "events", "--hdfs"])
        .arg(format!("file://{}", out.display()))
        .output()
        .expect("the binary starts");
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.ends_with("NOT proven: nothing to compare, the topic has no events\n"), "{text}");
    assert!(!text.contains("exactly once"), "{text}");

    let out = fill(folder.path(), &kafka_channel(broker), "");
    let all = files(&out);
    for partition in 0..3 {
        let ends = all.iter().map(|path| claim(path)).filter(|claim| claim.0 == partition).map(|claim| claim.2 + 1);
        let end = ends.max().expect("events everywhere");
        brokers.delete_below("events", partition, i64::try_from(end).expect("small"));
    }
    assert_eq!(difference(&verify(broker, &out))["older"], all.len());
}

/// Scenario: brokers, topic and the folder are those of a configuration with a sink hdfs; then options that go with Solr, and
/// another user.
/// Guarantees: the files are found below the fixed part of its path and proven; what means nothing is a wrong command line.
#[test]
fn files_are_found_by_the_configuration() {
    let (_thread, brokers) = brokers();
    let folder = folder();
    let channel = kafka_channel(&brokers.bootstrap()[0]);
    let out = fill(folder.path(), &channel, "");
    let config = format!(
        "[agent]\nname = 'hub'\n[channels.c]\n{channel}\n[sinks.out]\ntype = 'hdfs'\nchannel = 'c'\n\
         path = 'file://{}/%{{Severity}}'\n",
        out.display()
    );
    let config = write(folder.path(), "hdfs.toml", &config);
    let run = |more: &[&str]| done(weir(&["verify", "--json", "--config"]).arg(&config).args(more));
    let report = run(&[]);
    assert_eq!(report.code, Some(0), "{}{}", report.out, report.err);
    assert_eq!(report.json()["hdfs"]["lines"], EVENTS);
    for more in [&["--left-out", "5"][..], &["--selective"], &["--user", "somebody"]] {
        let done = run(more);
        assert!(done.code == Some(2) && done.err.contains(more[0]), "{}", done.err);
    }
}

/// Scenario: the topic has lost its end after the files were written, as an unclean election does it.
/// Guarantees: the difference is told, with the lines that are too many and their files, and what is still there is no
/// difference.
#[test]
fn a_topic_that_lost_its_end_is_told() {
    let (_thread, brokers) = brokers();
    let broker = &brokers.bootstrap()[0];
    let folder = folder();
    let out = fill(folder.path(), &kafka_channel(broker), "");
    let batches = brokers.batches("events", 0);
    let last = weir_codec::record_batch::BatchHeader::parse(batches.last().expect("some")).expect("a batch");
    brokers.truncate("events", 0, last.base_offset);
    let found = difference(&verify(broker, &out));
    let different = found["different"].as_array().expect("a list");
    let sum = |key: &str| different.iter().filter_map(|it| it[key].as_u64()).sum::<u64>();
    assert_eq!(
        (sum("extra_lines"), sum("missing_lines")),
        (u64::try_from(last.record_count).expect("some"), 0),
        "{found}"
    );
    assert!(different.iter().all(|it| it["partition"] == 0 && it["not_narrowed"].is_null()), "{found}");
    assert!(!different[0]["extra_files"].as_array().expect("a list").is_empty(), "{found}");
}
