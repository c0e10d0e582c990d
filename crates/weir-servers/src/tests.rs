use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::artifacts::{Artifacts, Unavailable, downloaded, java_version};
use super::process::{self, Process, RunError};
use super::{Watch, hdfs, http, ports, solr, trial};

/// More than any of these commands takes on a machine that is busy with everything else.
const PATIENCE: Duration = Duration::from_secs(20);

#[track_caller]
fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for: {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// Whether `process` exists and is no zombie.
fn runs(process: u32) -> bool {
    state(process).is_some_and(|state| state != 'Z')
}

/// The letter of the state of `process`: the first after its name, which ends with the last parenthesis.
fn state(process: u32) -> Option<char> {
    let line = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    line.rsplit_once(") ")?.1.chars().next()
}

fn sleeper(log: &Path) -> Process {
    Process::start(Command::new("sleep").arg("600"), log).expect("sleep is everywhere")
}

/// Scenario: a process is paused, resumed, paused again and killed; another is dropped.
/// Guarantees: each signal has its effect, also on a paused process, and nothing is left.
#[test]
fn signals_reach_a_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut process = sleeper(&folder.path().join("log"));
    let id = process.id();
    process.pause().expect("it runs");
    eventually("it stops", || state(id) == Some('T'));
    process.resume().expect("it is there");
    eventually("it goes on", || state(id) == Some('S'));
    process.pause().expect("it runs");
    process.kill().expect("it can be killed");
    assert!(!runs(id));
    assert!(process.pause().is_err(), "a process that has ended takes no signal");
    let other = sleeper(&folder.path().join("log"));
    let id = other.id();
    drop(other);
    assert!(!runs(id));
}

/// Scenario: one process ends on SIGTERM, another ignores it.
/// Guarantees: terminate returns with either, by a kill where it has to.
#[test]
fn terminate_ends_also_those_who_do_not_listen() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut process = sleeper(&folder.path().join("log"));
    assert!(!process.terminate(PATIENCE).expect("it ends").success());
    let log = folder.path().join("deaf.log");
    let mut deaf =
        Process::start(Command::new("sh").args(["-c", "trap '' TERM; echo deaf; while :; do sleep 1; done"]), &log)
            .expect("sh is everywhere");
    eventually("it is deaf", || fs::read_to_string(&log).is_ok_and(|text| text == "deaf\n"));
    let id = deaf.id();
    deaf.terminate(Duration::from_millis(50)).expect("it is killed");
    assert!(!runs(id));
}

/// Scenario: this binary runs one test of its own (below) that starts a process, and is killed by SIGKILL.
/// Guarantees: the process it had started ends too.
#[test]
fn what_a_killed_test_started_ends() {
    let binary = std::env::current_exe().expect("a test is a file");
    let mut test = Command::new(binary)
        .args(["--exact", "--nocapture", "tests::starts_a_process_and_waits_if_asked"])
        .env(ASKED_VARIABLE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs already");
    let output = BufReader::new(test.stdout.take().expect("it is piped"));
    let id = output
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.split_once("started ").and_then(|(_, id)| id.parse::<u32>().ok()))
        .expect("it says what it started");
    assert!(runs(id));
    test.kill().expect("it can be killed");
    test.wait().expect("it was killed");
    eventually("the process is gone", || !runs(id));
}

const ASKED_VARIABLE: &str = "WEIR_SERVERS_START_AND_WAIT";

/// Scenario: the other half of the test above; nothing when run without being asked.
/// Guarantees: a process is started and kept until this one is killed or its input ends.
#[test]
fn starts_a_process_and_waits_if_asked() {
    if std::env::var_os(ASKED_VARIABLE).is_some() {
        let folder = tempfile::tempdir().expect("a folder");
        let process = sleeper(&folder.path().join("log"));
        println!("started {}", process.id());
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).expect("a pipe can be read");
    }
}

