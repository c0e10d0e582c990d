//! Frames: a length, a header, a message.

use bytes::{Buf, Bytes};
use kafka_protocol::protocol::{Decodable, HeaderVersion};
use thiserror::Error;

use super::Api;

/// Where the correlation id stands in a request: behind length, API key and version.
const CORRELATION_AT: usize = 8;

/// Why a message could not be encoded or decoded. `kafka-protocol` gives text only.
#[derive(Debug, Error)]
#[error("{detail}")]
pub(crate) struct FrameError {
    detail: String,
}

impl From<String> for FrameError {
    fn from(detail: String) -> Self {
        Self { detail }
    }
}

/// Starts a request in `frame`, which is emptied first: room for the length, and the header.
pub(crate) fn start_frame<A: Api>(frame: &mut Vec<u8>, version: i16, client_id: &str) {
    frame.clear();
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(&(A::KEY as i16).to_be_bytes());
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    // The options refuse a longer one.
    let client_id = &client_id.as_bytes()[..client_id.len().min(i16::MAX as usize)];
    frame.extend_from_slice(&(client_id.len() as i16).to_be_bytes());
    frame.extend_from_slice(client_id);
    if A::header_version(version) >= 2 {
        // No tagged fields.
        frame.push(0);
    }
}

/// Writes length and correlation id into a finished request.
pub(crate) fn finish_frame(frame: &mut [u8], correlation_id: i32) {
    let length = (frame.len() - 4) as i32;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame[CORRELATION_AT..CORRELATION_AT + 4].copy_from_slice(&correlation_id.to_be_bytes());
}

/// A whole request but for length and correlation id.
pub(crate) fn encode_request<A: Api>(
    frame: &mut Vec<u8>,
    request: &A,
    version: i16,
    client_id: &str,
) -> Result<(), FrameError> {
    start_frame::<A>(frame, version, client_id);
    request.encode(frame, version).map_err(|error| FrameError { detail: format!("{error:#}") })
}

/// Reads the rest of a response, behind the correlation id.
pub(crate) fn decode_response<A: Api>(mut body: Bytes, version: i16) -> Result<A::Response, FrameError> {
    if <A::Response as HeaderVersion>::header_version(version) >= 1 {
        skip_tagged_fields(&mut body).ok_or_else(|| FrameError::from("a header that ends early".to_owned()))?;
    }
    A::Response::decode(&mut body, version).map_err(|error| FrameError { detail: format!("{error:#}") })
}

fn skip_tagged_fields(body: &mut Bytes) -> Option<()> {
    for _ in 0..read_unsigned(body)? {
        read_unsigned(body)?;
        let length = read_unsigned(body)? as usize;
        if length > body.len() {
            return None;
        }
        body.advance(length);
    }
    Some(())
}

fn read_unsigned(body: &mut Bytes) -> Option<u32> {
    let mut value = 0;
    // 32 bits in groups of seven.
    for index in 0..5 {
        let byte = body.first().copied()?;
        body.advance(1);
        value |= u32::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
