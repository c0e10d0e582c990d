//! A topic that the broker compacts, read by this client.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use libtest_mimic::Failed;
use weir_codec::record_batch::Compression;
use weir_kafka::{Cluster, ClusterOptions, FetchOptions, OffsetAt, Producer, ProducerOptions};
use weir_servers::kafka::{self, Topic};

use crate::account::on_runtime;
use crate::records::{Record, encode, read};

/// Segments end after 100 ms and the cleaner looks every 100 ms; the rest is for a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// Time for a segment to grow old before the next record ends it.
const SEGMENT_AGE: Duration = Duration::from_millis(50);
/// Key of the records that end segments.
const TICK: &str = "tick";

/// Scenario: records in batches of many sizes, every fifth with a key of its own and the others with one of seven, one of
/// which is deleted at last; segments of 100 ms that the broker's cleaner thins out. The topic is read in large and small
/// answers, from its start and from offsets that are there or gone.
/// Guarantees: once compaction is through, exactly the last record of each key is there, at its own offset and unchanged,
/// once and in order; reading passes over the gaps, within and between batches, to the end.
pub(crate) fn survivors_are_read_once() -> Result<(), Failed> {
    let properties = vec![("log.cleaner.backoff.ms".to_owned(), "100".to_owned())];
    kafka::Cluster::with(kafka::ClusterOptions { properties, ..kafka::ClusterOptions::default() }, |server| {
        let properties = [
            ("cleanup.policy", "compact"),
            ("segment.ms", "100"),
            ("min.cleanable.dirty.ratio", "0.01"),
            ("delete.retention.ms", "100"),
        ];
        let properties = properties.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        server.create_topic(&Topic { properties, ..Topic::new("t") })?;
        on_runtime(async {
            let cluster = Cluster::connect(ClusterOptions::new(server.bootstrap().split(','))).await?;
            let producer = Producer::new(&cluster, ProducerOptions::default());
            let mut written: Vec<Record> = Vec::new();
            for size in [1, 2, 3, 5, 8, 13, 21, 34, 55, 89] {
                let first = written.len() as u64;
                write(&producer, &mut written, (first..first + size).map(record).collect()).await?;
            }
            // A null value deletes its key.
            let deletion = ["--reader-property", "parse.key=true", "--reader-property", "null.marker=NULL"];
            server.tools().produce("t", b"key-1\tNULL\n", &deletion)?;
            let survivors = survivors(&written);
            written.push(Record::default());
            until_compacted(&cluster, &producer, &mut written, &survivors).await?;
            for start in (0..written.len() as u64).step_by(3) {
                let rest: Vec<_> = survivors.iter().filter(|record| record.offset >= start).cloned().collect();
                let one_batch = FetchOptions { partition_bytes_max: 1, ..FetchOptions::default() };
                assert_eq!(read_from(&cluster, start, one_batch).await?, rest, "from offset {start}");
            }
            Ok(())
        })
    })
}

fn record(offset: u64) -> Record {
    let key = if offset.is_multiple_of(5) { format!("only-{offset}") } else { format!("key-{}", offset % 7) };
    Record {
        offset,
        key: Some(key),
        headers: BTreeMap::from([("number".to_owned(), offset.to_string())]),
        body: format!("value {offset}"),
    }
}

/// The last record of each key but the deleted one.
fn survivors(written: &[Record]) -> Vec<Record> {
    let last: BTreeMap<_, _> = written.iter().map(|record| (&record.key, record.offset)).collect();
    let offsets: BTreeSet<_> = last.into_values().collect();
    let survives = |record: &&Record| offsets.contains(&record.offset) && record.key.as_deref() != Some("key-1");
    written.iter().filter(survives).cloned().collect()
}

async fn write(producer: &Producer, written: &mut Vec<Record>, records: Vec<Record>) -> Result<(), Failed> {
    // By the timestamps the broker tells how old a segment is.
    let now_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as i64;
    let receipt = producer.send("t", 0, encode(&records, now_ms, Compression::Lz4)?).await?;
    assert_eq!(receipt.await?.base_offset, Some(written.len() as i64));
    written.extend(records);
    Ok(())
}

/// Writes on, one record at a time so that segments end, until nothing but `survivors` is left.
async fn until_compacted(
    cluster: &Cluster,
    producer: &Producer,
    written: &mut Vec<Record>,
    survivors: &[Record],
) -> Result<(), Failed> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = read_from(cluster, 0, FetchOptions::default()).await?;
        if found == survivors {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("{} of {} records left after {PATIENCE:?}", found.len(), written.len()).into());
        }
        let tick = Record { key: Some(TICK.to_owned()), ..record(written.len() as u64) };
        write(producer, written, vec![tick]).await?;
        tokio::time::sleep(SEGMENT_AGE).await;
    }
}

/// From `from` to the end of the log as it is now, without what only ends segments or deletes.
async fn read_from(cluster: &Cluster, from: u64, options: FetchOptions) -> Result<Vec<Record>, Failed> {
    let latest = cluster.offsets("t", &[0], OffsetAt::Latest).await?;
    let end = latest.first().and_then(|found| found.offset).ok_or("no latest offset")?;
    let mut found = read(cluster, "t", (from as i64, end), options).await?;
    found.retain(|record| record.key.as_deref() != Some(TICK) && !record.body.is_empty());
    Ok(found)
}
