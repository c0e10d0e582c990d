//! What a run did, during and after.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use serde::Serialize;

use crate::account::Sequences;

/// Counters of a run, readable while it runs, and the way to stop it. Written about once per system call.
#[derive(Debug, Default)]
pub struct Progress {
    pub(super) events: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) skipped: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) reconnects: AtomicU64,
    pub(super) connected: AtomicU64,
    stop: AtomicBool,
}

impl Progress {
    /// All zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the run; [`super::send`] returns within about 100 ms. Callable from any thread and from a signal handler.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// Whether [`Progress::stop`] was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// Events handed to the kernel whole.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events.load(Relaxed)
    }

    /// Bytes of those events, framing included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Events that were due but dropped, because sending was more than a second behind its rate.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Relaxed)
    }

    /// Times that UDP said nobody listens.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Connections made anew after the peer went away.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.reconnects.load(Relaxed)
    }

    /// Connections that are up now.
    #[must_use]
    pub fn connected(&self) -> u64 {
        self.connected.load(Relaxed)
    }
}

/// What a run did.
#[derive(Clone, Debug, Serialize)]
pub struct SendReport {
    /// The peer, as given.
    pub target: String,
    /// Events handed to the kernel whole.
    pub events: u64,
    /// Bytes of those events, framing included.
    pub bytes: u64,
    /// From the start of sending to the end of the last connection.
    pub seconds: f64,
    /// `events / seconds`.
    pub events_per_second: f64,
    /// CPU time of the sending threads, user and system; making the blocks not included.
    pub cpu_seconds: f64,
    /// The same per million events; 0 without events.
    pub cpu_seconds_per_million: f64,
    /// Events due but dropped, because sending was more than a second behind its rate.
    pub skipped: u64,
    /// Times that UDP said nobody listens.
    pub refused: u64,
    /// Each connection by itself.
    pub connections: Vec<ConnectionReport>,
    /// The errors of the connections that did not reach the end, with the peer's name.
    pub errors: Vec<String>,
}

impl SendReport {
    /// The stamps that went out: what a phantom is not among. Empty without stamps.
    #[must_use]
    pub fn sequences(&self) -> Sequences {
        let mut sequences = Sequences::new();
        for connection in &self.connections {
            if let (Some(producer), Some(last)) = (connection.producer, connection.events.checked_sub(1)) {
                sequences.add_range(
                    producer,
                    connection.first_sequence,
                    connection.first_sequence.saturating_add(last),
                );
            }
        }
        sequences
    }
}

/// What one connection did.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct ConnectionReport {
    /// Its producer id, with stamps.
    pub producer: Option<u16>,
    /// Its first sequence number; the following events have the following ones.
    pub first_sequence: u64,
    /// Events handed to the kernel whole. Without `reconnects` and `error` the peer has got them or will.
    pub events: u64,
    /// Bytes of those events.
    pub bytes: u64,
    /// CPU time of its thread.
    pub cpu_seconds: f64,
    /// Times it was connected anew. What was in the sockets before may be lost.
    pub reconnects: u64,
    /// Why it ended early.
    pub error: Option<String>,
}
