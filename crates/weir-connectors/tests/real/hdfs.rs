//! The HDFS sink on a real HDFS.

use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use weir_connectors::registry;
use weir_hdfs::{FileSystem, Status, WebHdfs, WebHdfsOptions};
use weir_servers::hdfs::{Cluster, ClusterOptions, Distribution, Role};
use weir_servers::process::{self, RunError};
use weir_servers::{Control, Unavailable};
use weir_testkit::agent::TestAgent;

use crate::show;

/// Far above what is measured: the times are shown, not judged.
const PATIENCE: Duration = Duration::from_secs(180);
const EVENTS_PER_SECOND: u64 = 5_000;

/// A cluster as it is in life: a dead DataNode stays listed for ten minutes.
fn options(datanodes: u32, replication: u32) -> ClusterOptions {
    let properties = [
        ("dfs.heartbeat.interval", "3"),
        ("dfs.namenode.heartbeat.recheck-interval", "300000"),
        ("dfs.namenode.stale.datanode.interval", "30000"),
        ("dfs.permissions.enabled", "true"),
    ];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    ClusterOptions { datanodes, replication, block_bytes: 1 << 20, properties, ..ClusterOptions::default() }
}

/// An agent that generates events into a log and from there into the HDFS.
fn agent(cluster: &Cluster, folder: &Path, user: &str, sink: &str) -> TestAgent {
    let toml = format!(
        "[agent]\nmemory = '1 GiB'\nshutdown_deadline = '120 s'\n\
         [sources.in]\ntype = 'generate'\nrate = '{EVENTS_PER_SECOND}/s'\nchannels = ['c']\n\
         [channels.c]\ntype = 'file'\npath = '{}'\n\
         [sinks.out]\ntype = 'hdfs'\nchannel = 'c'\npath = '{}/events/%Y-%m-%d'\ntime = 'arrival'\nroll_time = '1 s'\n\
         user = '{user}'\nhadoop_conf = '{}'\n{sink}\n",
        folder.join("log").display(),
        cluster.url(),
        cluster.configuration().display(),
    );
    TestAgent::start(&toml, &registry())
}

fn user() -> String {
    std::env::var("USER").unwrap_or_else(|_| "root".to_owned())
}

fn delivered(agent: &TestAgent) -> u64 {
    agent.status().groups[0].delivered
}

/// Waits until two seconds' worth of events more than now are in finished files; how long that took.
fn until_events_flow(agent: &TestAgent, after: &str) -> Result<(), Failed> {
    let (before, began) = (delivered(agent), Instant::now());
    while delivered(agent) < before + 2 * EVENTS_PER_SECOND {
        if began.elapsed() > PATIENCE {
            let failure = agent.status().groups[0].last_failure.clone();
            return Err(format!("{after}: nothing flows after {PATIENCE:?}: {failure:?}").into());
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
    show(&format!("{after}: events are in files after {:.1} s", began.elapsed().as_secs_f64()));
    Ok(())
}

/// All files below `folder`, hidden ones too.
async fn tree(files: &WebHdfs, folder: &str) -> Result<Vec<(String, Status)>, Failed> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for status in files.list(&folder).await? {
            let path = format!("{folder}/{}", status.name);
            if status.is_directory {
                folders.push(path);
            } else {
                found.push((path, status));
            }
        }
    }
    Ok(found)
}

async fn lines(files: &WebHdfs, path: &str) -> Result<u64, Failed> {
    let (mut reader, mut lines) = (files.open(path, 0).await?, 0);
    while let Some(bytes) = reader.read().await? {
        lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    }
    Ok(lines)
}

