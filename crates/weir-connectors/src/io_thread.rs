//! [`IoThread`]: where the client of a component runs.

use std::future::Future;
use std::io;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A thread with a tokio runtime of its own, for the tasks of one component's client: heartbeats and requests go on
/// while the lanes' threads are blocked in compression or by a full channel.
///
/// Dropping it cancels its tasks where they wait, and waits for the thread, which takes a moment. What is to be finished
/// must be before: tasks say so to whoever drops this.
#[derive(Debug)]
pub struct IoThread {
    handle: Handle,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl IoThread {
    /// Starts the thread; `name` is what tools show, of which Linux keeps 15 bytes.
    ///
    /// # Errors
    /// If the system gives no thread, or no descriptors for its runtime.
    pub fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Ends with an error when the sender is dropped, which is the signal.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Starts a task on the thread.
    pub fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(task)
    }

    /// Runs `task` on the thread and blocks the caller, which must be another thread, until it is done. `None` if the
    /// task panicked.
    pub fn wait_for<F>(&self, task: F) -> Option<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (done, result) = std::sync::mpsc::sync_channel(1);
        self.spawn(async move {
            // The caller waits until this is sent.
            let _ = done.send(task.await);
        });
        result.recv().ok()
    }

    /// The runtime, for what must be made inside of one.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for IoThread {
    fn drop(&mut self) {
        self.stop = None;
        let Some(thread) = self.thread.take() else { return };
        // A task that holds the last reference drops it on the thread itself, which cannot wait for its own end.
        if thread.thread().id() != std::thread::current().id() {
            // A panic in a task is that task's result; there is none here.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// Scenario: a task runs on the thread while its maker is blocked; then the thread is dropped with a task waiting.
    /// Guarantees: the first makes progress, the second is cancelled, and dropping returns.
    #[test]
    fn tasks_run_beside_a_blocked_owner_and_end_with_the_thread() {
        let io = IoThread::start("test-io").expect("a thread");
        let (sender, receiver) = mpsc::channel();
        let ticks = sender.clone();
        io.spawn(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            ticks.send("tick").expect("listened to");
        });
        assert_eq!(receiver.recv_timeout(Duration::from_secs(30)), Ok("tick"));
        assert_eq!(io.wait_for(async { 7 }), Some(7));
        io.spawn(async move {
            let _kept = sender;
            std::future::pending::<()>().await;
        });
        drop(io);
        assert_eq!(receiver.recv(), Err(mpsc::RecvError), "the waiting task is gone");
    }
}
