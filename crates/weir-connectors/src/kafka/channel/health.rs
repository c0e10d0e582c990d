//! [`Troubles`]: what is not well with a channel, for people.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// Troubles that last, by what they are about; each is there until it is over.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    /// Held for one map operation.
    known: Mutex<BTreeMap<String, String>>,
}

impl Troubles {
    /// Says what is wrong with `about`; whether that is news.
    pub(super) fn set(&self, about: &str, trouble: String) -> bool {
        self.known.lock().insert(about.to_owned(), trouble).is_none()
    }

    /// `about` is well again; whether it was not.
    pub(super) fn clear(&self, about: &str) -> bool {
        self.known.lock().remove(about).is_some()
    }

    /// All of them.
    pub(super) fn list(&self) -> Vec<String> {
        self.known.lock().values().cloned().collect()
    }
}
