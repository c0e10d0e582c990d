//! Searches, as far as those need them who read whole collections: everything, in the order of one field.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::http::{Request, http, refusal};
use super::state::State;

/// Rows of a page unless the request says otherwise.
const ROWS: usize = 10;
/// Before the last key of a page: characters that have to be escaped on their way back.
const MARK: &str = "Ao+/=";

impl State {
    /// `q=*:*` with `fl`, `sort=FIELD asc`, `rows`, `start` or `cursorMark`, and `shards`, of a collection, an alias, or of
    /// one core with `distrib=false`. Of each shard its leader is searched, or the first core if it has none.
    pub(super) fn select(&self, request: &Request) -> String {
        let name = request.searched().unwrap_or_default();
        let Some(cores) = self.searched_cores(name, request) else {
            return refusal(404, None, &format!("Can not find: /{name}/select"));
        };
        if request.parameter("q").as_deref() != Some("*:*") {
            return refusal(400, None, "the fake knows no other query than *:*");
        }
        let sort = request.parameter("sort").unwrap_or_else(|| "id asc".to_owned());
        let Some(field) = sort.strip_suffix(" asc") else {
            return refusal(400, None, "the fake sorts by one field asc");
        };
        let mut found: Vec<(String, &Value)> = Vec::new();
        for core in cores {
            let documents = self.cores.get(&core).into_iter().flatten().map(|(_, document)| document);
            found.extend(documents.map(|document| (text(document, field), document)));
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        // A search over several shards merges by key: an id that is in two of them is found once.
        found.dedup_by(|one, other| one.0 == other.0 && one.1.get("id") == other.1.get("id"));
        let number = |name: &str| request.parameter(name).and_then(|text| text.parse().ok());
        let (rows, start) = (number("rows").unwrap_or(ROWS), number("start").unwrap_or(0));
        let cursor = request.parameter("cursorMark");
        let behind = cursor.as_deref().and_then(|cursor| cursor.strip_prefix(MARK));
        let page: Vec<_> = found
            .iter()
            .filter(|(key, _)| behind.is_none_or(|last| key.as_str() > last))
            .skip(start)
            .take(rows)
            .collect();
        let fields = request.parameter("fl");
        let docs: Vec<_> = page.iter().map(|(_, document)| chosen(document, fields.as_deref())).collect();
        let mut answer = json!({"response": {"numFound": found.len(), "start": start, "docs": docs}});
        if let Some(cursor) = cursor {
            // Without a further page the mark stays as it is.
            let next = page.last().map_or(cursor, |(key, _)| format!("{MARK}{key}"));
            answer["nextCursorMark"] = json!(next);
        }
        if request.parameter("omitHeader").as_deref() != Some("true") {
            answer["responseHeader"] = json!({"status": 0});
        }
        http(200, None, &answer.to_string())
    }

    /// The cores a search reads; `None` if there is no collection, alias or core of that name.
    fn searched_cores(&self, name: &str, request: &Request) -> Option<Vec<(String, String)>> {
        let is_alone = request.parameter("distrib").as_deref() == Some("false");
        if let Some(core) = self.core(name).filter(|_| is_alone) {
            return Some(vec![core]);
        }
        let of_core = self.core(name).map(|(collection, _)| collection);
        let members = match (self.aliases.get(name), of_core) {
            (Some(members), _) => members.split(',').map(str::to_owned).collect(),
            (None, Some(collection)) => vec![collection],
            (None, None) => vec![name.to_owned()],
        };
        let shards = request.parameter("shards");
        let is_asked = |shard: &str| shards.as_deref().is_none_or(|shards| shards.split(',').any(|name| name == shard));
        let mut cores = Vec::new();
        for collection in members {
            let states: BTreeMap<_, _> = self.collections.get(&collection)?.iter().cloned().collect();
            for (shard, leader) in states.into_iter().filter(|(shard, _)| is_asked(shard)) {
                cores.push((collection.clone(), leader.unwrap_or_else(|| format!("{shard}_a"))));
            }
        }
        // Any node answers, from what it has itself.
        cores.truncate(if is_alone { 1 } else { usize::MAX });
        Some(cores)
    }
}

fn text(document: &Value, field: &str) -> String {
    document.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn chosen(document: &Value, fields: Option<&str>) -> Value {
    let (Some(fields), Some(all)) = (fields, document.as_object()) else { return document.clone() };
    let is_asked = |name: &str| fields.split(',').any(|field| field == "*" || field == name);
    all.iter().filter(|(name, _)| is_asked(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}
