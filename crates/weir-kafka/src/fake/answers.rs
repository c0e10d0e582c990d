//! What a fake broker answers.

use std::sync::Arc;

use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::cluster::Shared;
use super::log::Log;
use crate::wire::Versions;

/// One broker.
pub(super) struct Broker {
    pub(super) shared: Arc<Shared>,
    pub(super) id: i32,
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

impl Broker {
    pub(super) fn api_versions(&self, refused: Option<i16>) -> ApiVersionsResponse {
        let limits = self.shared.state().versions.clone();
        let apis = Versions::of_this_client().map(|(key, min, max)| {
            let (min, max) = limits.get(&key).copied().unwrap_or((min, max));
            ApiVersion::default().with_api_key(key).with_min_version(min).with_max_version(max)
        });
        ApiVersionsResponse::default().with_error_code(refused.unwrap_or(0)).with_api_keys(apis.collect())
    }

    pub(super) fn metadata(&self, request: &MetadataRequest, refused: Option<i16>) -> MetadataResponse {
        let brokers = self.shared.addresses.iter().map(|(id, port)| {
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(*id))
                .with_host(StrBytes::from_static_str("127.0.0.1"))
                .with_port(i32::from(*port))
                .with_rack(Some(text(&format!("rack{id}"))))
        });
        let state = self.shared.state();
        let names: Vec<String> = match &request.topics {
            None => state.topics.keys().cloned().collect(),
            Some(topics) => {
                topics.iter().filter_map(|topic| topic.name.as_ref()).map(|name| name.to_string()).collect()
            }
        };
        let topics = names.iter().map(|name| {
            let id = Uuid::from_u128(state.topic_id(name));
            let topic = MetadataResponseTopic::default().with_name(Some(TopicName(text(name)))).with_topic_id(id);
            match (refused, state.topics.get(name)) {
                (Some(code), _) => topic.with_error_code(code),
                (None, None) => topic.with_error_code(3),
                (None, Some(logs)) => topic.with_partitions((0..).zip(logs).map(describe).collect()),
            }
        });
        let cluster = Some(StrBytes::from_static_str("fake"));
        MetadataResponse::default()
            .with_cluster_id(cluster)
            .with_brokers(brokers.collect())
            .with_topics(topics.collect())
    }

    pub(super) fn produce(
        &self,
        request: ProduceRequest,
        refused: Option<i16>,
        late_code: i16,
        quiet_ms: i32,
    ) -> ProduceResponse {
        let mut state = self.shared.state();
        let topics = request.topic_data.into_iter().map(|topic| {
            let name = topic.name.to_string();
            let parts = topic.partition_data.into_iter().map(|part| {
                let log = usize::try_from(part.index).ok().and_then(|at| state.topics.get_mut(&name)?.get_mut(at));
                let outcome = match (refused, log) {
                    (Some(code), _) => Err(code),
                    (None, None) => Err(3),
                    (None, Some(log)) if log.leader != self.id => Err(6),
                    (None, Some(Log { refuses: Some(code), .. })) => Err(*code),
                    (None, Some(log)) => log.append(&part.records.unwrap_or_default()),
                };
                let (offset, code) = outcome.map_or_else(|code| (-1, code), |offset| (offset, late_code));
                PartitionProduceResponse::default()
                    .with_index(part.index)
                    .with_base_offset(offset)
                    .with_error_code(code)
            });
            let parts = parts.collect();
            TopicProduceResponse::default().with_name(topic.name).with_partition_responses(parts)
        });
        let response = ProduceResponse::default().with_responses(topics.collect()).with_throttle_time_ms(quiet_ms);
        drop(state);
        self.shared.appended.notify_waiters();
        response
    }

    pub(super) fn list_offsets(&self, request: ListOffsetsRequest, refused: Option<i16>) -> ListOffsetsResponse {
        let state = self.shared.state();
        let topics = request.topics.into_iter().map(|topic| {
            let parts = topic.partitions.iter().map(|part| {
                let log = usize::try_from(part.partition_index)
                    .ok()
                    .and_then(|at| state.topics.get(topic.name.as_str())?.get(at));
                let (code, offset) = match (refused, log) {
                    (Some(code), _) => (code, -1),
                    (None, None) => (3, -1),
                    (None, Some(log)) if log.leader != self.id => (6, -1),
                    (None, Some(log)) => match part.timestamp {
                        -1 => (0, log.next_offset),
                        -2 => (0, log.start_offset),
                        time_ms => (0, log.offset_at(time_ms)),
                    },
                };
                ListOffsetsPartitionResponse::default()
                    .with_partition_index(part.partition_index)
                    .with_error_code(code)
                    .with_offset(offset)
            });
            let parts = parts.collect();
            ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(parts)
        });
        ListOffsetsResponse::default().with_topics(topics.collect())
    }

    pub(super) fn producer_id(&self, refused: Option<i16>) -> InitProducerIdResponse {
        if let Some(code) = refused {
            return InitProducerIdResponse::default().with_error_code(code);
        }
        let mut state = self.shared.state();
        state.next_producer_id += 1;
        InitProducerIdResponse::default().with_producer_id(ProducerId(state.next_producer_id))
    }

    pub(super) fn create_topics(&self, request: CreateTopicsRequest, refused: Option<i16>) -> CreateTopicsResponse {
        let mut state = self.shared.state();
        let brokers = self.shared.addresses.clone();
        let topics = request.topics.into_iter().map(|topic| {
            let exists = state.topics.contains_key(&topic.name.to_string());
            let code = refused.unwrap_or(if exists { 36 } else { 0 });
            if code == 0 {
                let leaders = brokers.iter().map(|(id, _)| *id).cycle();
                let log = |leader| Log { leader, batch_bytes_max: 1 << 20, ..Log::default() };
                let count = usize::try_from(topic.num_partitions).unwrap_or(1);
                state.topics.insert(topic.name.to_string(), leaders.take(count).map(log).collect());
            }
            CreatableTopicResult::default().with_name(topic.name).with_error_code(code)
        });
        CreateTopicsResponse::default().with_topics(topics.collect())
    }

    pub(super) fn sasl_handshake(&self, request: &SaslHandshakeRequest) -> SaslHandshakeResponse {
        let known = request.mechanism.as_str() == "PLAIN";
        SaslHandshakeResponse::default()
            .with_error_code(if known { 0 } else { 33 })
            .with_mechanisms(vec![StrBytes::from_static_str("PLAIN")])
    }

    pub(super) fn sasl_authenticate(&self, request: &SaslAuthenticateRequest) -> SaslAuthenticateResponse {
        let state = self.shared.state();
        let password = state.password.clone().unwrap_or_default();
        if request.auth_bytes == format!("\0user\0{password}").as_bytes() {
            return SaslAuthenticateResponse::default().with_session_lifetime_ms(state.session_ms);
        }
        SaslAuthenticateResponse::default().with_error_code(58).with_error_message(Some(text("wrong password")))
    }
}

fn describe((index, log): (i32, &Log)) -> MetadataResponsePartition {
    MetadataResponsePartition::default()
        .with_partition_index(index)
        .with_leader_id(BrokerId(log.leader))
        .with_leader_epoch(log.leader_epoch)
        .with_replica_nodes(vec![BrokerId(log.leader)])
        .with_isr_nodes(vec![BrokerId(log.leader)])
}
