use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::LocalFileSystem;

/// The folder with a switch that makes everything fail.
struct Switched {
    files: LocalFileSystem,
    down: Arc<AtomicBool>,
    /// Renames, but its answer is lost.
    loses_answers: bool,
}

fn up(down: &AtomicBool) -> Result<(), HdfsError> {
    let detail = "nobody answers".to_owned();
    let error = HdfsError {
        kind: HdfsErrorKind::Unavailable,
        operation: "reach",
        path: "/".into(),
        peer: String::new(),
        detail,
    };
    if down.load(Ordering::Relaxed) { Err(error) } else { Ok(()) }
}

impl Switched {
    fn up(&self) -> Result<(), HdfsError> {
        up(&self.down)
    }
}

/// A file with the same switch.
struct SwitchedFile {
    writer: Box<dyn FileWriter>,
    down: Arc<AtomicBool>,
}

#[async_trait]
impl FileWriter for SwitchedFile {
    async fn write(&mut self, bytes: Bytes) -> Result<(), HdfsError> {
        up(&self.down)?;
        self.writer.write(bytes).await
    }
    async fn flush(&mut self) -> Result<(), HdfsError> {
        up(&self.down)?;
        self.writer.flush().await
    }
    async fn sync(&mut self) -> Result<(), HdfsError> {
        up(&self.down)?;
        self.writer.sync().await
    }
    async fn close(self: Box<Self>) -> Result<u64, HdfsError> {
        up(&self.down)?;
        self.writer.close().await
    }
    async fn abandon(self: Box<Self>) {
        self.writer.abandon().await;
    }
    fn bytes_acked(&self) -> u64 {
        self.writer.bytes_acked()
    }
}

#[async_trait]
impl FileSystem for Switched {
    async fn create(&self, path: &str, options: &CreateOptions) -> Result<Box<dyn FileWriter>, HdfsError> {
        self.up()?;
        let writer = self.files.create(path, options).await?;
        Ok(Box::new(SwitchedFile { writer, down: Arc::clone(&self.down) }))
    }
    async fn open(&self, path: &str, offset: u64) -> Result<Box<dyn FileReader>, HdfsError> {
        self.up()?;
        self.files.open(path, offset).await
    }
    async fn status(&self, path: &str) -> Result<Option<Status>, HdfsError> {
        self.up()?;
        self.files.status(path).await
    }
    async fn list(&self, path: &str) -> Result<Vec<Status>, HdfsError> {
        self.up()?;
        self.files.list(path).await
    }
    async fn rename(&self, from: &str, to: &str) -> Result<(), HdfsError> {
        if self.loses_answers {
            self.files.rename(from, to).await?;
        }
        self.up()?;
        self.files.rename(from, to).await
    }
    async fn delete(&self, path: &str, recursive: bool) -> Result<bool, HdfsError> {
        self.up()?;
        self.files.delete(path, recursive).await
    }
    async fn make_directories(&self, path: &str, permission: Option<u16>) -> Result<(), HdfsError> {
        self.up()?;
        self.files.make_directories(path, permission).await
    }
    async fn recover_lease(&self, path: &str) -> Result<bool, HdfsError> {
        self.up()?;
        self.files.recover_lease(path).await
    }
    async fn space(&self) -> Result<Space, HdfsError> {
        self.up()?;
        self.files.space().await
    }
}

fn pair(time: Duration, loses_answers: bool) -> (tempfile::TempDir, Arc<AtomicBool>, Fallback) {
    let folder = tempfile::tempdir().expect("a folder");
    let files = LocalFileSystem::new(folder.path());
    let down = Arc::new(AtomicBool::new(false));
    let first = Switched { files: files.clone(), down: Arc::clone(&down), loses_answers };
    let fallback = Fallback::new(("native", Arc::new(first)), ("webhdfs", Arc::new(files)), time, Faults::default());
    (folder, down, fallback)
}

async fn put(files: &Fallback, path: &str) -> Result<u64, HdfsError> {
    let mut writer = files.create(path, &CreateOptions::default()).await?;
    writer.write(Bytes::from_static(b"one\n")).await?;
    writer.close().await
}

