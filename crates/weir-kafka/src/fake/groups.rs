//! The group coordinator of the fake brokers: the classic protocol without timers.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use tokio::sync::oneshot;

use super::answers::Broker;
use super::consumers::Consumers;

#[derive(Default)]
pub(super) struct Group {
    generation: i32,
    members: BTreeMap<String, Member>,
    protocol: StrBytes,
    /// Whether members have to join again.
    rebalancing: bool,
    /// Those waiting for the leader's assignments, and the assignments once they are here.
    syncing: Vec<(String, oneshot::Sender<Bytes>)>,
    assignments: Option<HashMap<String, Bytes>>,
    /// Those of the newer protocol; a group has only one kind.
    pub(super) consumers: Consumers,
    offsets: HashMap<(String, i32), (i64, Option<StrBytes>)>,
}

struct Member {
    metadata: Bytes,
    joining: Option<oneshot::Sender<JoinGroupResponse>>,
}

impl Group {
    /// Answers all joins if nobody is missing.
    fn complete(&mut self) {
        if !self.rebalancing || self.members.is_empty() || self.members.values().any(|member| member.joining.is_none())
        {
            return;
        }
        self.rebalancing = false;
        self.generation += 1;
        self.assignments = None;
        let leader = self.members.keys().next().cloned().unwrap_or_default();
        let listed: Vec<JoinGroupResponseMember> = self
            .members
            .iter()
            .map(|(id, member)| {
                JoinGroupResponseMember::default()
                    .with_member_id(StrBytes::from_string(id.clone()))
                    .with_metadata(member.metadata.clone())
            })
            .collect();
        for (id, member) in &mut self.members {
            let answer = JoinGroupResponse::default()
                .with_generation_id(self.generation)
                .with_protocol_type(Some(StrBytes::from_static_str("consumer")))
                .with_protocol_name(Some(self.protocol.clone()))
                .with_leader(StrBytes::from_string(leader.clone()))
                .with_member_id(StrBytes::from_string(id.clone()))
                .with_members(if *id == leader { listed.clone() } else { Vec::new() });
            if let Some(joining) = member.joining.take() {
                // A member that hung up is noticed when it does not join again.
                let _ = joining.send(answer);
            }
        }
    }

    pub(super) fn expel(&mut self) {
        self.members.clear();
        self.syncing.clear();
        self.consumers.expel();
    }

    /// A script that says UNKNOWN_MEMBER_ID makes it so: else the others would wait for that member for ever.
    fn believe(&mut self, refused: Option<i16>, member: &str) {
        if refused == Some(25) {
            self.members.remove(member);
        }
    }

    fn check(&self, member: &str, generation: i32) -> i16 {
        match () {
            () if !self.consumers.is_empty() => self.consumers.check(member, generation),
            () if !self.members.contains_key(member) => 25,
            () if generation != self.generation => 22,
            () if self.rebalancing => 27,
            () => 0,
        }
    }
}

impl Broker {
    pub(super) fn coordinator(&self, refused: Option<i16>) -> FindCoordinatorResponse {
        let (id, port) = self.shared.addresses[0];
        FindCoordinatorResponse::default()
            .with_error_code(refused.unwrap_or(0))
            .with_node_id(BrokerId(id))
            .with_host(StrBytes::from_static_str("127.0.0.1"))
            .with_port(i32::from(port))
    }

    pub(super) async fn join(&self, request: JoinGroupRequest, refused: Option<i16>) -> JoinGroupResponse {
        let answer = {
            let mut state = self.shared.state();
            if let Some(code) = refused {
                state.groups.entry(request.group_id.to_string()).or_default().believe(refused, &request.member_id);
                return JoinGroupResponse::default().with_error_code(code).with_protocol_name(Some(StrBytes::new()));
            }
            let empty = JoinGroupResponse::default().with_protocol_name(Some(StrBytes::new()));
            let mut id = request.member_id.to_string();
            if id.is_empty() {
                state.members += 1;
                id = format!("member-{}", state.members);
                if request.group_instance_id.is_none() {
                    return empty.with_error_code(79).with_member_id(StrBytes::from_string(id));
                }
            }
            let group = state.groups.entry(request.group_id.to_string()).or_default();
            let Some(protocol) = request.protocols.first() else { return empty.with_error_code(23) };
            group.protocol = protocol.name.clone();
            group.rebalancing = true;
            let (sender, answer) = oneshot::channel();
            group.members.insert(id, Member { metadata: protocol.metadata.clone(), joining: Some(sender) });
            group.complete();
            answer
        };
        answer.await.unwrap_or_else(|_| JoinGroupResponse::default().with_error_code(25))
    }

    pub(super) async fn sync(&self, request: SyncGroupRequest, refused: Option<i16>) -> SyncGroupResponse {
        let waiting = {
            let mut state = self.shared.state();
            let group = state.groups.entry(request.group_id.to_string()).or_default();
            let id = request.member_id.to_string();
            group.believe(refused, &id);
            let code = refused.unwrap_or(group.check(&id, request.generation_id));
            if code != 0 {
                return SyncGroupResponse::default().with_error_code(code);
            }
            let (sender, waiting) = oneshot::channel();
            group.syncing.push((id, sender));
            if !request.assignments.is_empty() {
                let assigned = request.assignments.into_iter();
                group.assignments = Some(assigned.map(|one| (one.member_id.to_string(), one.assignment)).collect());
            }
            if let Some(assignments) = &group.assignments {
                for (id, sender) in group.syncing.drain(..) {
                    let _ = sender.send(assignments.get(&id).cloned().unwrap_or_default());
                }
            }
            waiting
        };
        match waiting.await {
            Ok(assignment) => SyncGroupResponse::default().with_assignment(assignment),
            Err(_) => SyncGroupResponse::default().with_error_code(27),
        }
    }

