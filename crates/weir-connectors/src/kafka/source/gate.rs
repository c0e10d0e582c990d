//! Gates: whether a lane may begin work of a partition.

use parking_lot::Mutex;

/// Between the driver, which opens and closes it, and the lane that owns the partition, which closes it when it fails.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Held for a few words' work.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Work of other epochs is of the past. 0 is none: the gate is closed.
    epoch: u64,
    /// Pieces of work of this epoch that were begun; each is reported once.
    begun: u64,
}

impl Gate {
    /// Lets work of `epoch` in, and no other. Epochs are never used again.
    pub(super) fn open(&self, epoch: u64) {
        *self.state.lock() = State { epoch, begun: 0 };
    }

    /// Lets nothing more in; how many pieces of work were begun, whose reports came or will come.
    pub(super) fn close(&self) -> u64 {
        let mut state = self.state.lock();
        state.epoch = 0;
        state.begun
    }

    /// Whether a piece of work of `epoch` may be begun; then it is, and must be reported.
    pub(super) fn begin(&self, epoch: u64) -> bool {
        let mut state = self.state.lock();
        let is_current = state.epoch == epoch;
        state.begun += u64::from(is_current);
        is_current
    }
}
