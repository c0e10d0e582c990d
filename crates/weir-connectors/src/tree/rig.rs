//! A channel that outlives the sinks of a test, and what feeds them and reads their files.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use weir_engine::channel::{
    AppendError, Backlog, Channel, ChannelError, ChannelUsage, Cursor, Position, ReadChunk, ReadLimit,
};
use weir_engine::delivery::{Delivery, DeliveryError};
use weir_engine::group::Group;
use weir_engine::ledger::SinkLedger;
use weir_engine::receipt::ReceiptTicket;
use weir_engine::sink::{FlushReason, Sink, SinkContext};
use weir_event::{ChannelId, EventBatch, HeaderName, Offsets, Origin, Span, TextColumn, names};

use super::lane::TreeSink;
use super::store::Store;

/// When events of tests arrive: 2023-11-14 22:13:20 UTC.
pub(crate) const ARRIVAL_MS: i64 = 1_700_000_000_000;

#[derive(Default)]
struct Stored {
    batches: Vec<EventBatch>,
    released: u64,
    end: u64,
}

/// One batch per read; keeps everything, whatever is released.
pub(crate) struct TestChannel {
    id: ChannelId,
    is_durable: bool,
    /// Releases are lost, as when the process dies before they are durable.
    pub(crate) loses_releases: bool,
    stored: Mutex<Stored>,
}

impl TestChannel {
    pub(crate) fn new(log: u64, is_durable: bool) -> Self {
        Self { id: ChannelId { log, partition: 0 }, is_durable, loses_releases: false, stored: Mutex::default() }
    }

    /// The same, losing releases or not.
    pub(crate) fn losing_releases(self, loses_releases: bool) -> Self {
        Self { loses_releases, ..self }
    }

    pub(crate) fn append(&self, batch: EventBatch) {
        let mut stored = self.stored.lock().expect("no test panics here");
        let offsets = Offsets::Contiguous { first: stored.end };
        stored.end += batch.len() as u64;
        stored.batches.push(batch.with_origin(Origin { channel: self.id, offsets }));
    }

    pub(crate) fn released(&self) -> u64 {
        self.stored.lock().expect("no test panics here").released
    }

    fn find(&self, range: Range<u64>) -> Option<ReadChunk> {
        let stored = self.stored.lock().expect("no test panics here");
        stored.batches.iter().find_map(|batch| {
            let first = batch.origin().and_then(|origin| origin.offset(0)).expect("given by append");
            let end = (first + batch.len() as u64).min(range.end);
            (first..end).contains(&range.start).then(|| ReadChunk {
                partition: 0,
                range: range.start..end,
                batches: vec![batch.slice((range.start - first) as usize..(end - first) as usize)],
                stored: Vec::new(),
                unsynced: 0,
                lost: Vec::new(),
            })
        })
    }
}

/// What groups see of a [`TestChannel`]: where reading goes on, and the end when it was opened.
struct Reader(Arc<TestChannel>, u64, u64);

impl Channel for Reader {
    fn name(&self) -> &str {
        "test"
    }
    fn is_durable(&self) -> bool {
        self.0.is_durable
    }
    fn try_append(&self, _: &EventBatch, ticket: ReceiptTicket) -> Result<(), AppendError> {
        Err(AppendError::Closed(ticket))
    }
    fn wait_for_room(&self, _: Duration) -> bool {
        false
    }
    fn cursor(&self, _: &str) -> Result<Box<dyn Cursor>, ChannelError> {
        let end = self.0.stored.lock().expect("no test panics here").end;
        Ok(Box::new(Self(self.0.clone(), self.0.released(), end)))
    }
    fn usage(&self) -> ChannelUsage {
        ChannelUsage::default()
    }
    fn close(&self) -> Result<(), ChannelError> {
        Ok(())
    }
}

impl Cursor for Reader {
    fn positions(&self) -> Vec<Position> {
        let stored = self.0.stored.lock().expect("no test panics here");
        vec![Position { channel: self.0.id, released: stored.released, end: stored.end }]
    }
    fn repeats_below(&self, _: u32) -> u64 {
        self.2
    }
    fn read(&mut self, _: ReadLimit) -> Result<Option<ReadChunk>, ChannelError> {
        let chunk = self.0.find(self.1..u64::MAX);
        self.1 = chunk.as_ref().map_or(self.1, |chunk| chunk.range.end);
        Ok(chunk)
    }
    fn read_again(&mut self, _: u32, range: Range<u64>, _: ReadLimit) -> Result<ReadChunk, ChannelError> {
        Ok(self.0.find(range).expect("everything is kept"))
    }
    fn release(&mut self, _: u32, up_to: u64) {
        if !self.0.loses_releases {
            self.0.stored.lock().expect("no test panics here").released = up_to;
        }
    }
    fn wakeup(&self) -> Arc<Notify> {
        Arc::default()
    }
    fn backlog(&self) -> Backlog {
        Backlog::default()
    }
}

/// Events `numbers`, with body `event N` and the host that `host` says.
pub(crate) fn events(numbers: Range<u64>, host: impl Fn(u64) -> String) -> EventBatch {
    let bodies: Vec<_> = numbers.clone().map(|number| format!("event {number}")).collect();
    let mut batch = EventBatch::from_bodies(&bodies, ARRIVAL_MS);
    let mut arena = Vec::new();
    let mut spans = Vec::new();
    for number in numbers {
        let host = host(number);
        spans.push(Span::new(arena.len(), host.len()));
        arena.extend_from_slice(host.as_bytes());
    }
    batch.set_text(names::HOST, TextColumn { arena: arena.into(), spans: Arc::new(spans) });
    batch.set_constant(HeaderName::new("dc"), "east");
    batch
}

