//! [`Faults`]: who counts what a client gets over by itself.

use std::fmt;
use std::sync::Arc;

/// Is told of each trouble that a client meets and gets over, by kind. Cheap to clone; the default tells nobody.
#[derive(Clone, Default)]
pub struct Faults(Option<Arc<dyn Fn(&'static str) + Send + Sync>>);

impl Faults {
    /// A DataNode failed and gets no new blocks for a while.
    pub const DATANODE_LEFT_OUT: &'static str = "DataNode left out";
    /// A block went on with the DataNodes that were left.
    pub const FEWER_COPIES: &'static str = "block goes on with fewer copies";
    /// The first transport failed several times in a row; the second one is used for a while.
    pub const FALL_BACK: &'static str = "other transport used";

    /// `count` is called on the client's threads, with no lock held; it must not block.
    #[must_use]
    pub fn new(count: impl Fn(&'static str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(count)))
    }

    pub(crate) fn count(&self, kind: &'static str) {
        if let Some(count) = &self.0 {
            count(kind);
        }
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Faults(counted)" } else { "Faults(not counted)" })
    }
}

/// The same if they tell the same.
impl PartialEq for Faults {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Faults {}
