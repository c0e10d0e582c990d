//! Two ways to the same file system: the first, and for a while the second after the first failed.
//!
//! A call over the first way that ends in a timeout or without a connection counts as a failure, and so does a file; a file
//! closed over it ends the count. Files that were open when another failed are no failures of their own: one DataNode may
//! have had them all. After [`FAILURES_MAX`] in a row everything new goes the second way for `fallback_time`; then the first
//! is tried again, and a single failure is enough to turn back. Files stay with the way they were begun on: what they hold
//! cannot be moved. Each change is logged once and counted ([`FallbackCounters`]).
//!
//! Both ways must name the same files by the same paths.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{CreateOptions, Faults, FileReader, FileSystem, FileWriter, HdfsError, HdfsErrorKind, Space, Status};

/// One failure may be the death of a single node, which new files avoid by themselves.
const FAILURES_MAX: u32 = 2;

/// What a [`Fallback`] did since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct FallbackCounters {
    /// How often it turned to the second way.
    pub fallbacks: u64,
    /// How often the first way worked again after that.
    pub returns: u64,
    /// Whether new files go the second way now.
    pub is_fallen_back: bool,
}

/// Two file systems as one. Cheap to clone; clones share what they know.
#[derive(Clone)]
pub struct Fallback {
    shared: Arc<Shared>,
}

