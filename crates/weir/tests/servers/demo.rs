//! `weir demo --kafka`: it works with real brokers, and proves it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use serde_json::Value;
use weir_servers::kafka;

/// Many times what the demo takes to start and to end.
const PATIENCE: Duration = Duration::from_secs(120);

fn demo(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(["demo", "--kafka", "--json", "--dir"]).arg(folder.join("demo")).args(arguments);
    // What it leaves in the temporary folder is then ours to look for.
    command.env("TMPDIR", folder).env_remove("WEIR_LOG").env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// The report of a demo that ended well.
fn report(folder: &Path, arguments: &[&str]) -> Result<Value, Failed> {
    let output = demo(folder, arguments).output()?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() != Some(0) {
        return Err(format!("{}\n{out}\n{err}", output.status).into());
    }
    nothing_is_left(folder)?;
    serde_json::from_str(&out).map_err(|error| format!("{error} in {out}").into())
}

/// Neither the brokers' folder nor a process that works in it.
fn nothing_is_left(folder: &Path) -> Result<(), Failed> {
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        if name.to_string_lossy().starts_with("weir-kafka") {
            return Err(format!("{} is left in the temporary folder", name.display()).into());
        }
    }
    let folder = folder.to_string_lossy().into_owned();
    for entry in std::fs::read_dir("/proc")? {
        // A process may end while it is looked at.
        let command = std::fs::read(entry?.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if command.contains("kafka.Kafka") && command.contains(&folder) {
            return Err(format!("a broker still runs: {command}").into());
        }
    }
    Ok(())
}

fn assert_closed(report: &Value) {
    let ledger = &report["ledger"];
    let number = |name: &str| ledger[name].as_u64().unwrap_or_else(|| panic!("{name} in {ledger}"));
    assert_eq!((&ledger["closes"], &ledger["open"]), (&true.into(), &serde_json::json!([])));
    assert!(number("sent") > 0, "{ledger}");
    for name in ["received", "durable", "in_topic", "lines_in_files"] {
        assert_eq!(number(name), number("sent"), "{name} in {ledger}");
    }
    assert_eq!((number("lost"), number("duplicates")), (0, 0));
    assert_eq!(report["created_to_topic"]["count"], number("sent"));
    assert_eq!(report["created_to_file"]["count"], number("sent"));
}

/// Scenario: the demo of two tiers for ten seconds.
/// Guarantees: exit code 0, and a ledger that closes from what was sent to the numbered lines in files: nothing lost,
/// nothing twice; three brokers were there, and nothing of them is left.
pub(crate) fn two_tiers_prove_themselves() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let report = report(folder.path(), &["--for", "10s"])?;
    assert_closed(&report);
    assert_eq!(report["brokers"].as_array().map(Vec::len), Some(3));
    assert_eq!(report["killed_broker"], Value::Null);
    Ok(())
}

/// Scenario: the same, and kill -9 of a broker half way.
/// Guarantees: the ledger closes all the same.
pub(crate) fn two_tiers_survive_a_broker() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let report = report(folder.path(), &["--for", "10s", "--kill"])?;
    assert_closed(&report);
    assert_eq!(report["killed_broker"], 2);
    Ok(())
}

/// Scenario: the demo of two tiers at a broker that is somebody else's.
/// Guarantees: the ledger closes; the broker is named and goes on.
pub(crate) fn two_tiers_at_brokers_of_others() -> Result<(), Failed> {
    kafka::Cluster::with(kafka::ClusterOptions::default(), |server| {
        let folder = tempfile::tempdir()?;
        let brokers = server.bootstrap();
        let report = report(folder.path(), &["--for", "5s", "--brokers", &brokers])?;
        assert_closed(&report);
        assert_eq!(report["brokers"], serde_json::json!([brokers]));
        server.metadata()?;
        Ok(())
    })
}

/// Scenario: Ctrl-C while the brokers start, and in another demo while events flow.
/// Guarantees: the first ends at once with exit code 1; the second closes its ledger and ends with 0; neither leaves a
/// process or a folder of brokers.
pub(crate) fn ctrl_c_leaves_nothing() -> Result<(), Failed> {
    for (sign, code) in [("broker(s): starting", 1), ("Ctrl-C stops", 0)] {
        let folder = tempfile::tempdir()?;
        let mut child = demo(folder.path(), &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().ok_or("it is piped")?).lines();
        let seen = lines.by_ref().map_while(Result::ok).any(|line| line.contains(sign));
        assert!(seen, "it never said {sign:?}");
        // The rest is read so that the child never waits for a reader.
        let rest = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>().join("\n"));
        let pid = libc::pid_t::try_from(child.id())?;
        // SAFETY: no memory is involved; the child has not been waited for, so the pid is still its own.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0, "the child can be told");
        let status = ended(&mut child)?;
        let said = rest.join().map_err(|_| "the reader panicked")?;
        assert_eq!(status.code(), Some(code), "{said}");
        nothing_is_left(folder.path())?;
    }
    Ok(())
}

fn ended(child: &mut Child) -> Result<std::process::ExitStatus, Failed> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Err(format!("it did not end within {PATIENCE:?}").into());
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