/// Every offset below `events` is in one finished file, and nothing in progress is left.
fn assert_each_once(cluster: &Cluster, events: u64) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let files = WebHdfs::new(WebHdfsOptions::new(vec![cluster.web_address().to_string()], false))?;
        let mut ranges: Vec<RangeInclusive<u64>> = Vec::new();
        for (path, status) in tree(&files, "/events").await? {
            assert!(!path.contains("/.weir/"), "{path} is left");
            let range = path.rsplit('/').next().and_then(|name| name.split('.').nth(2)).ok_or("a name")?;
            let (first, last) = range.split_once('-').ok_or("two offsets")?;
            let (first, last): (u64, u64) = (first.parse()?, last.parse()?);
            assert_eq!(lines(&files, &path).await?, last - first + 1, "{path} of {} bytes", status.bytes);
            ranges.push(first..=last);
        }
        ranges.sort_by_key(|range| *range.start());
        let next = ranges.iter().try_fold(0, |next, range| (*range.start() == next).then_some(range.end() + 1));
        assert_eq!(next, Some(events), "the files follow each other without gap or overlap: {ranges:?}");
        show(&format!("{events} events in {} files, each once", ranges.len()));
        Ok(())
    })
}

fn finish(cluster: &Cluster, agent: TestAgent) -> Result<(), Failed> {
    let report = agent.stop();
    assert!(report.is_clean(), "{:?} {:?}", report.troubles, report.status.groups);
    assert_each_once(cluster, report.status.sources[0].durable)
}

/// Scenario: under load a DataNode is killed and stays listed, and comes back; another is frozen for 30 s; the NameNode
/// is killed and started again (safe mode on the way); all DataNodes are killed and come back after a minute. With as many
/// copies as there are DataNodes, and with one less.
/// Guarantees: after each fault that leaves servers able to serve events are in finished files again, with the dead or
/// frozen one still as it is; at the end each offset is in exactly one file and nothing in progress is left.
pub(crate) fn servers_die_and_each_event_is_there_once() -> Result<(), Failed> {
    for replication in [3, 2] {
        Cluster::with(options(3, replication), |cluster| {
            let folder = tempfile::tempdir()?;
            let agent = agent(cluster, folder.path(), &user(), "sync_interval = '500 ms'");
            show(&format!("replication {replication}"));
            until_events_flow(&agent, "at the start")?;
            cluster.kill(Role::DataNode(1))?;
            until_events_flow(&agent, "one DataNode killed, still listed")?;
            cluster.restart(Role::DataNode(1))?;
            until_events_flow(&agent, "DataNode back")?;
            cluster.pause(Role::DataNode(2))?;
            let frozen = Instant::now();
            until_events_flow(&agent, "another frozen")?;
            std::thread::sleep(Duration::from_secs(30).saturating_sub(frozen.elapsed()));
            cluster.resume(Role::DataNode(2))?;
            until_events_flow(&agent, "back after 30 s")?;
            cluster.kill(Role::NameNode)?;
            std::thread::sleep(Duration::from_secs(3));
            cluster.restart(Role::NameNode)?;
            until_events_flow(&agent, "NameNode killed and back")?;
            (1..=3).try_for_each(|node| cluster.kill(Role::DataNode(node)))?;
            std::thread::sleep(Duration::from_secs(60));
            (1..=3).try_for_each(|node| cluster.restart(Role::DataNode(node)))?;
            until_events_flow(&agent, "all DataNodes gone for a minute and back")?;
            finish(cluster, agent)
        })?;
    }
    Ok(())
}

/// Waits until the sink says why it does not get on.
fn until_it_complains(agent: &TestAgent, wanted: &[&str]) -> Result<(), Failed> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let failure = agent.status().groups[0].last_failure.clone();
        if failure.as_ref().is_some_and(|failure| wanted.iter().all(|part| failure.contains(part))) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("it does not say {wanted:?}: {failure:?}").into());
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// Scenario: the quota of the directory is used up, then it is taken away.
/// Guarantees: events wait and the failure names the path and what to do; then all are there, once.
pub(crate) fn a_used_up_quota_holds_events_back() -> Result<(), Failed> {
    Cluster::with(options(1, 1), |cluster| {
        cluster.shell(&["-mkdir", "/events"], b"")?;
        cluster.admin(&["-setSpaceQuota", "4m", "/events"])?;
        let folder = tempfile::tempdir()?;
        let agent = agent(cluster, folder.path(), &user(), "");
        until_it_complains(&agent, &["/events/", "raise the quota"])?;
        cluster.admin(&["-clrSpaceQuota", "/events"])?;
        until_events_flow(&agent, "quota gone")?;
        finish(cluster, agent)
    })
}

