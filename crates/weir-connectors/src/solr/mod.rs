//! Sink `solr`: events to SolrCloud, searchable seconds after they happened.
//!
//! ```text
//!   delivery --(mapping)--> documents --> indexer: a queue per shard --> leaders
//!      \---- token waits in a task until every document of the delivery is accepted or refused ----/
//! ```

mod config;
mod lane;
mod mapping;
mod template;

pub use config::solr_sink_type;
