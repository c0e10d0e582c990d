//! Ids and shards: ours and Solr's.

use libtest_mimic::Failed;
use serde_json::Value;
use weir_servers::solr::{Cluster, ClusterOptions, Collection};
use weir_solr::{Client, ClientOptions, id_hash};

const IDS: usize = 2000;
const SHARDS: u32 = 8;

/// Scenario: ids with and without prefixes, bits and oddities, given to Solr without a word about shards; a collection of
/// eight.
/// Guarantees: each is in the shard that this client takes it for.
pub(crate) fn is_that_of_solr() -> Result<(), Failed> {
    Cluster::with(ClusterOptions { nodes: 1, ..ClusterOptions::default() }, |cluster| {
        cluster.create_collection(&Collection { shards: SHARDS, ..Collection::new("ids") }).map_err(failed)?;
        let ids = ids();
        let documents: Vec<Value> = ids.iter().map(|id| serde_json::json!({"id": id})).collect();
        let body = serde_json::to_vec(&documents).map_err(failed)?;
        cluster.post(1, "/ids/update?commit=true", "application/json", &body).and_then(|a| a.ok()).map_err(failed)?;
        let client = Client::new(ClientOptions::new([cluster.url(1)]))?;
        let state = super::wait_for(client.cluster_state(Some("ids")))?;
        let state = state.collection("ids").ok_or("the collection is not in the state")?;
        let path = format!("/ids/select?q=*:*&fl=id,[shard]&rows={}&wt=json", 2 * IDS);
        let answer = cluster.get(1, &path).and_then(|answer| answer.ok()).map_err(failed)?;
        let answer: Value = serde_json::from_slice(&answer.body).map_err(failed)?;
        let found = answer["response"]["docs"].as_array().ok_or("no documents")?;
        if found.len() != ids.len() {
            return Err(format!("{} of {} documents are found", found.len(), ids.len()).into());
        }
        let mut used = std::collections::BTreeSet::new();
        for document in found {
            let (id, core) =
                (document["id"].as_str().unwrap_or_default(), document["[shard]"].as_str().unwrap_or_default());
            let ours = state.shard_of(id_hash(id.as_bytes())).ok_or("no shard of ours")?;
            if core != ours.name && !core.contains(&format!("_{}_", ours.name)) {
                return Err(format!("{id:?} is in {core}, not in {}", ours.name).into());
            }
            used.insert(ours.name.clone());
        }
        if used.len() != SHARDS as usize {
            return Err(format!("only the shards {used:?} were used").into());
        }
        Ok(())
    })
}

/// Different ids: those that the sink makes, and whatever a composite id may look like.
fn ids() -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(6);
    let mut ids: Vec<String> =
        ["!", "!!", "!!!", "a!", "!a", "a!b!", "a!!", "a!!b", "a/!b", "a/99!b", "a/x!b", "/4!b", "a/32!b", "a/0!b"]
            .map(str::to_owned)
            .into();
    let bits = ["/0", "/1", "/2", "/4", "/8", "/15", "/16", "/31", "/32", "/33", "", "", ""];
    while ids.len() < IDS {
        let number = random.u32(..);
        let mut bit = || bits[random.usize(..bits.len())];
        ids.push(match number % 5 {
            0 => format!("tenant{}{}!{number}", number % 90, bit()),
            1 => format!("app{}{}!user{}{}!{number}", number % 70, bit(), number % 30, bit()),
            2 => format!("gerät {number} ä€😀"),
            3 => format!("übung{}!straße{number}", bit()),
            _ => format!("{number:016x}-{}-{number}", number % 7),
        });
    }
    ids.sort();
    ids.dedup();
    ids
}

pub(crate) fn failed(error: impl std::fmt::Display) -> Failed {
    Failed::from(error.to_string())
}
