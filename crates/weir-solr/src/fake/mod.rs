//! A scripted SolrCloud in the process, for tests: it keeps documents, and fails as it is told.
//!
//! One listener is all of its nodes. Every shard has two cores, `SHARD_a` and `SHARD_b`, of which `a` leads at first. A
//! document is bad if its field `bad` is there: Solr's words for it come as a 400, and what stood before it is in.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::route::id_hash;

/// Largest request that is read.
const REQUEST_BYTES_MAX: usize = 64 << 20;

/// What happens to one update request instead of being taken.
#[derive(Clone, Debug)]
pub enum Step {
    /// This status, with these words in Solr's form, and seconds for `Retry-After`.
    Status(u16, &'static str, Option<u64>),
    /// This status and body, as they are.
    Raw(u16, &'static str),
    /// The connection ends without an answer; the documents are in.
    ResetAfter,
    /// The connection ends without an answer; the documents are not in.
    Reset,
    /// It is taken after a while.
    Delay(Duration),
    /// It is taken by so many replicas.
    Replicas(u64),
    /// It is taken; as any other.
    Take,
}

/// One update request as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Update {
    /// The core it was sent to.
    pub core: String,
    /// Parameters behind the `?`.
    pub query: String,
    /// Number of documents.
    pub documents: usize,
    /// Status of the answer; 0 for none.
    pub status: u16,
}

/// A running fake; ends with its runtime.
#[derive(Clone, Debug)]
pub struct FakeSolr {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    port: u16,
    /// Collection to its shards, and of each the core that leads.
    collections: BTreeMap<String, Vec<(String, Option<String>)>>,
    aliases: BTreeMap<String, String>,
    /// Id to how often it was added.
    added: BTreeMap<String, u64>,
    documents: BTreeMap<String, Value>,
    scripts: HashMap<String, VecDeque<Step>>,
    updates: Vec<Update>,
    admin: Vec<String>,
    misrouted: u64,
    authorization: Option<String>,
}

impl FakeSolr {
    /// Listens on a free port; has no collection yet.
    ///
    /// # Errors
    /// If there is no port.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let fake = Self { port, state: Arc::new(Mutex::new(State { port, ..State::default() })) };
        let serving = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        Ok(fake)
    }

    /// Its base address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/solr", self.port)
    }

    /// Makes a collection with one or two shards.
    pub fn create(&self, name: &str, shards: usize) {
        self.state.lock().create(name, shards);
    }

    /// What happens to the next requests to this core, one step each.
    pub fn script(&self, core: &str, steps: impl IntoIterator<Item = Step>) {
        self.state.lock().scripts.entry(core.to_owned()).or_default().extend(steps);
    }

    /// Makes a core the leader of the shard that it is named after; `None` leaves the shard without one.
    pub fn lead(&self, collection: &str, shard: &str, core: Option<&str>) {
        let mut state = self.state.lock();
        let shards = state.collections.get_mut(collection).into_iter().flatten();
        for (_, leader) in shards.filter(|(name, _)| name == shard) {
            *leader = core.map(str::to_owned);
        }
    }

    /// From now on requests need this header `Authorization`.
    pub fn require(&self, authorization: &str) {
        self.state.lock().authorization = Some(authorization.to_owned());
    }

    /// Ids, and how often each was added.
    #[must_use]
    pub fn added(&self) -> BTreeMap<String, u64> {
        self.state.lock().added.clone()
    }

    /// A document as it was added last.
    #[must_use]
    pub fn document(&self, id: &str) -> Option<Value> {
        self.state.lock().documents.get(id).cloned()
    }

    /// The update requests so far.
    #[must_use]
    pub fn updates(&self) -> Vec<Update> {
        self.state.lock().updates.clone()
    }

    /// The other requests so far, but for questions about the state: path and parameters.
    #[must_use]
    pub fn admin(&self) -> Vec<String> {
        self.state.lock().admin.clone()
    }

    /// Names of the collections.
    #[must_use]
    pub fn collections(&self) -> Vec<String> {
        self.state.lock().collections.keys().cloned().collect()
    }

    /// Documents that were sent to another shard than theirs.
    #[must_use]
    pub fn misrouted(&self) -> u64 {
        self.state.lock().misrouted
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut buffer = Vec::new();
        while let Some(request) = read(&mut stream, &mut buffer).await {
            let step = self.step(&request);
            match step {
                Some(Step::Delay(time)) => tokio::time::sleep(time).await,
                Some(Step::Reset) => {
                    self.state.lock().note(&request, 0, 0);
                    return;
                }
                _ => {}
            }
            let Some(answer) = self.state.lock().answer(&request, step) else { return };
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn step(&self, request: &Request) -> Option<Step> {
        let core = request.core()?;
        self.state.lock().scripts.get_mut(core)?.pop_front()
    }
}

/// A request as far as anybody here looks at it.
struct Request {
    path: String,
    query: String,
    authorization: Option<String>,
    body: Vec<u8>,
}

impl Request {
    /// The core it is an update for.
    fn core(&self) -> Option<&str> {
        self.path.strip_prefix("/solr/")?.strip_suffix("/update")
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|pair| pair.1)
    }
}

