//! What librdkafka is told, with the reason of each setting: the same through either interface.

use crate::job::Job;

/// Of every producer.
const PRODUCER: &[(&str, &str)] = &[
    // One request batch holds what one call hands over. 5,000 lines are just under 1 MB before compression, which is the
    // size that counts here and is the default limit.
    ("batch.num.messages", "5000"),
    ("batch.size", "4000000"),
    ("message.max.bytes", "8000000"),
    // Long enough that a partition's 5,000 come together, and not felt: the queue is never empty.
    ("linger.ms", "20"),
    // Never the limit: 64 MiB are in flight at this client's side too, and the rest waits in the caller.
    ("queue.buffering.max.messages", "1000000"),
    ("queue.buffering.max.kbytes", "1048576"),
    // As many as idempotence allows, and as this client.
    ("max.in.flight.requests.per.connection", "5"),
    ("socket.nagle.disable", "true"),
    ("delivery.report.only.error", "true"),
];

/// Of every consumer.
const CONSUMER: &[(&str, &str)] = &[
    ("group.id", "bench"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    // What the other client does in its decoder.
    ("check.crcs", "true"),
    // The same sizes as this client's.
    ("fetch.max.bytes", "33554432"),
    ("max.partition.fetch.bytes", "2097152"),
    ("receive.message.max.bytes", "134217728"),
    // Fetches on while the caller works, instead of pausing at 100,000 messages a partition.
    ("queued.min.messages", "1000000"),
    ("queued.max.messages.kbytes", "1048576"),
];

/// The settings of the producer of `job`.
pub(crate) fn producer(job: &Job, lz4: bool, acks_all: bool) -> Vec<(&str, &str)> {
    let mut settings = vec![("bootstrap.servers", job.bootstrap.as_str())];
    settings.extend(PRODUCER);
    settings.push(("compression.type", if lz4 { "lz4" } else { "none" }));
    settings.push(("acks", if acks_all { "all" } else { "1" }));
    // As this client does: without it retries could repeat or reorder.
    settings.push(("enable.idempotence", if acks_all { "true" } else { "false" }));
    settings
}

/// The settings of the consumer of `job`.
pub(crate) fn consumer(job: &Job) -> Vec<(&str, &str)> {
    let mut settings = vec![("bootstrap.servers", job.bootstrap.as_str())];
    settings.extend(CONSUMER);
    settings
}
