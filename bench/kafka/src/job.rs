//! What one client process is told to do, and what it says while it does it.
//!
//! ```text
//!   bench --argument: Job as JSON--> client process
//!         <--a line of JSON each: begin, progress, progress, ..., end--
//! ```
//!
//! Each run has a process of its own, so that CPU time is that of one client and nothing else, and no run inherits warm
//! memory or connections from the one before.

use std::error::Error;
use std::io::Write as _;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use weir_lab::measure::{self, CpuTime};

/// Whatever goes wrong in a bench ends it with its text.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Time between two progress messages.
const PROGRESS: Duration = Duration::from_millis(500);

/// Which client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Client {
    /// weir-kafka and the record batch codec.
    Weir,
    /// The C library through the crate `rdkafka`, a message at a time.
    Rdkafka,
    /// The C library by its own calls, a batch at a time.
    Librdkafka,
}

impl Client {
    /// As in the table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Weir => "weir",
            Self::Rdkafka => "rdkafka",
            Self::Librdkafka => "librdkafka, batch calls",
        }
    }
}

/// What to do with a topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    /// Send the events, batches to the partitions in turn, and wait until all are acknowledged.
    Produce {
        /// LZ4, or not compressed.
        lz4: bool,
        /// Acknowledged by all replicas and idempotent, or by the leader alone.
        acks_all: bool,
    },
    /// Read the events from the start, check the CRC of every batch and look at every event.
    Consume,
}

/// One run of one client.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    /// The client.
    pub(crate) client: Client,
    /// What it does.
    pub(crate) work: Work,
    /// `host:port` of the brokers, separated by commas.
    pub(crate) bootstrap: String,
    /// The topic.
    pub(crate) topic: String,
    /// How many events, a multiple of the batch size.
    pub(crate) events: u64,
}

/// What a client process prints, a line each.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Message {
    /// Lines are made, the topic is known: the clock runs from here.
    Begin,
    /// So many events were handed over or taken in.
    Progress(u64),
    /// All done.
    End(Figures),
}

/// What a run took.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Events sent and acknowledged, or received.
    pub(crate) events: u64,
    /// Bytes of their bodies.
    pub(crate) bytes: u64,
    /// Wall clock.
    pub(crate) seconds: f64,
    /// CPU of the client's process in that time, user and system, all threads.
    pub(crate) cpu_seconds: f64,
}

/// The clock of a run, in the client's process.
pub(crate) struct Stopwatch {
    started: Instant,
    cpu: CpuTime,
    said: Instant,
}

impl Stopwatch {
    /// Starts, and says so.
    pub(crate) fn start() -> Result<Self, Failure> {
        say(Message::Begin)?;
        let now = Instant::now();
        Ok(Self { started: now, cpu: measure::this_process(), said: now })
    }

    /// Says how far it is, twice a second at most. To be called per batch: reads the clock.
    pub(crate) fn progress(&mut self, events: u64) -> Result<(), Failure> {
        if self.said.elapsed() >= PROGRESS {
            self.said = Instant::now();
            say(Message::Progress(events))?;
        }
        Ok(())
    }

    /// Stops, and says what came out.
    pub(crate) fn stop(self, events: u64, bytes: u64) -> Result<(), Failure> {
        let seconds = self.started.elapsed().as_secs_f64();
        let cpu_seconds = measure::this_process().since(&self.cpu).total_seconds();
        say(Message::End(Figures { events, bytes, seconds, cpu_seconds }))
    }
}

fn say(message: Message) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(&message)?)?;
    out.flush()?;
    Ok(())
}
