//! Bytes to events and back, without I/O.
//!
//! Nothing here opens, reads, waits, logs or looks at a clock: bytes come in as slices, results go out as values.
//! Every parser takes any bytes without panicking and never allocates more than a small multiple of its input.
//!
//! | module | what |
//! |---|---|
//! | [`framing`] | a TCP stream to frames: newline or RFC 6587 octet counts, told apart per connection |
//! | [`syslog`] | a frame to headers and body: RFC 5424, RFC 3164 and what devices really send |
//! | [`record_batch`] | Kafka's record batch, format v2: the form of a batch at rest and on the wire |
//! | [`flume_event`] | Flume's Avro events as the bodies of a batch, and back |
//! | [`synth`] | seeded synthetic network-device lines, for load and demonstrations |

pub mod flume_event;
pub mod framing;
pub mod record_batch;
pub mod synth;
pub mod syslog;