/// Even events are from host `a`, odd ones from `b`.
pub(crate) fn two_hosts(number: u64) -> String {
    ["a", "b"][(number % 2) as usize].to_owned()
}

/// What a folder holds.
pub(crate) struct Files {
    pub(crate) finished: BTreeMap<String, String>,
    pub(crate) hidden: Vec<PathBuf>,
}

impl Files {
    /// Every event below `count` is in exactly one finished file, none is in another's directory, nothing is left over.
    pub(crate) fn assert_each_once(&self, count: u64, host: impl Fn(u64) -> String) {
        let mut found = BTreeMap::<String, Vec<String>>::new();
        for (name, text) in &self.finished {
            for line in text.lines() {
                found.entry(line.to_owned()).or_default().push(name.clone());
            }
        }
        for number in 0..count {
            let names = found.remove(&format!("event {number}")).unwrap_or_default();
            assert_eq!(names.len(), 1, "event {number} is in {names:?} of {:?}", self.names());
            assert!(names[0].starts_with(&format!("{}/", host(number))), "event {number} is in {names:?}");
        }
        assert!(found.is_empty() && self.hidden.is_empty(), "{found:?} {:?}", self.hidden);
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.finished.keys().map(String::as_str).collect()
    }

    /// The part of finished names that says which events: `a/0-8`.
    pub(crate) fn ranges(&self) -> Vec<String> {
        let range = |name: &str| {
            let (directory, file) = name.rsplit_once('/').unwrap_or(("", name));
            let offsets = file.split('.').nth(2).expect("a finished name");
            let (first, last) = offsets.split_once('-').expect("two offsets");
            let number = |text: &str| text.parse::<u64>().map_or_else(|_| text.to_owned(), |number| number.to_string());
            format!("{directory}/{}-{}", number(first), number(last))
        };
        self.names().into_iter().map(range).collect()
    }
}

/// Reads every file below `root`, hidden folders too; unpacks by suffix with decoders that the sink does not use.
pub(crate) fn read_files(root: &Path) -> Files {
    let mut files = Files { finished: BTreeMap::new(), hidden: Vec::new() };
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.strip_prefix(root).is_ok_and(|path| path.to_string_lossy().split('/').any(is_hidden)) {
                files.hidden.push(path);
            } else {
                let bytes = std::fs::read(&path).expect("reads");
                let mut text = String::new();
                match path.extension().and_then(|suffix| suffix.to_str()) {
                    Some("gz") => {
                        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("gzip");
                    }
                    Some("zst") => text = String::from_utf8(zstd::decode_all(&bytes[..]).expect("zstd")).expect("text"),
                    _ => text = String::from_utf8(bytes).expect("text"),
                }
                let name = path.strip_prefix(root).expect("below").to_string_lossy().into_owned();
                files.finished.insert(name, text);
            }
        }
    }
    files
}

/// A running sink. Dropping it is a crash: nothing is finished.
pub(crate) struct Run<S: Store> {
    pub(crate) sink: TreeSink<S>,
    pub(crate) group: Arc<Group>,
    runtime: tokio::runtime::Runtime,
}

impl<S: Store> Run<S> {
    /// A sink that `open` opens, on a group of its own of `channel`.
    pub(crate) fn start<E>(
        channel: &Arc<TestChannel>,
        open: impl FnOnce(&SinkContext) -> Result<TreeSink<S>, E>,
    ) -> Result<Self, E> {
        let (group, context) = Self::joined(channel);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Ok(Self { sink: open(&context)?, group, runtime })
    }

    /// What a sink of the channel is told at its start.
    pub(crate) fn context(channel: &Arc<TestChannel>) -> SinkContext {
        Self::joined(channel).1
    }

    fn joined(channel: &Arc<TestChannel>) -> (Arc<Group>, SinkContext) {
        let ledger = Arc::new(SinkLedger::default());
        let reader = Arc::new(Reader(channel.clone(), 0, 0));
        let group = Group::open("g", &["out".into()], reader, None, ledger).expect("opens");
        let context = SinkContext {
            name: "out".into(),
            agent: "edge".into(),
            data_dir: None,
            channel_is_durable: channel.is_durable,
            channel_is_shared: false,
            positions: group.positions(),
            faults: group.ledger().faults.clone(),
        };
        (group, context)
    }

    pub(crate) fn next(&self) -> Option<Delivery> {
        self.group.next(ReadLimit::events(1 << 20), &Default::default()).expect("the channel works")
    }

    pub(crate) fn deliver(&mut self, delivery: Delivery) -> Result<(), DeliveryError> {
        self.runtime.block_on(self.sink.deliver(delivery))
    }

    /// Delivers what there is, also what comes back, until a call fails.
    pub(crate) fn deliver_all(&mut self) -> Result<(), DeliveryError> {
        while let Some(delivery) = self.next() {
            self.deliver(delivery)?;
        }
        Ok(())
    }

    pub(crate) fn flush(&mut self, reason: FlushReason) -> Result<(), DeliveryError> {
        self.runtime.block_on(self.sink.flush(reason))
    }

    pub(crate) fn delivered(&self) -> u64 {
        self.group.ledger().delivered.load(Relaxed)
    }

    pub(crate) fn repeats(&self) -> u64 {
        self.group.ledger().dropped.total()
    }
}

fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}
