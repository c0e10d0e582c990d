//! One sink of an agent per channel, folder and prefix.
//!
//! Two of them would each end the stays of the other for ever, and each take the other's finished files for its own.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, PoisonError};

use weir_engine::sink::SinkContext;
use weir_engine::source::StartError;

/// What a sink writes: agent, channel, folder, prefix.
type Key = (String, u64, String, String);

/// Of all sinks of this process that run. Held for one look.
static TAKEN: Mutex<BTreeSet<Key>> = Mutex::new(BTreeSet::new());

/// Its sink is the only one of its kind until this is dropped.
#[derive(Debug)]
pub(super) struct Alone(Key);

impl Alone {
    /// Fails if another sink of this agent takes events of the same channel to the same folder under the same prefix.
    pub(super) fn claim(context: &SinkContext, root: &str, prefix: &str) -> Result<Self, StartError> {
        let log = context.positions.first().map_or(0, |position| position.channel.log);
        let key = (context.agent.clone(), log, root.to_owned(), prefix.to_owned());
        if TAKEN.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone()) {
            return Ok(Self(key));
        }
        let message = format!(
            "sink {}: another sink writes events of the same channel below {root} with the prefix {prefix:?}: give each another prefix",
            context.name
        );
        Err(StartError::new(message, io::Error::from(io::ErrorKind::AddrInUse)))
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}
