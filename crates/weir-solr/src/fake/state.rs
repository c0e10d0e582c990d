//! What the fake keeps, and how it answers from it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::{Value, json};

use super::http::{Request, http, refusal};
use super::{Step, Update};
use crate::route::id_hash;

/// Documents of one core by id.
pub(super) type Core = BTreeMap<String, Value>;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) port: u16,
    /// Collection to its shards, and of each the core that leads.
    pub(super) collections: BTreeMap<String, Vec<(String, Option<String>)>>,
    pub(super) aliases: BTreeMap<String, String>,
    /// Id to how often it was added.
    pub(super) added: BTreeMap<String, u64>,
    pub(super) documents: BTreeMap<String, Value>,
    /// By collection and core.
    pub(super) cores: BTreeMap<(String, String), Core>,
    pub(super) scripts: HashMap<String, VecDeque<Step>>,
    pub(super) updates: Vec<Update>,
    pub(super) admin: Vec<String>,
    pub(super) misrouted: u64,
    pub(super) authorization: Option<String>,
    pub(super) is_tolerant: bool,
    pub(super) body_bytes_max: Option<usize>,
}

/// What Solr says of one document.
enum Judgement {
    Good,
    /// It is named, or not, and these are the words.
    Bad {
        is_named: bool,
        words: String,
    },
}

impl State {
    pub(super) fn create(&mut self, name: &str, shards: usize) {
        let shards = (1..=shards).map(|number| (format!("shard{number}"), Some(format!("shard{number}_a")))).collect();
        self.collections.insert(name.to_owned(), shards);
    }

    fn delete(&mut self, name: &str) {
        self.collections.remove(name);
        self.cores.retain(|(collection, _), _| collection != name);
    }

    /// Collection and short name of a core, if it is there.
    pub(super) fn core(&self, full: &str) -> Option<(String, String)> {
        let mut parts = full.rsplitn(3, '_');
        let (replica, shard, collection) = (parts.next()?, parts.next()?, parts.next()?);
        let shards = self.collections.get(collection)?;
        let is_there = shards.iter().any(|(name, _)| name == shard);
        is_there.then(|| (collection.to_owned(), format!("{shard}_{replica}")))
    }

    pub(super) fn note(&mut self, request: &Request, documents: usize, status: u16) {
        if let Some(core) = request.core() {
            let core = short(core).to_owned();
            self.updates.push(Update { core, query: request.query.clone(), documents, status });
        }
    }

    /// The answer; `None` ends the connection.
    pub(super) fn answer(&mut self, request: &Request, step: Option<Step>) -> Option<String> {
        if self.authorization.is_some() && self.authorization != request.authorization {
            self.note(request, 0, 401);
            return Some(refusal(401, None, "require authentication"));
        }
        let (status, answer) = match step {
            Some(Step::Status(status, words, retry_after)) => (status, refusal(status, retry_after, words)),
            Some(Step::Late(_, status)) => (status, refusal(status, None, "late")),
            Some(Step::Raw(status, body)) => (status, http(status, None, body)),
            _ if request.searched().is_some() => return Some(self.select(request)),
            _ if request.core().is_none() => return Some(self.administrate(request)),
            Some(Step::ResetAfter) => {
                self.take(request, Some(1));
                return None;
            }
            Some(Step::Replicas(replicas)) => self.take(request, replicas),
            _ => self.take(request, Some(2)),
        };
        let documents = documents(&request.body).len();
        self.note(request, documents, status);
        Some(answer)
    }

    fn take(&mut self, request: &Request, replicas: Option<u64>) -> (u16, String) {
        let Some((collection, core)) = request.core().and_then(|core| self.core(core)) else {
            return (404, refusal(404, None, "no such core"));
        };
        if self.body_bytes_max.is_some_and(|most| request.body.len() > most) {
            return (413, refusal(413, None, "Request Entity Too Large"));
        }
        let mut errors = Vec::new();
        for document in documents(&request.body) {
            let id = document.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
            match judge(&id, &document) {
                Judgement::Good => self.add(&collection, &core, id, document),
                Judgement::Bad { is_named, words } if self.is_tolerant => {
                    let id = if is_named { id.as_str() } else { "(unknown)" };
                    errors.push(json!({"type": "ADD", "id": id, "message": words}));
                }
                Judgement::Bad { words, .. } => return (400, refusal(400, None, &words)),
            }
        }
        let mut header = json!({"status": 0});
        if let Some(replicas) = replicas {
            header["rf"] = json!(replicas);
        }
        if self.is_tolerant {
            (header["errors"], header["maxErrors"]) = (json!(errors), json!(-1));
        }
        (200, http(200, None, &json!({"responseHeader": header}).to_string()))
    }

