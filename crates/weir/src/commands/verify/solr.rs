//! The documents: every id of a collection, core by core.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use weir_solr::{Client, CollectionState, ErrorClass, RequestError, ShardState};

use super::ids::{Found, Searchable, Uneven};
use super::offsets::OffsetSet;
use super::progress::Progress;
use super::topic::Topic;
use crate::exit::Failure;

/// 30 bytes an id: 300 KiB an answer.
const ROWS: usize = 10_000;
/// What no core of a shard answers is asked again so often, half a minute in all: a leader that dies is replaced by then.
const ATTEMPTS_MAX: u32 = 10;
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// A collection behind its nodes.
pub(super) struct Collection {
    client: Client,
    name: String,
    key: String,
    /// What ids of the topic begin with besides its log.
    id_prefix: Option<String>,
}

/// A shard, and the cores that have it; the one to ask first, first.
struct Shard {
    collection: String,
    name: String,
    cores: Vec<String>,
}

impl Collection {
    pub(super) fn new(client: Client, name: &str, key: &str, id_prefix: Option<String>) -> Self {
        Self { client, name: name.to_owned(), key: key.to_owned(), id_prefix }
    }

    pub(super) fn id_prefix(&self) -> Option<&str> {
        self.id_prefix.as_deref()
    }

    /// Reads every id, core by core: a search over all shards would hide an id that is in two. Of each shard one core is
    /// read; the others must have as many documents.
    pub(super) async fn compare(
        &self,
        topic: &Topic,
        offsets: &BTreeMap<u32, OffsetSet>,
        progress: &Progress,
    ) -> Result<Searchable, Failure> {
        let failed = |what: &str, error: RequestError| {
            Failure::new(format!("{what} of Solr collection {}: {}", self.name, error.chain()))
        };
        let (collections, absent) = self.collections().await.map_err(|error| failed("the state", error))?;
        let mut uneven = Vec::new();
        let mut found = Found::new(topic.log, self.id_prefix.as_deref(), &topic.partitions, offsets);
        for collection in &collections {
            for shard in &collection.shards {
                let mut shard = Shard::new(&collection.name, shard);
                self.read(&mut shard, &mut found, progress).await.map_err(|error| failed("the ids", error))?;
                uneven.extend(self.uneven(&mut shard).await);
            }
        }
        Ok(Searchable { absent_collections: absent, uneven, ..found.end(&topic.ends_now().await?) })
    }

    /// The collections that the name stands for, and the names of those that are not there.
    async fn collections(&self) -> Result<(Vec<CollectionState>, Vec<String>), RequestError> {
        let mut state = self.client.cluster_state(Some(&self.name)).await?;
        let names = state.aliases.get(&self.name).cloned().unwrap_or_else(|| vec![self.name.clone()]);
        let (mut collections, mut absent) = (Vec::new(), Vec::new());
        for name in names {
            // Of an alias, older versions tell the state of its first collection only.
            let found = match state.collections.remove(&name) {
                Some(found) => Some(found),
                None => match self.client.cluster_state(Some(&name)).await {
                    Ok(mut state) => state.collections.remove(&name),
                    Err(RequestError::NoCollection { .. }) => None,
                    Err(error) => return Err(error),
                },
            };
            match found {
                Some(found) => collections.push(found),
                None => absent.push(name),
            }
        }
        Ok((collections, absent))
    }

    /// Reads the ids of a shard.
    async fn read(&self, shard: &mut Shard, found: &mut Found<'_>, progress: &Progress) -> Result<(), RequestError> {
        let mut cursor = "*".to_owned();
        loop {
            let path = format!(
                "/select?q=*:*&fl={key}&sort={key}%20asc&rows={ROWS}&distrib=false&cursorMark={}&wt=json",
                escaped(&cursor),
                key = self.key,
            );
            let answer = self.ask(shard, &path).await?;
            let documents = answer["response"]["docs"].as_array().map(Vec::as_slice).unwrap_or_default();
            for document in documents {
                match document.get(&self.key).and_then(Value::as_str) {
                    Some(id) => found.add(id),
                    None => found.add_without_id(),
                }
            }
            progress.documents.add(documents.len() as u64);
            let next = answer["nextCursorMark"].as_str().unwrap_or(&cursor).to_owned();
            if next == cursor {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// The cores of a shard, if they have not all as many documents: each replica makes them searchable in its own time, so
    /// they are asked a few times.
    async fn uneven(&self, shard: &mut Shard) -> Option<Uneven> {
        let mut pause = PAUSE;
        loop {
            let mut cores = Vec::new();
            for core in &shard.cores {
                let answer = self.client.get_from(core, "/select?q=*:*&rows=0&distrib=false&wt=json").await;
                cores.push((core.clone(), answer.ok().and_then(|answer| answer["response"]["numFound"].as_u64())));
            }
            if cores.iter().all(|(_, documents)| documents.is_some() && *documents == cores[0].1) {
                return None;
            }
            if pause > PAUSE_MAX {
                return Some(Uneven { collection: shard.collection.clone(), shard: shard.name.clone(), cores });
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            self.look_again(shard).await;
        }
    }

    /// The answer of a core of the shard; which one does not matter to a cursor, it is a place in the order of ids.
    async fn ask(&self, shard: &mut Shard, path: &str) -> Result<Value, RequestError> {
        let (mut pause, mut last) = (PAUSE, None);
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
                self.look_again(shard).await;
            }
            for at in 0..shard.cores.len() {
                match self.client.get_from(&shard.cores[at], path).await {
                    // A core that stopped in the middle of its search says so in passing.
                    Ok(answer) if answer["responseHeader"]["partialResults"].as_bool() == Some(true) => {}
                    Ok(answer) => {
                        shard.cores.swap(0, at);
                        return Ok(answer);
                    }
                    Err(error) if matches!(error.class(), ErrorClass::Denied | ErrorClass::Documents) => {
                        return Err(error);
                    }
                    Err(error) => last = Some(error),
                }
            }
        }
        let nobody = || RequestError::NoLeader { collection: shard.collection.clone(), shard: shard.name.clone() };
        Err(last.unwrap_or_else(nobody))
    }

    /// Which cores have the shard now, if anybody says.
    async fn look_again(&self, shard: &mut Shard) {
        let Ok(state) = self.client.cluster_state(Some(&shard.collection)).await else { return };
        let shards = state.collections.get(&shard.collection).map(|collection| &collection.shards);
        if let Some(state) = shards.into_iter().flatten().find(|state| state.name == shard.name) {
            *shard = Shard::new(&shard.collection, state);
        }
    }
}

impl Shard {
    fn new(collection: &str, state: &ShardState) -> Self {
        let mut cores = state.replicas.clone();
        cores.sort_by_key(|core| Some(core) != state.leader.as_ref());
        Self { collection: collection.to_owned(), name: state.name.clone(), cores }
    }
}

/// Cursors are base64.
fn escaped(cursor: &str) -> String {
    cursor.replace('%', "%25").replace('+', "%2B").replace('/', "%2F").replace('=', "%3D").replace('&', "%26")
}
