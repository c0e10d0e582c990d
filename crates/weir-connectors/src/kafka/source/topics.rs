//! Which topics there are to read, looked for again and again.

use std::time::Duration;

use tokio::sync::mpsc;
use weir_engine::chain;
use weir_kafka::{Cluster, ClusterError};

use super::config::Topics;
use super::work::Event;

/// How soon topics are looked for again that were missing, or could not be looked for.
const AGAIN: Duration = Duration::from_secs(5);

/// Tells the driver of the topics, at once and whenever they change, until it is gone.
pub(super) async fn watch(cluster: Cluster, topics: Topics, age: Duration, events: mpsc::UnboundedSender<Event>) {
    let mut told = None;
    loop {
        let mut pause = age;
        match look(&cluster, &topics).await {
            Ok((names, missing)) => {
                if !missing.is_empty() {
                    pause = pause.min(AGAIN);
                }
                let found = (names, missing);
                if told.as_ref() != Some(&found) {
                    told = Some(found.clone());
                    let (names, missing) = found;
                    let _ = events.send(Event::Topics { names, missing });
                }
            }
            Err(error) => {
                pause = pause.min(AGAIN);
                let _ = events.send(Event::TopicsFailed(chain(&error)));
            }
        }
        if events.is_closed() {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

/// The topics to read, and those of the list that do not exist.
async fn look(cluster: &Cluster, topics: &Topics) -> Result<(Vec<String>, Vec<String>), ClusterError> {
    let mut names = topics.names.clone();
    if !topics.patterns.is_empty() {
        let is_wanted = |name: &str| topics.patterns.iter().any(|pattern| pattern.is_match(name));
        let all = cluster.topics().await?;
        // Kafka's own topics hold no events.
        let matching = all.iter().filter(|topic| !topic.internal && is_wanted(&topic.name));
        names.extend(matching.map(|topic| topic.name.to_string()));
    }
    names.sort_unstable();
    names.dedup();
    let listed: Vec<&str> = topics.names.iter().map(String::as_str).collect();
    if !listed.is_empty() {
        cluster.refresh(&listed).await?;
    }
    let missing = topics.names.iter().filter(|name| cluster.cached_topic(name).is_none());
    Ok((names, missing.cloned().collect()))
}
