//! `weir demo`: it works, and proves it.

use crate::support::{done, folder, weir, write};

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
fn text_of(folder: &std::path::Path) -> String {
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
