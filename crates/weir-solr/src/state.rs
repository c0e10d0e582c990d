//! What the cluster says of itself: collections, shards, leaders, aliases, as `CLUSTERSTATUS` answers.

use std::collections::BTreeMap;

use serde_json::Value;

/// The cluster at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterState {
    /// Collections by name. Only the one asked for, if one was.
    pub collections: BTreeMap<String, CollectionState>,
    /// Names of aliases, and the collections each stands for, the one that is written to first.
    pub aliases: BTreeMap<String, Vec<String>>,
    /// Nodes that ZooKeeper takes for alive.
    pub live_nodes: Vec<String>,
    /// Base addresses of those of them that have a part of these collections.
    pub live_urls: Vec<String>,
}

/// A collection at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectionState {
    /// Its name.
    pub name: String,
    /// Whether the hash of an id says in which shard it is. Otherwise any node takes documents and passes them on.
    pub is_routed_by_id: bool,
    /// Its active shards.
    pub shards: Vec<ShardState>,
}

/// A shard at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardState {
    /// Its name.
    pub name: String,
    /// First and last hash of it, both included, as Solr orders them: signed. `None` where ids say nothing.
    pub range: Option<(i32, i32)>,
    /// Base address of the core that leads it, if one does and its node lives: `http://host:port/solr/core`.
    pub leader: Option<String>,
    /// Base addresses of the cores of it that are active on nodes that live.
    pub replicas: Vec<String>,
}

impl ClusterState {
    /// Reads the answer to `CLUSTERSTATUS`; `None` if it is something else.
    #[must_use]
    pub fn parse(answer: &Value) -> Option<Self> {
        let cluster = answer.get("cluster")?;
        let live_nodes = texts(cluster.get("live_nodes"));
        let mut state = Self { live_nodes, ..Self::default() };
        for (name, collection) in cluster.get("collections")?.as_object()? {
            state.add_urls(collection);
            state.collections.insert(name.clone(), CollectionState::parse(name, collection, &state.live_nodes));
        }
        for (name, collections) in cluster.get("aliases").and_then(Value::as_object).into_iter().flatten() {
            let collections = collections.as_str().unwrap_or_default().split(',').map(str::to_owned).collect();
            state.aliases.insert(name.clone(), collections);
        }
        Some(state)
    }

    fn add_urls(&mut self, collection: &Value) {
        let shards = collection.get("shards").and_then(Value::as_object).into_iter().flatten();
        let replicas = shards.filter_map(|(_, shard)| shard.get("replicas")?.as_object()).flatten();
        for (_, replica) in replicas {
            let lives = text(replica, "node_name").is_some_and(|node| self.live_nodes.iter().any(|live| live == node));
            if let Some(url) = text(replica, "base_url").filter(|_| lives)
                && !self.live_urls.iter().any(|known| known == url)
            {
                self.live_urls.push(url.to_owned());
            }
        }
    }

    /// The collection of that name, or the one that is written to under that alias.
    #[must_use]
    pub fn collection(&self, name: &str) -> Option<&CollectionState> {
        let written = self.aliases.get(name).and_then(|collections| collections.first());
        self.collections.get(name).or_else(|| self.collections.get(written?))
    }
}

impl CollectionState {
    fn parse(name: &str, collection: &Value, live_nodes: &[String]) -> Self {
        let shards = collection.get("shards").and_then(Value::as_object).into_iter().flatten();
        let is_active =
            |shard: &Value| shard.get("state").and_then(Value::as_str).is_none_or(|state| state == "active");
        let mut shards: Vec<ShardState> = shards
            .filter(|(_, shard)| is_active(shard))
            .map(|(name, shard)| ShardState::parse(name, shard, live_nodes))
            .collect();
        shards.sort_by(|one, other| one.name.cmp(&other.name));
        let router = collection.get("router");
        let is_composite = router.and_then(|router| text(router, "name")).is_none_or(|name| name == "compositeId");
        let has_field = router.is_some_and(|router| router.get("field").is_some());
        let is_routed_by_id = is_composite && !has_field && shards.iter().all(|shard| shard.range.is_some());
        Self { name: name.to_owned(), is_routed_by_id, shards }
    }

