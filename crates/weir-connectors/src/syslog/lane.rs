//! One lane: an event loop over its sockets, and the batch it fills.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use mio::{Events, Interest, Poll, Token, Waker};
use parking_lot::Mutex;
use socket2::SockRef;
use tracing::{debug, warn};
use weir_config::Address;
use weir_engine::outlet::Outlet;
use weir_engine::source::{Source, SourceError};
use weir_engine::stop::StopSignal;

use super::assembler::Assembler;
use super::config::SyslogSpec;
use super::connection::{Connection, Peer, Stream, Trouble, Turn};
use super::listen::{Listener, listener_token};
use super::socket::{DatagramBlock, kernel_drops};

/// Token of the waker; listeners follow, then connections.
pub(super) const WAKER: Token = Token(0);
/// First token of connections: no source has that many listeners.
const CONNECTIONS_FROM: usize = 1 << 16;
/// How often kernel drop counters and idle connections are looked at.
const CHORES_EVERY: Duration = Duration::from_secs(1);
/// Blocks of datagrams taken from one socket before others get their turn.
const BLOCKS_PER_TURN: usize = 16;

/// Most bytes read from one connection after the stop: the largest receive buffer Linux gives by itself (tcp_rmem) is 6 MiB.
const LAST_BYTES_MAX: usize = 8 << 20;

/// Where the accepting lane leaves connections for another.
pub(super) struct Inbox {
    /// Guards the newcomers; held for a push or a take.
    pub(super) arrived: Mutex<Vec<(Stream, Peer)>>,
    /// Connections of the lane, newcomers included.
    pub(super) connections: AtomicUsize,
    pub(super) waker: Arc<Waker>,
}

struct DatagramSocket {
    listener: Listener,
    address: String,
    drops_seen: u32,
}

/// A lane before and while it runs.
pub(super) struct Lane {
    name: String,
    spec: SyslogSpec,
    index: usize,
    poll: Poll,
    inboxes: Arc<[Inbox]>,
    listeners: BTreeMap<Token, Listener>,
    datagram_sockets: BTreeMap<Token, DatagramSocket>,
    connections: BTreeMap<Token, Connection>,
    /// Sockets that may have more, since readiness is told once only.
    ready: VecDeque<Token>,
    next_token: usize,
    block: Option<DatagramBlock>,
    assembler: Assembler,
    carried_bytes: usize,
}

impl Lane {
    pub(super) fn new(name: &str, spec: &SyslogSpec, index: usize, poll: Poll, inboxes: Arc<[Inbox]>) -> Self {
        Self {
            name: name.to_owned(),
            spec: spec.clone(),
            index,
            poll,
            inboxes,
            listeners: BTreeMap::new(),
            datagram_sockets: BTreeMap::new(),
            connections: BTreeMap::new(),
            ready: VecDeque::new(),
            next_token: CONNECTIONS_FROM,
            block: None,
            assembler: Assembler::new(spec),
            carried_bytes: 0,
        }
    }

    /// Gives the lane a socket, before it runs.
    pub(super) fn add(&mut self, mut listener: Listener, address: &Address) -> io::Result<()> {
        let token = listener_token(self.listeners.len() + self.datagram_sockets.len());
        let registry = self.poll.registry();
        match &mut listener {
            Listener::Tcp(socket) => registry.register(socket, token, Interest::READABLE)?,
            Listener::Unix(socket) => registry.register(socket, token, Interest::READABLE)?,
            Listener::Udp(socket) => registry.register(socket, token, Interest::READABLE)?,
            Listener::UnixDatagram(socket) => registry.register(socket, token, Interest::READABLE)?,
        }
        if matches!(listener, Listener::Tcp(_) | Listener::Unix(_)) {
            self.listeners.insert(token, listener);
        } else {
            self.block.get_or_insert_with(DatagramBlock::new);
            let address = address.to_string();
            self.datagram_sockets.insert(token, DatagramSocket { listener, address, drops_seen: 0 });
        }
        Ok(())
    }

