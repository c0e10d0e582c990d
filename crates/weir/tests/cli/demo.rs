//! `weir demo`: it works, and proves it.

use std::path::Path;

use weir_lab::files::read_files;

use crate::support::{Running, done, eventually, folder, status, weir, write};

/// A demo in `dir` that goes on until it is told to stop, and has delivered something.
fn running_demo(dir: &Path) -> (Running, String) {
    let mut demo =
        Running::of(weir(&["demo", "--rate", "20k/s", "--json", "--admin", "127.0.0.1:0", "--dir"]).arg(dir));
    let address = demo.admin();
    eventually("deliveries", || (status(&address)["groups"][0]["delivered"].as_u64()? > 0).then_some(()));
    (demo, address)
}

/// Scenario: the demo for a moment, twice in the same folder.
/// Guarantees: exit code 0, and a ledger that closes from what was sent to the lines in files; the second run goes on with
/// the log of the first.
#[test]
fn the_demo_proves_itself() {
    let folder = folder();
    for run in 1..=2 {
        let args = ["demo", "--for", "1s", "--rate", "2k/s", "--json", "--dir"];
        let done = done(weir(&args).arg(folder.path()));
        assert_eq!(done.code, Some(0), "run {run}: {}{}", done.out, done.err);
        let report = done.json();
        let ledger = &report["ledger"];
        let number = |name: &str| ledger[name].as_u64().unwrap_or_else(|| panic!("{name} in {ledger}"));
        assert_eq!((&ledger["closes"], &ledger["open"]), (&true.into(), &serde_json::json!([])));
        assert!(number("sent_tcp") > 0 && number("sent_udp") > 0);
        assert_eq!(number("sent_tcp") + number("sent_udp"), number("received") + number("kernel_drops"));
        assert_eq!((number("delivered"), number("waiting")), (number("lines_in_files"), 0));
        assert_eq!(report["created_to_file"]["count"], number("delivered"));
    }
}

/// Scenario: the demo replays a file of the user.
/// Guarantees: the lines are in the finished files, and the report for people says that the ledger closes.
#[test]
fn the_demo_replays_a_file() {
    let folder = folder();
    let lines =
        write(folder.path(), "own.log", "<134>1 2026-01-02T03:04:05.000Z own-device app 1 - - a line of mine\n");
    let dir = folder.path().join("demo");
    let mut command = weir(&["demo", "--for", "1s", "--rate", "500/s"]);
    let done = done(command.arg("--dir").arg(&dir).arg("--input").arg(&lines));
    assert_eq!(done.code, Some(0), "{}{}", done.out, done.err);
    assert!(done.out.ends_with("ledger closes: nothing was lost\n"), "{}", done.out);
    let found = text_of(&dir.join("files"));
    assert!(!found.is_empty() && found.lines().all(|line| line.ends_with("a line of mine")), "{found}");
}

/// The text of all files under a folder.
fn text_of(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        text += &if path.is_dir() { text_of(&path) } else { std::fs::read_to_string(&path).expect("UTF-8") };
    }
    text
}

/// Scenario: the configuration of the demo is printed.
/// Guarantees: nothing is started or made; what is printed checks without errors.
#[test]
fn the_configuration_of_the_demo_checks() {
    let folder = folder();
    let dir = folder.path().join("demo");
    let printed = done(weir(&["demo", "--print-config", "--dir"]).arg(&dir));
    assert_eq!((printed.code, dir.exists()), (Some(0), false), "{}", printed.err);
    let file = write(folder.path(), "demo.toml", &printed.out);
    let checked = done(weir(&["check"]).arg(&file));
    assert_eq!((checked.code, checked.err.as_str()), (Some(0), ""));
}

/// Scenario: a file to replay that is not there, and a folder that cannot be made.
/// Guarantees: exit code 1; the message names the file or folder and the option.
#[test]
fn what_the_demo_needs_is_named() {
    let folder = folder();
    let missing = folder.path().join("missing.log").display().to_string();
    let in_the_way = write(folder.path(), "in-the-way", "").join("demo").display().to_string();
    for (option, path) in [("--input", &missing), ("--dir", &in_the_way)] {
        let refused = done(&mut weir(&["demo", "--for", "1s", option, path]));
        assert_eq!(refused.code, Some(1), "{}", refused.err);
        assert!(refused.err.contains(path) && refused.err.contains(option), "{}", refused.err);
    }
}

