//! Who waits for a server: what is said to them, and whether they still wait.

use std::fmt;

use crate::{StartError, Unavailable, report};

/// What a start says meanwhile, and how it learns that nobody waits for it any more.
///
/// Both functions are called from the thread that starts the server, several times a second; neither may block for long.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    say: &'a dyn Fn(&str),
    is_cancelled: &'a dyn Fn() -> bool,
}

impl<'a> Watch<'a> {
    /// `say` gets a line now and then; once `is_cancelled` is true, what is under way ends within some seconds and
    /// leaves nothing behind.
    #[must_use]
    pub fn new(say: &'a dyn Fn(&str), is_cancelled: &'a dyn Fn() -> bool) -> Self {
        Self { say, is_cancelled }
    }

    /// Lines go to standard error, and nobody cancels: for tests.
    #[must_use]
    pub fn patient() -> Watch<'static> {
        Watch { say: &report, is_cancelled: &|| false }
    }

    pub(crate) fn say(&self, line: &str) {
        (self.say)(line);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        (self.is_cancelled)()
    }

    /// `missing`, or that it is missing because it was cancelled.
    pub(crate) fn outcome(&self, missing: Unavailable) -> StartError {
        if self.is_cancelled() { StartError::Cancelled } else { missing.into() }
    }
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Watch").field("is_cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}
