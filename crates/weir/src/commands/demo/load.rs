//! The devices of the demo: senders in threads of this process.

use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use weir_codec::synth::SynthOptions;
use weir_lab::sender::{Input, Limit, LineTime, Progress, SendError, SendOptions, SendReport, StampOptions};
use weir_lab::{Sequences, Target};

use crate::exit::Failure;
use crate::text::grouped;

/// Share of the events that goes over UDP, if the rate is bounded.
const UDP_SHARE: f64 = 0.2;
/// UDP has no way to ask a sender to wait: flat out would only measure how much the kernel drops.
const UDP_RATE_UNLIMITED: f64 = 10_000.0;
const TCP_CONNECTIONS: usize = 2;

/// What to send.
pub(super) struct LoadOptions {
    /// Over all connections; `None`: as fast as the agent takes them.
    pub(super) events_per_second: Option<f64>,
    pub(super) duration: Option<Duration>,
    /// A file to replay instead of synthetic lines.
    pub(super) input: Option<PathBuf>,
}

/// What to send, and where.
pub(super) struct LoadTargets {
    tcp: SendOptions,
    udp: Option<SendOptions>,
}

impl LoadOptions {
    /// With the ports that the agent listens on.
    pub(super) fn to(&self, tcp_port: u16, udp_port: u16) -> LoadTargets {
        let rate = self.events_per_second;
        let mut tcp = self.options(&format!("tcp://127.0.0.1:{tcp_port}"), 1);
        tcp.connections = TCP_CONNECTIONS;
        tcp.events_per_second = rate.map(|rate| rate * (1.0 - UDP_SHARE));
        // Seed of the third connection: connections of one sender count up from theirs.
        let mut udp = self.options(&format!("udp://127.0.0.1:{udp_port}"), 1 + TCP_CONNECTIONS as u64);
        udp.events_per_second = Some(rate.map_or(UDP_RATE_UNLIMITED, |rate| rate * UDP_SHARE));
        LoadTargets { tcp, udp: Some(udp) }
    }

    /// Over TCP alone, which loses nothing on the way, each line with producer and sequence number, so that a reader can
    /// tell what is missing and what is there twice.
    pub(super) fn stamped(&self, tcp_port: u16) -> LoadTargets {
        let mut tcp = self.options(&format!("tcp://127.0.0.1:{tcp_port}"), 1);
        tcp.connections = TCP_CONNECTIONS;
        tcp.events_per_second = self.events_per_second;
        // No number twice in one folder: no event takes less than the nanosecond that a later run is later.
        let first_sequence = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as u64);
        tcp.stamp = Some(StampOptions { first_sequence, ..StampOptions::default() });
        LoadTargets { tcp, udp: None }
    }

    fn options(&self, target: &str, seed: u64) -> SendOptions {
        let mut options = SendOptions::new(Target::from_str(target).expect("it is written in the form that is parsed"));
        options.limit = Limit { events: None, duration: self.duration };
        // Stamps with milliseconds on every line, made when it is sent: so the age of an event can be measured.
        options.line_time = LineTime::Now;
        options.input = match &self.input {
            Some(path) => Input::File(path.clone()),
            None => Input::Synth { seed, options: SynthOptions { rfc5424_share: 1.0, ..SynthOptions::default() } },
        };
        options
    }
}

impl LoadTargets {
    pub(super) fn duration(&self) -> Option<Duration> {
        self.tcp.limit.duration
    }
}

/// What was sent.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Sent {
    /// Events over TCP, handed to the kernel whole.
    pub(super) tcp: u64,
    /// Events over UDP, handed to the kernel.
    pub(super) udp: u64,
    /// Events that were due but left out, since the agent did not take them in time.
    pub(super) skipped: u64,
    /// Why connections ended early.
    pub(super) errors: Vec<String>,
    /// The numbers of what was sent over TCP, if it was stamped.
    #[serde(skip)]
    pub(super) sequences: Sequences,
}

impl Sent {
    /// All of it.
    pub(super) fn total(&self) -> u64 {
        self.tcp + self.udp
    }

    /// Lines about what did not go as wished.
    pub(super) fn remarks(&self) -> String {
        let mut out = String::new();
        if self.skipped > 0 {
            let skipped = grouped(self.skipped);
            out.push_str(&format!(
                "{skipped} events were due but not sent: the senders were a second behind their rate\n"
            ));
        }
        for error in &self.errors {
            out.push_str(&format!("a sender ended early: {error}\n"));
        }
        out
    }
}

type Sender = JoinHandle<Result<SendReport, SendError>>;

/// Senders at work.
pub(super) struct Load {
    tcp: (Sender, Arc<Progress>),
    udp: Option<(Sender, Arc<Progress>)>,
}

impl Load {
    pub(super) fn start(targets: &LoadTargets) -> Result<Self, Failure> {
        let udp = targets.udp.as_ref().map(|options| start("demo-udp", options)).transpose()?;
        Ok(Self { tcp: start("demo-tcp", &targets.tcp)?, udp })
    }

    pub(super) fn is_finished(&self) -> bool {
        self.senders().all(|(thread, _)| thread.is_finished())
    }

    pub(super) fn sent_so_far(&self) -> u64 {
        self.senders().map(|(_, progress)| progress.events()).sum()
    }

    /// Stops sending; what was sent.
    pub(super) fn end(self) -> Result<Sent, Failure> {
        self.senders().for_each(|(_, progress)| progress.stop());
        // Both are joined before either may fail: no sender outlives the demo.
        let (tcp, udp) = (join(self.tcp.0), self.udp.map(|(thread, _)| join(thread)).transpose());
        let (tcp, udp) = (tcp?, udp?);
        let mut sent = Sent { tcp: tcp.events, sequences: tcp.sequences(), ..Sent::default() };
        for report in std::iter::once(tcp).chain(udp.clone()) {
            sent.skipped += report.skipped;
            sent.errors.extend(report.errors);
        }
        sent.udp = udp.map_or(0, |report| report.events);
        Ok(sent)
    }

    fn senders(&self) -> impl Iterator<Item = &(Sender, Arc<Progress>)> {
        std::iter::once(&self.tcp).chain(&self.udp)
    }
}

fn start(name: &str, options: &SendOptions) -> Result<(Sender, Arc<Progress>), Failure> {
    let progress = Arc::new(Progress::new());
    let (options, shared) = (options.clone(), progress.clone());
    let thread = std::thread::Builder::new().name(name.into()).spawn(move || weir_lab::send(&options, &shared));
    let thread = thread.map_err(|error| Failure::because("a sender did not start", &error))?;
    Ok((thread, progress))
}

fn join(sender: Sender) -> Result<SendReport, Failure> {
    let report = sender.join().map_err(|_| Failure::new("a sender ended by a panic: a fault of Weir"))?;
    report.map_err(|error| Failure::because("nothing was sent", &error))
}
