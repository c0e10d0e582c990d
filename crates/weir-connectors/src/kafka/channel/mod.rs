//! Channel `kafka`: a topic of Apache Kafka as a channel.
//!
//! ```text
//!   lanes of sources --> writer: partition, encode, Producer --> topic --> reader: Fetcher, decode --> groups, sinks
//!                        \------------------ one IoThread: the cluster's connections -----------/
//! ```
//!
//! Both ends may be on other agents. One that only appends joins no group; one that only has sinks makes no producer. A
//! partition of the topic is a partition of the channel, a Kafka offset an event's offset, and each sink group a consumer
//! group: Kafka keeps the positions, and nothing is on this machine's disk.
//!
//! It is **not** a buffer: without brokers it takes `in_flight_bytes` and then sources wait. Where they cannot, a channel
//! `file` with a sink `kafka` behind it absorbs the outage. It creates no topics and deletes no events: retention is the
//! topic's, and an event that it takes before its delivery is counted as lost.
//!
//! Invariants
//! - a ticket completes well only when brokers have acknowledged every record of its batch
//! - what is committed was released by the group, gaps between events aside; nothing is committed for a partition after
//!   it was given to others
//! - nothing of a partition is handed out between the end of a stay here and the group's learning of it
//! - whatever lanes do, heartbeats go on; while fetching pauses for want of room, too
//!
//! | crash of this agent, or a broker | what happens | test |
//! |---|---|---|
//! | before an append's receipt | the source has the events; brokers may have them, too | `killed_agents_lose_nothing` |
//! | after the receipt | in the topic, as safe as `acks` says | `what_has_a_receipt_is_in_the_topic` |
//! | after the delivery, before the release | read again by the next owner, who is told that it may be a repeat | `what_is_not_released_comes_again` |
//! | after the release, before its commit | the same: at most `commit_interval` of deliveries | `killed_agents_lose_nothing` |
//! | partitions move while deliveries are out | lanes finish them in half the rebalance timeout, or the next owner repeats them | `a_second_agent_begins_where_the_first_has_come`, `what_is_not_finished_in_time_is_repeated` |
//! | the membership is lost | late answers move nothing | `lost_partitions_are_read_again` |
//! | brokers are away | appends wait in memory up to `in_flight_bytes`, then sources wait; deliveries pause | `sources_wait_for_the_topic`, `what_has_a_receipt_is_in_the_topic` |
//! | the topic is deleted and made anew | positions of the old one count as none: on where `start` says; health says so | `a_topic_made_anew_is_begun_where_told` |
//! | a batch in the topic is damaged | its partition waits and says so, others go on | `a_damaged_batch_waits_alone`, `nothing_behind_a_damaged_batch_is_passed_over` |
//! | what came back cannot be read again | the same | `what_cannot_be_read_again_holds_up_nothing_else` |
//!
//! What brokers refuse as it is: too large a batch goes in halves; times too far from the brokers' own go into header
//! `weir.timestamp`; anything else fails the receipt and shows in health.
//!
//! | Flume's `KafkaChannel` | here |
//! |---|---|
//! | `kafka.bootstrap.servers`, `brokerList` | `brokers` |
//! | `kafka.topic`, `topic` | `topic` |
//! | `kafka.consumer.group.id`, `groupId` | `consumer_group` |
//! | `parseAsFlumeEvent` (on) | `format = "flume"`; off unless set |
//! | `kafka.consumer.auto.offset.reset`, `readSmallestOffset` | `start` |
//! | `defaultPartitionId`; `partitionIdHeader` | `partitioner = "fixed"` and `partition`; `"header"` and `partition_header` |
//! | `kafka.producer.acks` (all) | `acks` |
//! | `kafka.producer.compression.type` | `compression` |
//! | `kafka.consumer.session.timeout.ms`, `.group.instance.id`, `.isolation.level` | `session_timeout`, `instance`, `isolation` |
//! | `pollTimeout` | nothing to set: lanes are woken |
//! | `kafka.producer.transactional.id` | none |
//!
//! Arrival of an event that was read is the newest time in its batch, so that it is the same each time; where there is
//! none, the time it was fetched.

mod config;
mod health;
mod reach;
mod reader;
#[cfg(test)]
mod tests;
mod topic;
mod writer;

pub use config::kafka_channel_type;
pub use reach::identity as topic_identity;
