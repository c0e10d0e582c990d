//! What members say to each other through the coordinator.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::consumer_protocol_assignment as assignment;
use kafka_protocol::messages::consumer_protocol_subscription as subscription;
use kafka_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use super::Assignor;

/// Version 1 names the partitions a member has, which is what a cooperative assignment needs; the generation goes into
/// the user data, where members before version 2 look for it.
const SUBSCRIPTION_VERSION: i16 = 1;
const ASSIGNMENT_VERSION: i16 = 1;

/// A partition.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its number.
    pub partition: i32,
}

/// What a member wants and has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Subscription {
    pub(super) topics: Vec<String>,
    pub(super) owned: BTreeSet<Place>,
    /// Generation in which it got them; -1 if it has none.
    pub(super) generation: i32,
}

impl Assignor {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::CooperativeSticky => "cooperative-sticky",
            Self::Range => "range",
        }
    }
}

/// Places by topic, as the messages have them.
fn by_topic<'a>(places: impl IntoIterator<Item = &'a Place>) -> Vec<(TopicName, Vec<i32>)> {
    let mut topics: Vec<(TopicName, Vec<i32>)> = Vec::new();
    for place in places {
        match topics.last_mut() {
            Some((name, partitions)) if name.as_str() == &*place.topic => partitions.push(place.partition),
            _ => {
                let name = TopicName(StrBytes::from_string(place.topic.to_string()));
                topics.push((name, vec![place.partition]));
            }
        }
    }
    topics
}

fn places(topic: &TopicName, partitions: &[i32]) -> impl Iterator<Item = Place> {
    let topic: Arc<str> = Arc::from(topic.as_str());
    partitions.iter().map(move |partition| Place { topic: topic.clone(), partition: *partition })
}

impl Subscription {
    pub(super) fn encode(&self) -> Bytes {
        let owned = by_topic(&self.owned).into_iter().map(|(topic, partitions)| {
            subscription::TopicPartition::default().with_topic(topic).with_partitions(partitions)
        });
        let mut topics: Vec<StrBytes> = self.topics.iter().map(|topic| StrBytes::from_string(topic.clone())).collect();
        topics.sort();
        let message = ConsumerProtocolSubscription::default()
            .with_topics(topics)
            .with_user_data(Some(Bytes::copy_from_slice(&self.generation.to_be_bytes())))
            .with_owned_partitions(owned.collect());
        let mut out = BytesMut::new();
        out.put_i16(SUBSCRIPTION_VERSION);
        message.encode(&mut out, SUBSCRIPTION_VERSION).expect("all fields set exist in this version");
        out.freeze()
    }

    /// `None` for bytes of another making.
    pub(super) fn decode(mut bytes: Bytes) -> Option<Self> {
        let version = bytes.try_get_i16().ok()?.clamp(0, 3);
        let message = ConsumerProtocolSubscription::decode(&mut bytes, version).ok()?;
        let told =
            message.user_data.as_ref().and_then(|data| data.first_chunk::<4>()).map(|data| i32::from_be_bytes(*data));
        let generation = if version >= 2 { message.generation_id } else { told.unwrap_or(-1) };
        let owned = message.owned_partitions.iter().flat_map(|owned| places(&owned.topic, &owned.partitions));
        let topics = message.topics.iter().map(ToString::to_string).collect();
        Some(Self { topics, owned: owned.collect(), generation })
    }
}

pub(super) fn encode_assignment(assigned: &BTreeSet<Place>) -> Bytes {
    let topics = by_topic(assigned)
        .into_iter()
        .map(|(topic, partitions)| assignment::TopicPartition::default().with_topic(topic).with_partitions(partitions));
    let message = ConsumerProtocolAssignment::default().with_assigned_partitions(topics.collect()).with_user_data(None);
    let mut out = BytesMut::new();
    out.put_i16(ASSIGNMENT_VERSION);
    message.encode(&mut out, ASSIGNMENT_VERSION).expect("all fields set exist in this version");
    out.freeze()
}

/// Empty bytes mean nothing assigned; `None` for bytes of another making.
pub(super) fn decode_assignment(mut bytes: Bytes) -> Option<BTreeSet<Place>> {
    if bytes.is_empty() {
        return Some(BTreeSet::new());
    }
    let version = bytes.try_get_i16().ok()?.clamp(0, 3);
    let message = ConsumerProtocolAssignment::decode(&mut bytes, version).ok()?;
    Some(message.assigned_partitions.iter().flat_map(|topic| places(&topic.topic, &topic.partitions)).collect())
}
