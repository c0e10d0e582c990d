//! Collections by time: made when the first event for them comes, in the alias, deleted when their time is over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use weir_engine::ledger::Reasons;
use weir_solr::{Client, ClusterState, RequestError};

use super::place::{Expired, Places};

/// How often it is looked for collections whose time is over.
const SWEEP_INTERVAL: Duration = Duration::from_secs(600);
/// The same after it has failed.
const SWEEP_INTERVAL_FAILED: Duration = Duration::from_secs(30);

/// How collections are made.
#[derive(Clone, Debug)]
pub(super) struct CreateSpec {
    pub(super) config_set: String,
    pub(super) shards: u64,
    pub(super) replicas: u64,
    pub(super) alias: Option<String>,
    pub(super) collections_max: u64,
}

/// Makes, aliases and deletes collections.
#[derive(Debug)]
pub(super) struct Upkeep {
    client: Client,
    spec: CreateSpec,
    places: Places,
    faults: Arc<Reasons>,
    /// When to sweep again.
    due: Option<Instant>,
    /// The newest collection of the pattern at the last sweep.
    newest: Option<String>,
}

/// Why there is no collection.
#[derive(Debug)]
pub(super) enum NotMade {
    /// It may not be made, ever; why.
    TooMany(String),
    /// It could not be made now.
    Failed(RequestError),
}

impl From<RequestError> for NotMade {
    fn from(error: RequestError) -> Self {
        Self::Failed(error)
    }
}

impl Upkeep {
    pub(super) fn new(client: Client, spec: CreateSpec, places: Places, faults: Arc<Reasons>) -> Self {
        Self { client, spec, places, faults, due: None, newest: None }
    }

    /// The newest collection of the pattern, as far as it is known.
    pub(super) fn newest(&self) -> Option<&str> {
        self.newest.as_deref()
    }

    /// Makes a collection that is not there, and puts it into the alias.
    ///
    /// # Errors
    /// [`NotMade`]; doing it again does no harm, nor does another agent that does it too.
    pub(super) async fn make(&mut self, name: &str) -> Result<(), NotMade> {
        let CreateSpec { config_set, shards, replicas, collections_max, .. } = &self.spec;
        if self.places.time_of(name).is_some() {
            let count = self.ours(&self.client.cluster_state(None).await?).len();
            if count as u64 >= *collections_max {
                return Err(NotMade::TooMany(format!(
                    "collection {name} is not made: there are {count} of its pattern, and create.collections_max is {collections_max}"
                )));
            }
        }
        let path = format!(
            "/admin/collections?action=CREATE&name={name}&numShards={shards}&replicationFactor={replicas}&collection.configName={config_set}&waitForFinalState=true&wt=json"
        );
        match self.client.get_patiently(&path).await {
            Err(RequestError::Refused { status: 400, message, .. }) if message.contains("already exists") => {}
            other => drop(other?),
        }
        tracing::info!(collection = name, config_set, shards, replicas, "collection made");
        // It is there: what else was not done is done soon.
        if let Err(error) = self.sweep_but(Some(name), Timestamp::now()).await {
            tracing::warn!(collection = name, error = %error.chain(), "the alias and old collections were not looked after");
        }
        Ok(())
    }

    /// Whether [`Upkeep::sweep`] should be called.
    pub(super) fn is_due(&self) -> bool {
        self.places.is_timed() && self.due.is_none_or(|due| due <= Instant::now())
    }

    /// Brings the alias up to date and deletes collections whose time is over.
    ///
    /// # Errors
    /// The first [`RequestError`]; the rest was done all the same, and what was not done is done the next time.
    pub(super) async fn sweep(&mut self, now: Timestamp) -> Result<(), RequestError> {
        self.sweep_but(None, now).await
    }

    /// The same, but lets a collection be that was just made: who made it is about to use it.
    async fn sweep_but(&mut self, made: Option<&str>, now: Timestamp) -> Result<(), RequestError> {
        self.due = Some(Instant::now() + SWEEP_INTERVAL_FAILED);
        if self.places.is_timed() {
            let state = self.client.cluster_state(None).await?;
            self.put_in_order(&state, made, now).await?;
        }
        self.due = Some(Instant::now() + SWEEP_INTERVAL);
        Ok(())
    }

    async fn put_in_order(
        &mut self,
        state: &ClusterState,
        made: Option<&str>,
        now: Timestamp,
    ) -> Result<(), RequestError> {
        let mut ours = self.ours(state);
        self.newest = ours.last().map(|newest| (*newest).to_owned());
        let mut expired = match self.places.expired(&ours, now) {
            Expired::Over(names) => names,
            Expired::TooMany(count) => {
                self.faults.add("sweeps put off: is the clock right?", 1);
                tracing::warn!(
                    count,
                    newest = self.newest.as_deref(),
                    "the retention of all collections but one seems to be over: is the clock right? \
                     Nothing is deleted before there is one more"
                );
                Vec::new()
            }
        };
        expired.retain(|name| Some(*name) != made);
        ours.retain(|name| !expired.contains(name));
        // The newest first: what is written to the alias goes there.
        ours.reverse();
        let mut outcome = Ok(());
        if let Some(alias) = &self.spec.alias
            && !ours.is_empty()
            && state.aliases.get(alias).is_none_or(|members| *members != ours)
        {
            let members = ours.join(",");
            let path = format!("/admin/collections?action=CREATEALIAS&name={alias}&collections={members}&wt=json");
            outcome = self.client.get_patiently(&path).await.map(drop);
        }
        for name in expired {
            match self.client.get_patiently(&format!("/admin/collections?action=DELETE&name={name}&wt=json")).await {
                Ok(_) => tracing::info!(collection = name, "collection deleted: its time is over"),
                Err(error) => {
                    self.faults.add("collections not deleted", 1);
                    tracing::warn!(collection = name, error = %error.chain(), "a collection whose time is over was not deleted");
                    outcome = outcome.and(Err(error));
                }
            }
        }
        outcome
    }

    /// The collections of the pattern, the oldest first.
    fn ours<'a>(&self, state: &'a ClusterState) -> Vec<&'a str> {
        let names = state.collections.keys().map(String::as_str);
        names.filter(|name| self.places.time_of(name).is_some()).collect()
    }
}
