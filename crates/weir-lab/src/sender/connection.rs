//! One connection: its blocks, its socket, its share of the run, and the loop of its thread.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use weir_codec::synth::TimeText;

use super::block::{Block, BlockForm, make_blocks};
use super::lines::Lines;
use super::link::{Link, LinkKind, Sent};
use super::options::SendOptions;
use super::pace::Pace;
use super::report::{ConnectionReport, Progress};
use crate::measure;

/// A stopped or expired stream gets this long to finish the line it is in, so that the peer sees no torn one.
const LAST_LINE_GRACE: Duration = Duration::from_secs(1);
const BACK_OFF_FIRST: Duration = Duration::from_millis(10);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);
/// Sleeps are cut to this, so that a stop is seen soon.
const SLEEP_MAX: Duration = Duration::from_millis(50);

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A connected sender, ready to run.
pub(super) struct Connection<'a> {
    blocks: Vec<Block>,
    route: Route<'a>,
    /// Events this connection may send.
    events_max: u64,
    pace: Option<Pace>,
    report: ConnectionReport,
    clock: TimeText,
}

/// The socket and what decides about it, apart from the blocks that go through it.
struct Route<'a> {
    options: &'a SendOptions,
    address: Option<SocketAddr>,
    progress: &'a Progress,
    link: Link,
    connected: bool,
}

/// Why sending stops within a chunk.
enum End {
    /// A limit or a stop.
    Over,
    /// The peer.
    Failed(io::Error),
}

impl<'a> Connection<'a> {
    /// Connects and makes the blocks of connection `index`.
    pub(super) fn prepare(
        index: usize,
        options: &'a SendOptions,
        address: Option<SocketAddr>,
        lines: &Lines,
        progress: &'a Progress,
    ) -> io::Result<Self> {
        let link = connect(options, address, &|| !progress.is_stopped())?;
        let mut route = Route { options, address, progress, link, connected: false };
        route.set_connected(true);
        let producer = options.stamp.map_or(0, |stamp| stamp.first_producer) + index as u16;
        let form = BlockForm {
            framing: (route.link.kind() == LinkKind::Stream).then_some(options.framing),
            line_time: options.line_time,
            stamp: options.stamp,
            producer,
            connections: options.connections,
        };
        let connections = options.connections as u64;
        // The first ones take what does not divide, as they do with the lines of a file.
        let share = |events: u64| events / connections + u64::from((index as u64) < events % connections);
        Ok(Self {
            blocks: make_blocks(lines.of_connection(index, options.connections), &form),
            route,
            events_max: options.limit.events.map_or(u64::MAX, share),
            pace: options.events_per_second.map(|rate| Pace::new(rate / connections as f64)),
            report: ConnectionReport {
                producer: options.stamp.map(|_| producer),
                first_sequence: options.stamp.map_or(0, |stamp| stamp.first_sequence),
                ..ConnectionReport::default()
            },
            clock: TimeText::new(),
        })
    }

    /// The whole life of the thread.
    pub(super) fn run(mut self, start: Instant) -> ConnectionReport {
        let cpu = measure::this_thread();
        let (mut block, mut line) = (0, 0);
        while self.report.events < self.events_max && !self.route.is_over(start) {
            let left = self.events_max - self.report.events;
            let lines_left = self.blocks[block].len() - line;
            let count = self.due(start).min(left).min(lines_left as u64) as usize;
            if count == 0 {
                self.wait(start);
                continue;
            }
            let (sent, end) = self.send_lines(block, line..line + count, start);
            line += sent;
            if line == self.blocks[block].len() {
                (block, line) = ((block + 1) % self.blocks.len(), 0);
            }
            match end {
                None => {}
                Some(End::Over) => break,
                Some(End::Failed(error)) => match self.route.recover(error, start) {
                    Ok(()) => self.report.reconnects += 1,
                    Err(error) => {
                        let (target, events) = (&self.route.options.target, self.report.events);
                        self.report.error = Some(format!("{target} went away after {events} events: {error}"));
                        break;
                    }
                },
            }
        }
        self.route.link.finish();
        self.route.set_connected(false);
        self.report.cpu_seconds = measure::this_thread().since(&cpu).total_seconds();
        self.report
    }

    /// How many lines may go out now.
    fn due(&mut self, start: Instant) -> u64 {
        let Some(pace) = &mut self.pace else {
            return u64::MAX;
        };
        let skipped = pace.skipped();
        let due = pace.due(start.elapsed());
        if pace.skipped() > skipped {
            self.route.progress.skipped.fetch_add(pace.skipped() - skipped, Relaxed);
        }
        due
    }

    fn wait(&self, start: Instant) {
        let elapsed = start.elapsed();
        let wait = self.pace.as_ref().map_or(Duration::ZERO, |pace| pace.wait(elapsed));
        let left = self.route.options.limit.duration.map_or(SLEEP_MAX, |limit| limit.saturating_sub(elapsed));
        thread::sleep(wait.min(left).min(SLEEP_MAX));
    }