/// The next request of a connection; `None` at its end.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Request> {
    const END_OF_HEAD: &[u8] = b"\r\n\r\n";
    let head_bytes = loop {
        if let Some(at) = buffer.windows(END_OF_HEAD.len()).position(|bytes| bytes == END_OF_HEAD) {
            break at;
        }
        more(stream, buffer).await?;
    };
    let head = String::from_utf8_lossy(&buffer[..head_bytes]).into_owned();
    buffer.drain(..head_bytes + END_OF_HEAD.len());
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
    };
    let body_bytes: usize = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while buffer.len() < body_bytes {
        more(stream, buffer).await?;
    }
    let body = buffer.drain(..body_bytes).collect();
    let target = head.split(' ').nth(1)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Some(Request { path: path.to_owned(), query: query.to_owned(), authorization: header("authorization"), body })
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let bytes = stream.read_buf(buffer).await.ok()?;
    (bytes > 0 && buffer.len() <= REQUEST_BYTES_MAX).then_some(())
}

fn http(status: u16, retry_after: Option<u64>, body: &str) -> String {
    let retry_after = retry_after.map(|seconds| format!("Retry-After: {seconds}\r\n")).unwrap_or_default();
    let length = body.len();
    format!(
        "HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n{retry_after}Content-Length: {length}\r\n\r\n{body}"
    )
}

fn refusal(status: u16, retry_after: Option<u64>, words: &str) -> String {
    let body = json!({"responseHeader": {"status": status}, "error": {"msg": words, "code": status}});
    http(status, retry_after, &body.to_string())
}

impl State {
    fn create(&mut self, name: &str, shards: usize) {
        let shards = (1..=shards).map(|number| (format!("shard{number}"), Some(format!("shard{number}_a")))).collect();
        self.collections.insert(name.to_owned(), shards);
    }

    fn note(&mut self, request: &Request, documents: usize, status: u16) {
        if let Some(core) = request.core() {
            let (core, query) = (core.to_owned(), request.query.clone());
            self.updates.push(Update { core, query, documents, status });
        }
    }

    /// The answer; `None` ends the connection.
    fn answer(&mut self, request: &Request, step: Option<Step>) -> Option<String> {
        if self.authorization.is_some() && self.authorization != request.authorization {
            return Some(refusal(401, None, "require authentication"));
        }
        if request.core().is_none() {
            return Some(self.administrate(request));
        }
        let (status, answer) = match step {
            Some(Step::Status(status, words, retry_after)) => (status, refusal(status, retry_after, words)),
            Some(Step::Raw(status, body)) => (status, http(status, None, body)),
            Some(Step::ResetAfter) => {
                self.take(request, 1);
                return None;
            }
            Some(Step::Replicas(replicas)) => self.take(request, replicas),
            _ => self.take(request, 2),
        };
        let documents = documents(&request.body).len();
        self.note(request, documents, status);
        Some(answer)
    }

