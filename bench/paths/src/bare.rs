//! What Solr takes from a loop that does nothing else: routed batches, made before the clock, over sockets that stay open.

use std::borrow::Cow;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;
use weir_event::EventBatch;
use weir_lab::measure;
use weir_solr::{CollectionState, id_hash};

use crate::Failure;
use crate::meter::{Figures, LOOK_EVERY, Reading, Servers};
use crate::solr::{FIRST_COUNTED, LAST_COUNTED};

/// As many as the sink has in a request by default.
const DOCUMENTS_PER_BATCH: u64 = 1000;
/// Of each shard.
const SENDERS: usize = 2;

/// What the sink makes of an event by default.
#[derive(Serialize)]
struct Document<'a> {
    id: &'a str,
    ts: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    facility: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<i32>,
    message: Cow<'a, str>,
}

/// A body of a request.
struct Batch {
    body: Vec<u8>,
    documents: u64,
}

/// A shard: the address of its leader, and what goes there.
struct Shard {
    core: String,
    batches: Vec<Batch>,
    open: Batch,
}

/// Everything that is to be sent.
pub(crate) struct Bare<'a> {
    state: &'a CollectionState,
    shards: Vec<Shard>,
    /// Begins the ids, so that no document overwrites another.
    prefix: String,
    documents: u64,
}

impl<'a> Bare<'a> {
    /// Nothing yet.
    pub(crate) fn new(state: &'a CollectionState, prefix: String) -> Self {
        let empty = || Batch { body: Vec::new(), documents: 0 };
        let core = |leader: &Option<String>| leader.clone().unwrap_or_default();
        let shards = state.shards.iter().map(|shard| &shard.leader);
        let shards = shards.map(|leader| Shard { core: core(leader), batches: Vec::new(), open: empty() }).collect();
        Self { state, shards, prefix, documents: 0 }
    }

    /// Documents so far.
    pub(crate) fn documents(&self) -> u64 {
        self.documents
    }

    /// Makes documents of events.
    pub(crate) fn add(&mut self, events: &EventBatch) -> Result<(), Failure> {
        for row in 0..events.len() {
            let id = format!("{}-{}", self.prefix, self.documents);
            let hash = id_hash(id.as_bytes());
            let holds = |shard: &_| self.state.shard_of(hash) == Some(shard);
            let at = self.state.shards.iter().position(holds).ok_or("an id that no shard holds")?;
            self.shards[at].add(&document(&id, events, row)?)?;
            self.documents += 1;
        }
        Ok(())
    }

    /// Sends everything; the figures are those of the middle, as for the agent, and the CPU that of this process.
    pub(crate) fn send(mut self, servers: &Servers) -> Result<Figures, Failure> {
        self.shards.iter_mut().for_each(Shard::seal);
        let (all, sent) = (self.documents, AtomicU64::new(0));
        std::thread::scope(|scope| {
            let mut senders = Vec::new();
            for Shard { core, batches, .. } in &self.shards {
                for part in batches.chunks(batches.len().div_ceil(SENDERS).max(1)) {
                    senders.push(scope.spawn(|| post(core, part, &sent)));
                }
            }
            let at = |part: f64| {
                while (sent.load(Relaxed) as f64) < all as f64 * part {
                    // The error is told below.
                    if senders.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                        break;
                    }
                    std::thread::sleep(LOOK_EVERY);
                }
                let own = measure::this_process().total_seconds();
                Ok::<_, Failure>((sent.load(Relaxed), Reading::take(own, servers)?))
            };
            let ((before, began), (after, ended)) = (at(FIRST_COUNTED)?, at(LAST_COUNTED)?);
            for sender in senders {
                sender.join().map_err(|_| "a sender panicked")??;
            }
            Ok(began.figures(&ended, after - before, servers, 0.0))
        })
    }
}

impl Shard {
    fn add(&mut self, document: &Document<'_>) -> Result<(), Failure> {
        let Batch { body, documents } = &mut self.open;
        body.push(if *documents == 0 { b'[' } else { b',' });
        serde_json::to_writer(&mut *body, document)?;
        *documents += 1;
        if *documents == DOCUMENTS_PER_BATCH {
            self.seal();
        }
        Ok(())
    }

    fn seal(&mut self) {
        if self.open.documents > 0 {
            self.open.body.push(b']');
            let empty = Batch { body: Vec::with_capacity(self.open.body.len()), documents: 0 };
            self.batches.push(std::mem::replace(&mut self.open, empty));
        }
    }
}

fn document<'a>(id: &'a str, events: &'a EventBatch, row: usize) -> Result<Document<'a>, Failure> {
    let text = |header| match events.header(row, header)? {
        Cow::Borrowed(bytes) => Some(String::from_utf8_lossy(bytes)),
        Cow::Owned(bytes) => Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())),
    };
    let number = |header| text(header).and_then(|text| text.parse().ok());
    let made_ms = events.timestamp_ms(row).ok_or("an event without a time")?;
    Ok(Document {
        id,
        ts: jiff::Timestamp::from_millisecond(made_ms)?.to_string(),
        host: text("host"),
        app: text("app"),
        pid: number("procid"),
        facility: number("Facility"),
        severity: number("Severity"),
        message: String::from_utf8_lossy(events.body(row)),
    })
}

/// Sends one after the other over one connection.
fn post(core: &str, batches: &[Batch], sent: &AtomicU64) -> std::io::Result<()> {
    let address = core.trim_start_matches("http://");
    let (host, path) = address.split_once('/').unwrap_or((address, ""));
    let mut stream = TcpStream::connect(host)?;
    stream.set_nodelay(true)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    for Batch { body, documents } in batches {
        let bytes = body.len();
        let head = format!(
            "POST /{path}/update?wt=json HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {bytes}\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let (mut status, mut line, mut bytes) = (String::new(), String::new(), 0_usize);
        answers.read_line(&mut status)?;
        while answers.read_line(&mut line)? > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                bytes = value.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        let mut rest = vec![0; bytes];
        answers.read_exact(&mut rest)?;
        if !status.contains(" 200 ") {
            return Err(std::io::Error::other(format!("{status}: {}", String::from_utf8_lossy(&rest))));
        }
        sent.fetch_add(*documents, Relaxed);
    }
    Ok(())
}
