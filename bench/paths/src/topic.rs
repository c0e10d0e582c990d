//! A topic as somebody else reads it.

use std::time::{Duration, Instant};

use weir_codec::record_batch::{Decoder, DecoderOptions};
use weir_event::{ArenaPool, EventBatch};
use weir_kafka::{Cluster, ClusterOptions, FetchOptions, Fetcher};

use crate::Failure;
use crate::agent::PATIENCE;
use crate::brokers::PARTITIONS;

/// Between looks whether to end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Reads `topic` from its beginning until `is_done`, which is asked about before every answer. Gives up when nothing has
/// come for [`PATIENCE`].
pub(crate) fn read(
    bootstrap: &str,
    topic: &str,
    is_done: impl Fn() -> bool,
    mut each: impl FnMut(&EventBatch) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let cluster = Cluster::connect(ClusterOptions::new(bootstrap.split(','))).await?;
        let mut fetcher = Fetcher::new(&cluster, FetchOptions::default());
        (0..PARTITIONS).for_each(|partition| fetcher.assign(topic, partition, 0));
        let mut decoder = Decoder::new(ArenaPool::new(1 << 20, 2), DecoderOptions::default());
        let mut came = Instant::now();
        while !is_done() {
            let Ok(fetched) = tokio::time::timeout(LOOK_EVERY, fetcher.next()).await else {
                if came.elapsed() > PATIENCE {
                    return Err(format!("nothing more is in topic {topic}").into());
                }
                continue;
            };
            came = Instant::now();
            for batch in fetched?.batches {
                each(&decoder.decode(batch.bytes, None, 0)?.into_events().ok_or("a control batch")?)?;
            }
        }
        Ok(())
    })
}
