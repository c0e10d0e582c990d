//! Load over connections whose sessions end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use weir_codec::record_batch::{Compression, Decoder, DecoderOptions};
use weir_event::ArenaPool;
use weir_kafka::{Cluster, ClusterOptions, FetchOptions, Fetcher, NewTopic, Producer, ProducerOptions};

use crate::account::batch;

/// How long a broker is told to let sessions last, at most. Renewal begins 0.3 to 0.9 s before the end, a hundred times what
/// it takes on an idle machine.
const LIFETIME: Duration = Duration::from_secs(6);
/// Every connection that was there at the start is in its third session when this is over.
const LOAD: Duration = Duration::from_secs(13);
const BATCH_EVENTS: usize = 10;
/// Batches between two waits for all receipts.
const ROUND: usize = 20;
/// Between rounds: this is about time that passes, not about speed.
const PAUSE: Duration = Duration::from_millis(20);

/// The broker's property.
pub(crate) fn limit() -> (String, String) {
    ("connections.max.reauth.ms".to_owned(), LIFETIME.as_millis().to_string())
}

/// Produces to `topic`, which is made, and fetches it back, for more than two sessions of each connection. Every event must
/// be there once and in order, and no produce request may have failed: a broker closes connections that outlive a session.
pub(crate) async fn outlive(options: ClusterOptions, topic: &str) -> Result<(), Failed> {
    let cluster = Cluster::connect(options).await?;
    let described = NewTopic { name: topic.to_owned(), partitions: Some(1), replicas: Some(1), settings: Vec::new() };
    cluster.create_topic(&described).await?;
    // Known when the last batch is about to be sent.
    let total = AtomicUsize::new(usize::MAX);
    let producer = Producer::new(&cluster, ProducerOptions::default());
    let sending = async {
        let (mut next, end) = (0, Instant::now() + LOAD);
        loop {
            let is_last = Instant::now() >= end;
            let mut receipts = Vec::new();
            for _ in 0..ROUND {
                let bodies: Vec<String> = (next..next + BATCH_EVENTS).map(|number| number.to_string()).collect();
                next += BATCH_EVENTS;
                if is_last && receipts.len() + 1 == ROUND {
                    total.store(next, Ordering::Relaxed);
                }
                receipts.push(producer.send(topic, 0, batch(&bodies, Compression::Lz4)?).await?);
            }
            for receipt in receipts {
                receipt.await?;
            }
            if is_last {
                return Ok::<(), Failed>(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let fetching = async {
        let mut fetcher = Fetcher::new(&cluster, FetchOptions::default());
        fetcher.assign(topic, 0, 0);
        let mut decoder = Decoder::new(ArenaPool::new(1 << 20, 2), DecoderOptions::default());
        let mut expected = 0;
        while expected < total.load(Ordering::Relaxed) {
            for batch in fetcher.next().await?.batches {
                let events = decoder.decode(batch.bytes, None, 0)?.into_events().ok_or("a control batch")?;
                for row in 0..events.len() {
                    assert_eq!(String::from_utf8_lossy(events.body(row)), expected.to_string());
                    expected += 1;
                }
            }
        }
        Ok::<(), Failed>(())
    };
    tokio::try_join!(sending, fetching)?;
    assert_eq!(producer.statistics().attempts_failed, 0, "a connection was closed by its session's end");
    Ok(())
}
