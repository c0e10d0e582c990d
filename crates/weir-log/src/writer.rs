//! The writer thread: the loop around [`Core`], and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::core::Core;
use crate::errors::CloseError;
use crate::report::{Health, ReadOnlyReason};
use crate::shared::Shared;

/// Outcome of the thread: that of closing.
pub(crate) type Outcome = Result<(), CloseError>;

/// Starts the thread. It ends when the log is closed.
pub(crate) fn spawn(core: Core) -> std::io::Result<JoinHandle<Outcome>> {
    std::thread::Builder::new().name("weir-log".to_owned()).spawn(move || {
        let shared = core.shared.clone();
        // A panic in here is a fault of ours or of a completion; it must not leave senders waiting for ever.
        catch_unwind(AssertUnwindSafe(|| run(core))).unwrap_or_else(|_| {
            bury(&shared);
            Err(CloseError::WriterDied)
        })
    })
}

fn run(mut core: Core) -> Outcome {
    while !core.wait() {
        core.turn();
    }
    core.close()
}

/// Refuses appends from here on and fails those that wait; the core's own were failed when it was unwound.
fn bury(shared: &Arc<Shared>) {
    let queue = {
        let mut state = shared.state.lock();
        let detail = "the writer thread died: a fault of the program".to_owned();
        state.health = Health::ReadOnly { reason: ReadOnlyReason::WriteFailed { detail } };
        state.queued_bytes = 0;
        std::mem::take(&mut state.queue)
    };
    drop(queue);
    shared.announce();
}