    fn add(&mut self, collection: &str, core: &str, id: String, document: Value) {
        let shard = if id_hash(id.as_bytes()) >= 0x8000_0000 { "shard1" } else { "shard2" };
        let has_two = self.collections.get(collection).is_some_and(|shards| shards.len() == 2);
        if has_two && !core.starts_with(shard) {
            self.misrouted += 1;
        }
        *self.added.entry(id.clone()).or_default() += 1;
        let shard = core.rsplit_once('_').map_or(core, |(shard, _)| shard);
        self.put(collection, shard, &id, &document);
        self.documents.insert(id, document);
    }

    /// Into both cores of a shard.
    pub(super) fn put(&mut self, collection: &str, shard: &str, id: &str, document: &Value) {
        for replica in ["a", "b"] {
            let core = self.cores.entry((collection.to_owned(), format!("{shard}_{replica}"))).or_default();
            core.insert(id.to_owned(), document.clone());
        }
    }

    fn administrate(&mut self, request: &Request) -> String {
        let parameter = |name| request.parameter(name).unwrap_or_default();
        let (action, name) = (parameter("action"), parameter("name"));
        if action != "CLUSTERSTATUS" {
            self.admin.push(format!("{}?{}", request.path, request.query));
        }
        match action.as_str() {
            "CLUSTERSTATUS" => return self.status(request.parameter("collection").as_deref()),
            "CREATE" if self.collections.contains_key(&name) => {
                return refusal(400, None, &format!("collection already exists: {name}"));
            }
            "CREATE" => self.create(&name, parameter("numShards").parse().unwrap_or(1)),
            "DELETE" => self.delete(&name),
            "CREATEALIAS" => drop(self.aliases.insert(name, parameter("collections"))),
            _ => {}
        }
        http(200, None, &json!({"responseHeader": {"status": 0}}).to_string())
    }

    fn status(&self, collection: Option<&str>) -> String {
        let members = collection.and_then(|name| self.aliases.get(name));
        let asked: Option<Vec<&str>> =
            members.map(|names| names.split(',').collect()).or_else(|| collection.map(|name| vec![name]));
        if let Some(names) = &asked
            && !names.iter().any(|name| self.collections.contains_key(*name))
        {
            return refusal(400, None, &format!("Collection: {} not found", names.join(",")));
        }
        let base = format!("http://127.0.0.1:{}/solr", self.port);
        let mut collections = serde_json::Map::new();
        let is_asked = |name: &str| asked.as_ref().is_none_or(|names| names.contains(&name));
        for (name, shards) in self.collections.iter().filter(|(name, _)| is_asked(name)) {
            let mut map = serde_json::Map::new();
            for (number, (shard, leader)) in shards.iter().enumerate() {
                let range = match (shards.len(), number) {
                    (1, _) => "80000000-7fffffff",
                    (_, 0) => "80000000-ffffffff",
                    _ => "0-7fffffff",
                };
                let replica = |replica: &str| {
                    let core = format!("{shard}_{replica}");
                    let leader = if leader.as_ref() == Some(&core) { "true" } else { "false" };
                    let core = format!("{name}_{core}");
                    json!({"core": core, "base_url": base, "node_name": "fake", "state": "active", "leader": leader})
                };
                let replicas = json!({"a": replica("a"), "b": replica("b")});
                map.insert(shard.clone(), json!({"range": range, "state": "active", "replicas": replicas}));
            }
            collections.insert(name.clone(), json!({"router": {"name": "compositeId"}, "shards": map}));
        }
        let cluster = json!({"live_nodes": ["fake"], "collections": collections, "aliases": self.aliases});
        http(200, None, &json!({"responseHeader": {"status": 0}, "cluster": cluster}).to_string())
    }
}

/// The name of a core without its collection: `shard1_a`.
pub(super) fn short(core: &str) -> &str {
    let collection = core.rmatch_indices('_').nth(1).map(|(at, _)| at);
    collection.map_or(core, |at| &core[at + 1..])
}

fn judge(id: &str, document: &Value) -> Judgement {
    let bad = |is_named, words| Judgement::Bad { is_named, words };
    if let Some(value) = document.get("bad") {
        let value = value.as_str().unwrap_or_default();
        return bad(
            true,
            format!("ERROR: [doc={id}] Error adding field 'bad'='{value}' msg=For input string: {value}"),
        );
    }
    if document.get("strange").is_some() {
        return bad(false, "Exception while parsing the request".to_owned());
    }
    if document.get("lacking").is_some() {
        return bad(true, format!("ERROR: [doc={id}] unknown field 'lacking'"));
    }
    Judgement::Good
}

fn documents(body: &[u8]) -> Vec<Value> {
    serde_json::from_slice(body).unwrap_or_default()
}
