//! [`Api`]: which requests this client sends, in which versions.
//!
//! The upper ends are those that still name topics instead of giving their ids (Produce 13 and Fetch 13 do not), so
//! that one form serves brokers from 2.8 to 4.x. The lower ends are what the code fills in correctly; brokers since 2.8
//! have newer ones throughout, but servers that speak the protocol without being Apache Kafka may not.
//! Version 0 of ConsumerGroupHeartbeat is the preview of 3.7 to 3.9.

use std::collections::HashMap;

use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};

/// A request of this client.
pub(crate) trait Api: Encodable + HeaderVersion {
    /// What the broker answers.
    type Response: Decodable + HeaderVersion;
    /// Its number and name.
    const KEY: ApiKey;
    /// Oldest version this client can fill in.
    const VERSION_MIN: i16;
    /// Newest version this client can fill in.
    const VERSION_MAX: i16;
}

macro_rules! apis {
    ($($key:ident: $request:ident => $response:ident, $min:literal to $max:literal;)*) => {
        $(impl Api for $request {
            type Response = $response;
            const KEY: ApiKey = ApiKey::$key;
            const VERSION_MIN: i16 = $min;
            const VERSION_MAX: i16 = $max;
        })*

        #[cfg(any(test, feature = "fake"))]
        impl Versions {
            /// Key, first and last version of every request of this client.
            pub(crate) fn of_this_client() -> impl Iterator<Item = (i16, i16, i16)> {
                [$((ApiKey::$key as i16, $min, $max)),*].into_iter()
            }
        }
    };
}

apis! {
    ApiVersions: ApiVersionsRequest => ApiVersionsResponse, 0 to 3;
    ConsumerGroupHeartbeat: ConsumerGroupHeartbeatRequest => ConsumerGroupHeartbeatResponse, 1 to 1;
    CreateTopics: CreateTopicsRequest => CreateTopicsResponse, 2 to 7;
    Fetch: FetchRequest => FetchResponse, 4 to 12;
    FindCoordinator: FindCoordinatorRequest => FindCoordinatorResponse, 0 to 3;
    Heartbeat: HeartbeatRequest => HeartbeatResponse, 3 to 4;
    InitProducerId: InitProducerIdRequest => InitProducerIdResponse, 0 to 4;
    JoinGroup: JoinGroupRequest => JoinGroupResponse, 5 to 9;
    LeaveGroup: LeaveGroupRequest => LeaveGroupResponse, 3 to 5;
    ListOffsets: ListOffsetsRequest => ListOffsetsResponse, 1 to 7;
    Metadata: MetadataRequest => MetadataResponse, 4 to 12;
    OffsetCommit: OffsetCommitRequest => OffsetCommitResponse, 7 to 9;
    OffsetFetch: OffsetFetchRequest => OffsetFetchResponse, 1 to 9;
    Produce: ProduceRequest => ProduceResponse, 3 to 12;
    SaslAuthenticate: SaslAuthenticateRequest => SaslAuthenticateResponse, 0 to 2;
    SaslHandshake: SaslHandshakeRequest => SaslHandshakeResponse, 1 to 1;
    SyncGroup: SyncGroupRequest => SyncGroupResponse, 3 to 5;
}

/// What a broker said it supports.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    ranges: HashMap<i16, (i16, i16)>,
}

impl Versions {
    pub(crate) fn new(response: &ApiVersionsResponse) -> Self {
        let ranges = response.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version)));
        Self { ranges: ranges.collect() }
    }

    /// The newest version both sides know; `None` if there is none.
    pub(crate) fn pick<A: Api>(&self) -> Option<i16> {
        let (min, max) = self.ranges.get(&(A::KEY as i16))?;
        let version = A::VERSION_MAX.min(*max);
        (version >= A::VERSION_MIN.max(*min)).then_some(version)
    }

    /// The broker's range of an API, for messages.
    pub(crate) fn range(&self, key: ApiKey) -> Option<(i16, i16)> {
        self.ranges.get(&(key as i16)).copied()
    }
}

/// The name of a request, for messages.
pub(crate) const fn name(key: ApiKey) -> &'static str {
    match key {
        ApiKey::ConsumerGroupHeartbeat => "ConsumerGroupHeartbeat",
        ApiKey::CreateTopics => "CreateTopics",
        ApiKey::Fetch => "Fetch",
        ApiKey::FindCoordinator => "FindCoordinator",
        ApiKey::Heartbeat => "Heartbeat",
        ApiKey::InitProducerId => "InitProducerId",
        ApiKey::JoinGroup => "JoinGroup",
        ApiKey::LeaveGroup => "LeaveGroup",
        ApiKey::ListOffsets => "ListOffsets",
        ApiKey::Metadata => "Metadata",
        ApiKey::OffsetCommit => "OffsetCommit",
        ApiKey::OffsetFetch => "OffsetFetch",
        ApiKey::Produce => "Produce",
        ApiKey::SaslAuthenticate => "SaslAuthenticate",
        ApiKey::SaslHandshake => "SaslHandshake",
        ApiKey::SyncGroup => "SyncGroup",
        _ => "a request",
    }
}
