//! `weir demo --full`: it works with real Kafka, HDFS and Solr, and proves it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use libtest_mimic::Failed;
use serde_json::Value;

use crate::support::eventually;

fn demo(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(["demo", "--full", "--json", "--dir"]).arg(folder.join("demo")).args(arguments);
    // What it leaves in the temporary folder is then ours to look for.
    command.env("TMPDIR", folder).env_remove("WEIR_LOG").env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// Neither a folder of servers nor a process that works in one.
fn nothing_is_left(folder: &Path) -> Result<(), Failed> {
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        if name != "demo" {
            return Err(format!("{} is left in the temporary folder", name.display()).into());
        }
    }
    let folder = folder.to_string_lossy().into_owned();
    for entry in std::fs::read_dir("/proc")? {
        // A process may end while it is looked at.
        let command = std::fs::read(entry?.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if command.starts_with("java ") && command.contains(&folder) {
            return Err(format!("a server still runs: {command}").into());
        }
    }
    Ok(())
}

/// Scenario: the whole of it for ten seconds: three brokers, HDFS, SolrCloud.
/// Guarantees: exit code 0, and a ledger that closes from what was sent over the topic to the lines in HDFS and the documents
/// in Solr; each offset is in HDFS exactly once, and none is twice in Solr; a listing and a query show them; nothing is left.
pub(crate) fn everything_proves_itself() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let output = demo(folder.path(), &["--for", "10s"]).output()?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() != Some(0) {
        return Err(format!("{}\n{out}\n{err}", output.status).into());
    }
    nothing_is_left(folder.path())?;
    let report: Value = serde_json::from_str(&out).map_err(|error| format!("{error} in {out}"))?;
    assert_closed(&report);
    assert_proven(&report);
    let look = &report["look"];
    assert!(look["hdfs"]["files"].as_u64() > Some(0), "{look}");
    assert!(look["hdfs"]["first"][0]["path"].as_str().is_some_and(|path| path.starts_with("/events/2")), "{look}");
    assert!(look["solr"]["hits"].as_u64() > Some(0), "{look}");
    let first = look["solr"]["first"][0]["message"].as_str().unwrap_or_default();
    assert!(first.to_lowercase().contains("deny"), "{look}");
    Ok(())
}

fn assert_closed(report: &Value) {
    let ledger = &report["ledger"];
    let number = |name: &str| ledger[name].as_u64().unwrap_or_else(|| panic!("{name} in {ledger}"));
    assert_eq!((&ledger["closes"], &ledger["open"]), (&true.into(), &serde_json::json!([])));
    assert!(number("sent") > 0, "{ledger}");
    for name in ["received", "durable", "in_topic", "lines_in_hdfs"] {
        assert_eq!(number(name), number("sent"), "{name} in {ledger}");
    }
    for name in ["lost", "duplicates", "strays_in_solr"] {
        assert_eq!(number(name), 0, "{name} in {ledger}");
    }
    let solr = &ledger["solr"];
    let left_out = solr["dropped"]["not selected: Severity"].as_u64().unwrap_or(0);
    assert!(number("documents_in_solr") > 0 && left_out > 0, "{ledger}");
    assert_eq!(number("documents_in_solr") + left_out, number("sent"), "{ledger}");
    assert_eq!(report["created_to_hdfs"]["count"], number("sent"));
    assert_eq!(report["created_to_solr"]["count"], number("documents_in_solr"));
}

fn assert_proven(report: &Value) {
    let (verify, ledger) = (&report["verify"], &report["ledger"]);
    assert_eq!(verify["is_proven"], true, "{verify}");
    assert_eq!((&verify["topic"]["events"], &verify["hdfs"]["lines"]), (&ledger["sent"], &ledger["sent"]));
    assert_eq!((&verify["hdfs"]["missing_events"], &verify["hdfs"]["in_progress"]), (&0.into(), &0.into()));
    assert_eq!((&verify["solr"]["found"], &verify["solr"]["twice"]), (&ledger["documents_in_solr"], &0.into()));
}

/// Scenario: Ctrl-C while the servers start.
/// Guarantees: exit code 1, with the reason; neither a process nor a folder of any of them is left.
pub(crate) fn ctrl_c_leaves_no_server() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let mut child = demo(folder.path(), &[]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stderr.take().ok_or("it is piped")?).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("solr 9") && line.ends_with("starting")), "it starts no Solr");
    // The rest is read so that the child never waits for a reader.
    let rest = std::thread::spawn(move || lines.collect::<Vec<_>>().join("\n"));
    let pid = libc::pid_t::try_from(child.id())?;
    // SAFETY: no memory is involved; the child has not been waited for, so the pid is still its own.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0, "the child can be told");
    let ended = eventually("the demo ends", || child.try_wait().transpose());
    if ended.is_err() {
        child.kill()?;
        child.wait()?;
    }
    let said = rest.join().map_err(|_| "the reader panicked")?;
    assert_eq!(ended??.code(), Some(1), "{said}");
    assert!(said.contains("stopped before the servers were ready"), "{said}");
    nothing_is_left(folder.path())
}
