//! How old events are when they can be read: by a reader of the topic, and by the files and their times. Neither asks an
//! agent.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use weir_codec::record_batch::{Decoder, DecoderOptions};
use weir_event::ArenaPool;
use weir_kafka::{Cluster, ClusterOptions, FetchOptions, Fetcher};

use crate::Failure;

/// Between looks whether to end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Ages in milliseconds.
#[derive(Default)]
pub(crate) struct Ages(Vec<i64>);

impl Ages {
    /// The age that 99 of 100 do not reach.
    pub(crate) fn p99_ms(&mut self) -> Result<i64, Failure> {
        self.0.sort_unstable();
        let last = self.0.len().checked_sub(1).ok_or("no event was seen")?;
        Ok(self.0[last * 99 / 100])
    }

    /// Events seen.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// Reads `partitions` of `topic` from now on until `stop`; the ages of events made at `from_ms` or later.
pub(crate) fn read_topic(
    bootstrap: &str,
    topic: &str,
    partitions: i32,
    from_ms: i64,
    stop: &AtomicBool,
) -> Result<Ages, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let cluster = Cluster::connect(ClusterOptions::new(bootstrap.split(','))).await?;
        let mut fetcher = Fetcher::new(&cluster, FetchOptions::default());
        (0..partitions).for_each(|partition| fetcher.assign(topic, partition, 0));
        let mut decoder = Decoder::new(ArenaPool::new(1 << 20, 2), DecoderOptions::default());
        let mut ages = Ages::default();
        while !stop.load(Relaxed) {
            let Ok(fetched) = tokio::time::timeout(LOOK_EVERY, fetcher.next()).await else { continue };
            let now = now_ms();
            for batch in fetched?.batches {
                let events = decoder.decode(batch.bytes, None, 0)?.into_events().ok_or("a control batch")?;
                let times = events.timestamps();
                let times = events.rows().filter_map(|row| times.get(row));
                ages.0.extend(times.filter(|made| *made >= from_ms).map(|made| now - made));
            }
        }
        Ok(ages)
    })
}

/// The ages of the lines under `folder` when their files appeared: a rename sets the time of change.
pub(crate) fn read_files(folder: &Path, from_ms: i64, time: impl Fn(&str) -> Option<i64>) -> Result<Ages, Failure> {
    let (mut ages, mut folders) = (Ages::default(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                folders.push(entry.path());
                continue;
            }
            let appeared = metadata.ctime() * 1000 + metadata.ctime_nsec() / 1_000_000;
            let text = std::fs::read_to_string(entry.path())?;
            let made = text.lines().filter_map(&time).filter(|made| *made >= from_ms);
            ages.0.extend(made.map(|made| appeared - made));
        }
    }
    Ok(ages)
}
