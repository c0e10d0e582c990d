//! Takes documents in and sees to it that they get where they belong.
//!
//! ```text
//!   submit -> by hash of the id -> queue of a shard -> batches -> leader of the shard
//!                                     ^                              |
//!                                     +---- busy, gone, moved -------+---- accepted, refused -> report
//! ```
//!
//! Every shard has a queue and a window of its own: one that is slow, or has no leader, does not hold up the others. What
//! fails in passing is sent again from here, with the same ids; what a person must see to, and what has failed for as long
//! as [`IndexerOptions::hand_back_after`], is handed back.
//!
//! Invariants
//! - a document is settled exactly once: accepted, rejected with Solr's words, or handed back; dropping it hands it back
//! - nothing is committed from here
//! - memory: what was submitted and not settled, and one copy of what is in requests

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::client::Client;
use crate::document::Documents;
use crate::error::RequestError;
use crate::faults::Faults;

mod collection;
mod request;
mod shard;
mod submission;
#[cfg(test)]
mod tests;
mod window;
mod words;

use collection::Collection;
use submission::Flight;
pub use submission::{HandedBack, Report, Submission};

/// How an [`Indexer`] sends.
#[derive(Clone, Debug)]
pub struct IndexerOptions {
    /// Most documents of a request.
    pub batch_documents_max: usize,
    /// Most bytes of a request; a larger document goes alone.
    pub batch_bytes_max: usize,
    /// Most requests at once to one shard.
    pub requests_max: usize,
    /// How long documents wait for company before a request goes that is not full.
    pub linger: Duration,
    /// Asks Solr to make documents visible by then; `None` leaves that to its own configuration.
    pub commit_within: Option<Duration>,
    /// Replicas that must have a document before it counts as accepted.
    pub replicas_min: Option<u64>,
    /// The state of a collection is asked for again at this age although nothing went wrong.
    pub state_age_max: Duration,
    /// Documents of a shard that has accepted nothing for so long are handed back.
    pub hand_back_after: Duration,
    /// Who counts what goes wrong.
    pub faults: Faults,
}

impl Default for IndexerOptions {
    fn default() -> Self {
        Self {
            batch_documents_max: 1000,
            batch_bytes_max: 2 << 20,
            requests_max: 3,
            linger: Duration::from_millis(100),
            commit_within: None,
            replicas_min: None,
            state_age_max: Duration::from_secs(60),
            hand_back_after: Duration::from_secs(60),
            faults: Faults::default(),
        }
    }
}

/// Indexes documents into the collections of one cluster. Cloning counts references. Must be used inside a tokio runtime
/// that goes on running: requests are tasks of it.
#[derive(Clone, Debug)]
pub struct Indexer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    options: IndexerOptions,
    /// By the name documents are submitted under. Held for a look-up.
    collections: Mutex<HashMap<String, Arc<Collection>>>,
    flight: Arc<Flight>,
    /// What is not well, by collection and shard; held for a few words' work, when something changes.
    troubles: Mutex<HashMap<String, String>>,
}

impl Indexer {
    /// An indexer that has spoken with nobody yet.
    #[must_use]
    pub fn new(client: Client, options: IndexerOptions) -> Self {
        let (collections, troubles) = (Mutex::default(), Mutex::default());
        Self { shared: Arc::new(Shared { client, options, collections, flight: Arc::default(), troubles }) }
    }

    /// Looks a collection up, so that [`Indexer::submit`] need not.
    ///
    /// # Errors
    /// [`RequestError`] if it cannot be found.
    pub async fn find(&self, collection: &str) -> Result<(), RequestError> {
        self.collection(collection).known(&self.shared).await.map(drop)
    }

    /// Queues documents for the shards they belong to. Waits only for the state of the collection, if it is not known yet.
    /// Await the [`Submission`] to know what became of them.
    ///
    /// # Errors
    /// [`RequestError`] if the collection cannot be found; nothing was taken in then.
    pub async fn submit(&self, collection: &str, documents: Documents) -> Result<Submission, RequestError> {
        let collection = self.collection(collection);
        collection.known(&self.shared).await?;
        let (queued, submission) = submission::take_in(documents, &self.shared.flight);
        collection.place(&self.shared, queued);
        Ok(submission)
    }

    /// Bytes that were submitted and are not settled.
    #[must_use]
    pub fn in_flight_bytes(&self) -> usize {
        self.shared.flight.bytes()
    }

    /// What is not well, one line for each shard.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let mut troubles: Vec<_> = self.shared.troubles.lock().values().cloned().collect();
        troubles.sort();
        troubles
    }

    fn collection(&self, name: &str) -> Arc<Collection> {
        let mut collections = self.shared.collections.lock();
        collections.entry(name.to_owned()).or_insert_with(|| Arc::new(Collection::new(name))).clone()
    }
}

impl Shared {
    /// Forgets a collection that is not there any more.
    fn forget(&self, collection: &Arc<Collection>) {
        let mut collections = self.collections.lock();
        if collections.get(collection.name()).is_some_and(|known| Arc::ptr_eq(known, collection)) {
            collections.remove(collection.name());
        }
    }

    fn set_trouble(&self, subject: &str, trouble: Option<String>) {
        let mut troubles = self.troubles.lock();
        match trouble {
            Some(trouble) => troubles.insert(subject.to_owned(), trouble),
            None => troubles.remove(subject),
        };
    }
}
