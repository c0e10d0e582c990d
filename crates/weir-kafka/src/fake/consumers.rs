//! The group coordinator of the fake brokers: the consumer protocol (KIP-848) without timers.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::answers::Broker;

type Places = BTreeSet<(u128, i32)>;

/// The members of a group.
#[derive(Default)]
pub(super) struct Consumers {
    epoch: i32,
    members: BTreeMap<String, Consumer>,
}

#[derive(Default)]
struct Consumer {
    epoch: i32,
    previous_epoch: i32,
    topics: Vec<String>,
    /// What it may have; nobody else may.
    assigned: Places,
    /// What it has to give up before anything else.
    revoking: Places,
}

/// The id of each topic, and how many partitions it has.
type Counts = BTreeMap<String, (u128, i32)>;

impl Consumers {
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn expel(&mut self) {
        self.members.clear();
        self.epoch += 1;
    }

    /// Whether a member may commit: 0 or an error code.
    pub(super) fn check(&self, member: &str, epoch: i32) -> i16 {
        match self.members.get(member) {
            None => 25,
            Some(member) if member.epoch != epoch => 113,
            Some(_) => 0,
        }
    }

    /// Every partition in turn to the members that want its topic.
    fn target(&self, id: &str, counts: &Counts) -> Places {
        let mut places = Places::new();
        for (topic, (topic_id, count)) in counts {
            let takers = self.members.iter().filter(|(_, member)| member.topics.contains(topic));
            let takers: Vec<&String> = takers.map(|(id, _)| id).collect();
            let own = (0..*count)
                .filter(|index| takers.get(*index as usize % takers.len().max(1)).is_some_and(|taker| *taker == id));
            places.extend(own.map(|partition| (*topic_id, partition)));
        }
        places
    }

    fn heartbeat(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
        counts: &Counts,
    ) -> Result<(i32, Option<Places>), i16> {
        let id = request.member_id.to_string();
        let owned: Option<Places> = request.topic_partitions.as_ref().map(|topics| {
            let places =
                topics.iter().flat_map(|topic| topic.partitions.iter().map(|index| (topic.topic_id.as_u128(), *index)));
            places.collect()
        });
        match request.member_epoch {
            epoch if epoch < 0 => {
                self.epoch += 1;
                return self.members.remove(&id).map(|_| (epoch, None)).ok_or(25);
            }
            0 if owned.as_ref().is_none_or(|owned| !owned.is_empty()) => return Err(42),
            0 => {
                self.epoch += 1;
                self.members.insert(id.clone(), Consumer::default());
            }
            epoch => {
                let member = self.members.get(&id).ok_or(25_i16)?;
                let repeated = epoch == member.previous_epoch
                    && owned.as_ref().is_some_and(|owned| owned.is_subset(&member.assigned));
                if epoch != member.epoch && !repeated {
                    return Err(110);
                }
            }
        }
        if let Some(topics) = &request.subscribed_topic_names {
            let topics: Vec<String> = topics.iter().map(|topic| topic.to_string()).collect();
            let member = self.members.get_mut(&id).ok_or(25_i16)?;
            if member.topics != topics {
                member.topics = topics;
                self.epoch += 1;
            }
        }
        let full = request.subscribed_topic_names.is_some() || request.member_epoch == 0;
        Ok(self.reconcile(&id, owned, full, counts))
    }

    /// Epoch of a member, and what it is to have if that is news.
    fn reconcile(&mut self, id: &str, owned: Option<Places>, full: bool, counts: &Counts) -> (i32, Option<Places>) {
        let target = self.target(id, counts);
        let others: Places = self
            .members
            .iter()
            .filter(|(other, _)| *other != id)
            .flat_map(|(_, other)| other.assigned.union(&other.revoking).copied().collect::<Vec<_>>())
            .collect();
        let group_epoch = self.epoch;
        let Some(member) = self.members.get_mut(id) else { return (0, None) };
        let before = member.assigned.clone();
        let freed = owned.as_ref().is_some_and(|owned| owned.is_disjoint(&member.revoking));
        if member.revoking.is_empty() || freed {
            member.revoking = member.assigned.difference(&target).copied().collect();
            member.assigned = member.assigned.intersection(&target).copied().collect();
            if member.revoking.is_empty() {
                member.assigned.extend(target.difference(&others).copied());
                if member.epoch != group_epoch {
                    member.previous_epoch = member.epoch;
                    member.epoch = group_epoch;
                }
            }
        }
        let news = full || member.assigned != before;
        (member.epoch, news.then(|| member.assigned.clone()))
    }
}

impl Broker {
    pub(super) fn consumer_heartbeat(
        &self,
        request: &ConsumerGroupHeartbeatRequest,
        refused: Option<i16>,
    ) -> ConsumerGroupHeartbeatResponse {
        let answer = ConsumerGroupHeartbeatResponse::default();
        if let Some(code) = refused {
            return answer.with_error_code(code).with_error_message(Some(StrBytes::from_static_str("as scripted")));
        }
        let mut state = self.shared.state();
        let counts: Counts =
            state.topics.iter().map(|(name, logs)| (name.clone(), (state.topic_id(name), logs.len() as i32))).collect();
        let consumers = &mut state.groups.entry(request.group_id.to_string()).or_default().consumers;
        let (epoch, assigned) = match consumers.heartbeat(request, &counts) {
            Ok(told) => told,
            Err(code) => return answer.with_error_code(code),
        };
        let assignment = assigned.map(|places| {
            let mut topics: BTreeMap<u128, Vec<i32>> = BTreeMap::new();
            places.into_iter().for_each(|(id, partition)| topics.entry(id).or_default().push(partition));
            let topics = topics.into_iter().map(|(id, partitions)| {
                TopicPartitions::default().with_topic_id(Uuid::from_u128(id)).with_partitions(partitions)
            });
            Assignment::default().with_topic_partitions(topics.collect())
        });
        answer
            .with_member_id(Some(request.member_id.clone()))
            .with_member_epoch(epoch)
            .with_heartbeat_interval_ms(5_000)
            .with_assignment(assignment)
    }
}
