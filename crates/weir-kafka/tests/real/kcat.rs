//! kcat, which is librdkafka, at the other end.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::Failed;
use weir_kafka::{Cluster, ClusterOptions, FetchOptions, Producer, ProducerOptions};
use weir_servers::kafka::{self, Topic, Version};
use weir_servers::{Unavailable, process};

use crate::account::on_runtime;
use crate::records::{CODECS, Record, assorted, encode, read};

/// It answers in 0.1 s; the rest is for a machine that is busy with everything else.
const PATIENCE: Duration = Duration::from_secs(60);
const TIMESTAMP_MS: i64 = 1_700_000_000_000;

/// Looks for kcat.
pub(crate) fn find() -> Result<(), Unavailable> {
    match process::run("kcat", Command::new("kcat").arg("-V"), b"", PATIENCE) {
        Ok(_) => Ok(()),
        Err(error) => Err(Unavailable { reason: format!("kcat is needed ({error}); install the package kcat") }),
    }
}

/// Scenario: this client writes with every codec and kcat reads, checking the CRCs; kcat writes with every codec and this
/// client reads: keys, headers, nulls and empty texts of each.
/// Guarantees: each sees exactly what the other wrote, in order, timestamps included.
pub(crate) fn both_ways(version: Version) -> Result<(), Failed> {
    let options = kafka::ClusterOptions { version, ..kafka::ClusterOptions::default() };
    kafka::Cluster::with(options, |server| {
        server.create_topic(&Topic::new("ours"))?;
        server.create_topic(&Topic::new("theirs"))?;
        on_runtime(async {
            let cluster = Cluster::connect(ClusterOptions::new(server.bootstrap().split(','))).await?;
            ours_to_kcat(server, &cluster).await?;
            kcat_to_ours(server, &cluster).await
        })
    })
}

fn kcat(server: &kafka::Cluster, arguments: &[&str], input: &str) -> Result<String, Failed> {
    let mut command = Command::new("kcat");
    command.args(["-q", "-b", &server.bootstrap(), "-p", "0"]).args(arguments);
    Ok(process::run("kcat", &mut command, input.as_bytes(), PATIENCE)?.text())
}

async fn ours_to_kcat(server: &kafka::Cluster, cluster: &Cluster) -> Result<(), Failed> {
    let producer = Producer::new(cluster, ProducerOptions::default());
    let mut expected = String::new();
    let mut offset = 0;
    for codec in CODECS {
        let records = assorted(&format!("{codec:?}"), offset);
        offset += records.len() as u64;
        producer.send("ours", 0, encode(&records, TIMESTAMP_MS, codec)?).await?.await?;
        expected.extend(records.iter().map(shown));
    }
    // A key's length is -1 if it is null; the text of a null is left empty.
    let format = "%o %T|%K %k|%S %s|%h\n";
    let found = kcat(server, &["-C", "-t", "ours", "-e", "-X", "check.crcs=true", "-f", format], "")?;
    assert_eq!(found, expected);
    Ok(())
}

/// A record as kcat shows it.
fn shown(record: &Record) -> String {
    let headers: Vec<_> = record.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let key_bytes = record.key.as_ref().map_or(-1, |key| key.len() as i64);
    let (key, body, bytes) = (record.key.as_deref().unwrap_or_default(), &record.body, record.body.len());
    format!("{} {TIMESTAMP_MS}|{key_bytes} {key}|{bytes} {body}|{}\n", record.offset, headers.join(","))
}

async fn kcat_to_ours(server: &kafka::Cluster, cluster: &Cluster) -> Result<(), Failed> {
    let mut expected: Vec<Record> = Vec::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        // With -Z an empty key or value is a null.
        let lines: String = (0..100).map(|number| format!("key-{number}\t{codec} line {number}\n")).collect();
        let lines = lines + "\tno key\nno value\t\n";
        let headers = ["-H", "host=fw1", "-H", "empty="];
        kcat(server, &[&["-P", "-t", "theirs", "-z", codec, "-K", "\t", "-Z"], &headers[..]].concat(), &lines)?;
        for line in lines.lines() {
            let (key, body) = line.split_once('\t').ok_or("a line without a tab")?;
            expected.push(Record {
                offset: expected.len() as u64,
                key: (!key.is_empty()).then(|| key.to_owned()),
                headers: BTreeMap::from([("empty".into(), String::new()), ("host".into(), "fw1".into())]),
                body: body.to_owned(),
            });
        }
    }
    let found = read(cluster, "theirs", (0, expected.len() as i64), FetchOptions::default()).await?;
    assert_eq!(found, expected);
    Ok(())
}
