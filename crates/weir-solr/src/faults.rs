//! Whoever wants to count what goes wrong and is got over.

use std::fmt;
use std::sync::Arc;

use crate::error::{ErrorClass, RequestError};

/// Is told of each trouble that an indexer meets, by kind. Cheap to clone; the default tells nobody.
#[derive(Clone, Default)]
pub struct Faults(Option<Arc<dyn Fn(&'static str) + Send + Sync>>);

impl Faults {
    /// The server asked for less.
    pub const TOO_MANY_REQUESTS: &'static str = "requests answered 429";
    /// The server was busy, or its circuit breakers tripped.
    pub const BUSY: &'static str = "requests answered 503";
    /// Nobody answered in time.
    pub const UNANSWERED: &'static str = "requests not answered";
    /// Nobody led the shard.
    pub const NO_LEADER: &'static str = "requests without a leader";
    /// Documents were on fewer replicas than asked for.
    pub const REPLICAS: &'static str = "requests on too few replicas";
    /// The login was refused.
    pub const DENIED: &'static str = "requests not allowed";
    /// The schema, or everything that was sent, was refused.
    pub const REFUSED: &'static str = "requests refused whole";
    /// Anything else.
    pub const OTHER: &'static str = "requests failed otherwise";
    /// A request's documents were sent again.
    pub const SENT_AGAIN: &'static str = "requests sent again";

    /// `count` is called on the indexer's threads, with no lock held; it must not block.
    #[must_use]
    pub fn new(count: impl Fn(&'static str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(count)))
    }

    pub(crate) fn count(&self, kind: &'static str) {
        if let Some(count) = &self.0 {
            count(kind);
        }
    }

    /// The kind of a failure.
    pub(crate) fn kind(error: &RequestError) -> &'static str {
        match error {
            RequestError::Unanswered { .. } => Self::UNANSWERED,
            RequestError::NoLeader { .. } => Self::NO_LEADER,
            RequestError::Replicas { .. } => Self::REPLICAS,
            RequestError::Refused { status: 429, .. } => Self::TOO_MANY_REQUESTS,
            RequestError::Refused { status: 503, .. } => Self::BUSY,
            _ if error.class() == ErrorClass::Denied => Self::DENIED,
            _ if error.class() == ErrorClass::Documents => Self::REFUSED,
            _ => Self::OTHER,
        }
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Faults(counted)" } else { "Faults(not counted)" })
    }
}
