//! Collections by time: made when the first event for them comes, in the alias, deleted when their time is over.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use weir_solr::{Client, RequestError};

use super::place::Places;

/// How often it is looked for collections whose time is over.
const SWEEP_INTERVAL: Duration = Duration::from_secs(600);

/// How collections are made.
#[derive(Clone, Debug)]
pub(super) struct CreateSpec {
    pub(super) config_set: String,
    pub(super) shards: u64,
    pub(super) replicas: u64,
    pub(super) alias: Option<String>,
}

/// Makes, aliases and deletes collections.
#[derive(Debug)]
pub(super) struct Upkeep {
    client: Client,
    spec: CreateSpec,
    places: Places,
    swept: Option<Instant>,
}

impl Upkeep {
    pub(super) fn new(client: Client, spec: CreateSpec, places: Places) -> Self {
        Self { client, spec, places, swept: None }
    }

    /// Makes a collection that is not there, and puts it into the alias.
    ///
    /// # Errors
    /// [`RequestError`]; doing it again does no harm, nor does another agent that does it too.
    pub(super) async fn make(&mut self, name: &str) -> Result<(), RequestError> {
        let CreateSpec { config_set, shards, replicas, .. } = &self.spec;
        let path = format!(
            "/admin/collections?action=CREATE&name={name}&numShards={shards}&replicationFactor={replicas}&collection.configName={config_set}&waitForFinalState=true&wt=json"
        );
        match self.client.get_patiently(&path).await {
            Err(RequestError::Refused { status: 400, message, .. }) if message.contains("already exists") => {}
            other => drop(other?),
        }
        tracing::info!(collection = name, config_set, shards, replicas, "collection made");
        self.sweep(Timestamp::now()).await
    }

    /// Whether [`Upkeep::sweep`] should be called.
    pub(super) fn is_due(&self) -> bool {
        self.places.is_timed() && self.swept.is_none_or(|at| at.elapsed() >= SWEEP_INTERVAL)
    }

    /// Brings the alias up to date and deletes collections whose time is over.
    ///
    /// # Errors
    /// [`RequestError`]; what was not done is done the next time.
    pub(super) async fn sweep(&mut self, now: Timestamp) -> Result<(), RequestError> {
        self.swept = Some(Instant::now());
        if !self.places.is_timed() {
            return Ok(());
        }
        let state = self.client.cluster_state(None).await?;
        let mut ours: Vec<&str> = state.collections.keys().map(String::as_str).collect();
        ours.retain(|name| self.places.time_of(name).is_some());
        let expired = self.places.expired(ours.iter().copied(), now);
        ours.retain(|name| !expired.iter().any(|old| old == name));
        // The newest first: what is written to the alias goes there.
        ours.reverse();
        if let Some(alias) = &self.spec.alias
            && !ours.is_empty()
            && state.aliases.get(alias).is_none_or(|members| *members != ours)
        {
            let members = ours.join(",");
            let path = format!("/admin/collections?action=CREATEALIAS&name={alias}&collections={members}&wt=json");
            self.client.get_patiently(&path).await?;
        }
        for name in expired {
            self.client.get_patiently(&format!("/admin/collections?action=DELETE&name={name}&wt=json")).await?;
            tracing::info!(collection = name, "collection deleted: its time is over");
        }
        Ok(())
    }
}
