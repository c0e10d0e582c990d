//! Administration: topics.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::{CreateTopicsRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::{Cluster, ClusterError, ErrorCode, Topic};

/// How long the cluster may take to create a topic before it answers.
const CREATE_TIMEOUT: Duration = Duration::from_secs(15);

/// A topic to be.
#[derive(Clone, Debug)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Number of partitions; `None` for the cluster's default.
    pub partitions: Option<i32>,
    /// Number of copies of each; `None` for the cluster's default.
    pub replicas: Option<i16>,
    /// Settings that differ from the cluster's, such as `max.message.bytes`.
    pub settings: Vec<(String, String)>,
}

impl Cluster {
    /// Creates a topic and waits until all its partitions have leaders.
    ///
    /// # Errors
    /// [`ClusterError`]: `Refused` with [`ErrorCode::TOPIC_ALREADY_EXISTS`] if it is there.
    pub async fn create_topic(&self, topic: &NewTopic) -> Result<Arc<Topic>, ClusterError> {
        let settings = topic.settings.iter().map(|(name, value)| {
            CreatableTopicConfig::default()
                .with_name(StrBytes::from_string(name.clone()))
                .with_value(Some(StrBytes::from_string(value.clone())))
        });
        let creatable = CreatableTopic::default()
            .with_name(TopicName(StrBytes::from_string(topic.name.clone())))
            .with_num_partitions(topic.partitions.unwrap_or(-1))
            .with_replication_factor(topic.replicas.unwrap_or(-1))
            .with_configs(settings.collect());
        let request = CreateTopicsRequest::default()
            .with_topics(vec![creatable])
            .with_timeout_ms(i32::try_from(CREATE_TIMEOUT.as_millis()).unwrap_or(i32::MAX));
        self.retry(&[], || self.create_once(&topic.name, &request)).await?;
        self.retry(&[&topic.name], || self.led_topic(&topic.name)).await
    }

    /// Any broker passes the request on to the controller.
    async fn create_once(&self, name: &str, request: &CreateTopicsRequest) -> Result<(), ClusterError> {
        let response = self.call_any(request).await?;
        let result = response.topics.into_iter().next();
        match result.and_then(|result| ErrorCode::from_wire(result.error_code).map(|code| (code, result))) {
            None => Ok(()),
            Some((code, result)) => Err(ClusterError::Refused {
                what: format!("creating topic {name}"),
                code,
                detail: result.error_message.map(|text| Arc::from(text.as_str())),
            }),
        }
    }

    async fn led_topic(&self, name: &str) -> Result<Arc<Topic>, ClusterError> {
        let topic = self.topic(name).await?;
        if topic.partitions.iter().all(|partition| partition.leader.is_some()) {
            return Ok(topic);
        }
        Err(ClusterError::Refused {
            what: format!("describing topic {name}"),
            code: ErrorCode::NO_LEADER,
            detail: None,
        })
    }
}
