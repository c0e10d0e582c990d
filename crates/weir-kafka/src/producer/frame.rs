//! Produce requests, written straight from the batches: one copy, into the frame.

use std::sync::Arc;

use kafka_protocol::messages::ProduceRequest;

use super::ProducerOptions;
use crate::connection::Connection;
use crate::wire::start_frame;

/// First version with compact lengths and tagged fields.
const FLEXIBLE_FROM: i16 = 9;

/// One batch of a request.
pub(super) struct Part<'a> {
    pub(super) topic: &'a Arc<str>,
    pub(super) partition: i32,
    pub(super) batch: &'a [u8],
}

/// Writes a request with `parts`, which are sorted by topic and name each partition once.
pub(super) fn produce_frame(
    connection: &Connection,
    version: i16,
    options: &ProducerOptions,
    parts: &[Part<'_>],
) -> Vec<u8> {
    let mut frame = connection.buffer();
    start_frame::<ProduceRequest>(&mut frame, version, connection.client_id());
    let bytes: usize = parts.iter().map(|part| part.batch.len() + part.topic.len()).sum();
    // Per part: index, length, tags; per topic: lengths and tags; both far below 32 bytes.
    frame.reserve(bytes + 32 * (parts.len() + 1));
    let mut writer = BodyWriter { frame, flexible: version >= FLEXIBLE_FROM };
    // No transactional id.
    if writer.flexible {
        writer.frame.push(0)
    } else {
        writer.frame.extend_from_slice(&(-1_i16).to_be_bytes())
    }
    writer.frame.extend_from_slice(&options.acks.on_wire().to_be_bytes());
    let timeout_ms = i32::try_from(options.replication_timeout.as_millis()).unwrap_or(i32::MAX);
    writer.frame.extend_from_slice(&timeout_ms.to_be_bytes());
    let topics: Vec<&[Part<'_>]> = parts.chunk_by(|a, b| a.topic == b.topic).collect();
    writer.count(topics.len());
    for topic in topics {
        if let Some(first) = topic.first() {
            writer.text(first.topic);
        }
        writer.count(topic.len());
        for part in topic {
            writer.frame.extend_from_slice(&part.partition.to_be_bytes());
            writer.count(part.batch.len());
            writer.frame.extend_from_slice(part.batch);
            writer.no_tags();
        }
        writer.no_tags();
    }
    writer.no_tags();
    writer.frame
}

struct BodyWriter {
    frame: Vec<u8>,
    flexible: bool,
}

impl BodyWriter {
    /// The length of an array or of bytes.
    fn count(&mut self, count: usize) {
        // A batch is below 2 GiB, and so is everything counted here.
        if self.flexible {
            self.unsigned(count as u32 + 1);
        } else {
            self.frame.extend_from_slice(&(count as i32).to_be_bytes());
        }
    }

    fn text(&mut self, text: &str) {
        if self.flexible {
            self.unsigned(text.len() as u32 + 1);
        } else {
            self.frame.extend_from_slice(&(text.len() as i16).to_be_bytes());
        }
        self.frame.extend_from_slice(text.as_bytes());
    }

    fn no_tags(&mut self) {
        if self.flexible {
            self.frame.push(0);
        }
    }

    fn unsigned(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.frame.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.frame.push(value as u8);
    }
}