/// Scenario: commands that copy their input, fail, do not end and do not exist.
/// Guarantees: output and the reason are what they should be; more input than a pipe holds does not block.
#[test]
fn commands_run_to_their_end() {
    let input = vec![b'x'; 1 << 20];
    let output = process::run("cat", &mut Command::new("cat"), &input, PATIENCE).expect("cat copies");
    assert_eq!(output.stdout, input);
    let shell = |script| process::run("sh", Command::new("sh").args(["-c", script]), b"", PATIENCE);
    let error = shell("echo why >&2; exit 3").expect_err("it fails");
    assert!(matches!(&error, RunError::Failed { output, .. } if output.stderr == "why\n"));
    assert!(error.to_string().contains("why"), "{error}");
    let endless = process::run("sleep", Command::new("sleep").arg("600"), b"", Duration::from_millis(20));
    assert!(matches!(endless, Err(RunError::TooLong { .. })));
    let absent = process::run("none", &mut Command::new("/nonexistent/program"), b"", PATIENCE);
    assert!(matches!(absent, Err(RunError::Start { .. })));
}

/// A stand-in for mvn that counts its calls and then does `act`. Run by `sh`, not made executable: a
/// file that was just written may be busy while another test of this process starts a child.
fn fake_mvn(folder: &Path, act: &str) -> String {
    let path = folder.join("mvn");
    fs::write(&path, format!("#!/bin/sh\necho call >> '{}'\n{act}\n", folder.join("calls").display()))
        .expect("written");
    path.to_str().expect("a temporary folder has a plain name").to_owned()
}

fn calls(folder: &Path) -> usize {
    fs::read_to_string(folder.join("calls")).map_or(0, |text| text.lines().count())
}

/// Scenario: artifacts are asked for twice, then with another version of one of them; with a client that fails, and none.
/// Guarantees: each set is fetched once, a changed one again; a failed fetch leaves no set behind and gives its reason.
#[test]
fn artifacts_are_fetched_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cache, mvn) = (folder.path().join("cache"), fake_mvn(folder.path(), "mkdir lib && : > lib/one.jar"));
    let patient = Watch::patient();
    let first = Artifacts { name: "set", coordinates: &["group:one:1"] };
    let changed = Artifacts { name: "set", coordinates: &["group:one:2"] };
    for (artifacts, expected) in [(&first, 1), (&first, 1), (&changed, 2), (&changed, 2)] {
        let jars = artifacts.folder_in(&cache, &["sh", &mvn], &patient).expect("it is fetched or kept");
        assert!(jars.join("one.jar").is_file());
        assert_eq!(calls(folder.path()), expected);
    }
    let other = Artifacts { name: "other", ..first.clone() };
    let failing = fake_mvn(folder.path(), "echo '[ERROR] no such artifact'; exit 1");
    let missing = other.folder_in(&cache, &["sh", &failing], &patient).expect_err("it cannot be fetched");
    assert_eq!(missing.reason, "mvn cannot fetch other: no such artifact");
    assert!(!cache.join("other").exists());
    let missing = other.folder_in(&cache, &["/nonexistent/mvn"], &patient).expect_err("there is no client");
    assert!(missing.reason.contains("install Maven"), "{missing}");
}

/// Scenario: a fetch that would take ten minutes is cancelled when its first jar is there; so is a wait for another's fetch.
/// Guarantees: both end at once with that reason, mvn is gone, no set is left, and progress was counted.
#[test]
fn a_fetch_can_be_cancelled() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cache, id) = (folder.path().join("cache"), folder.path().join("id"));
    let act = format!(
        "echo '[INFO] Downloaded from central: one.jar (5 kB at 1 kB/s)'; echo $$ > '{0}.new'; mv '{0}.new' '{0}'; sleep 600",
        id.display()
    );
    let mvn = fake_mvn(folder.path(), &act);
    let artifacts = Artifacts { name: "set", coordinates: &["group:one:1"] };
    let is_there = || id.exists();
    let said = std::cell::RefCell::new(Vec::new());
    let say = |line: &str| said.borrow_mut().push(line.to_owned());
    let cancelled = artifacts.folder_in(&cache, &["sh", &mvn], &Watch::new(&say, &is_there)).expect_err("cancelled");
    assert_eq!(cancelled.reason, "the fetch of set was cancelled");
    assert!(!cache.join("set").exists());
    let id: u32 = fs::read_to_string(&id).expect("it ran").trim().parse().expect("a number");
    assert!(!runs(id));
    let log = fs::read_to_string(cache.join("set.part").join("mvn.log")).expect("what it said");
    assert_eq!(downloaded(&log), 1);

    let other = fs::File::create(cache.join("set.lock")).expect("a file");
    other.lock().expect("nobody else has it");
    let cancelled = artifacts.folder_in(&cache, &["sh", &mvn], &Watch::new(&say, &|| true)).expect_err("cancelled");
    assert_eq!(cancelled.reason, "the fetch of set was cancelled");
    assert_eq!(calls(folder.path()), 1);
    assert!(said.borrow()[0].contains("fetching its jars"), "{said:?}");
}

