//! Fetches from the fake brokers, and their sessions.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::{EpochEndOffset, FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse, TopicName};
use tokio::time::Instant;

use super::answers::Broker;

type Asked = BTreeMap<(TopicName, i32), FetchPartition>;

/// The sessions of a cluster, by broker and id.
#[derive(Default)]
pub(super) struct FetchSessions {
    open: HashMap<(i32, i32), Session>,
    last_id: i32,
    /// Partitions named by requests so far.
    pub(super) named: usize,
}

struct Session {
    /// Of the next request.
    epoch: i32,
    asked: Asked,
}

/// What a request comes to with its session.
struct Plan {
    id: i32,
    asked: Asked,
    /// Whether partitions without news are left out.
    incremental: bool,
}

impl FetchSessions {
    /// As a broker does that has no room.
    pub(super) fn forget(&mut self) {
        self.open.clear();
    }

    fn plan(&mut self, broker: i32, request: &FetchRequest) -> Result<Plan, i16> {
        let parts = request.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|part| ((topic.topic.clone(), part.partition), part.clone()))
        });
        let named: Asked = parts.collect();
        self.named += named.len();
        let at = (broker, request.session_id);
        match request.session_epoch {
            -1 => Ok(Plan { id: 0, asked: named, incremental: false }),
            0 => {
                self.open.remove(&at);
                self.last_id += 1;
                self.open.insert((broker, self.last_id), Session { epoch: 1, asked: named.clone() });
                Ok(Plan { id: self.last_id, asked: named, incremental: false })
            }
            epoch => {
                let session = self.open.get_mut(&at).ok_or(70_i16)?;
                if session.epoch != epoch {
                    return Err(71);
                }
                session.epoch += 1;
                session.asked.extend(named);
                for topic in &request.forgotten_topics_data {
                    for partition in &topic.partitions {
                        session.asked.remove(&(topic.topic.clone(), *partition));
                    }
                }
                Ok(Plan { id: request.session_id, asked: session.asked.clone(), incremental: true })
            }
        }
    }
}

fn has_news(part: &PartitionData) -> bool {
    let empty = part.records.as_ref().is_none_or(Bytes::is_empty);
    part.error_code != 0 || !empty || part.preferred_read_replica.0 >= 0 || part.diverging_epoch.end_offset >= 0
}

impl Broker {
    /// Waits for records as long as the request says.
    pub(super) async fn fetch(
        &self,
        request: &FetchRequest,
        refused: Option<i16>,
        whole: bool,
        quiet_ms: i32,
    ) -> FetchResponse {
        let empty = FetchResponse::default().with_throttle_time_ms(quiet_ms);
        let plan = match self.shared.state().fetch_sessions.plan(self.id, request) {
            Ok(plan) => plan,
            Err(code) => return empty.with_error_code(code),
        };
        if let Some(code) = refused.filter(|_| whole) {
            return empty.with_error_code(code);
        }
        let deadline = Instant::now() + Duration::from_millis(request.max_wait_ms.max(0) as u64);
        loop {
            let appended = self.shared.appended.notified();
            let mut topics: Vec<FetchableTopicResponse> = Vec::new();
            for ((topic, _), asked) in &plan.asked {
                let part = self.read(topic, asked, !request.rack_id.is_empty(), refused);
                match topics.last_mut().filter(|last| last.topic == *topic) {
                    Some(last) => last.partitions.push(part),
                    None => topics
                        .push(FetchableTopicResponse::default().with_topic(topic.clone()).with_partitions(vec![part])),
                }
            }
            let news = topics.iter().any(|topic| topic.partitions.iter().any(has_news));
            if news || tokio::time::timeout_at(deadline, appended).await.is_err() {
                if plan.incremental {
                    topics.iter_mut().for_each(|topic| topic.partitions.retain(has_news));
                    topics.retain(|topic| !topic.partitions.is_empty());
                }
                return empty.with_session_id(plan.id).with_responses(topics);
            }
        }
    }

    fn read(&self, topic: &TopicName, asked: &FetchPartition, has_rack: bool, refused: Option<i16>) -> PartitionData {
        let data = PartitionData::default()
            .with_partition_index(asked.partition)
            .with_preferred_read_replica(BrokerId(-1))
            .with_records(Some(Bytes::new()));
        let state = self.shared.state();
        let log = usize::try_from(asked.partition).ok().and_then(|at| state.topics.get(topic.as_str())?.get(at));
        let log = match (refused, log) {
            (Some(code), _) => return data.with_error_code(code),
            (None, None) => return data.with_error_code(3),
            (None, Some(log)) => log,
        };
        let named = log.preferred_replica.filter(|_| has_rack);
        if log.leader != self.id && named != Some(self.id) {
            return data.with_error_code(6);
        }
        if let Some(replica) = named.filter(|replica| *replica != self.id) {
            return data.with_preferred_read_replica(BrokerId(replica));
        }
        let compared = Some(asked.last_fetched_epoch).filter(|epoch| *epoch >= 0);
        if let Some((epoch, end)) = compared.and_then(|epoch| log.diverges(asked.fetch_offset, epoch)) {
            return data.with_diverging_epoch(EpochEndOffset::default().with_epoch(epoch).with_end_offset(end));
        }
        match log.read(asked.fetch_offset, usize::try_from(asked.partition_max_bytes).unwrap_or(0)) {
            Err(code) => data.with_error_code(code),
            Ok(records) => data
                .with_records(Some(records))
                .with_high_watermark(log.next_offset)
                .with_last_stable_offset(log.next_offset),
        }
    }
}