/// Scenario: the first way fails, comes back while the second is in use, and fails again after its return.
/// Guarantees: two failures in a row turn new files to the second way; a return is made after the time and counted when a
/// file was closed; a file that was there is no failure of the way.
#[tokio::test]
async fn new_files_go_the_second_way_for_a_while() {
    let (_folder, down, files) = pair(Duration::from_secs(3600), false);
    put(&files, "/a").await.expect("written");
    assert!(put(&files, "/a").await.is_err() && put(&files, "/a").await.is_err(), "it is there");
    down.store(true, Ordering::Relaxed);
    assert!(put(&files, "/b").await.is_err());
    assert!(!files.counters().is_fallen_back);
    assert!(put(&files, "/b").await.is_err());
    assert_eq!(files.counters(), FallbackCounters { fallbacks: 1, returns: 0, is_fallen_back: true });
    put(&files, "/b").await.expect("the second way");
    down.store(false, Ordering::Relaxed);
    // The time is over.
    files.shared.state.lock().expect("no panic").until = Some(Instant::now());
    put(&files, "/c").await.expect("the first way");
    assert_eq!(files.counters(), FallbackCounters { fallbacks: 1, returns: 1, is_fallen_back: false });
    down.store(true, Ordering::Relaxed);
    assert!(put(&files, "/d").await.is_err() && put(&files, "/d").await.is_err());
    assert_eq!(files.counters(), FallbackCounters { fallbacks: 2, returns: 1, is_fallen_back: true });
}

/// Scenario: a DataNode dies that four open files have, two of them when they are closed; later one more file fails.
/// Guarantees: the four are one failure; the next is the second in a row.
#[tokio::test]
async fn files_that_fail_together_are_one_failure() {
    let (_folder, down, files) = pair(Duration::from_secs(3600), false);
    let mut open = Vec::new();
    for path in ["/a", "/b", "/c", "/d"] {
        open.push(files.create(path, &CreateOptions::default()).await.expect("begun"));
    }
    down.store(true, Ordering::Relaxed);
    for (mut writer, is_written) in open.into_iter().zip([true, true, false, false]) {
        let result =
            if is_written { writer.write(Bytes::from_static(b"x")).await } else { writer.close().await.map(drop) };
        assert!(result.is_err());
    }
    assert!(!files.counters().is_fallen_back);
    down.store(false, Ordering::Relaxed);
    let mut writer = files.create("/e", &CreateOptions::default()).await.expect("begun");
    down.store(true, Ordering::Relaxed);
    assert!(writer.write(Bytes::from_static(b"x")).await.is_err());
    assert!(files.counters().is_fallen_back);
}

/// Scenario: the first way is still down when its time has come.
/// Guarantees: one failure is enough to turn back, and it counts as the same outage.
#[tokio::test]
async fn a_trial_that_fails_costs_one_file() {
    let (_folder, down, files) = pair(Duration::from_secs(3600), false);
    down.store(true, Ordering::Relaxed);
    assert!(put(&files, "/a").await.is_err() && put(&files, "/a").await.is_err());
    files.shared.state.lock().expect("no panic").until = Some(Instant::now());
    assert!(put(&files, "/a").await.is_err());
    put(&files, "/a").await.expect("the second way");
    assert_eq!(files.counters(), FallbackCounters { fallbacks: 1, returns: 0, is_fallen_back: true });
}

/// Scenario: a rename is done, its answer lost, and the second way asked.
/// Guarantees: the caller hears that it is done; other calls go the second way at once.
#[tokio::test]
async fn a_rename_whose_answer_was_lost_is_done_once() {
    let (_folder, down, files) = pair(Duration::from_secs(3600), true);
    put(&files, "/a").await.expect("written");
    down.store(true, Ordering::Relaxed);
    files.rename("/a", "/b").await.expect("done");
    assert!(files.status("/b").await.expect("asked").is_some());
    assert!(files.list("/").await.expect("listed").iter().all(|status| status.name == "b"));
    assert!(files.delete("/b", false).await.expect("deleted"));
}
