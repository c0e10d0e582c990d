//! Transactions of Java producers, read by this client.

use std::process::Command;
use std::time::Duration;

use libtest_mimic::Failed;
use weir_kafka::{Cluster, ClusterOptions, FetchOptions, OffsetAt};
use weir_servers::kafka::{self, Topic, Version};
use weir_servers::{Unavailable, process};

use crate::account::on_runtime;
use crate::records::{Record, read};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/TransactionalProducer.java");
/// Listing modules takes 0.2 s; the rest is for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Looks for a Java that runs source files: one with its compiler.
pub(crate) fn find() -> Result<(), Unavailable> {
    let listed = process::run("java", Command::new("java").arg("--list-modules"), b"", PATIENCE);
    match listed {
        Ok(output) if output.text().contains("jdk.compiler") => Ok(()),
        _ => Err(Unavailable { reason: "a Java with its compiler is needed; install a JDK".to_owned() }),
    }
}

/// Scenario: two transactional producers and a plain one write in turns, committing some transactions and aborting others;
/// a fourth leaves one open. This client reads in answers so small that transactions span many of them, from the start and
/// from the middle of transactions.
/// Guarantees: `read_committed` has exactly what was committed, in the order of the log, up to the open transaction, and
/// all behind it once that has ended; markers are passed over. Without it every record is there. The console consumer agrees.
pub(crate) fn aborted_records_stay_hidden(version: Version) -> Result<(), Failed> {
    let options = kafka::ClusterOptions { version, ..kafka::ClusterOptions::default() };
    kafka::Cluster::with(options, |server| {
        server.create_topic(&Topic::new("t"))?;
        let said = produce(server, &[])?;
        let written: Vec<_> = said.lines().filter_map(|line| line.split_once(' ')).collect();
        on_runtime(async {
            let cluster = Cluster::connect(ClusterOptions::new(server.bootstrap().split(','))).await?;
            let everything = read_all(&cluster, false).await?;
            assert_eq!(bodies(&everything), written.iter().map(|(_, value)| *value).collect::<Vec<_>>());
            let first_open =
                written.iter().position(|(outcome, _)| *outcome == "open").ok_or("nothing was left open")?;
            let stable = everything.get(first_open).ok_or("fewer records than written")?.offset as i64;
            from_everywhere(&cluster, &everything, &written, stable).await?;
            produce(server, &["end"])?;
            let visible: Vec<_> = visible(&written).collect();
            assert_eq!(bodies(&read_all(&cluster, true).await?), visible);
            let theirs = server.tools().consume("t", visible.len(), &["--isolation-level", "read_committed"])?.text();
            assert_eq!(theirs.lines().collect::<Vec<_>>(), visible);
            Ok(())
        })
    })
}

fn produce(server: &kafka::Cluster, more: &[&str]) -> Result<String, Failed> {
    let bootstrap = server.bootstrap();
    let arguments: Vec<_> = [&[bootstrap.as_str(), "t"], more].concat().iter().map(Into::into).collect();
    Ok(server.distribution().run(PROGRAM, &arguments, b"")?.text())
}

/// Up to the end of the log as it is now.
async fn read_all(cluster: &Cluster, read_committed: bool) -> Result<Vec<Record>, Failed> {
    let latest = cluster.offsets("t", &[0], OffsetAt::Latest).await?;
    let end = latest.first().and_then(|found| found.offset).ok_or("no latest offset")?;
    read(cluster, "t", (0, end), small(read_committed)).await
}

/// Reads what is committed up to the offset `stable`, starting at every seventh record.
async fn from_everywhere(
    cluster: &Cluster,
    everything: &[Record],
    written: &[(&str, &str)],
    stable: i64,
) -> Result<(), Failed> {
    for start in everything.iter().map(|record| record.offset).step_by(7) {
        let behind = |record: &Record| (start..stable as u64).contains(&record.offset);
        let rest: Vec<_> =
            written.iter().zip(everything).filter(|(_, record)| behind(record)).map(|(w, _)| *w).collect();
        let found = read(cluster, "t", (start as i64, stable), small(true)).await?;
        assert_eq!(bodies(&found), visible(&rest).collect::<Vec<_>>(), "from offset {start}");
    }
    Ok(())
}

fn small(read_committed: bool) -> FetchOptions {
    FetchOptions { partition_bytes_max: 300, read_committed, ..FetchOptions::default() }
}

fn visible<'a>(written: &[(&'a str, &'a str)]) -> impl Iterator<Item = &'a str> {
    let is_visible = |outcome: &str| outcome != "aborted" && outcome != "open";
    written.iter().filter(move |(outcome, _)| is_visible(outcome)).map(|(_, value)| *value)
}

fn bodies(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.body.as_str()).collect()
}