    fn run_loop(&mut self, outlet: &mut Outlet, stop: &StopSignal) -> io::Result<()> {
        let waker = self.inboxes[self.index].waker.clone();
        stop.on_stop(move || {
            // A waker that cannot wake leaves the lane to its next timer.
            let _ = waker.wake();
        });
        let mut events = Events::with_capacity(1024);
        let mut chores_at = Instant::now() + CHORES_EVERY;
        while !stop.is_given() {
            let now = Instant::now();
            if now >= chores_at {
                self.chores(outlet, now);
                chores_at = now + CHORES_EVERY;
            }
            let timeout = self.timeout(now, chores_at);
            match self.poll.poll(&mut events, Some(timeout)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                if event.token() == WAKER {
                    self.take_newcomers(outlet);
                } else {
                    self.ready.push_back(event.token());
                }
            }
            // One turn each; who has more goes to the end of the line.
            for _ in 0..self.ready.len() {
                if let Some(token) = self.ready.pop_front() {
                    self.turn(token, outlet);
                }
            }
            self.send_if_due(outlet);
        }
        self.finish(outlet, stop.deadline());
        Ok(())
    }

    fn timeout(&self, now: Instant, chores_at: Instant) -> Duration {
        if !self.ready.is_empty() {
            return Duration::ZERO;
        }
        let due = self.assembler.opened_at().map(|opened| opened + self.spec.batch_delay);
        due.map_or(chores_at, |due| due.min(chores_at)).saturating_duration_since(now)
    }

    fn turn(&mut self, token: Token, outlet: &mut Outlet) {
        if token.0 >= CONNECTIONS_FROM {
            self.read_connection(token, outlet);
        } else if self.listeners.contains_key(&token) {
            self.accept(token, outlet);
        } else {
            self.read_datagrams(token, outlet);
        }
    }

