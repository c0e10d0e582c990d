//! Connections of the fake brokers.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, decode_request_header_from_buffer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::answers::Broker;
use super::cluster::{Shared, Step};

/// Accepts connections for a broker until it is aborted, which ends them too.
pub(super) async fn serve(shared: Arc<Shared>, id: i32, listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let broker = Broker { shared: shared.clone(), id };
        connections.spawn(async move {
            // A client that goes away is no matter.
            let _ = converse(&broker, socket).await;
        });
    }
}

/// A request without its header.
pub(super) struct Asked {
    pub(super) key: ApiKey,
    pub(super) version: i16,
    pub(super) body: Bytes,
    pub(super) step: Step,
}

async fn converse(broker: &Broker, mut socket: TcpStream) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut is_authenticating = false;
    loop {
        let length = socket.read_i32().await?;
        let mut frame = BytesMut::zeroed(usize::try_from(length).unwrap_or(0));
        socket.read_exact(&mut frame).await?;
        let mut body = frame.freeze();
        let version = i16::from_be_bytes([body[2], body[3]]);
        let Ok(mut header) = decode_request_header_from_buffer(&mut body) else { return Ok(()) };
        let Ok(key) = ApiKey::try_from(header.request_api_key) else { return Ok(()) };
        // Between a handshake and the only message of the only mechanism nothing else may come.
        let was_authenticating = std::mem::replace(&mut is_authenticating, key == ApiKey::SaslHandshake);
        if was_authenticating != (key == ApiKey::SaslAuthenticate) {
            return Ok(());
        }
        let step = broker.shared.step(key);
        match step {
            Step::Disconnect => return Ok(()),
            Step::Ignore => std::future::pending().await,
            Step::Delay(time) => tokio::time::sleep(time).await,
            _ => {}
        }
        let asked = Asked { key, version, body, step };
        let Some(answer) = respond(broker, &asked).await else { return Ok(()) };
        match step {
            Step::ServeThenDisconnect => return Ok(()),
            Step::Garble => header.correlation_id = !header.correlation_id,
            _ => {}
        }
        let mut out = BytesMut::new();
        out.put_i32(answer.len() as i32 + 4);
        out.put_i32(header.correlation_id);
        out.extend_from_slice(&answer);
        socket.write_all(&out).await?;
    }
}

/// The answer to a request behind the correlation id; `None` for what this broker cannot read.
async fn respond(broker: &Broker, asked: &Asked) -> Option<BytesMut> {
    let refused = match asked.step {
        Step::Refuse(code) | Step::RefuseWhole(code) => Some(code),
        _ => None,
    };
    let whole = matches!(asked.step, Step::RefuseWhole(_));
    let late_code = match asked.step {
        Step::ServeThenRefuse(code) => code,
        _ => 0,
    };
    let quiet_ms = match asked.step {
        Step::Throttle(time) => time.as_millis() as i32,
        _ => 0,
    };
    match asked.key {
        ApiKey::ApiVersions => {
            let answer = broker.api_versions(refused);
            // A version this broker does not know is answered in version 0.
            let version = if answer.error_code == 0 { asked.version } else { 0 };
            encode(&answer, version)
        }
        ApiKey::Metadata => reply(asked, |request| broker.metadata(&request, refused)),
        ApiKey::Produce => reply(asked, |request| broker.produce(request, refused, late_code, quiet_ms)),
        ApiKey::Fetch => {
            let request = FetchRequest::decode(&mut asked.body.clone(), asked.version).ok()?;
            encode(&broker.fetch(&request, refused, whole, quiet_ms).await, asked.version)
        }
        ApiKey::ListOffsets => reply(asked, |request| broker.list_offsets(request, refused)),
        ApiKey::InitProducerId => reply(asked, |_: InitProducerIdRequest| broker.producer_id(refused)),
        ApiKey::CreateTopics => reply(asked, |request| broker.create_topics(request, refused)),
        ApiKey::SaslHandshake => reply(asked, |request| broker.sasl_handshake(&request)),
        ApiKey::SaslAuthenticate => reply(asked, |request| broker.sasl_authenticate(&request)),
        ApiKey::FindCoordinator => reply(asked, |_: FindCoordinatorRequest| broker.coordinator(refused)),
        ApiKey::JoinGroup => {
            let request = JoinGroupRequest::decode(&mut asked.body.clone(), asked.version).ok()?;
            encode(&broker.join(request, refused).await, asked.version)
        }
        ApiKey::SyncGroup => {
            let request = SyncGroupRequest::decode(&mut asked.body.clone(), asked.version).ok()?;
            encode(&broker.sync(request, refused).await, asked.version)
        }
        ApiKey::Heartbeat => reply(asked, |request| broker.heartbeat(&request, refused)),
        ApiKey::ConsumerGroupHeartbeat => reply(asked, |request| broker.consumer_heartbeat(&request, refused)),
        ApiKey::LeaveGroup => reply(asked, |request| broker.leave(&request, refused)),
        ApiKey::OffsetCommit => reply(asked, |request| broker.commit(request, refused)),
        ApiKey::OffsetFetch => reply(asked, |request| broker.committed(request, refused, whole)),
        _ => None,
    }
}

fn reply<Q: Decodable, A: Encodable + HeaderVersion>(asked: &Asked, answer: impl FnOnce(Q) -> A) -> Option<BytesMut> {
    let request = Q::decode(&mut asked.body.clone(), asked.version).ok()?;
    encode(&answer(request), asked.version)
}

fn encode<A: Encodable + HeaderVersion>(answer: &A, version: i16) -> Option<BytesMut> {
    let mut out = BytesMut::new();
    if A::header_version(version) >= 1 {
        out.put_u8(0);
    }
    answer.encode(&mut out, version).ok()?;
    Some(out)
}