/// Scenario: the demo of two tiers where there is no Java, and with a broker that does not answer.
/// Guarantees: exit code 1; the message says what is missing and how to get it, or who did not answer.
#[test]
fn two_tiers_need_brokers() {
    let folder = folder();
    let without = done(weir(&["demo", "--kafka", "--for", "1s"]).env("PATH", folder.path()));
    assert_eq!(without.code, Some(1), "{}", without.err);
    for wanted in ["Java 17 or later is needed", "default-jre-headless", "--brokers HOST:PORT"] {
        assert!(without.err.contains(wanted), "{wanted:?} in {}", without.err);
    }
    let alone = done(&mut weir(&["demo", "--kafka", "--for", "1s", "--brokers", "127.0.0.1:1"]));
    assert_eq!(alone.code, Some(1), "{}", alone.err);
    assert!(alone.err.contains("the brokers 127.0.0.1:1 cannot be asked"), "{}", alone.err);
}

/// Scenario: the demo with HDFS and Solr where there is no Java.
/// Guarantees: exit code 1; the message says what is missing, how to get it, and what there is without it; nothing was
/// started or made.
#[test]
fn everything_needs_java() {
    let folder = folder();
    let without =
        done(weir(&["demo", "--full", "--for", "1s"]).env("PATH", folder.path()).env("TMPDIR", folder.path()));
    assert_eq!(without.code, Some(1), "{}", without.err);
    for wanted in ["Java 17 or later is needed", "default-jdk-headless maven", "weir demo --kafka"] {
        assert!(without.err.contains(wanted), "{wanted:?} in {}", without.err);
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

/// Scenario: the configurations of both tiers are printed, for a folder whose name means something everywhere.
/// Guarantees: nothing is started or made; each of the two checks without errors.
#[test]
fn the_configurations_of_two_tiers_check() {
    let folder = folder();
    let dir = folder.path().join("a \"b\" ${HOME} 100%");
    for demo in ["--kafka", "--full"] {
        let printed = done(weir(&["demo", demo, "--print-config", "--dir"]).arg(&dir));
        assert_eq!((printed.code, dir.exists()), (Some(0), false), "{}", printed.err);
        let (edge, hub) = printed.out.split_once("# ---- hub.toml ----").expect("two of them");
        for (name, text) in [("edge.toml", edge), ("hub.toml", hub)] {
            let checked = done(weir(&["check"]).arg(write(folder.path(), name, text)));
            assert_eq!((checked.code, checked.err.as_str()), (Some(0), ""), "{demo} {name}");
        }
    }
}

/// Scenario: options of demos that do not go together, or go with none of them.
/// Guarantees: exit code 2, and nothing happens.
#[test]
fn demos_are_told_apart() {
    for arguments in [&["--kafka", "--full"][..], &["--kill"], &["--full", "--admin", "127.0.0.1:0"]] {
        let refused = done(weir(&["demo"]).args(arguments));
        assert_eq!(refused.code, Some(2), "{arguments:?}: {}", refused.err);
    }
}

/// Scenario: Ctrl-C while the demo runs without an end.
/// Guarantees: it stops in order, with the ledger, exit code 0.
#[test]
fn ctrl_c_ends_with_the_ledger() {
    let folder = folder();
    let (demo, _address) = running_demo(folder.path());
    demo.signal(libc::SIGINT);
    let done = demo.end();
    assert_eq!(done.code, Some(0), "{}{}", done.out, done.err);
    assert_eq!(done.json()["ledger"]["closes"], true);
}

/// Scenario: the demo is killed while events are in the log and in unfinished files, and then run again in its folder.
/// Guarantees: everything that was durable when it died is in the files: each event of the log once, none twice.
#[test]
fn a_killed_demo_loses_nothing_durable() {
    let folder = folder();
    let (demo, address) = running_demo(folder.path());
    let durable = status(&address)["sources"][0]["durable"].as_u64().expect("a number");
    demo.signal(libc::SIGKILL);
    assert_eq!(demo.end().code, None);

    let again = done(weir(&["demo", "--for", "1s", "--rate", "2k/s", "--json", "--dir"]).arg(folder.path()));
    assert_eq!(again.code, Some(0), "{}{}", again.out, again.err);
    let ledger = &again.json()["ledger"];
    let received = ledger["received"].as_u64().expect("a number");
    let log = done(weir(&["log", "check", "--json"]).arg(folder.path().join("log")));
    assert_eq!(log.code, Some(0), "{}", log.out);
    let end = log.json()["end_offset"].as_u64().expect("a number");
    assert!(end >= durable + received, "{end} events were numbered, {durable} and {received} were durable");
    let files = read_files(&folder.path().join("files")).expect("finished files");
    assert_eq!(files.totals.lines, end);
}
