//! Waiting for an event instead of for the clock.

use std::time::{Duration, Instant};

/// How long a condition may take on a machine that is busy with everything else.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Looks every few milliseconds until `condition` holds.
///
/// # Panics
/// After [`PATIENCE`], naming `what` was waited for.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for: {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}
