//! Kafka's own tools at the other end.

use std::collections::BTreeSet;

use libtest_mimic::Failed;
use weir_codec::record_batch::Compression;
use weir_kafka::{
    Cluster, ClusterError, ClusterOptions, ErrorCode, FetchOptions, NewTopic, OffsetAt, Producer, ProducerOptions,
    SendError,
};
use weir_servers::kafka::{self, Version};

use crate::account::{batch, on_runtime, read_topic};

/// Scenario: this client creates a topic and fills it with every codec, the console consumer reads it and the segment is
/// dumped; the console producer writes with every codec and this client reads; offsets are asked for by age; a batch is too
/// large.
/// Guarantees: each reads what the other wrote, in order; the dump finds valid batches of one idempotent producer.
pub(crate) fn both_ways(version: Version) -> Result<(), Failed> {
    let options = kafka::ClusterOptions { version, ..kafka::ClusterOptions::default() };
    kafka::Cluster::with(options, |server| {
        on_runtime(async {
            let cluster = Cluster::connect(ClusterOptions::new(server.bootstrap().split(','))).await?;
            ours_to_theirs(server, &cluster).await?;
            theirs_to_ours(server, &cluster).await?;
            edges(&cluster).await
        })
    })
}

async fn ours_to_theirs(server: &kafka::Cluster, cluster: &Cluster) -> Result<(), Failed> {
    let topic = NewTopic { name: "ours".to_owned(), partitions: Some(1), replicas: Some(1), settings: Vec::new() };
    cluster.create_topic(&topic).await?;
    let producer = Producer::new(cluster, ProducerOptions::default());
    let codecs = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    let mut expected = String::new();
    let mut receipts = Vec::new();
    for codec in codecs {
        let bodies: Vec<String> = (0..500).map(|number| format!("{codec:?} event {number}")).collect();
        bodies.iter().for_each(|body| expected.extend([body, "\n"]));
        receipts.push(producer.send("ours", 0, batch(&bodies, codec)?).await?);
    }
    for (receipt, offset) in receipts.into_iter().zip([0, 500, 1_000, 1_500, 2_000]) {
        assert_eq!(receipt.await?.base_offset, Some(offset));
    }
    assert_eq!(server.tools().consume("ours", 2_500, &[])?.text(), expected);
    let segments = server.segments(1, "ours", 0)?;
    let files: Vec<_> = segments.iter().map(AsRef::as_ref).collect();
    let dump = server.distribution().dump_log(&files, &[])?.text();
    assert!(dump.contains("baseSequence: 2000") && dump.contains("isvalid: true"), "{dump}");
    assert!(!dump.contains("isvalid: false") && !dump.contains("producerId: -1"), "{dump}");
    Ok(())
}

async fn theirs_to_ours(server: &kafka::Cluster, cluster: &Cluster) -> Result<(), Failed> {
    server.create_topic(&kafka::Topic { partitions: 3, ..kafka::Topic::new("theirs") })?;
    let mut expected = BTreeSet::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let lines: Vec<String> = (0..100).map(|number| format!("{codec} line {number}")).collect();
        server.tools().produce(
            "theirs",
            format!("{}\n", lines.join("\n")).as_bytes(),
            &["--compression-codec", codec],
        )?;
        expected.extend(lines);
    }
    for read_committed in [false, true] {
        let options = FetchOptions { read_committed, ..FetchOptions::default() };
        let bodies = read_topic(cluster, "theirs", options).await?;
        let all: Vec<String> = bodies.into_values().flatten().collect();
        assert_eq!(all.len(), 500);
        assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), expected);
    }
    let by_time = cluster.offsets("theirs", &[0, 1, 2], OffsetAt::Time(1)).await?;
    assert!(by_time.iter().any(|found| found.offset == Some(0) && found.timestamp_ms > 1_000_000_000_000));
    let future = cluster.offsets("theirs", &[0], OffsetAt::Time(i64::MAX)).await?;
    assert_eq!(future.first().and_then(|found| found.offset), None);
    Ok(())
}

async fn edges(cluster: &Cluster) -> Result<(), Failed> {
    let settings = vec![("max.message.bytes".to_owned(), "1000".to_owned())];
    let topic = NewTopic { name: "small".to_owned(), partitions: None, replicas: None, settings };
    let created = cluster.create_topic(&topic).await?;
    assert_eq!(created.partitions.len(), 1);
    let again = cluster.create_topic(&topic).await;
    assert!(matches!(again, Err(ClusterError::Refused { code: ErrorCode::TOPIC_ALREADY_EXISTS, .. })));
    let producer = Producer::new(cluster, ProducerOptions::default());
    let mut receipts = Vec::new();
    for size in [100, 2_000, 100, 3_000, 100] {
        receipts.push(producer.send("small", 0, batch(&[vec![b'x'; size]], Compression::None)?).await?);
    }
    let mut written = 0;
    for (receipt, fits) in receipts.into_iter().zip([true, false, true, false, true]) {
        match receipt.await {
            Ok(_) => written += usize::from(fits),
            Err(SendError::Refused { code: ErrorCode::MESSAGE_TOO_LARGE, .. }) => assert!(!fits),
            Err(error) => return Err(error.into()),
        }
    }
    assert_eq!(written, 3);
    let bodies = read_topic(cluster, "small", FetchOptions::default()).await?;
    assert_eq!(bodies.get(&0).map(Vec::len), Some(3));
    Ok(())
}
