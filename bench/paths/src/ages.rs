//! How old events are when they can be read: by a reader of the topic, by files and their times, by what Solr finds. Nobody
//! asks an agent.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Failure;
use crate::count;
use crate::hdfs::Hdfs;
use crate::solr::Solr;
use crate::topic;

/// Between looks at what is in HDFS and in Solr: ages are too high by up to as much.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Documents are told apart by this much of their own time; ages are counted from its beginning.
const STEP_MS: i64 = 100;
/// Older documents are looked for only in the end.
const WINDOW_MS: i64 = 20_000;

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

    /// The highest.
    pub(crate) fn max_ms(&self) -> i64 {
        self.0.iter().max().copied().unwrap_or_default()
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

/// Reads `topic` from now on until `stop`; the ages of events made at `from_ms` or later.
pub(crate) fn of_topic(bootstrap: &str, topic: &str, from_ms: i64, stop: &AtomicBool) -> Result<Ages, Failure> {
    let mut ages = Ages::default();
    topic::read(
        bootstrap,
        topic,
        || stop.load(Relaxed),
        |events| {
            let (now, times) = (now_ms(), events.timestamps());
            let times = events.rows().filter_map(|row| times.get(row));
            ages.0.extend(times.filter(|made| *made >= from_ms).map(|made| now - made));
            Ok(())
        },
    )?;
    Ok(ages)
}

/// The ages of the lines under `folder` when their files appeared: a rename sets the time of change.
pub(crate) fn of_files(folder: &Path, from_ms: i64) -> Result<Ages, Failure> {
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
            let made = text.lines().filter_map(line_time_ms).filter(|made| *made >= from_ms);
            ages.0.extend(made.map(|made| appeared - made));
        }
    }
    Ok(ages)
}

/// When each finished file of `folder` was first listed, until `stop` and once more after it.
pub(crate) fn watch_hdfs(hdfs: &Hdfs, folder: &str, stop: &AtomicBool) -> Result<BTreeMap<String, i64>, Failure> {
    let mut appeared = BTreeMap::new();
    loop {
        let is_last = stop.load(Relaxed);
        let listed = hdfs.list(folder)?;
        let now = now_ms();
        for status in listed {
            appeared.entry(status.name).or_insert(now);
        }
        if is_last {
            return Ok(appeared);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The ages of the lines of files of HDFS when these were first listed.
pub(crate) fn of_hdfs(
    hdfs: &Hdfs,
    folder: &str,
    appeared: &BTreeMap<String, i64>,
    from_ms: i64,
) -> Result<Ages, Failure> {
    let mut ages = Ages::default();
    for (name, appeared) in appeared {
        count::each_line(name, hdfs.open(folder, name)?, |line| {
            ages.0.extend(line_time_ms(line).filter(|made| *made >= from_ms).map(|made| appeared - made));
        })?;
    }
    Ok(ages)
}

/// The ages of documents when they were first found, until `stop` and once more after it. Solr is asked how many there are
/// of each tenth of a second of their own time: what such a number has grown by since it was asked last was found now.
pub(crate) fn of_solr(solr: &Solr, from_ms: i64, stop: &AtomicBool) -> Result<Ages, Failure> {
    let (mut ages, mut seen) = (Ages::default(), BTreeMap::new());
    loop {
        let is_last = stop.load(Relaxed);
        let now = now_ms();
        // Steps begin at the same moments, whenever it is asked.
        let window = (now - WINDOW_MS - from_ms).max(0) / STEP_MS * STEP_MS;
        let first = if is_last { from_ms } else { from_ms + window };
        let found = if now > first { solr.found_by_time(first, now + 1000, STEP_MS)? } else { Vec::new() };
        let now = now_ms();
        for (made, count) in found {
            let before = seen.insert(made, count).unwrap_or(0);
            ages.0.extend((before..count).map(|_| now - made));
        }
        if is_last {
            return Ok(ages);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// When a line of RFC 5424 says it was made, milliseconds since 1970.
fn line_time_ms(line: &str) -> Option<i64> {
    let stamp = line.split(' ').nth(1)?;
    Some(stamp.parse::<jiff::Timestamp>().ok()?.as_millisecond())
}
