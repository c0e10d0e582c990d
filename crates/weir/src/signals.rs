//! SIGTERM and SIGINT: the first stops in order, the second at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::exit::{Exit, Failure};

/// The signals of this process.
pub(crate) struct Signals {
    asked: Arc<AtomicBool>,
}

impl Signals {
    /// Catches the signals from now on.
    pub(crate) fn catch() -> Result<Self, Failure> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // In this order: the second signal finds the flag set by the first, and ends the process.
            signal_hook::flag::register_conditional_shutdown(signal, i32::from(Exit::Failure as u8), asked.clone())
                .and_then(|_| signal_hook::flag::register(signal, asked.clone()))
                .map_err(|error| Failure::because("signals cannot be caught", &error))?;
        }
        Ok(Self { asked })
    }

    /// Whether a signal came.
    pub(crate) fn stop_was_asked(&self) -> bool {
        self.asked.load(Relaxed)
    }

    /// Waits a while.
    pub(crate) fn wait(&self, at_most: Duration) {
        if !self.stop_was_asked() {
            std::thread::park_timeout(at_most);
        }
    }
}