    pub(super) fn heartbeat(&self, request: &HeartbeatRequest, refused: Option<i16>) -> HeartbeatResponse {
        let mut state = self.shared.state();
        let group = state.groups.entry(request.group_id.to_string()).or_default();
        group.believe(refused, &request.member_id);
        let code = refused.unwrap_or(group.check(&request.member_id, request.generation_id));
        HeartbeatResponse::default().with_error_code(code)
    }

    pub(super) fn leave(&self, request: &LeaveGroupRequest, refused: Option<i16>) -> LeaveGroupResponse {
        let mut state = self.shared.state();
        let group = state.groups.entry(request.group_id.to_string()).or_default();
        let members = request.members.iter().map(|member| {
            let known = group.members.remove(&member.member_id.to_string()).is_some();
            MemberResponse::default()
                .with_member_id(member.member_id.clone())
                .with_error_code(refused.unwrap_or(if known { 0 } else { 25 }))
        });
        let members = members.collect();
        group.rebalancing = true;
        group.syncing.clear();
        group.complete();
        LeaveGroupResponse::default().with_members(members)
    }

    pub(super) fn commit(&self, request: OffsetCommitRequest, refused: Option<i16>) -> OffsetCommitResponse {
        let mut state = self.shared.state();
        let group = state.groups.entry(request.group_id.to_string()).or_default();
        let outside =
            request.generation_id_or_member_epoch < 0 && group.members.is_empty() && group.consumers.is_empty();
        let checked = group.check(&request.member_id, request.generation_id_or_member_epoch);
        let code = refused.unwrap_or(if outside { 0 } else { checked });
        let topics = request.topics.into_iter().map(|topic| {
            let parts = topic.partitions.into_iter().map(|part| {
                if code == 0 {
                    let place = (topic.name.to_string(), part.partition_index);
                    group.offsets.insert(place, (part.committed_offset, part.committed_metadata));
                }
                OffsetCommitResponsePartition::default()
                    .with_partition_index(part.partition_index)
                    .with_error_code(code)
            });
            let parts = parts.collect();
            OffsetCommitResponseTopic::default().with_name(topic.name).with_partitions(parts)
        });
        OffsetCommitResponse::default().with_topics(topics.collect())
    }

    /// In the form the version of the request has: for one group, or for several.
    pub(super) fn committed(
        &self,
        request: OffsetFetchRequest,
        refused: Option<i16>,
        whole: bool,
    ) -> OffsetFetchResponse {
        let state = self.shared.state();
        let of_whole = refused.filter(|_| whole);
        let of_part = refused.filter(|_| !whole).unwrap_or(0);
        let known = |group: &GroupId, topic: &TopicName, index: i32| {
            let group = state.groups.get(&group.to_string());
            let offset = group.and_then(|group| group.offsets.get(&(topic.to_string(), index)));
            offset.cloned().filter(|_| of_part == 0).unwrap_or((-1, None))
        };
        let groups = request.groups.into_iter().map(|group| {
            let state_of = |member: &StrBytes| {
                let known = state.groups.get(&group.group_id.to_string());
                known.map_or(25, |known| known.check(member, group.member_epoch))
            };
            let code = of_whole.unwrap_or_else(|| group.member_id.as_ref().map_or(0, state_of));
            let topics = group.topics.unwrap_or_default().into_iter().map(|topic| {
                let parts = topic.partition_indexes.iter().map(|index| {
                    let (offset, metadata) = known(&group.group_id, &topic.name, *index);
                    let part = OffsetFetchResponsePartitions::default().with_partition_index(*index);
                    part.with_committed_offset(offset).with_metadata(metadata).with_error_code(of_part)
                });
                let parts = parts.collect();
                OffsetFetchResponseTopics::default().with_name(topic.name.clone()).with_partitions(parts)
            });
            let topics = topics.collect();
            OffsetFetchResponseGroup::default().with_group_id(group.group_id).with_error_code(code).with_topics(topics)
        });
        let groups: Vec<OffsetFetchResponseGroup> = groups.collect();
        if !groups.is_empty() {
            return OffsetFetchResponse::default().with_groups(groups);
        }
        let topics = request.topics.unwrap_or_default().into_iter().map(|topic| {
            let parts = topic.partition_indexes.iter().map(|index| {
                let (offset, metadata) = known(&request.group_id, &topic.name, *index);
                let part = OffsetFetchResponsePartition::default().with_partition_index(*index);
                part.with_committed_offset(offset).with_metadata(metadata).with_error_code(of_part)
            });
            let parts = parts.collect();
            OffsetFetchResponseTopic::default().with_name(topic.name.clone()).with_partitions(parts)
        });
        OffsetFetchResponse::default().with_error_code(of_whole.unwrap_or(0)).with_topics(topics.collect())
    }
}
