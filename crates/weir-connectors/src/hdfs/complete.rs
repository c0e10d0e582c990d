//! `_complete`: an empty file in a directory of past time, once no partition has anything more for it.
//!
//! What is known of that is kept as folders, for making one is a single step that can be repeated, and survives every agent:
//!
//! ```text
//!   ROOT/.weir/PREFIX/expected/1763989200000/dt=2026-11-24/hour=12    a directory with files, under the end of its time
//!   ROOT/.weir/PREFIX/passed/00f1e2d3c4b5a697-3/1763989200000         a partition has nothing more from before that moment
//! ```
//!
//! A partition has its folder from its first events on, so that the others wait for it. A directory is expected before the
//! first file gets a name in it, and a partition has passed an end after the last one did. Whoever passes an end looks
//! whether all partitions have, and if so completes what is expected up to there. A crash in between leaves that to the next
//! end.

use weir_event::ChannelId;
use weir_hdfs::{CreateOptions, FileSystem, HdfsError, HdfsErrorKind};

/// The name of the marker. Hadoop's own readers leave out names that begin with an underscore.
pub(super) const MARKER: &str = "_complete";

/// Notes below the folder `work` that `directory`, whose time ends at `until_ms`, is to be completed.
pub(super) async fn expect(
    files: &dyn FileSystem,
    work: &str,
    root: &str,
    directory: &str,
    until_ms: i64,
) -> Result<(), HdfsError> {
    let below = directory.strip_prefix(root).unwrap_or(directory).trim_start_matches('/');
    files.make_directories(&format!("{work}/expected/{until_ms}/{below}"), None).await
}

/// Notes that there is a partition, which has not passed any end yet unless it has said so.
pub(super) async fn hear_of(files: &dyn FileSystem, work: &str, channel: ChannelId) -> Result<(), HdfsError> {
    files.make_directories(&own(work, channel), None).await
}

fn own(work: &str, channel: ChannelId) -> String {
    format!("{work}/passed/{:016x}-{}", channel.log, channel.partition)
}

/// Notes that `channel` has nothing more from before `until_ms`, and completes what that was the last to hold back. Returns
/// the directories.
pub(super) async fn pass(
    files: &dyn FileSystem,
    work: &str,
    (root, depth): (&str, usize),
    channel: ChannelId,
    until_ms: i64,
) -> Result<Vec<String>, HdfsError> {
    let (passed, own) = (format!("{work}/passed"), own(work, channel));
    files.make_directories(&format!("{own}/{until_ms}"), None).await?;
    let Some(all_ms) = passed_by_all(files, &passed).await? else { return Ok(Vec::new()) };
    let expected = format!("{work}/expected");
    let mut completed = Vec::new();
    for name in names(files, &expected).await? {
        if name.parse::<i64>().is_ok_and(|end_ms| end_ms <= all_ms) {
            let folder = format!("{expected}/{name}");
            for below in leaves(files, &folder, depth).await? {
                completed.extend(mark(files, format!("{root}{below}")).await?);
            }
            files.delete(&folder, true).await?;
        }
    }
    // Only the newest counts; the others go once it is there.
    for older in names(files, &own).await? {
        if older.parse::<i64>().is_ok_and(|older_ms| older_ms < until_ms) {
            files.delete(&format!("{own}/{older}"), true).await?;
        }
    }
    Ok(completed)
}

/// Up to where all partitions have passed; `None` while one has not said.
async fn passed_by_all(files: &dyn FileSystem, passed: &str) -> Result<Option<i64>, HdfsError> {
    let mut all_ms = i64::MAX;
    for partition in names(files, passed).await? {
        let own = names(files, &format!("{passed}/{partition}")).await?;
        let Some(newest_ms) = own.iter().filter_map(|name| name.parse().ok()).max() else { return Ok(None) };
        all_ms = all_ms.min(newest_ms);
    }
    Ok(Some(all_ms))
}

/// Paths `depth` folders below `folder`, from there on: `/dt=2026-11-24/hour=12`.
async fn leaves(files: &dyn FileSystem, folder: &str, depth: usize) -> Result<Vec<String>, HdfsError> {
    let mut level = vec![String::new()];
    for _ in 0..depth {
        let mut next = Vec::new();
        for above in level {
            let found = names(files, &format!("{folder}{above}")).await?;
            next.extend(found.into_iter().map(|name| format!("{above}/{name}")));
        }
        level = next;
    }
    Ok(level)
}

/// Puts the marker into `directory`, unless that is gone or has it. Returns the directory if it is new there.
async fn mark(files: &dyn FileSystem, directory: String) -> Result<Option<String>, HdfsError> {
    let options = CreateOptions { parent_must_exist: true, ..CreateOptions::default() };
    let created = match files.create(&format!("{directory}/{MARKER}"), &options).await {
        Ok(writer) => writer.close().await.map(drop),
        Err(error) => Err(error),
    };
    match created {
        Ok(()) => Ok(Some(directory)),
        Err(error) if matches!(error.kind, HdfsErrorKind::AlreadyExists | HdfsErrorKind::NotFound) => Ok(None),
        // Another agent is about it at this moment.
        Err(error) if error.kind == HdfsErrorKind::LeaseHeld => Ok(None),
        Err(error) => Err(error),
    }
}

/// Names of folders in `folder`; none if that is not there.
async fn names(files: &dyn FileSystem, folder: &str) -> Result<Vec<String>, HdfsError> {
    match files.list(folder).await {
        Ok(found) => Ok(found.into_iter().filter(|file| file.is_directory).map(|file| file.name).collect()),
        Err(error) if error.kind == HdfsErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
