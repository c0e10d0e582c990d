//! A scripted SolrCloud in the process, for tests: it keeps documents, finds them, and fails as it is told.
//!
//! One listener is all of its nodes. Every shard has two cores, `SHARD_a` and `SHARD_b`, of which `a` leads at first; both
//! have what the leader took. In addresses the collection stands before: `logs_shard1_a`. A document is bad if its field
//! `bad` is there: Solr's words for it come as a 400, and what stood before it is in.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

mod http;
mod select;
mod state;
#[cfg(test)]
mod tests;

use http::{Request, read};
use state::{State, short};

/// What happens to one request instead of being taken.
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
    /// This status after a while.
    Late(Duration, u16),
    /// It is taken by so many replicas; `None`: the answer does not say by how many.
    Replicas(Option<u64>),
    /// It is taken; as any other.
    Take,
}

/// One update request as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Update {
    /// The core it was sent to, without its collection.
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

/// One more address of a fake. Dropping it ends it, and its connections.
#[derive(Debug)]
pub struct Door {
    url: String,
    serving: JoinHandle<()>,
}

impl Door {
    /// Its base address.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.serving.abort();
    }
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
        tokio::spawn(fake.clone().listen(listener));
        Ok(fake)
    }

    /// Its base address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/solr", self.port)
    }

    /// One more address of it, which may end earlier; nothing in the state of the cluster names it.
    ///
    /// # Errors
    /// If there is no port.
    pub async fn door(&self) -> io::Result<Door> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/solr", listener.local_addr()?);
        Ok(Door { url, serving: tokio::spawn(self.clone().listen(listener)) })
    }

    /// Makes a collection with one or two shards.
    pub fn create(&self, name: &str, shards: usize) {
        self.state.lock().create(name, shards);
    }

    /// What happens to the next requests, one step each, to what `to` names: a core (`shard1_a`, of any collection), a
    /// search (`logs/select`), or an action and its name (`DELETE logs`).
    pub fn script(&self, to: &str, steps: impl IntoIterator<Item = Step>) {
        self.state.lock().scripts.entry(to.to_owned()).or_default().extend(steps);
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

    /// From now on bad documents are told in an answer of 200, as a tolerant update chain does.
    pub fn tolerate(&self) {
        self.state.lock().is_tolerant = true;
    }

    /// From now on updates of more bytes get a 413.
    pub fn limit(&self, body_bytes_max: usize) {
        self.state.lock().body_bytes_max = Some(body_bytes_max);
    }

    /// Puts a document into both cores of a shard, whatever its id says.
    pub fn put(&self, collection: &str, shard: &str, document: &Value) {
        let id = document.get("id").and_then(Value::as_str).unwrap_or_default();
        self.state.lock().put(collection, shard, id, document);
    }

    /// Takes a document out of one core only, as `shard1_b`: a replica that lacks what its leader has.
    pub fn forget(&self, collection: &str, core: &str, id: &str) {
        if let Some(core) = self.state.lock().cores.get_mut(&(collection.to_owned(), core.to_owned())) {
            core.remove(id);
        }
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

    /// The other requests so far, but for searches and questions about the state: path and parameters.
    #[must_use]
    pub fn admin(&self) -> Vec<String> {
        self.state.lock().admin.clone()
    }

    /// Names of the collections.
    #[must_use]
    pub fn collections(&self) -> Vec<String> {
        self.state.lock().collections.keys().cloned().collect()
    }

    /// Ids in the collection, in whichever shard.
    #[must_use]
    pub fn ids(&self, collection: &str) -> Vec<String> {
        let state = self.state.lock();
        let cores = state.cores.iter().filter(|((name, core), _)| name == collection && core.ends_with("_a"));
        cores.flat_map(|(_, documents)| documents.keys().cloned()).collect()
    }

    /// Documents that were sent to another shard than theirs.
    #[must_use]
    pub fn misrouted(&self) -> u64 {
        self.state.lock().misrouted
    }

    async fn listen(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            while connections.try_join_next().is_some() {}
            connections.spawn(self.clone().serve(stream));
        }
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut buffer = Vec::new();
        while let Some(request) = read(&mut stream, &mut buffer).await {
            let step = self.step(&request);
            match step {
                Some(Step::Delay(time) | Step::Late(time, _)) => tokio::time::sleep(time).await,
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
        let to = match (request.core(), request.searched()) {
            (Some(core), _) => short(core).to_owned(),
            (None, Some(name)) => format!("{name}/select"),
            (None, None) => format!("{} {}", request.parameter("action")?, request.parameter("name")?),
        };
        self.state.lock().scripts.get_mut(&to)?.pop_front()
    }
}