    fn read_connection(&mut self, token: Token, outlet: &mut Outlet) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        let before = connection.carried_bytes();
        let mut turn = connection.read(&mut self.assembler, Instant::now());
        self.carried_bytes = self.carried_bytes + connection.carried_bytes() - before;
        if self.carried_bytes > self.spec.partial_bytes_max / self.spec.lanes && connection.carried_bytes() > before {
            outlet.ledger().faults.add("unfinished messages over partial_bytes_max", 1);
            self.carried_bytes -= connection.carried_bytes();
            connection.end(&mut self.assembler);
            turn = Turn::Closed;
        }
        match turn {
            Turn::More => self.ready.push_back(token),
            Turn::Dry => {}
            Turn::Closed => self.close(token, outlet),
            Turn::Broken(trouble) => {
                let peer = self.connections.get(&token).map(|connection| connection.peer.name.clone());
                let (kind, error) = match &trouble {
                    Trouble::Frame(error) => ("connection out of step", error.to_string()),
                    Trouble::Io(error) => ("connection failed", error.to_string()),
                };
                warn!(source = %self.name, peer = peer.unwrap_or_default(), %error, "{kind}: closed");
                outlet.ledger().faults.add(kind, 1);
                self.close(token, outlet);
            }
        }
        if self.assembler.is_full() {
            self.send(outlet);
        }
    }

    fn close(&mut self, token: Token, outlet: &Outlet) {
        if let Some(mut connection) = self.connections.remove(&token) {
            self.carried_bytes -= connection.carried_bytes();
            debug!(source = %self.name, peer = %connection.peer.name, "connection closed");
            // Dropping the socket deregisters it anyway.
            let _ = connection.stream.deregister(self.poll.registry());
            self.inboxes[self.index].connections.fetch_sub(1, Relaxed);
            outlet.ledger().connections.fetch_sub(1, Relaxed);
        }
    }

    fn accept(&mut self, token: Token, outlet: &Outlet) {
        loop {
            let accepted = match self.listeners.get(&token) {
                Some(Listener::Tcp(listener)) => listener.accept().map(|(stream, peer)| {
                    let peer = Peer { name: peer.to_string(), ip: Some(peer.ip().to_canonical()) };
                    (Stream::Tcp(stream), peer)
                }),
                Some(Listener::Unix(listener)) => {
                    listener.accept().map(|(stream, _)| (Stream::Unix(stream), Peer { name: "unix".into(), ip: None }))
                }
                _ => return,
            };
            match accepted {
                Ok((stream, peer)) => self.hand_over(stream, peer, outlet),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // Mostly out of file descriptors: the connection waits in the kernel; others go on.
                    warn!(source = %self.name, %error, "connection could not be accepted; raise the limit of open files");
                    outlet.ledger().faults.add("connection not accepted", 1);
                    return;
                }
            }
        }
    }

    /// Gives a new connection to the lane with the fewest.
    fn hand_over(&self, stream: Stream, peer: Peer, outlet: &Outlet) {
        let open = outlet.ledger().connections.load(Relaxed);
        if open >= self.spec.connections_max as u64 {
            warn!(source = %self.name, peer = %peer.name, connections_max = self.spec.connections_max, "connection refused: too many are open");
            outlet.ledger().faults.add("connection over connections_max", 1);
            return;
        }
        if let Stream::Tcp(stream) = &stream {
            // Finds devices that vanished; a failure to set it changes nothing else.
            let _ = SockRef::from(stream).set_keepalive(true);
        }
        let Some(inbox) = self.inboxes.iter().min_by_key(|inbox| inbox.connections.load(Relaxed)) else { return };
        inbox.connections.fetch_add(1, Relaxed);
        outlet.ledger().connections.fetch_add(1, Relaxed);
        inbox.arrived.lock().push((stream, peer));
        let _ = inbox.waker.wake();
    }

    fn take_newcomers(&mut self, outlet: &Outlet) {
        let arrived = std::mem::take(&mut *self.inboxes[self.index].arrived.lock());
        let now = Instant::now();
        for (mut stream, peer) in arrived {
            let token = Token(self.next_token);
            self.next_token += 1;
            if let Err(error) = stream.register(self.poll.registry(), token) {
                warn!(source = %self.name, peer = %peer.name, %error, "connection could not be watched");
                outlet.ledger().faults.add("connection not accepted", 1);
                self.inboxes[self.index].connections.fetch_sub(1, Relaxed);
                outlet.ledger().connections.fetch_sub(1, Relaxed);
                continue;
            }
            self.connections.insert(token, Connection::new(stream, peer, self.spec.framing, now));
            self.ready.push_back(token);
        }
    }

    fn read_datagrams(&mut self, token: Token, outlet: &mut Outlet) {
        for _ in 0..BLOCKS_PER_TURN {
            let (Some(socket), Some(block)) = (self.datagram_sockets.get(&token), &mut self.block) else { return };
            let assembler = &mut self.assembler;
            let take = |datagram: super::socket::Datagram<'_>| {
                assembler.datagram(datagram.bytes, datagram.cut, datagram.peer);
            };
            let outcome = match &socket.listener {
                Listener::Udp(udp) => block.receive(udp, take),
                Listener::UnixDatagram(unix) => block.receive(unix, take),
                Listener::Tcp(_) | Listener::Unix(_) => return,
            };
            if self.assembler.is_full() {
                self.send(outlet);
            }
            match outcome {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    outlet.ledger().faults.add("datagram not received", 1);
                    debug!(source = %self.name, %error, "datagram could not be received");
                    return;
                }
            }
        }
        self.ready.push_back(token);
    }

    fn send_if_due(&mut self, outlet: &mut Outlet) {
        if self.assembler.opened_at().is_some_and(|opened| opened.elapsed() >= self.spec.batch_delay) {
            self.send(outlet);
        }
    }

    /// Sends the batch on. Waits while channels are full: meanwhile nothing is read, and senders feel it.
    fn send(&mut self, outlet: &mut Outlet) {
        let Some(batch) = self.assembler.seal() else { return };
        outlet.ledger().flagged.fetch_add(self.assembler.take_flagged(), Relaxed);
        if let Err(error) = outlet.send(batch) {
            // Counted as rejected by the outlet; syslog has nobody to tell.
            warn!(source = %self.name, %error, "events were not taken");
        }
    }

    fn chores(&mut self, outlet: &Outlet, now: Instant) {
        self.count_kernel_drops(outlet);
        // Readiness is told once only: connections that could not be accepted then get another chance.
        self.ready.extend(self.listeners.keys());
        let Some(timeout) = self.spec.idle_timeout else { return };
        let idle = self.connections.iter().filter(|(_, connection)| now.duration_since(connection.last_read) > timeout);
        let idle: Vec<_> = idle.map(|(token, _)| *token).collect();
        for token in idle {
            outlet.ledger().faults.add("connection idle for idle_timeout", 1);
            if let Some(connection) = self.connections.get_mut(&token) {
                self.carried_bytes -= connection.carried_bytes();
                connection.end(&mut self.assembler);
            }
            self.close(token, outlet);
        }
    }

    fn count_kernel_drops(&mut self, outlet: &Outlet) {
        for socket in self.datagram_sockets.values_mut() {
            let drops = match &socket.listener {
                Listener::Udp(udp) => kernel_drops(udp),
                Listener::UnixDatagram(unix) => kernel_drops(unix),
                Listener::Tcp(_) | Listener::Unix(_) => None,
            };
            let Some(drops) = drops else { continue };
            let new = drops.wrapping_sub(socket.drops_seen);
            socket.drops_seen = drops;
            if new > 0 {
                outlet.ledger().faults.add("kernel drops", u64::from(new));
                warn!(source = %self.name, listen = %socket.address, datagrams = new, "the kernel dropped datagrams: the source was too slow or receive_buffer too small");
            }
        }
    }

    /// Takes what the kernel already holds, keeps unfinished messages as events, and sends the last batch.
    fn finish(&mut self, outlet: &mut Outlet, deadline: Option<Instant>) {
        self.take_newcomers(outlet);
        let datagram_tokens: Vec<_> = self.datagram_sockets.keys().copied().collect();
        for token in datagram_tokens {
            // At most what a full receive buffer holds: a sender that never pauses must not keep the agent from ending.
            let turns = self.spec.receive_buffer / (BLOCKS_PER_TURN * 64 * 128) + 1;
            for _ in 0..turns {
                self.ready.clear();
                self.read_datagrams(token, outlet);
                if self.ready.is_empty() {
                    break;
                }
            }
        }
        self.count_kernel_drops(outlet);
        let connections: Vec<_> = self.connections.keys().copied().collect();
        for token in connections {
            self.read_rest(token, outlet, deadline);
            if let Some(connection) = self.connections.get_mut(&token) {
                self.carried_bytes -= connection.carried_bytes();
                connection.end(&mut self.assembler);
            }
            self.close(token, outlet);
            if self.assembler.is_full() {
                self.send(outlet);
            }
        }
        self.send(outlet);
    }
}