    /// Refreshes `lines` of a block and sends them. Returns how many went out whole, and why not all did.
    fn send_lines(&mut self, block: usize, lines: Range<usize>, start: Instant) -> (usize, Option<End>) {
        let block = &mut self.blocks[block];
        // Sequence numbers start over after the last one; a run never gets there.
        let sequence = self.report.first_sequence.wrapping_add(self.report.events);
        block.refresh(lines.clone(), sequence, now_ms(), &mut self.clock);
        let (sent, end) = match self.route.link.kind() {
            LinkKind::Stream => self.route.send_stream(block, lines.clone(), start),
            LinkKind::Udp | LinkKind::UnixDatagram => self.route.send_datagrams(block, lines.clone(), start),
        };
        let bytes = block.frames(lines.start..lines.start + sent).len() as u64;
        self.report.events += sent as u64;
        self.report.bytes += bytes;
        self.route.progress.events.fetch_add(sent as u64, Relaxed);
        self.route.progress.bytes.fetch_add(bytes, Relaxed);
        if let Some(pace) = &mut self.pace {
            pace.sent(sent as u64);
        }
        (sent, end)
    }
}

impl Route<'_> {
    fn is_over(&self, start: Instant) -> bool {
        self.progress.is_stopped() || self.options.limit.duration.is_some_and(|limit| start.elapsed() >= limit)
    }

    fn set_connected(&mut self, connected: bool) {
        match (self.connected, connected) {
            (false, true) => self.progress.connected.fetch_add(1, Relaxed),
            (true, false) => self.progress.connected.fetch_sub(1, Relaxed),
            _ => 0,
        };
        self.connected = connected;
    }

    /// Writes all frames of `lines`; when the run is over before that, no more than the line begun.
    fn send_stream(&mut self, block: &Block, mut lines: Range<usize>, start: Instant) -> (usize, Option<End>) {
        let mut written = 0;
        let mut deadline: Option<Instant> = None;
        while written < block.frames(lines.clone()).len() {
            match self.link.send(block, lines.clone(), written) {
                Ok(Sent::Bytes(bytes)) => written += bytes,
                Ok(_) => {}
                Err(error) => {
                    return (block.whole_frames(lines, written), Some(End::Failed(error)));
                }
            }
            match deadline {
                None if self.is_over(start) => {
                    deadline = Some(Instant::now() + LAST_LINE_GRACE);
                    let whole = lines.start + block.whole_frames(lines.clone(), written);
                    let line_is_begun = block.frames(lines.start..whole).len() < written;
                    lines.end = whole + usize::from(line_is_begun);
                }
                Some(deadline) if Instant::now() >= deadline => {
                    return (block.whole_frames(lines, written), Some(End::Over));
                }
                _ => {}
            }
        }
        (lines.len(), deadline.map(|_| End::Over))
    }

    /// Sends `lines` as datagrams; stops between two calls when the run is over.
    fn send_datagrams(&mut self, block: &Block, lines: Range<usize>, start: Instant) -> (usize, Option<End>) {
        let mut at = lines.start;
        while at < lines.end {
            match self.link.send(block, at..lines.end, 0) {
                Ok(Sent::Datagrams(count)) => at += count,
                Ok(Sent::Refused) => {
                    self.progress.refused.fetch_add(1, Relaxed);
                }
                Ok(_) => {}
                Err(error) => return (at - lines.start, Some(End::Failed(error))),
            }
            if at < lines.end && self.is_over(start) {
                return (at - lines.start, Some(End::Over));
            }
        }
        (lines.len(), None)
    }

    /// Connects anew after `error`, if that is wanted; otherwise, or after too long, the error comes back.
    fn recover(&mut self, error: io::Error, start: Instant) -> io::Result<()> {
        self.set_connected(false);
        if self.options.reconnect.is_none() {
            return Err(error);
        }
        let link = connect(self.options, self.address, &|| !self.is_over(start))?;
        if link.kind() != self.link.kind() {
            let text = "the socket there is of the other type now";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        self.link = link;
        self.set_connected(true);
        self.progress.reconnects.fetch_add(1, Relaxed);
        Ok(())
    }
}

/// Connects, again and again with back-off if the options ask for that and `is_wanted` still says so.
fn connect(options: &SendOptions, address: Option<SocketAddr>, is_wanted: &dyn Fn() -> bool) -> io::Result<Link> {
    let begin = Instant::now();
    let mut back_off = BACK_OFF_FIRST;
    loop {
        let error = match Link::connect(&options.target, address) {
            Ok(link) => return Ok(link),
            Err(error) => error,
        };
        let may_go_on = options.reconnect.is_some_and(|reconnect| begin.elapsed() < reconnect.give_up_after);
        if !may_go_on {
            return Err(error);
        }
        let again = Instant::now() + back_off;
        while Instant::now() < again {
            if !is_wanted() {
                return Err(error);
            }
            thread::sleep(again.saturating_duration_since(Instant::now()).min(SLEEP_MAX));
        }
        back_off = (back_off * 2).min(BACK_OFF_MAX);
    }
}
