//! The option `rate`: not more than so many events a second, over all lanes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Pieces per second into which batches are cut: 50 ms are too short to notice, and 20 appends a second cost nothing.
const PIECES_PER_SECOND: f64 = 20.0;

/// Tells lanes how long to wait. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    events_per_second: f64,
    /// When the next piece may go. Held for a few words' work.
    next: Arc<Mutex<Instant>>,
}

impl Pace {
    pub(super) fn new(events_per_second: f64) -> Self {
        Self { events_per_second, next: Arc::new(Mutex::new(Instant::now())) }
    }

    /// Most events of a piece.
    pub(super) fn piece_events(&self) -> usize {
        (self.events_per_second / PIECES_PER_SECOND).max(1.0) as usize
    }

    /// Takes the turn of `events` events; when it comes. Time that passed unused gives no right to a burst.
    pub(super) fn turn(&self, events: usize, now: Instant) -> Instant {
        let mut next = self.next.lock();
        let at = (*next).max(now);
        *next = at + Duration::from_secs_f64(events as f64 / self.events_per_second);
        at
    }
}
