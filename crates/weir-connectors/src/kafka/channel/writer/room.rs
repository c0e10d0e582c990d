//! [`Room`]: the bound on bytes in flight.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// What a lane finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Entrance {
    Open,
    /// Nothing goes in now.
    Shut,
    /// Nothing goes in any more.
    Closed,
}

/// Counts bytes that were taken and not settled, and makes lanes wait.
#[derive(Debug)]
pub(in super::super) struct Room {
    limit_bytes: usize,
    /// Held for a few words' work.
    state: Mutex<State>,
    /// Told when there is room, or nothing left, or the end.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    bytes: usize,
    /// Whether the topic is known.
    is_ready: bool,
    is_closed: bool,
    /// When something settled, or the first came in.
    progress: Instant,
}

/// Bytes in flight; gives them back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    room: Arc<Room>,
    bytes: usize,
}

impl Room {
    pub(in super::super) fn new(limit_bytes: usize) -> Arc<Self> {
        let state = State { bytes: 0, is_ready: false, is_closed: false, progress: Instant::now() };
        Arc::new(Self { limit_bytes, state: Mutex::new(state), changed: Condvar::new() })
    }

    /// Lets lanes in from now on.
    pub(in super::super) fn open(&self) {
        self.state.lock().is_ready = true;
        self.changed.notify_all();
    }

    /// Lets nobody in any more.
    pub(in super::super) fn close(&self) {
        self.state.lock().is_closed = true;
        self.changed.notify_all();
    }

    pub(in super::super) fn entrance(&self) -> Entrance {
        self.entrance_of(&self.state.lock())
    }

    fn entrance_of(&self, state: &State) -> Entrance {
        match state {
            State { is_closed: true, .. } => Entrance::Closed,
            State { is_ready: true, bytes, .. } if *bytes < self.limit_bytes => Entrance::Open,
            _ => Entrance::Shut,
        }
    }

    /// Blocks until there is room (or the end, of which the next append hears) or `timeout` passed.
    pub(in super::super) fn wait(&self, timeout: Duration) -> bool {
        self.wait_until(timeout, |state| self.entrance_of(state) != Entrance::Shut)
    }

    /// Blocks until nothing is in flight or `timeout` passed.
    pub(in super::super) fn wait_until_empty(&self, timeout: Duration) -> bool {
        self.wait_until(timeout, |state| state.bytes == 0)
    }

    fn wait_until(&self, timeout: Duration, is_so: impl Fn(&State) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.state.lock();
        while !is_so(&state) {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return is_so(&state);
            }
        }
        true
    }

    /// Takes `bytes` in, whatever there is: who asked for room before may be over the limit by a batch.
    pub(super) fn hold(self: &Arc<Self>, bytes: usize) -> Held {
        let mut state = self.state.lock();
        if state.bytes == 0 {
            state.progress = Instant::now();
        }
        state.bytes += bytes;
        drop(state);
        Held { room: self.clone(), bytes }
    }

    /// Bytes in flight.
    pub(in super::super) fn bytes(&self) -> usize {
        self.state.lock().bytes
    }

    pub(in super::super) fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// For how long something has been in flight and nothing was settled.
    pub(in super::super) fn stuck_for(&self) -> Option<Duration> {
        let state = self.state.lock();
        (state.bytes > 0).then(|| state.progress.elapsed())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.room.state.lock();
        state.bytes -= self.bytes;
        state.progress = Instant::now();
        drop(state);
        self.room.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: nothing is known yet; then batches come in up to the limit and over it; one settles; the end.
    /// Guarantees: lanes wait in the first and third case and are let in otherwise, or told of the end.
    #[test]
    fn lanes_wait_for_room() {
        let room = Room::new(100);
        assert_eq!((room.entrance(), room.wait(Duration::ZERO)), (Entrance::Shut, false));
        room.open();
        let first = room.hold(60);
        assert_eq!((room.entrance(), room.stuck_for().is_some()), (Entrance::Open, true));
        let second = room.hold(60);
        assert_eq!((room.entrance(), room.bytes(), room.wait(Duration::ZERO)), (Entrance::Shut, 120, false));
        let waiter = { room.clone() };
        let waiter = std::thread::spawn(move || waiter.wait(Duration::from_secs(60)));
        drop(first);
        assert!(waiter.join().expect("no panic"));
        assert!(!room.wait_until_empty(Duration::ZERO));
        drop(second);
        assert_eq!((room.wait_until_empty(Duration::ZERO), room.stuck_for()), (true, None));
        room.close();
        assert_eq!((room.entrance(), room.wait(Duration::ZERO)), (Entrance::Closed, true));
    }
}