struct Shared {
    /// Name and file system.
    ways: [(&'static str, Arc<dyn FileSystem>); 2],
    time: Duration,
    faults: Faults,
    state: Mutex<State>,
}

/// The lock is never held over an await.
#[derive(Default)]
struct State {
    failures: u32,
    /// When the last of them was that of a file.
    file_failed_at: Option<Instant>,
    /// When the first way is tried again.
    until: Option<Instant>,
    /// The first way has not worked since it failed.
    broken: bool,
    counters: FallbackCounters,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    First,
    Second,
}

impl Fallback {
    /// `first` as long as it works, else `second` for `fallback_time` (1 min is a good value: a NameNode or DataNode that was
    /// started again is back by then). The names are for the log.
    #[must_use]
    pub fn new(
        first: (&'static str, Arc<dyn FileSystem>),
        second: (&'static str, Arc<dyn FileSystem>),
        fallback_time: Duration,
        faults: Faults,
    ) -> Self {
        let shared = Shared { ways: [first, second], time: fallback_time, faults, state: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// What happened so far. Cheap.
    #[must_use]
    pub fn counters(&self) -> FallbackCounters {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        FallbackCounters { is_fallen_back: state.until.is_some_and(|until| Instant::now() < until), ..state.counters }
    }
}

/// Does `$work` with `$files` over the way that is right now, and over the second one if the first fails (`$again`). No
/// closure: one that borrows its arguments in a future cannot be shown to be `Send`.
macro_rules! either {
    ($fallback:ident, |$files:ident, $again:ident| $work:expr) => {{
        let shared = &$fallback.shared;
        let way = shared.way();
        let ($files, $again) = (shared.system(way), false);
        match $work {
            Err(error) if way == Way::First && shared.failed(&error) => {
                let ($files, $again) = (shared.system(Way::Second), true);
                $work
            }
            result => result,
        }
    }};
}

impl Shared {
    fn system(&self, way: Way) -> &dyn FileSystem {
        &*self.ways[way as usize].1
    }

    /// Where the next call goes.
    fn way(&self) -> Way {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.until {
            Some(until) if Instant::now() < until => Way::Second,
            Some(_) => {
                // One more failure is enough.
                (state.until, state.failures) = (None, FAILURES_MAX - 1);
                Way::First
            }
            None => Way::First,
        }
    }

    /// Counts the failure of a call; false if the error says nothing about the way.
    fn failed(&self, error: &HdfsError) -> bool {
        self.count(error, None)
    }

    /// Counts the failure of a file that was begun at `begun`.
    fn file_failed(&self, error: &HdfsError, begun: Instant) {
        self.count(error, Some(begun));
    }

    fn count(&self, error: &HdfsError, begun: Option<Instant>) -> bool {
        if !matches!(error.kind, HdfsErrorKind::Timeout | HdfsErrorKind::Unavailable) {
            return false;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(begun) = begun {
            if state.file_failed_at.is_some_and(|failed| begun <= failed) {
                return true;
            }
            state.file_failed_at = Some(Instant::now());
        }
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES_MAX && state.until.is_none() {
            state.until = Some(Instant::now() + self.time);
            if !state.broken {
                state.counters.fallbacks += 1;
                self.faults.count(Faults::FALL_BACK);
                let [(first, _), (second, _)] = &self.ways;
                tracing::warn!("HDFS by {first} failed {FAILURES_MAX} times in a row; using {second}: {error}");
            }
            state.broken = true;
        }
        true
    }

    /// The first way works.
    fn worked(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.until.is_some() {
            // A file that was begun before: new ones wait for their time.
            return;
        }
        (state.failures, state.file_failed_at) = (0, None);
        if std::mem::take(&mut state.broken) {
            state.counters.returns += 1;
            tracing::info!("HDFS by {} works again", self.ways[0].0);
        }
    }
}

async fn rename(files: &dyn FileSystem, from: &str, to: &str, again: bool) -> Result<(), HdfsError> {
    match files.rename(from, to).await {
        Err(error) if again && error.kind == HdfsErrorKind::NotFound => {
            // The attempt whose answer was lost may have done it.
            let moved = files.status(from).await?.is_none() && files.status(to).await?.is_some();
            if moved { Ok(()) } else { Err(error) }
        }
        result => result,
    }
}

#[async_trait]
impl FileSystem for Fallback {
    async fn create(&self, path: &str, options: &CreateOptions) -> Result<Box<dyn FileWriter>, HdfsError> {
        let shared = &self.shared;
        if shared.way() == Way::First {
            let begun = Instant::now();
            match shared.system(Way::First).create(path, options).await {
                Ok(writer) => return Ok(Box::new(Watched { writer, shared: Arc::clone(shared), begun })),
                // A file may have been begun: whoever asks again removes it first.
                Err(error) => {
                    shared.failed(&error);
                    return Err(error);
                }
            }
        }
        shared.system(Way::Second).create(path, options).await
    }

    async fn open(&self, path: &str, offset: u64) -> Result<Box<dyn FileReader>, HdfsError> {
        either!(self, |files, _again| files.open(path, offset).await)
    }

    async fn status(&self, path: &str) -> Result<Option<Status>, HdfsError> {
        either!(self, |files, _again| files.status(path).await)
    }

    async fn list(&self, path: &str) -> Result<Vec<Status>, HdfsError> {
        either!(self, |files, _again| files.list(path).await)
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), HdfsError> {
        either!(self, |files, again| rename(files, from, to, again).await)
    }

    async fn delete(&self, path: &str, recursive: bool) -> Result<bool, HdfsError> {
        either!(self, |files, again| files.delete(path, recursive).await.map(|deleted| deleted || again))
    }

    async fn make_directories(&self, path: &str, permission: Option<u16>) -> Result<(), HdfsError> {
        either!(self, |files, _again| files.make_directories(path, permission).await)
    }

    async fn recover_lease(&self, path: &str) -> Result<bool, HdfsError> {
        either!(self, |files, _again| files.recover_lease(path).await)
    }

    async fn space(&self) -> Result<Space, HdfsError> {
        either!(self, |files, _again| files.space().await)
    }
}

/// A file of the first way: what becomes of it says whether the way works.
struct Watched {
    writer: Box<dyn FileWriter>,
    shared: Arc<Shared>,
    begun: Instant,
}

impl Watched {
    fn judged<T>(&self, result: Result<T, HdfsError>) -> Result<T, HdfsError> {
        result.inspect_err(|error| self.shared.file_failed(error, self.begun))
    }
}

#[async_trait]
impl FileWriter for Watched {
    async fn write(&mut self, bytes: Bytes) -> Result<(), HdfsError> {
        let result = self.writer.write(bytes).await;
        self.judged(result)
    }

    async fn flush(&mut self) -> Result<(), HdfsError> {
        let result = self.writer.flush().await;
        self.judged(result)
    }

    async fn sync(&mut self) -> Result<(), HdfsError> {
        let result = self.writer.sync().await;
        self.judged(result)
    }

    async fn close(self: Box<Self>) -> Result<u64, HdfsError> {
        let Self { writer, shared, begun } = *self;
        let result = writer.close().await;
        match &result {
            Ok(_) => shared.worked(),
            Err(error) => shared.file_failed(error, begun),
        }
        result
    }

    async fn abandon(self: Box<Self>) {
        self.writer.abandon().await;
    }

    fn bytes_acked(&self) -> u64 {
        self.writer.bytes_acked()
    }
}

#[cfg(test)]
mod tests;
