//! What a group and a lane of it know of each other.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};

use crate::delivery::DeliveryError;
use crate::seat::Seat;

/// One lane of a sink, for its group: which partitions are its own, and what became of its deliveries, whoever answered
/// for them. The default may have any partition.
#[derive(Debug, Default)]
pub struct LaneAccount {
    seat: Seat,
    /// Deliveries that came back.
    nacked: AtomicU64,
    /// Whether one of them needs a person.
    fatal: AtomicBool,
    /// Events of those that did not.
    settled: AtomicU64,
}

impl LaneAccount {
    /// With nothing in it.
    #[must_use]
    pub fn new(seat: Seat) -> Self {
        Self { seat, ..Self::default() }
    }

    pub(crate) fn seat(&self) -> Seat {
        self.seat
    }

    pub(crate) fn nacks(&self) -> u64 {
        self.nacked.load(Acquire)
    }

    pub(crate) fn settled_events(&self) -> u64 {
        self.settled.load(Acquire)
    }

    /// Whether a delivery that came back since the last call needs a person.
    pub(crate) fn take_fatal(&self) -> bool {
        self.fatal.swap(false, AcqRel)
    }

    pub(crate) fn nacked(&self, error: Option<&DeliveryError>) {
        if matches!(error, Some(DeliveryError::Fatal { .. })) {
            self.fatal.store(true, Release);
        }
        self.nacked.fetch_add(1, Release);
    }

    pub(crate) fn settled(&self, events: u64) {
        self.settled.fetch_add(events, Release);
    }
}
