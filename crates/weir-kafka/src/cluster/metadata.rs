//! [`Cluster`]: asking for metadata, and connections to brokers by id.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::view::View;
use super::{Broker, ClusterError, ClusterOptions, Partition, Topic};
use crate::connection::{Connection, SecurityContext};
use crate::wire::Api;
use crate::{ConnectionError, ErrorClass, ErrorCode};

/// A cluster: its brokers, topics and leaders as last heard, and connections to ask for more. Cloning shares it.
///
/// The connections here carry short requests only. Producers, fetchers and group members have their own.
#[derive(Clone)]
pub struct Cluster {
    shared: Arc<Shared>,
}

struct Shared {
    options: ClusterOptions,
    security: SecurityContext,
    /// Held for reading or replacing, never while waiting.
    view: RwLock<View>,
    /// Held by the one who asks for metadata, so that a hundred who need it ask once.
    asking: Mutex<Asking>,
    /// Connections for short requests, by broker id.
    links: Mutex<HashMap<i32, Connection>>,
}

struct Asking {
    last: Instant,
}

impl Cluster {
    /// Connects to the first bootstrap address that answers and learns the brokers.
    ///
    /// # Errors
    /// [`ClusterError`] if no address answers or the options cannot be used. Waits for one connect timeout per address
    /// at most.
    pub async fn connect(options: ClusterOptions) -> Result<Self, ClusterError> {
        let security = SecurityContext::new(&options.connection.security)?;
        let bad = |address: &&String| {
            address.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err())
        };
        if let Some(address) = options.bootstrap.iter().find(bad) {
            return Err(ClusterError::Address { address: address.clone() });
        }
        let shared = Shared {
            options,
            security,
            view: RwLock::default(),
            asking: Mutex::new(Asking { last: Instant::now() }),
            links: Mutex::default(),
        };
        let cluster = Self { shared: Arc::new(shared) };
        cluster.ask(Some(&[])).await?;
        Ok(cluster)
    }

    /// The options given.
    #[must_use]
    pub fn options(&self) -> &ClusterOptions {
        &self.shared.options
    }

    /// The id of the cluster, which no other has; `None` if its brokers do not say.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        self.view(|view| view.id.clone())
    }

    /// The brokers as last heard, by id.
    #[must_use]
    pub fn brokers(&self) -> Vec<Broker> {
        let mut brokers: Vec<Broker> = self.view(|view| view.brokers.values().cloned().collect());
        brokers.sort_by_key(|broker| broker.id);
        brokers
    }

    /// A topic as last heard; `None` if it was never asked for or does not exist. Does not wait.
    #[must_use]
    pub fn cached_topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.view(|view| view.topics.get(name).and_then(|entry| entry.clone().ok()))
    }

    /// A topic, asked for if it is not known yet.
    ///
    /// # Errors
    /// [`ClusterError`]: `Refused` with the broker's code if it does not exist or may not be seen.
    pub async fn topic(&self, name: &str) -> Result<Arc<Topic>, ClusterError> {
        if let Some(topic) = self.cached_topic(name) {
            return Ok(topic);
        }
        self.refresh(&[name]).await?;
        let entry = self.view(|view| view.topics.get(name).cloned());
        let code = match entry {
            Some(Ok(topic)) => return Ok(topic),
            Some(Err(code)) => code,
            None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        };
        Err(ClusterError::Refused { what: format!("describing topic {name}"), code, detail: None })
    }

    /// All topics of the cluster that this client may see, by name.
    ///
    /// # Errors
    /// [`ClusterError`] if no broker answers.
    pub async fn topics(&self) -> Result<Vec<Arc<Topic>>, ClusterError> {
        self.ask(None).await?;
        let mut topics: Vec<Arc<Topic>> =
            self.view(|view| view.topics.values().filter_map(|entry| entry.clone().ok()).collect());
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// Asks for `topics` and all others that were asked for before, whatever is known already.
    ///
    /// # Errors
    /// [`ClusterError`] if no broker answers; that a topic does not exist is an answer.
    pub async fn refresh(&self, topics: &[&str]) -> Result<(), ClusterError> {
        let seen = self.generation();
        let pause = self.shared.options.retry_pause;
        loop {
            let mut asking = self.shared.asking.lock().await;
            let known = self.view(|view| topics.iter().all(|topic| view.topics.contains_key(*topic)));
            if self.generation() > seen && known {
                // Another asked while this one waited its turn.
                return Ok(());
            }
            // An election takes some time: asking faster only loads the brokers. New topics are asked for at once.
            let due = asking.last + pause;
            if known && Instant::now() < due {
                drop(asking);
                tokio::time::sleep_until(due).await;
                continue;
            }
            asking.last = Instant::now();
            let mut all: Vec<String> = self.view(|view| view.topics.keys().map(ToString::to_string).collect());
            all.extend(topics.iter().map(ToString::to_string));
            all.sort_unstable();
            all.dedup();
            return self.ask(Some(&all)).await;
        }
    }

    /// The state of a partition; what is known of the topic otherwise. Does not wait.
    pub(crate) fn partition(&self, topic: &str, partition: i32) -> Result<Option<Partition>, ErrorCode> {
        self.view(|view| match view.topics.get(topic) {
            None => Ok(None),
            Some(Err(code)) => Err(*code),
            Some(Ok(topic)) => {
                let found = usize::try_from(partition).ok().and_then(|index| topic.partitions.get(index));
                found.cloned().map(Some).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
            }
        })
    }

    /// The name of the topic that has this id, as last heard. Does not wait.
    pub(crate) fn topic_name(&self, id: u128) -> Option<Arc<str>> {
        let has_id = |topic: &&Arc<Topic>| topic.id == id;
        self.view(|view| view.topics.values().flatten().find(has_id).map(|topic| topic.name.clone()))
    }

    /// Who leads a partition, as last heard: nobody known, or why nobody ever will. Does not wait.
    pub(crate) fn leader(&self, topic: &str, partition: i32) -> Result<Option<i32>, ErrorCode> {
        self.view(|view| match view.topics.get(topic) {
            None => Ok(None),
            Some(Err(code)) => Err(*code),
            Some(Ok(topic)) => {
                let found = usize::try_from(partition).ok().and_then(|index| topic.partitions.get(index));
                found.map(|partition| partition.leader).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
            }
        })
    }

    /// Counts answers to metadata requests.
    pub(crate) fn generation(&self) -> u64 {
        self.view(|view| view.generation)
    }

    /// A new connection to a broker, for the caller alone.
    pub(crate) async fn dial(&self, broker: i32) -> Result<Connection, ClusterError> {
        let address = self.view(|view| view.brokers.get(&broker).map(|broker| broker.address.clone()));
        let address = address.ok_or(ClusterError::NoBroker { broker })?;
        Ok(self.open(&address).await?)
    }

    pub(crate) async fn open(&self, address: &str) -> Result<Connection, ConnectionError> {
        Connection::open(address, &self.shared.options.connection, &self.shared.security).await
    }

    /// The connection to a broker that is kept for short requests.
    pub(crate) async fn link(&self, broker: i32) -> Result<Connection, ClusterError> {
        let kept = self.shared.links.lock().await.get(&broker).filter(|link| link.is_up()).cloned();
        if let Some(link) = kept {
            return Ok(link);
        }
        // Not under the lock: one broker that does not answer must not hold up the others. Of two dialled at once the
        // later is kept, and the other closes when its call is done.
        let link = self.dial(broker).await?;
        self.shared.links.lock().await.insert(broker, link.clone());
        Ok(link)
    }

    /// Sends a short request to a broker, over a connection kept for such.
    pub(crate) async fn call<A: Api>(&self, broker: i32, request: &A) -> Result<A::Response, ClusterError> {
        let connection = self.link(broker).await?;
        Ok(connection.call(request, self.shared.options.connection.request_timeout).await?)
    }

    /// Sends a short request to whichever broker answers.
    pub(crate) async fn call_any<A: Api>(&self, request: &A) -> Result<A::Response, ClusterError> {
        let mut brokers: Vec<i32> = self.view(|view| view.brokers.keys().copied().collect());
        fastrand::shuffle(&mut brokers);
        // Those with a connection first: an unreachable one costs a connect timeout.
        let up: Vec<i32> = {
            let links = self.shared.links.lock().await;
            brokers.iter().copied().filter(|id| links.get(id).is_some_and(Connection::is_up)).collect()
        };
        brokers.sort_by_key(|broker| !up.contains(broker));
        let tried = brokers.len() + self.shared.options.bootstrap.len();
        let mut failure = None;
        for broker in brokers {
            match self.call(broker, request).await {
                Err(ClusterError::Connection(error)) => failure = Some(error),
                other => return other,
            }
        }
        // None known, or none of those known answers: start again from the beginning.
        for address in &self.shared.options.bootstrap {
            let timeout = self.shared.options.connection.request_timeout;
            let answer = match self.open(address).await {
                Ok(connection) => connection.call(request, timeout).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(response) => return Ok(response),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(source) => Err(ClusterError::Unreachable { tried, source }),
            None => Err(ClusterError::Address { address: String::new() }),
        }
    }

    /// Repeats `attempt` while its error is of a class that passes, for a request timeout at most.
    pub(crate) async fn retry<T, F: Future<Output = Result<T, ClusterError>>>(
        &self,
        topics: &[&str],
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, ClusterError> {
        let deadline = Instant::now() + self.shared.options.connection.request_timeout;
        let mut failures = 0;
        loop {
            let error = match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            failures += 1;
            let pause = self.shared.options.pause(failures);
            if error.class() == ErrorClass::RejectBatch || Instant::now() + pause >= deadline {
                return Err(error);
            }
            tracing::debug!(error = %error, "trying again");
            tokio::time::sleep(pause).await;
            if error.class() == ErrorClass::RefreshMetadata {
                // If that fails too, so will the next attempt, and say so.
                let _ = self.refresh(topics).await;
            }
        }
    }

    /// Asks for `topics`, or all there are.
    async fn ask(&self, topics: Option<&[String]>) -> Result<(), ClusterError> {
        let named = |topic: &String| {
            MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_string(topic.clone()))))
        };
        let listed = topics.map(|topics| topics.iter().map(named).collect());
        let request = MetadataRequest::default().with_topics(listed).with_allow_auto_topic_creation(false);
        let response: MetadataResponse = self.call_any(&request).await?;
        if let Some(code) = ErrorCode::from_wire(response.error_code) {
            return Err(ClusterError::Refused { what: "asking for metadata".to_owned(), code, detail: None });
        }
        self.shared.view.write().unwrap_or_else(PoisonError::into_inner).update(&response, topics.is_none());
        Ok(())
    }

    fn view<T>(&self, look: impl FnOnce(&View) -> T) -> T {
        look(&self.shared.view.read().unwrap_or_else(PoisonError::into_inner))
    }
}
