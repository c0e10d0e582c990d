//! The stop signal: tells lanes to end, and by when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

type OnStop = Box<dyn Fn() + Send>;

#[derive(Default)]
struct State {
    deadline: Option<Instant>,
    on_stop: Vec<OnStop>,
}

/// Cloneable; all clones are one signal. Given once: later calls only bring the deadline nearer.
#[derive(Clone, Default)]
pub struct StopSignal {
    /// Guards deadline and hooks.
    state: Arc<Mutex<State>>,
    notify: Arc<Notify>,
}

impl StopSignal {
    /// A signal that was not given.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the signal: whoever listens has until `grace` from now.
    pub fn give(&self, grace: Duration) {
        let mut state = self.state.lock();
        let deadline = Instant::now() + grace;
        state.deadline = Some(state.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        for hook in &state.on_stop {
            hook();
        }
        drop(state);
        self.notify.notify_waiters();
    }

    /// Whether the signal was given.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.state.lock().deadline.is_some()
    }

    /// Whether the signal was given and its time is over.
    #[must_use]
    pub fn is_past_deadline(&self) -> bool {
        self.deadline().is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// By when to have ended; `None` before the signal.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.state.lock().deadline
    }

    /// Calls `hook` when the signal is given, or at once if it was: for loops that sleep in the kernel. A hook only wakes
    /// somebody: it runs under the signal's lock, so asking the signal anything from it would wait for ever.
    pub fn on_stop(&self, hook: impl Fn() + Send + 'static) {
        let mut state = self.state.lock();
        if state.deadline.is_some() {
            hook();
        }
        state.on_stop.push(Box::new(hook));
    }

    /// Waits for the signal. Cancel safe.
    pub async fn given(&self) {
        loop {
            let notified = self.notify.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.is_given() {
                return;
            }
            notified.await;
        }
    }
}