    fn take(&mut self, request: &Request, replicas: u64) -> (u16, String) {
        for document in documents(&request.body) {
            let id = document.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
            if document.get("bad").is_some() {
                return (400, refusal(400, None, &format!("ERROR: [doc={id}] Error adding field 'bad'='x'")));
            }
            if document.get("strange").is_some() {
                return (400, refusal(400, None, "Exception while parsing the request"));
            }
            if document.get("lacking").is_some() {
                return (400, refusal(400, None, &format!("ERROR: [doc={id}] unknown field 'lacking'")));
            }
            let shard = if id_hash(id.as_bytes()) >= 0x8000_0000 { "shard1" } else { "shard2" };
            let sent_to = request.core().unwrap_or_default();
            let has_two = self.collections.values().any(|shards| shards.len() == 2);
            if has_two && !sent_to.starts_with(shard) {
                self.misrouted += 1;
            }
            *self.added.entry(id.clone()).or_default() += 1;
            self.documents.insert(id, document);
        }
        (200, http(200, None, &json!({"responseHeader": {"rf": replicas, "status": 0}}).to_string()))
    }

    fn administrate(&mut self, request: &Request) -> String {
        let parameter = |name| request.parameter(name).unwrap_or_default().to_owned();
        let (action, name) = (parameter("action"), parameter("name"));
        if action != "CLUSTERSTATUS" {
            self.admin.push(format!("{}?{}", request.path, request.query));
        }
        match action.as_str() {
            "CLUSTERSTATUS" => return self.status(request.parameter("collection")),
            "CREATE" if self.collections.contains_key(&name) => {
                return refusal(400, None, &format!("collection already exists: {name}"));
            }
            "CREATE" => self.create(&name, parameter("numShards").parse().unwrap_or(1)),
            "DELETE" => drop(self.collections.remove(&name)),
            "CREATEALIAS" => drop(self.aliases.insert(name, parameter("collections"))),
            _ => {}
        }
        http(200, None, &json!({"responseHeader": {"status": 0}}).to_string())
    }

    fn status(&self, collection: Option<&str>) -> String {
        let asked = collection.and_then(|name| self.aliases.get(name)?.split(',').next()).or(collection);
        if let Some(name) = asked
            && !self.collections.contains_key(name)
        {
            return refusal(400, None, &format!("Collection: {name} not found"));
        }
        let base = format!("http://127.0.0.1:{}/solr", self.port);
        let mut collections = serde_json::Map::new();
        for (name, shards) in self.collections.iter().filter(|(name, _)| asked.is_none_or(|asked| asked == **name)) {
            let mut map = serde_json::Map::new();
            for (number, (shard, leader)) in shards.iter().enumerate() {
                let range = match (shards.len(), number) {
                    (1, _) => "80000000-7fffffff",
                    (_, 0) => "80000000-ffffffff",
                    _ => "0-7fffffff",
                };
                let replica = |core: String| {
                    let leads = leader.as_ref() == Some(&core);
                    let leader = if leads { "true" } else { "false" };
                    json!({"core": core, "base_url": base, "node_name": "fake", "state": "active", "leader": leader})
                };
                let replicas = json!({"a": replica(format!("{shard}_a")), "b": replica(format!("{shard}_b"))});
                map.insert(shard.clone(), json!({"range": range, "state": "active", "replicas": replicas}));
            }
            collections.insert(name.clone(), json!({"router": {"name": "compositeId"}, "shards": map}));
        }
        let cluster = json!({"live_nodes": ["fake"], "collections": collections, "aliases": self.aliases});
        http(200, None, &json!({"responseHeader": {"status": 0}, "cluster": cluster}).to_string())
    }
}

fn documents(body: &[u8]) -> Vec<Value> {
    serde_json::from_slice(body).unwrap_or_default()
}