/// Set in the namespace to the one outside.
const OUTSIDE: &str = "WEIR_TEST_MOUNTS_OUTSIDE";

/// What the trial of full disks needs besides the servers.
pub(crate) fn may_mount(hadoop: &Result<Distribution, Unavailable>) -> Result<(), Unavailable> {
    hadoop.as_ref().map_err(Unavailable::clone)?;
    let mounted = Command::new("unshare").args(["--mount", "--", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
    match mounted {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(Unavailable {
            reason: format!("no mounts in a namespace of its own: {}", output.stderr.escape_ascii()),
        }),
        Err(error) => Err(Unavailable { reason: format!("no program unshare: {error}") }),
    }
}

/// Runs the trial `name` a second time in a mount namespace, where small file systems can be mounted that nobody else sees.
pub(crate) fn in_a_namespace(name: &str) -> Result<(), Failed> {
    let here = std::fs::read_link("/proc/self/ns/mnt")?.into_os_string();
    if std::env::var_os(OUTSIDE).is_some_and(|outside| outside != here) {
        return full_disks_hold_events_back();
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "--"]).arg(std::env::current_exe()?).args(["--exact", name]).env(OUTSIDE, here);
    match process::run("the trial in its namespace", &mut command, b"", 2 * PATIENCE) {
        Ok(output) => {
            show(&output.text());
            Ok(())
        }
        Err(RunError::Failed { output, .. } | RunError::TooLong { output, .. }) => {
            Err(Failed::from(format!("{}\n{}", output.stderr, output.text())))
        }
        Err(error) => Err(error.into()),
    }
}

/// Scenario: the disks of all DataNodes fill up under load; after a while they get larger.
/// Guarantees: the sink says so, nothing is lost, and events flow again by themselves; each is there once.
fn full_disks_hold_events_back() -> Result<(), Failed> {
    let mut options = ClusterOptions { volume_bytes: Some(12 << 20), ..options(2, 2) };
    // By default a DataNode takes no block unless it has a gigabyte more than that.
    let margin = "dfs.datanode.round-robin-volume-choosing-policy.additional-available-space";
    options.properties.push((margin.to_owned(), "0".to_owned()));
    Cluster::with(options, |cluster| {
        let folder = tempfile::tempdir()?;
        let agent = agent(cluster, folder.path(), &user(), "");
        until_events_flow(&agent, "small disks")?;
        until_it_complains(&agent, &["space"])?;
        cluster.resize_volumes(1 << 30)?;
        until_events_flow(&agent, "larger disks")?;
        finish(cluster, agent)
    })
}

/// Scenario: the directory belongs to somebody else, then it does not.
/// Guarantees: events wait and the failure names the path and what to do; then all are there, once.
pub(crate) fn a_missing_permission_holds_events_back() -> Result<(), Failed> {
    Cluster::with(options(1, 1), |cluster| {
        cluster.shell(&["-mkdir", "/events"], b"")?;
        cluster.shell(&["-chmod", "755", "/events"], b"")?;
        let folder = tempfile::tempdir()?;
        let agent = agent(cluster, folder.path(), "somebody", "");
        until_it_complains(&agent, &["/events/.weir", "write permission"])?;
        cluster.shell(&["-chmod", "777", "/events"], b"")?;
        until_events_flow(&agent, "permission given")?;
        finish(cluster, agent)
    })
}
