//! Receipts: what a source waits for before it answers its peer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use thiserror::Error;

/// Why a channel could not keep a batch that it had taken.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("channel {channel} lost hold of a batch before it was durable: {reason}")]
pub struct ReceiptFailure {
    /// Name of the channel.
    pub channel: String,
    /// What the channel said.
    pub reason: String,
}

type OnSettled = Box<dyn FnOnce(&Result<(), ReceiptFailure>) + Send>;

#[derive(Default)]
struct State {
    pending: usize,
    failure: Option<ReceiptFailure>,
    waker: Option<Waker>,
    on_settled: Option<OnSettled>,
}

#[derive(Default)]
struct Cell {
    /// Guards the whole state; held for a few words' work.
    state: Mutex<State>,
    settled: Condvar,
}

/// Resolves when every required channel holds the batch at its promised durability. Dropping it forgets the wait,
/// not the batch. Cancel safe.
#[must_use = "a source that acknowledges its peer waits for the receipt first"]
pub struct Receipt {
    cell: Arc<Cell>,
}

/// The channel's side of a receipt. One ticket per append; [`ReceiptTicket::complete`] is called exactly once.
pub struct ReceiptTicket {
    cell: Option<Arc<Cell>>,
}

impl Receipt {
    /// A receipt that waits for nothing yet; it settles when every ticket taken from it is completed and
    /// [`Receipt::arm`] was called. `on_settled` runs on the thread of the last completion.
    pub fn new(on_settled: impl FnOnce(&Result<(), ReceiptFailure>) + Send + 'static) -> Self {
        let state = State { pending: 1, on_settled: Some(Box::new(on_settled)), ..State::default() };
        Self { cell: Arc::new(Cell { state: Mutex::new(state), settled: Condvar::new() }) }
    }

    /// A ticket for one more append.
    #[must_use]
    pub fn ticket(&self) -> ReceiptTicket {
        self.cell.state.lock().pending += 1;
        ReceiptTicket { cell: Some(self.cell.clone()) }
    }

    /// Says that no more tickets will be taken.
    pub fn arm(&self) {
        settle(&self.cell, Ok(()));
    }

    /// Whether the receipt is settled, without waiting.
    #[must_use]
    pub fn poll_settled(&self) -> Option<Result<(), ReceiptFailure>> {
        result(&self.cell.state.lock())
    }

    /// Blocks the thread until settled or `timeout` passed (`None`). For lanes that own their thread.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> Option<Result<(), ReceiptFailure>> {
        let deadline = Instant::now() + timeout;
        let mut state = self.cell.state.lock();
        while state.pending > 0 {
            if self.cell.settled.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        result(&state)
    }
}

fn result(state: &State) -> Option<Result<(), ReceiptFailure>> {
    (state.pending == 0).then(|| state.failure.clone().map_or(Ok(()), Err))
}

fn settle(cell: &Cell, outcome: Result<(), ReceiptFailure>) {
    let mut state = cell.state.lock();
    if let Err(failure) = outcome {
        state.failure.get_or_insert(failure);
    }
    if state.pending > 1 {
        state.pending -= 1;
        return;
    }
    // The last one. The ledger is brought up to date before anyone who waits can see the receipt settled; nobody else
    // can touch `pending` meanwhile, since no ticket is left.
    let outcome = state.failure.clone().map_or(Ok(()), Err);
    let on_settled = state.on_settled.take();
    drop(state);
    if let Some(on_settled) = on_settled {
        on_settled(&outcome);
    }
    let mut state = cell.state.lock();
    state.pending = 0;
    let waker = state.waker.take();
    drop(state);
    cell.settled.notify_all();
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Future for Receipt {
    type Output = Result<(), ReceiptFailure>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.cell.state.lock();
        match result(&state) {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl ReceiptTicket {
    /// Tells the receipt how the append ended.
    pub fn complete(mut self, outcome: Result<(), ReceiptFailure>) {
        if let Some(cell) = self.cell.take() {
            settle(&cell, outcome);
        }
    }

    /// Withdraws the ticket: the append did not happen, another will be made.
    pub fn cancel(mut self) {
        if let Some(cell) = self.cell.take() {
            settle(&cell, Ok(()));
        }
    }
}

impl Drop for ReceiptTicket {
    /// A ticket that was forgotten is a failure, never a success.
    fn drop(&mut self) {
        if let Some(cell) = self.cell.take() {
            settle(&cell, Err(ReceiptFailure { channel: "unknown".into(), reason: "the append was abandoned".into() }));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn failure() -> ReceiptFailure {
        ReceiptFailure { channel: "spool".into(), reason: "disk gone".into() }
    }

    /// Scenario: a batch goes to two channels; one completes, then the other.
    /// Guarantees: the receipt settles with the last of them, once, and a failure of either is its outcome.
    #[test]
    fn a_receipt_settles_with_its_last_channel() {
        let settled = Arc::new(AtomicU32::new(0));
        let count = settled.clone();
        let receipt = Receipt::new(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let (first, second) = (receipt.ticket(), receipt.ticket());
        receipt.arm();
        first.complete(Err(failure()));
        assert_eq!(receipt.poll_settled(), None);
        let waiter = std::thread::spawn(move || receipt.wait(Duration::from_secs(60)));
        second.complete(Ok(()));
        assert_eq!(waiter.join().expect("no panic"), Some(Err(failure())));
        assert_eq!(settled.load(Ordering::Relaxed), 1);
    }

    /// Scenario: a channel drops a ticket without completing it.
    /// Guarantees: that is a failure, not a success.
    #[test]
    fn a_forgotten_ticket_is_a_failure() {
        let receipt = Receipt::new(|_| {});
        drop(receipt.ticket());
        receipt.ticket().cancel();
        receipt.arm();
        assert!(receipt.poll_settled().is_some_and(|outcome| outcome.is_err()));
    }
}