    /// The shard an id with this hash belongs to; `None` if none does, or if ids say nothing here.
    #[must_use]
    pub fn shard_of(&self, hash: u32) -> Option<&ShardState> {
        let hash = hash.cast_signed();
        let holds = |shard: &&ShardState| shard.range.is_some_and(|(first, last)| (first..=last).contains(&hash));
        self.shards.iter().find(holds)
    }
}

impl ShardState {
    fn parse(name: &str, shard: &Value, live_nodes: &[String]) -> Self {
        let mut state = Self { name: name.to_owned(), range: text(shard, "range").and_then(range), ..Self::default() };
        for replica in shard.get("replicas").and_then(Value::as_object).into_iter().flat_map(|map| map.values()) {
            let lives = text(replica, "node_name").is_some_and(|node| live_nodes.iter().any(|live| live == node));
            let (Some(base), Some(core)) = (text(replica, "base_url"), text(replica, "core")) else { continue };
            if !lives || text(replica, "state") != Some("active") {
                continue;
            }
            let address = format!("{base}/{core}");
            // Older versions write the flag as text.
            if matches!(replica.get("leader"), Some(Value::Bool(true)))
                || text(replica, "leader").is_some_and(|flag| flag == "true")
            {
                state.leader = Some(address.clone());
            }
            state.replicas.push(address);
        }
        state
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

fn texts(value: Option<&Value>) -> Vec<String> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

/// `80000000-ffffffff`: two numbers of 32 bits in hexadecimal.
fn range(text: &str) -> Option<(i32, i32)> {
    let (first, last) = text.split_once('-')?;
    let number = |text| u32::from_str_radix(text, 16).ok().map(u32::cast_signed);
    Some((number(first)?, number(last)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Value {
        let text = r#"{"cluster":{"live_nodes":["a:1_solr"],"aliases":{"all":"logs,old"},"collections":{"logs":{
            "router":{"name":"compositeId"},"shards":{
            "shard1":{"range":"80000000-ffffffff","state":"active","replicas":{
              "n1":{"core":"c1","node_name":"a:1_solr","base_url":"http://a:1/solr","state":"active","leader":"true"},
              "n2":{"core":"c2","node_name":"b:1_solr","base_url":"http://b:1/solr","state":"active"}}},
            "shard2":{"range":"0-7fffffff","state":"active","replicas":{
              "n3":{"core":"c3","node_name":"b:1_solr","base_url":"http://b:1/solr","state":"active","leader":"true"}}},
            "gone":{"range":"0-7fffffff","state":"inactive","replicas":{}}}}}}}"#;
        serde_json::from_str(text).expect("json")
    }

    /// Scenario: two active shards, one of which has its leader on a node that is not alive.
    /// Guarantees: ids are found in the shard whose range holds them; a dead node leads nothing; aliases resolve.
    #[test]
    fn shards_and_leaders() {
        let state = ClusterState::parse(&answer()).expect("an answer");
        let logs = state.collection("all").expect("the alias");
        assert!(logs.is_routed_by_id);
        let shard = |hash| logs.shard_of(hash).expect("a shard");
        assert_eq!(shard(0x8000_0000).leader.as_deref(), Some("http://a:1/solr/c1"));
        assert_eq!(shard(0xffff_ffff).name, "shard1");
        assert_eq!((shard(0).name.as_str(), &shard(0x7fff_ffff).leader), ("shard2", &None));
        assert_eq!(state.collection("other"), None);
        assert_eq!(state.live_urls, ["http://a:1/solr"]);
        assert_eq!(ClusterState::parse(&Value::Null), None);
    }
}
