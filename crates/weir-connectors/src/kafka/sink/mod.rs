//! Sink `kafka`: events to topics of Apache Kafka.
//!
//! ```text
//!   delivery --(as it is at rest, or encoded)--> record batches --> producer --> leaders
//!      \---- token waits in a task until every batch of the delivery has its receipt ----/
//! ```
//!
//! | crash here | this happens | test |
//! |---|---|---|
//! | before a batch is sent | the channel has it | `nothing_is_acknowledged_before_the_brokers_say_so` |
//! | sent, not answered | delivered again after the restart, under another producer id: at most what is in flight is there twice | `an_agent_killed_repeats_only_what_was_in_flight` |
//! | answered, position not yet durable | delivered again: there twice | the same |
//! | a broker dies, an election, missing replicas | the producer waits and sends again under the same numbers: once each | `brokers_die_and_nothing_is_lost_or_doubled` |
//!
//! A topic that refuses a batch for want of permission, or the like, until somebody sees to it: the delivery comes again as a
//! whole as long as nothing of it is written. Of one that is partly written, only the refused batches are sent again, and
//! nothing else meanwhile, so that what other topics and partitions have is not written twice
//! (`a_topic_that_refuses_doubles_nothing_in_others`).
//!
//! An outage gives nothing up: batches in flight stay with the producer, further ones in the channel, and the group's
//! state says why. What a topic refuses for its size is split, down to single events; those, and what it refuses as
//! invalid, go to the dead letter channel. A batch that was split is written after those that followed it.
//!
//! Flume: `org.apache.flume.sink.kafka.KafkaSink`, which has one batch in flight; this has as many as fit.
//!
//! | Flume | here |
//! |---|---|
//! | `kafka.bootstrap.servers`, `brokerList` | `brokers` |
//! | `kafka.topic`, `topic` | `topic`; `%{header}` too, times not; what it may name is in `topics_allowed` |
//! | `allowTopicOverride`, `topicHeader` (on, `topic`) | `topic_header`, off unless set; and `topics_allowed` |
//! | `flumeBatchSize`, `batchSize` | nothing to set: as many events as there are, up to `batch_bytes` |
//! | `useFlumeEventFormat` | `format = "flume"` |
//! | `defaultPartitionId` | `partitioner = "fixed"` and `partition` |
//! | `partitionIdHeader` | `partitioner = "header"` and `partition_header` |
//! | header `key` decides the partition | `partitioner = "key"`; the record has the key in any case |
//! | `timestampHeader` | the record has the time in header `timestamp` |
//! | `header.NAME = KAFKA_NAME` | `headers = "list"` and `header_names`; names stay |
//! | `kafka.producer.acks`, `requiredAcks` (1) | `acks` (all) |
//! | `kafka.producer.compression.type` | `compression`, `compression_level` |
//! | `kafka.producer.enable.idempotence` | `idempotent`, on |
//! | `kafka.producer.transactional.id` | none: repeats are told by the broker while the agent lives |
//! | `kafka.producer.security.protocol`, `ssl.*`, `sasl.*` | the options of the connection |

mod config;
mod flight;
mod lane;
#[cfg(test)]
mod tests;
mod topics;

pub use config::kafka_sink_type;
