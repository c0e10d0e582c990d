//! Sink `solr`: events to SolrCloud, searchable seconds after they happened.
//!
//! ```text
//!   delivery --(select, sample, map, place)--> documents --> indexer: a queue per shard --> leaders of shards
//!      \---- token waits in a task until every document of the delivery is accepted or refused ----/
//! ```
//!
//! It is **not** a way to search, and it never commits: visibility is Solr's own `autoSoftCommit`, or `commit_within`.
//!
//! Invariants
//! - a delivery is acknowledged when Solr has accepted every selected event of it, or refused it for good
//! - the id of a document is made of the event's identity, so what comes again overwrites itself
//! - what is left out is counted, by reason
//!
//! | crash here | this happens | test |
//! |---|---|---|
//! | before a request is sent | the channel has the events | `what_passes_loses_nothing` |
//! | sent, not answered | sent again after the restart, with the same ids: there once | `solr_killed_agent` |
//! | accepted, position not yet durable | the same | `solr_killed_agent` |
//! | a node dies, a shard has no leader, a collection is reloaded | the indexer asks who leads and sends again; other shards go on | `solr_faults` |
//! | a node is busy (429, 503, circuit breakers) or silent | fewer requests at once, pauses, `Retry-After` | `what_passes_is_tried_again` (weir-solr) |
//! | a document is refused (400) | found by name or by halving, into the dead letters with Solr's words; the others go on | `poison_goes_to_the_dead_letters`, `solr_poison` |
//! | the schema lacks a field, a login is refused | nothing is refused or lost: the sink waits, and status and health say why | `what_a_person_must_see_to_is_handed_back` (weir-solr) |
//!
//! Who tries again: the indexer, for a part of a delivery whose shard has a passing fault, so that the rest is not held up
//! or sent twice; the engine, for deliveries that could not be taken in, or that the indexer has given back after a minute
//! without success.
//!
//! An answer of 200 promises that the leader's update log has a document; `replicas_min` asks for more. Solr does not sync
//! that log to disk unless its configuration says so.
//!
//! Flume: `org.apache.flume.sink.solr.morphline.MorphlineSolrSink`, whose morphlines are replaced by the tables `fields` and
//! `select`.

mod config;
mod flight;
mod lane;
mod mapping;
mod options;
mod place;
mod select;
mod template;
#[cfg(test)]
mod tests;
mod upkeep;

pub use config::{solr_client, solr_sink_type};
