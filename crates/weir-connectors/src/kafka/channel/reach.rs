//! [`reach`]: finding the cluster and the topic, however long they are away.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{error, info, warn};
use weir_kafka::{Cluster, ClusterOptions, Topic};

use super::health::Troubles;
use crate::kafka::connection::connect;

/// Pause before a topic that is not there is asked for again: a person may be making it.
const TOPIC_PAUSE: Duration = Duration::from_secs(1);
/// What troubles of reaching it are filed under.
pub(super) const ABOUT: &str = "cluster";

/// A cluster that answered and has the topic.
#[derive(Clone)]
pub(super) struct Ready {
    pub(super) cluster: Cluster,
    /// As it was then.
    pub(super) topic: Arc<Topic>,
    /// Identity of the topic: the same on every agent and start.
    pub(super) log: u64,
}

/// Connects and finds the topic, and says so in `ready`. Ends early only if trying again cannot help.
pub(super) async fn reach(
    channel: String,
    options: ClusterOptions,
    topic: String,
    troubles: Arc<Troubles>,
    ready: watch::Sender<Option<Ready>>,
) {
    let brokers = options.bootstrap.join(", ");
    let unreachable = |fault: &weir_kafka::ClusterError| {
        let text = format!("no broker of {brokers} can be used: {}", weir_engine::chain(fault));
        if troubles.set(ABOUT, text.clone()) {
            warn!(channel = %channel, "{text}; trying on");
        }
    };
    let cluster = match connect(&options, unreachable).await {
        Ok(cluster) => cluster,
        Err(fault) => {
            let text = format!("the connection to {brokers} cannot be set up: {}", weir_engine::chain(&fault));
            error!(channel = %channel, "{text}");
            troubles.set(ABOUT, text);
            return;
        }
    };
    loop {
        match cluster.topic(&topic).await {
            Ok(found) => {
                troubles.clear(ABOUT);
                let log = identity(cluster.id().as_deref().unwrap_or_default(), &topic, found.id);
                info!(channel = %channel, topic = %topic, partitions = found.partitions.len(), "topic found");
                // The channel may be gone by now.
                let _ = ready.send(Some(Ready { cluster, topic: found, log }));
                return;
            }
            Err(fault) => {
                let text = format!("topic {topic} cannot be used: {}", weir_engine::chain(&fault));
                if troubles.set(ABOUT, text.clone()) {
                    warn!(channel = %channel, "{text}; trying on");
                }
            }
        }
        tokio::time::sleep(TOPIC_PAUSE).await;
        // What it says is asked for above; a failure to ask is one of the next attempt.
        let _ = cluster.refresh(&[&topic]).await;
    }
}

/// A number for a topic of a cluster: FNV-1a, 64 bits, over its names and its id, each with a mark of its end. A topic
/// that is deleted and made anew has another id, where brokers give ids, and so another number. Names of files carry it.
pub fn identity(cluster: &str, topic: &str, id: u128) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let names = cluster.bytes().chain([0]).chain(topic.bytes()).chain([0]);
    names.chain(id.to_be_bytes()).fold(BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: the identity of topics that differ in one thing.
    /// Guarantees: it differs; and it is the number it always was, for finished files are named by it.
    #[test]
    fn identities_are_stable_and_differ() {
        let all = [identity("c", "t", 0), identity("ct", "", 0), identity("d", "t", 0), identity("c", "t", 1)];
        assert!((1..all.len()).all(|index| !all[..index].contains(&all[index])), "{all:x?}");
        assert_eq!(identity("c", "t", 0), FIXED);
    }

    /// Computed once, by another implementation.
    const FIXED: u64 = 0xd63d_8caf_cd27_dd12;
}
