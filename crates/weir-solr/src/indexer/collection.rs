//! A collection: its state, and which shard a document goes to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Shared;
use super::shard::Shard;
use super::submission::Queued;
use crate::error::RequestError;
use crate::state::CollectionState;

/// A state of this age is not asked for again: many shards ask for it at the same moment when a node dies.
const STATE_AGE_MIN: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Collection {
    /// The name it was asked for by: possibly an alias.
    name: String,
    /// The last state and when it was asked for. Held for a copy.
    state: Mutex<Option<(Instant, Arc<CollectionState>)>>,
    /// One question at a time.
    asking: tokio::sync::Mutex<()>,
    /// By name. Held for a look-up.
    shards: Mutex<HashMap<String, Arc<Shard>>>,
}

impl Collection {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: Mutex::new(None),
            asking: tokio::sync::Mutex::default(),
            shards: Mutex::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The state as far as it is known.
    pub(super) fn state(&self) -> Option<Arc<CollectionState>> {
        self.state.lock().as_ref().map(|(_, state)| state.clone())
    }

    /// The state, not older than the options allow; an older one if nobody answers.
    pub(super) async fn known(&self, shared: &Shared) -> Result<Arc<CollectionState>, RequestError> {
        let known = self.state();
        match known {
            None => self.refresh(shared).await,
            Some(state) if self.is_younger_than(shared.options.state_age_max) => Ok(state),
            Some(state) => match self.refresh(shared).await {
                Err(RequestError::NoCollection { name }) => Err(RequestError::NoCollection { name }),
                outcome => Ok(outcome.unwrap_or(state)),
            },
        }
    }

    fn is_younger_than(&self, age: Duration) -> bool {
        self.state.lock().as_ref().is_some_and(|(at, _)| at.elapsed() < age)
    }

    /// Asks for the state unless that was done a moment ago.
    pub(super) async fn refresh(&self, shared: &Shared) -> Result<Arc<CollectionState>, RequestError> {
        let _turn = self.asking.lock().await;
        if let Some(state) = self.state().filter(|_| self.is_younger_than(STATE_AGE_MIN)) {
            return Ok(state);
        }
        let missing = || RequestError::NoCollection { name: self.name.clone() };
        let state = shared.client.cluster_state(Some(&self.name)).await;
        let found = state.and_then(|state| state.collection(&self.name).cloned().ok_or_else(missing)).map(Arc::new);
        match &found {
            Ok(state) => *self.state.lock() = Some((Instant::now(), state.clone())),
            // Whoever asks next learns it too, and may make it.
            Err(RequestError::NoCollection { .. }) => *self.state.lock() = None,
            Err(_) => {}
        }
        found
    }

    /// Puts documents into the queues of their shards, by the state that is known.
    pub(super) fn place(self: &Arc<Self>, shared: &Arc<Shared>, documents: Vec<Queued>) {
        let Some(state) = self.state() else { return };
        let mut parts: Vec<(&str, Vec<Queued>)> = Vec::new();
        for document in documents {
            // Without a rule any node takes it: one queue for all.
            let name = match state.is_routed_by_id {
                true => state.shard_of(document.hash).map_or("", |shard| shard.name.as_str()),
                false => "",
            };
            match parts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, part)) => part.push(document),
                None => parts.push((name, vec![document])),
            }
        }
        for (name, part) in parts {
            let shard = self.shard(shared, name);
            shard.push(part);
        }
    }

    fn shard(self: &Arc<Self>, shared: &Arc<Shared>, name: &str) -> Arc<Shard> {
        let mut shards = self.shards.lock();
        let make = || Arc::new(Shard::new(name, self.clone(), shared.clone()));
        shards.entry(name.to_owned()).or_insert_with(make).clone()
    }
}
