//! The fake is looked at with the client itself.

use serde_json::{Value, json};

use super::{FakeSolr, Step};
use crate::{Client, ClientOptions};

async fn find(client: &Client, path: &str) -> Value {
    client.get(&format!("{path}&wt=json")).await.expect("an answer")
}

fn ids(answer: &Value) -> Vec<&str> {
    let documents = answer["response"]["docs"].as_array().expect("documents");
    documents.iter().map(|document| document["id"].as_str().expect("an id")).collect()
}

/// Scenario: documents in two shards and two collections of an alias, one of them in both shards, one that a follower lacks;
/// read by pages, by shard, by core, and through a search that fails at first.
/// Guarantees: pages follow each other to the end; a shard and a core have their own; a search over shards finds an id once.
#[tokio::test]
async fn searches_find_what_is_there() {
    let fake = FakeSolr::start().await.expect("a port");
    fake.create("one", 2);
    fake.create("two", 1);
    for (collection, shard, id) in [("one", "shard1", "a"), ("one", "shard2", "b"), ("two", "shard1", "c")] {
        fake.put(collection, shard, &json!({"id": id, "more": 1}));
    }
    fake.put("one", "shard2", &json!({"id": "a"}));
    fake.forget("one", "shard1_b", "a");
    let client = Client::new(ClientOptions::new([fake.url()])).expect("a client");
    client.get("/admin/collections?action=CREATEALIAS&name=all&collections=one,two").await.expect("an alias");

    let (mut cursor, mut pages) = ("*".to_owned(), Vec::new());
    loop {
        let path = format!("/all/select?q=*:*&fl=id&sort=id%20asc&rows=2&cursorMark={cursor}");
        let answer = find(&client, &path).await;
        assert_eq!(answer["response"]["numFound"], 3);
        assert!(answer["response"]["docs"][0].get("more").is_none());
        pages.push(ids(&answer).join(","));
        let next = answer["nextCursorMark"].as_str().expect("a mark");
        let next = next.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        if next == cursor {
            break;
        }
        cursor = next;
    }
    assert_eq!(pages, ["a,b", "c", ""]);

    let shard = find(&client, "/one/select?q=*:*&sort=id+asc&shards=shard2").await;
    assert_eq!(ids(&shard), ["a", "b"]);
    for (core, count) in [("one_shard1_a", 1), ("one_shard1_b", 0)] {
        let answer = find(&client, &format!("/{core}/select?q=*:*&rows=0&distrib=false")).await;
        assert_eq!((answer["response"]["numFound"].as_u64(), ids(&answer).len()), (Some(count), 0), "{core}");
    }
    fake.script("two/select", [Step::Status(503, "busy", None)]);
    client.get("/two/select?q=*:*").await.expect_err("busy");
    assert_eq!(ids(&find(&client, "/two/select?q=*:*").await), ["c"]);
    client.get("/three/select?q=*:*").await.expect_err("there is none");
}
