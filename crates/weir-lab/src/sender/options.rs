//! What to send, where, and how fast.

use std::path::PathBuf;
use std::time::Duration;

use weir_codec::synth::SynthOptions;

use super::target::Target;

/// A whole run of the sender.
#[derive(Clone, Debug)]
pub struct SendOptions {
    /// The peer.
    pub target: Target,
    /// Connections (or sending sockets), one thread each; 1..=1000.
    pub connections: usize,
    /// Events a second over all connections, above 0; `None`: as fast as the peer takes them.
    pub events_per_second: Option<f64>,
    /// When to stop by itself.
    pub limit: Limit,
    /// How lines are told apart on a stream; datagrams hold one line each.
    pub framing: Framing,
    /// Where the lines come from.
    pub input: Input,
    /// What the lines' own timestamps say.
    pub line_time: LineTime,
    /// Whether each line gets a stamp.
    pub stamp: Option<StampOptions>,
    /// What to do when the peer goes away; `None`: that connection ends with an error.
    pub reconnect: Option<ReconnectOptions>,
    /// Whether the target may be another machine than this one.
    pub allow_remote: bool,
}

impl SendOptions {
    /// One connection, flat out, synthetic lines of seed 1, newline framing, no stamps, until stopped.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self {
            target,
            connections: 1,
            events_per_second: None,
            limit: Limit::default(),
            framing: Framing::Newline,
            input: Input::Synth { seed: 1, options: SynthOptions::default() },
            line_time: LineTime::Now,
            stamp: None,
            reconnect: None,
            allow_remote: false,
        }
    }
}

/// When a run ends; what is reached first. Without either it runs until [`super::Progress::stop`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limit {
    /// After this many events over all connections.
    pub events: Option<u64>,
    /// After this time.
    pub duration: Option<Duration>,
}

/// How lines are told apart on a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Framing {
    /// Each line ends with a line feed.
    #[default]
    Newline,
    /// Each line follows its length in decimal and a space (RFC 6587).
    OctetCounted,
}

/// Where lines come from.
#[derive(Clone, Debug)]
pub enum Input {
    /// Synthetic lines; connection `i` has seed `seed + i`. About 15 000 lines per connection are made and repeated.
    Synth {
        /// Seed of the first connection.
        seed: u64,
        /// How they look.
        options: SynthOptions,
    },
    /// The lines of a file of at most 256 MiB, dealt out to the connections in turn and repeated; empty lines left out.
    File(PathBuf),
    /// Lines given; otherwise like a file.
    Lines(Vec<Vec<u8>>),
}

/// What the timestamp at the start of a line says when it is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LineTime {
    /// The time of sending, wherever a line starts with PRI and a timestamp in UTC of RFC 5424 with three or more
    /// digits of fraction, or with one of RFC 3164. Other lines stay as they are.
    #[default]
    Now,
    /// What it said before (synthetic lines: when the run was prepared).
    AsWritten,
}

/// How events are stamped. Connection `i` is producer `first_producer + i`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StampOptions {
    /// Producer id of the first connection.
    pub first_producer: u16,
    /// First sequence number of every producer.
    pub first_sequence: u64,
    /// Whether to add length and CRC of the message: 19 bytes more.
    pub check: bool,
}

/// How long a lost peer is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReconnectOptions {
    /// Attempts follow each other after 10 ms, doubling up to 1 s; after this time without success it is an error.
    pub give_up_after: Duration,
}
