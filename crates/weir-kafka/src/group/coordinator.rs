//! [`Coordinator`]: the requests of a group, to the broker that coordinates it.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use tokio::sync::Mutex;

use super::offsets::{commit_request, fetch_offsets, find_coordinator, refused};
use super::{Commit, Committed, GroupOptions, Place};
use crate::connection::Connection;
use crate::wire::Api;
use crate::{Cluster, ClusterError, ErrorClass, ErrorCode};

/// Who this member is to the coordinator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Membership {
    /// Empty before the first join.
    pub(super) id: String,
    /// Of the group, or with the consumer protocol the epoch of this member.
    pub(super) generation: i32,
    /// Whether by the consumer protocol.
    pub(super) consumer: bool,
    /// Counts how often partitions were lost; what was to be committed before is not to be committed after.
    pub(super) losses: u32,
}

impl Membership {
    pub(super) const fn none() -> Self {
        Self { id: String::new(), generation: -1, consumer: false, losses: 0 }
    }
}

/// Requests to the coordinator over one connection, which is found and made anew when it is lost.
pub(super) struct Coordinator {
    cluster: Cluster,
    pub(super) options: Arc<GroupOptions>,
    link: Mutex<Option<Connection>>,
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

impl Coordinator {
    pub(super) fn new(cluster: Cluster, options: Arc<GroupOptions>) -> Self {
        Self { cluster, options, link: Mutex::new(None) }
    }

    fn refused(&self, what: &str, code: ErrorCode) -> ClusterError {
        refused(what, &self.options.group, code)
    }

    fn group_id(&self) -> GroupId {
        GroupId(text(&self.options.group))
    }

    fn instance(&self) -> Option<StrBytes> {
        self.options.instance.as_deref().map(text)
    }

    /// Forgets the coordinator, so that it is looked for again.
    pub(super) async fn forget(&self) {
        *self.link.lock().await = None;
    }

    async fn connection(&self) -> Result<Connection, ClusterError> {
        let mut link = self.link.lock().await;
        if let Some(connection) = link.as_ref().filter(|connection| connection.is_up()) {
            return Ok(connection.clone());
        }
        let found = find_coordinator(&self.cluster, &self.options.group).await?;
        let host = found.host.as_str();
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let connection = self.cluster.open(&format!("{host}:{}", found.port)).await?;
        *link = Some(connection.clone());
        Ok(connection)
    }

    async fn call<A: Api>(&self, request: &A, wait: Duration) -> Result<A::Response, ClusterError> {
        let connection = self.connection().await?;
        let timeout = wait + self.cluster.options().connection.request_timeout;
        Ok(connection.call(request, timeout).await?)
    }

    /// Joins, and waits until all members have. `id` becomes the one the coordinator gives, as soon as it does: a second
    /// one would make the group wait for a member that is none.
    pub(super) async fn join(
        &self,
        id: &mut String,
        metadata: bytes::Bytes,
    ) -> Result<JoinGroupResponse, ClusterError> {
        let ms = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
        let protocol = join_group_request::JoinGroupRequestProtocol::default()
            .with_name(StrBytes::from_static_str(self.options.assignor.name()))
            .with_metadata(metadata);
        loop {
            let request = JoinGroupRequest::default()
                .with_group_id(self.group_id())
                .with_session_timeout_ms(ms(self.options.session_timeout))
                .with_rebalance_timeout_ms(ms(self.options.rebalance_timeout))
                .with_member_id(text(id))
                .with_group_instance_id(self.instance())
                .with_protocol_type(StrBytes::from_static_str("consumer"))
                .with_protocols(vec![protocol.clone()]);
            let response = self.call(&request, self.options.rebalance_timeout).await?;
            match ErrorCode::from_wire(response.error_code) {
                None => {
                    *id = response.member_id.to_string();
                    return Ok(response);
                }
                // The coordinator wants the id it has given before it counts the member in.
                Some(ErrorCode::MEMBER_ID_REQUIRED) if id.is_empty() => *id = response.member_id.to_string(),
                Some(code) => return Err(self.refused("joining", code)),
            }
        }
    }

    /// Waits for the leader's assignment; the leader brings all of them.
    pub(super) async fn sync(
        &self,
        membership: &Membership,
        assignments: Vec<(String, bytes::Bytes)>,
    ) -> Result<bytes::Bytes, ClusterError> {
        let assignments = assignments.into_iter().map(|(member, assignment)| {
            sync_group_request::SyncGroupRequestAssignment::default()
                .with_member_id(StrBytes::from_string(member))
                .with_assignment(assignment)
        });
        let request = SyncGroupRequest::default()
            .with_group_id(self.group_id())
            .with_generation_id(membership.generation)
            .with_member_id(text(&membership.id))
            .with_group_instance_id(self.instance())
            .with_protocol_type(Some(StrBytes::from_static_str("consumer")))
            .with_protocol_name(Some(StrBytes::from_static_str(self.options.assignor.name())))
            .with_assignments(assignments.collect());
        // Older versions of the request do not have the two names, and refuse to leave them out silently.
        let request = if self.connection().await?.version::<SyncGroupRequest>()? < 5 {
            request.with_protocol_type(None).with_protocol_name(None)
        } else {
            request
        };
        let response = self.call(&request, self.options.rebalance_timeout).await?;
        match ErrorCode::from_wire(response.error_code) {
            None => Ok(response.assignment),
            Some(code) => Err(self.refused("joining", code)),
        }
    }

