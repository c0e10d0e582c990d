//! The forms documents are written in.

use std::time::Duration;

use libtest_mimic::Failed;
use serde_json::Value;
use weir_servers::solr::{Cluster, ClusterOptions, Collection};
use weir_solr::{Client, ClientOptions, DocumentsBuilder, Encoding, Form, Indexer, IndexerOptions};

use super::routing::failed;

const FIELDS: [&str; 5] = ["id", "ts", "host", "pid", "msg"];

/// Scenario: the same documents in JSON and in Solr's binary form, with texts of every length around the limits of the
/// codec, characters of every kind, invalid UTF-8, negative and large numbers, times before 1970.
/// Guarantees: Solr has the same in both cases; a field of which it says that it is bad is rejected in both cases.
pub(crate) fn are_read_alike() -> Result<(), Failed> {
    Cluster::with(ClusterOptions { nodes: 1, ..ClusterOptions::default() }, |cluster| {
        cluster.create_collection(&Collection { shards: 2, ..Collection::new("forms") }).map_err(failed)?;
        let client = Client::new(ClientOptions::new([cluster.url(1)]))?;
        let read = |prefix: &str, form| -> Result<Vec<Value>, Failed> {
            let rejected = super::wait_for(index(&client, prefix, form))?;
            if rejected.len() != 1 || !rejected[0].contains("pid") {
                return Err(format!("{form:?}: {rejected:?}").into());
            }
            cluster.get(1, "/forms/update?commit=true&openSearcher=true").map_err(failed)?;
            let path = format!("/forms/select?q=id:{prefix}*&sort=id+asc&fl=ts,host,pid,msg&rows=1000&wt=json");
            let answer = cluster.get(1, &path).and_then(|answer| answer.ok()).map_err(failed)?;
            let answer: Value = serde_json::from_slice(&answer.body).map_err(failed)?;
            Ok(answer["response"]["docs"].as_array().cloned().unwrap_or_default())
        };
        let (json, binary) = (read("j", Form::Json)?, read("b", Form::Javabin)?);
        if json.len() != texts().len() || json != binary {
            let other = json.iter().zip(&binary).find(|(json, binary)| json != binary);
            return Err(format!("{} and {} documents; first difference: {other:?}", json.len(), binary.len()).into());
        }
        Ok(())
    })
}

fn texts() -> Vec<Vec<u8>> {
    let mut texts: Vec<Vec<u8>> = [29, 30, 31, 32, 158, 159, 160, 5000, 70_000].map(|length| vec![b'x'; length]).into();
    texts.extend(
        ["\"quoted\\\"", "tab\tline\nend\r", "\u{1}\u{1f}", "ä€😀 übung", "{[,]}"].map(|text| text.as_bytes().to_vec()),
    );
    texts.push(b"broken \xff\xfe\xc3 utf8".to_vec());
    texts
}

/// Sends one document for each text and one that is bad; returns Solr's words for what it refused.
async fn index(client: &Client, prefix: &str, form: Form) -> Result<Vec<String>, Failed> {
    let indexer = Indexer::new(client.clone(), IndexerOptions { linger: Duration::ZERO, ..IndexerOptions::default() });
    // One field is left out on purpose: its name is then defined in every document.
    let encoding = Encoding::new(form, FIELDS[..4].iter().map(|name| (*name).to_owned()));
    let [id, ts, host, pid, msg] = FIELDS.map(|name| encoding.name(name));
    let mut builder = DocumentsBuilder::new(&encoding);
    for (number, text) in texts().iter().enumerate() {
        builder.begin(&id, &format!("{prefix}{number:03}"));
        builder.time(&ts, 1_795_423_200_123 - 400_000_000_000 * number as i64);
        builder.text(&host, &text[..text.len().min(1000)]);
        builder.number(&pid, number as i64 * -65_536);
        builder.text(&msg, text);
        builder.end();
    }
    builder.begin(&id, &format!("{prefix}bad"));
    builder.text(&pid, b"no number");
    builder.end();
    let report = indexer.submit("forms", builder.finish()).await?.await;
    match report.handed_back {
        Some(handed_back) => Err(handed_back.message.into()),
        None => Ok(report.rejected.into_iter().map(|(_, words)| words).collect()),
    }
}
