//! [`View`]: what is known of a cluster.

use std::collections::HashMap;
use std::sync::Arc;

use kafka_protocol::messages::MetadataResponse;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;

use crate::ErrorCode;

/// A broker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broker {
    /// Its id.
    pub id: i32,
    /// Host and port as advertised.
    pub address: Arc<str>,
    /// The rack it says it is in.
    pub rack: Option<Arc<str>>,
}

/// A partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Partition {
    /// Id of the broker that takes its writes; `None` during an election.
    pub leader: Option<i32>,
    /// Counts leaderships; -1 if the broker does not say.
    pub leader_epoch: i32,
    /// Ids of the brokers that hold a copy.
    pub replicas: Vec<i32>,
    /// Ids of those that are in sync.
    pub in_sync: Vec<i32>,
}

/// A topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id; zero where brokers have none (before 2.8).
    pub id: u128,
    /// Whether it belongs to Kafka itself.
    pub internal: bool,
    /// The partitions, by number.
    pub partitions: Vec<Partition>,
}

/// The last word on brokers and topics.
#[derive(Debug, Default)]
pub(super) struct View {
    /// Of the cluster.
    pub(super) id: Option<String>,
    pub(super) brokers: HashMap<i32, Broker>,
    pub(super) topics: HashMap<Arc<str>, Result<Arc<Topic>, ErrorCode>>,
    /// Counts answers; 0 before the first.
    pub(super) generation: u64,
}

impl View {
    /// Takes in an answer, which with `all` names every topic there is. A partition's leader never goes back to an older epoch: another broker may be behind.
    pub(super) fn update(&mut self, response: &MetadataResponse, all: bool) {
        self.generation += 1;
        self.id = response.cluster_id.as_ref().map(ToString::to_string);
        let brokers = response.brokers.iter().map(|broker| {
            let host = broker.host.as_str();
            let address = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
            let address = Arc::from(format!("{address}:{}", broker.port));
            let rack = broker.rack.as_ref().map(|rack| Arc::from(rack.as_str()));
            (broker.node_id.0, Broker { id: broker.node_id.0, address, rack })
        });
        self.brokers = brokers.collect();
        for topic in &response.topics {
            let Some(name) = &topic.name else { continue };
            let name: Arc<str> = Arc::from(name.as_str());
            let entry = match ErrorCode::from_wire(topic.error_code) {
                Some(code) => Err(code),
                None => Ok(Arc::new(self.merge(&name, topic))),
            };
            self.topics.insert(name, entry);
        }
        if all {
            let named = |name: &Arc<str>| {
                response.topics.iter().any(|topic| topic.name.as_ref().is_some_and(|other| other.as_str() == &**name))
            };
            self.topics.retain(|name, _| named(name));
        }
    }

    fn merge(&self, name: &Arc<str>, topic: &MetadataResponseTopic) -> Topic {
        let id = topic.topic_id.as_u128();
        let before = self.topics.get(name).and_then(|entry| entry.as_ref().ok()).filter(|before| before.id == id);
        let count = topic.partitions.iter().map(|partition| partition.partition_index + 1).max().unwrap_or(0);
        let absent = Partition { leader: None, leader_epoch: -1, replicas: Vec::new(), in_sync: Vec::new() };
        // A broker lists every partition, so the count is their number.
        let mut partitions = vec![absent; usize::try_from(count).unwrap_or(0).min(topic.partitions.len())];
        for (index, slot) in topic
            .partitions
            .iter()
            .filter_map(|partition| usize::try_from(partition.partition_index).ok().map(|index| (index, partition)))
        {
            let Some(out) = partitions.get_mut(index) else { continue };
            let older = before.and_then(|before| before.partitions.get(index));
            if let Some(older) = older.filter(|older| older.leader_epoch > slot.leader_epoch && slot.leader_epoch >= 0)
            {
                *out = older.clone();
                continue;
            }
            *out = Partition {
                leader: Some(slot.leader_id.0).filter(|leader| *leader >= 0),
                leader_epoch: slot.leader_epoch,
                replicas: slot.replica_nodes.iter().map(|node| node.0).collect(),
                in_sync: slot.isr_nodes.iter().map(|node| node.0).collect(),
            };
        }
        Topic { name: name.clone(), id, internal: topic.is_internal, partitions }
    }
}