    pub(super) async fn heartbeat(&self, membership: &Membership) -> Result<(), ClusterError> {
        let request = HeartbeatRequest::default()
            .with_group_id(self.group_id())
            .with_generation_id(membership.generation)
            .with_member_id(text(&membership.id))
            .with_group_instance_id(self.instance());
        let response = self.call(&request, Duration::ZERO).await?;
        ErrorCode::from_wire(response.error_code).map_or(Ok(()), |code| Err(self.refused("staying in", code)))
    }

    /// Joins by the consumer protocol, stays, or leaves, whatever `request` says; the group and the instance are filled in.
    pub(super) async fn consumer_heartbeat(
        &self,
        request: ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse, ClusterError> {
        let request = request.with_group_id(self.group_id()).with_instance_id(self.instance());
        let response = self.call(&request, Duration::ZERO).await?;
        match ErrorCode::from_wire(response.error_code) {
            None => Ok(response),
            Some(code) => Err(ClusterError::Refused {
                what: format!("staying in group {}", self.options.group),
                code,
                detail: response.error_message.map(|text| Arc::from(text.as_str())),
            }),
        }
    }

    pub(super) async fn leave(&self, membership: &Membership) -> Result<(), ClusterError> {
        let member =
            MemberIdentity::default().with_member_id(text(&membership.id)).with_group_instance_id(self.instance());
        let request = LeaveGroupRequest::default().with_group_id(self.group_id()).with_members(vec![member]);
        let response = self.call(&request, Duration::ZERO).await?;
        ErrorCode::from_wire(response.error_code).map_or(Ok(()), |code| Err(self.refused("leaving", code)))
    }

    /// Runs `attempt` until it passes, the coordinator refuses for a reason that stays, or a request timeout is over.
    async fn retry<T, F: Future<Output = Result<T, ClusterError>>>(
        &self,
        attempt: impl Fn() -> F,
    ) -> Result<T, ClusterError> {
        let deadline = tokio::time::Instant::now() + self.cluster.options().connection.request_timeout;
        let mut failures = 0;
        loop {
            let error = match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            failures += 1;
            let pause = self.cluster.options().pause(failures);
            let class = error.class();
            // A stale epoch passes: the newer one is on its way to the keeper.
            let stale = matches!(&error, ClusterError::Refused { code: ErrorCode::STALE_MEMBER_EPOCH, .. });
            let lasting = matches!(class, ErrorClass::RejectBatch | ErrorClass::Fatal) && !stale;
            if lasting || tokio::time::Instant::now() + pause >= deadline {
                return Err(error);
            }
            if class == ErrorClass::RefreshMetadata {
                self.forget().await;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// As whom to ask now, who asked first as `first`: with the consumer protocol the epoch may be another by now.
    fn current(
        &self,
        first: &Membership,
        membership: &std::sync::Mutex<Membership>,
        what: &str,
    ) -> Result<Membership, ClusterError> {
        let now = membership.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match () {
            // The partitions are others' by now, whatever this member was given since.
            () if now.losses != first.losses || now.consumer != first.consumer => {
                Err(self.refused(what, ErrorCode::UNKNOWN_MEMBER_ID))
            }
            () if now.consumer => Ok(now),
            () => Ok(first.clone()),
        }
    }

    /// Commits, if no partitions were lost since `losses` was counted; `None` counts from this call on.
    pub(super) async fn commit(
        &self,
        membership: &std::sync::Mutex<Membership>,
        losses: Option<u32>,
        commits: &[Commit],
    ) -> Result<(), ClusterError> {
        let what = "committing offsets of";
        let now = membership.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let first = Membership { losses: losses.unwrap_or(now.losses), ..now };
        self.retry(|| async { self.commit_once(&self.current(&first, membership, what)?, commits).await }).await
    }

    async fn commit_once(&self, membership: &Membership, commits: &[Commit]) -> Result<(), ClusterError> {
        let request = commit_request(&self.options.group, commits)
            .with_generation_id_or_member_epoch(membership.generation)
            .with_member_id(text(&membership.id))
            .with_group_instance_id(self.instance().filter(|_| !membership.id.is_empty()));
        let response = self.call(&request, Duration::ZERO).await?;
        let mut codes = response.topics.iter().flat_map(|topic| &topic.partitions).map(|part| part.error_code);
        match codes.find_map(ErrorCode::from_wire) {
            None => Ok(()),
            Some(code) => Err(self.refused("committing offsets of", code)),
        }
    }

    pub(super) async fn committed(
        &self,
        membership: &std::sync::Mutex<Membership>,
        places: &[Place],
    ) -> Result<Vec<Committed>, ClusterError> {
        let timeout = self.cluster.options().connection.request_timeout;
        let first = membership.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.retry(|| async {
            let connection = self.connection().await?;
            let now = self.current(&first, membership, "reading offsets of")?;
            let member = now.consumer.then_some((&*now.id, now.generation));
            fetch_offsets(&connection, &self.options.group, member, places, timeout).await
        })
        .await
    }
}
