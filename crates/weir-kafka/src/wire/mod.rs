//! Requests and responses as bytes: frames, versions, and nothing that waits.

mod api;
mod frame;

pub(crate) use api::{Api, Versions, name};
pub(crate) use frame::{decode_response, encode_request, finish_frame, start_frame};
