//! The line that says what the bench is doing, on standard error: rewritten in a terminal, once per run elsewhere.

use std::cell::RefCell;
use std::io::{IsTerminal as _, Write as _};

/// What is being done now.
pub(crate) struct Progress {
    rewrites: bool,
    doing: RefCell<String>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { rewrites: std::io::stderr().is_terminal(), doing: RefCell::default() }
    }

    /// Something new begins.
    pub(crate) fn begin(&self, doing: String) {
        self.put(&doing, if self.rewrites { "" } else { "\n" });
        *self.doing.borrow_mut() = doing;
    }

    /// How far it is.
    pub(crate) fn show(&self, events: u64, of: u64) {
        if self.rewrites {
            let (events, of) = (events as f64 / 1e6, of as f64 / 1e6);
            self.put(&format!("{}: {events:.1} of {of:.0} million events", self.doing.borrow()), "");
        }
    }

    /// Nothing is being done any more; the line is left empty.
    pub(crate) fn end(&self) {
        if self.rewrites {
            self.put("", "");
        }
    }

    fn put(&self, line: &str, end: &str) {
        let start = if self.rewrites { "\r\x1b[K" } else { "" };
        // Nobody reads a progress line that cannot be written.
        let _ = write!(std::io::stderr().lock(), "{start}{line}{end}");
    }
}
