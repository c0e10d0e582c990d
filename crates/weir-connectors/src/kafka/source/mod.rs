//! Source `kafka`: a member of a consumer group that passes on what it is assigned, and commits offsets when the channels
//! hold the events.
//!
//! ```text
//!   thread NAME-io                                              lane = thread, owns partitions
//!   member task: group, heartbeats, commits --+
//!   driver task: Fetcher -> credits -> work --+--> lane: check, decompress, decode -> headers -> interceptors -> channels
//!        ^  settles receipts in order of each partition   |
//!        '--------------- report: position, receipt <-----'
//! ```
//!
//! A partition has one lane and one position: everything below it is in the channels, as durably as they promise. What is
//! committed is that position and nothing else. Heartbeats run on a thread that no lane can block, so a channel that is
//! full for an hour costs no membership.
//!
//! Work carries the epoch of its partition. When a partition is given up, is lost, or has to be read again, its gate
//! changes the epoch, and what no lane has begun is dropped without a trace.
//!
//! What is read twice, never lost: after a crash, what was received since the last commit; after a rebalance, what was not
//! settled within half the rebalance timeout; after a failed receipt, what follows it in the partition.
//!
//! | crash here | this happens | test |
//! |---|---|---|
//! | fetched, not begun | read again from the committed offset | `offsets_are_committed_behind_receipts` |
//! | appended, no receipt | the same; the channel says which of it survives | `offsets_are_committed_behind_receipts` |
//! | receipt came, not committed | read again: at most one commit interval | `offsets_are_committed_behind_receipts` |
//! | committed | passed on once, in the channel | `offsets_are_committed_behind_receipts` |
//! | between giving up a partition and its commit | the next owner reads from the last commit | `revoked_partitions_wait_for_receipts` |
//!
//! | fault | what happens | test |
//! |---|---|---|
//! | no broker answers | it waits; health and faults say so | `a_source_waits_for_its_cluster` |
//! | a receipt fails, a channel refuses | the partition rests, then is read again from its position | `failed_receipts_are_read_again` |
//! | a batch cannot be decoded | the partition rests at it and is fetched again: nothing is skipped | `damaged_batches_hold_up_their_partition_only` |
//! | the position is gone | counted, logged, on with `start` | `positions_that_are_gone_are_counted` |
//! | the topic is deleted and made anew | counted, logged, on with `start` | `topics_made_anew_are_begun_where_told` |
//! | the group gives the partitions to others | in-flight work is dropped, nothing is committed | `lost_partitions_are_dropped` |
//!
//! | Flume's `KafkaSource` | here |
//! |---|---|
//! | `kafka.bootstrap.servers` | `brokers` |
//! | `kafka.topics`, `topic` | `topics` |
//! | `kafka.topics.regex` | `topics = ["/REGEX/"]` |
//! | `kafka.consumer.group.id`, `groupId` (flume) | `consumer_group` (weir) |
//! | `batchSize`, `batchDurationMillis` | nothing to set: batches are passed on as brokers have them |
//! | `useFlumeEventFormat` | `format = "flume"` |
//! | `setTopicHeader`, `topicHeader` (on, `topic`) | `set_headers`; the header is `topic` |
//! | headers `partition`, `offset`, `timestamp`, `key` | the same; the first two by `set_headers` |
//! | `header.NAME = KAFKA_NAME` | `headers = "list"` and `header_names`; names stay |
//! | `kafka.consumer.auto.offset.reset` | `start`; a time, too |
//! | `kafka.consumer.isolation.level`, `.session.timeout.ms`, `.group.instance.id`, `.client.rack` | `isolation`, `session_timeout`, `instance`, `rack` |
//! | `kafka.consumer.security.protocol`, `ssl.*`, `sasl.*` | the options of the connection |
//! | `migrateZookeeperOffsets`, `zookeeperConnect` | none: brokers without ZooKeeper know nothing of it |

mod config;
mod credit;
mod driver;
mod events;
mod gate;
mod lane;
mod locate;
mod member;
mod pace;
mod partition;
#[cfg(test)]
mod tests;
mod topics;
mod unpack;
mod watch;
mod work;

pub use config::kafka_source_type;
