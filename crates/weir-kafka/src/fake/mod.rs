//! A cluster of brokers inside this process, for tests: real sockets on 127.0.0.1, logs in memory, answers by script.
//!
//! It keeps what a client relies on (offsets, sequence numbers, leaders, group generations) as Apache Kafka does, so that
//! a test can compare what was acknowledged with what is in the log. It has no replication, no retention, no
//! transactions and no timers: members leave when they say so, answers are late when a [`Step`] says so.

mod answers;
mod cluster;
mod consumers;
mod damage;
mod fetches;
mod groups;
mod log;
mod serve;

pub use cluster::{FakeCluster, Step};
pub use kafka_protocol::messages::ApiKey;
