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
//! - which collection by time an event goes to depends on the event and its arrival only: what comes again goes there again
//! - whoever sends events chooses headers, values and times: none of them overwrites a key, stops the sink, or makes
//!   collections without bound
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
//! | every document is refused, by schema, update chain or proxy | at most 50 in a row of a shard are dead letters; when others are refused too the sink waits and says why | `when_everything_is_refused_it_is_not_the_documents`, `many_bad_documents_do_not_stop_the_good_ones` (weir-solr) |
//! | a tolerant update chain refuses documents in an answer of 200 | the same as with a 400; what it does not name clearly is sent again in halves | `a_tolerant_chain_hides_nothing` (weir-solr) |
//! | one of two collections is missing | nothing of the delivery is sent before both are there | `nothing_is_sent_while_a_collection_is_missing` |
//! | a collection is deleted while it is used | its documents come back, and it is made again where `create` allows it | `a_collection_deleted_by_hand_is_made_again` |
//! | events are older than the retention | dropped and counted | `what_is_older_than_the_retention_is_counted` |
//! | our clock jumps ahead | no collection is old by that alone | `a_clock_that_jumps_deletes_nothing_at_once` |
//!
//! Who tries again: the indexer, for a part of a delivery whose shard has a passing fault, so that the rest is not held up
//! or sent twice; the engine, for deliveries that could not be taken in, or that the indexer has given back after a minute
//! without success.
//!
//! An answer of 200 promises that the leader's update log has a document; `replicas_min` asks for more. Solr does not sync
//! that log to disk unless its configuration says so.
//!
//! Requests are not compressed. Measured on 40 000 syslog documents: gzip at level 1 leaves 21 % of JSON's bytes for 0.7 s of
//! CPU time per million documents, a hundredth of what Solr takes to index them; but Solr 9.10.1 answers 400 to such
//! requests, since the Jetty that it runs in does not inflate them unless told to. At the rate that Solr indexes at, some
//! 4 MB a second and core, the network is not what is short.
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