impl Lane {
    /// Reads what a connection's kernel buffer held when the agent was told to stop, at most [`LAST_BYTES_MAX`]: a
    /// sender that never pauses must not keep the agent from ending. A connection that has still more is counted.
    fn read_rest(&mut self, token: Token, outlet: &mut Outlet, deadline: Option<Instant>) {
        let mut read = 0;
        loop {
            self.ready.clear();
            let before = self.assembler.buffer().len();
            self.read_connection(token, outlet);
            read += self.assembler.buffer().len().saturating_sub(before);
            if self.ready.is_empty() {
                return;
            }
            if read > LAST_BYTES_MAX || deadline.is_some_and(|at| Instant::now() >= at) {
                outlet.ledger().faults.add("connection still sending when the agent stopped", 1);
                return;
            }
        }
    }
}

#[async_trait(?Send)]
impl Source for Lane {
    async fn run(mut self: Box<Self>, mut outlet: Outlet, stop: StopSignal) -> Result<(), SourceError> {
        let outcome = self.run_loop(&mut outlet, &stop);
        for address in &self.spec.listen {
            if let (Address::Unix(path) | Address::UnixDatagram(path), 0) = (address, self.index) {
                // Left behind it would do no harm: the next start removes it.
                let _ = std::fs::remove_file(path);
            }
        }
        outcome.map_err(|error| SourceError::new(format!("source {}: waiting for events failed", self.name), error))
    }
}
