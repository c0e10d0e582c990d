//! What was sent, and what is there.

use std::collections::BTreeMap;

use libtest_mimic::Failed;
use weir_codec::record_batch::{Compression, Decoder, DecoderOptions, EncodedBatch, Encoder, EncoderOptions};
use weir_event::{ArenaPool, EventBatch};
use weir_kafka::{Cluster, FetchOptions, Fetcher, OffsetAt};

/// Runs a test on a runtime of its own.
pub(crate) fn on_runtime<T>(work: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(work)
}

pub(crate) fn batch<B: AsRef<[u8]>>(bodies: &[B], compression: Compression) -> Result<EncodedBatch, Failed> {
    let mut encoder = Encoder::new(EncoderOptions { compression, ..EncoderOptions::default() })?;
    Ok(encoder.encode(&EventBatch::from_bodies(bodies, 0), Vec::new())?)
}

/// The bodies of all partitions of a topic, in order, up to the high watermarks of now. CRCs are checked.
pub(crate) async fn read_topic(
    cluster: &Cluster,
    topic: &str,
    options: FetchOptions,
) -> Result<BTreeMap<i32, Vec<String>>, Failed> {
    let partitions: Vec<i32> = (0..).take(cluster.topic(topic).await?.partitions.len()).collect();
    let mut fetcher = Fetcher::new(cluster, options);
    let mut left = BTreeMap::new();
    let mut bodies: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for earliest in cluster.offsets(topic, &partitions, OffsetAt::Earliest).await? {
        fetcher.assign(topic, earliest.partition, earliest.offset.ok_or("no earliest offset")?);
        bodies.insert(earliest.partition, Vec::new());
    }
    for latest in cluster.offsets(topic, &partitions, OffsetAt::Latest).await? {
        if latest.offset > Some(0) {
            left.insert(latest.partition, latest.offset.unwrap_or_default());
        }
    }
    let mut decoder = Decoder::new(ArenaPool::new(1 << 20, 2), DecoderOptions::default());
    while !left.is_empty() {
        let fetched = fetcher.next().await?;
        for batch in fetched.batches {
            let events = decoder.decode(batch.bytes, None, 0)?.into_events().ok_or("a control batch")?;
            let texts = (0..events.len()).map(|row| String::from_utf8_lossy(events.body(row)).into_owned());
            bodies.entry(fetched.partition).or_default().extend(texts);
        }
        left.retain(|partition, end| *partition != fetched.partition || fetched.next_offset < *end);
    }
    Ok(bodies)
}