/// Scenario: what several Java machines print about themselves.
/// Guarantees: the feature release, in the old numbering and in the new one.
#[test]
fn java_versions_are_read() {
    assert_eq!(java_version("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime"), Some(17));
    assert_eq!(java_version("openjdk version \"25\" 2025-09-16"), Some(25));
    assert_eq!(java_version("openjdk version \"26-ea\" 2026-03-17"), Some(26));
    assert_eq!(java_version("java version \"1.8.0_402\""), Some(8));
    assert_eq!(java_version("command not found"), None);
}

/// Scenario: 50 ports are asked for.
/// Guarantees: they are distinct and can be bound.
#[test]
fn ports_are_free_and_distinct() {
    let mut ports = ports::free(50).expect("there are thousands");
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 50);
}

/// Scenario: a test whose server is missing, where that is allowed and where it is not.
/// Guarantees: it is ignored with the reason in its name, or it keeps its name and runs (and fails).
#[test]
fn a_missing_server_is_named() {
    let missing = Unavailable { reason: "no Java".into() };
    let ignored = trial::decide("name", Some(&missing), false, || Ok(()));
    assert!(ignored.has_ignored_flag());
    assert_eq!(ignored.name(), "name (no Java)");
    let failing = trial::decide("name", Some(&missing), true, || Ok(()));
    assert!(!failing.has_ignored_flag());
    assert_eq!(failing.name(), "name");
}

/// Scenario: answers of a web server: whole, empty, an error, and something else.
/// Guarantees: status and body are read; what is no HTTP is an error.
#[test]
fn answers_are_read() {
    let answer = http::parse(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc").expect("it is HTTP");
    assert_eq!((answer.status, answer.text().as_str()), (200, "abc"));
    assert_eq!(http::parse(b"HTTP/1.0 204 No Content\r\n\r\n").expect("it is HTTP").body, b"");
    let refused = http::parse(b"HTTP/1.1 500 Server Error\r\n\r\nwhy").expect("it is HTTP").ok();
    assert_eq!(refused.expect_err("it is refused").to_string(), "status 500: why");
    for other in [&b""[..], b"\r\n\r\n", b"HTTP/1.1 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n"] {
        assert!(http::parse(other).is_err(), "{other:?}");
    }
}

/// Scenario: what a NameNode and a Solr node say of themselves.
/// Guarantees: the numbers and names that the launchers wait for are found; what is not there is not invented.
#[test]
fn states_are_read() {
    let state = "\"NumLiveDataNodes\" : 3,\n\"FSState\" : \"Operational\"";
    assert_eq!(hdfs::number_of(state, "NumLiveDataNodes"), Some(3));
    assert_eq!(hdfs::number_of(state, "FSState"), None);
    assert_eq!(hdfs::number_of(state, "LiveDataNodes"), None);
    let status = r#"{"cluster":{"collections":{"a":[]},"live_nodes":["127.0.0.1:1_solr","127.0.0.1:2_solr"]}}"#;
    assert_eq!(solr::live_part(status), Some(r#""127.0.0.1:1_solr","127.0.0.1:2_solr""#));
    assert_eq!(solr::live_part("{}"), None);
}
