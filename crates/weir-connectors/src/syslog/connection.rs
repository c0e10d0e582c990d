//! One stream connection: its socket, its framer, and the part of a message that has not ended yet.

use std::io;
use std::net::IpAddr;
use std::time::Instant;

use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use socket2::SockRef;
use weir_codec::framing::{FrameError, Framer, FramingSpec};

use super::assembler::Assembler;
use super::socket::{AsRawFdRef, read_behind};

/// Most bytes read from a connection before others get their turn: large enough that a busy one costs few calls.
const READ_BYTES_MAX: usize = 256 << 10;

/// A stream socket of either kind.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Who connected, for messages.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) ip: Option<IpAddr>,
}

impl AsRawFdRef for Stream {
    fn sock_ref(&self) -> SockRef<'_> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream),
            Self::Unix(stream) => SockRef::from(stream),
        }
    }
}

impl Stream {
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => registry.register(stream, token, Interest::READABLE),
            Self::Unix(stream) => registry.register(stream, token, Interest::READABLE),
        }
    }

    pub(super) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => registry.deregister(stream),
            Self::Unix(stream) => registry.deregister(stream),
        }
    }
}

/// How one turn of reading ended.
pub(super) enum Turn {
    /// There may be more.
    More,
    /// Nothing more now.
    Dry,
    /// The peer closed, after whole messages or with a part that was kept as an event.
    Closed,
    /// The stream is out of step, or the socket failed: close it and count why.
    Broken(Trouble),
}

/// Why a connection ended badly.
pub(super) enum Trouble {
    Frame(FrameError),
    Io(io::Error),
}

/// A connection of a lane.
pub(super) struct Connection {
    pub(super) stream: Stream,
    pub(super) peer: Peer,
    framer: Framer,
    /// The part of a message that was read and has not ended.
    carried: Vec<u8>,
    pub(super) last_read: Instant,
}

impl Connection {
    pub(super) fn new(stream: Stream, peer: Peer, spec: FramingSpec, now: Instant) -> Self {
        Self { stream, peer, framer: Framer::new(spec), carried: Vec::new(), last_read: now }
    }

    /// Bytes of the unfinished message.
    pub(super) fn carried_bytes(&self) -> usize {
        self.carried.len()
    }

    /// Reads once, frames, and carries what is left. The arena has room: see `SyslogSpec::arena_bytes`.
    pub(super) fn read(&mut self, assembler: &mut Assembler, now: Instant) -> Turn {
        let mark = assembler.buffer().len();
        let peer = assembler.peer(self.peer.ip);
        let buffer = assembler.buffer();
        let start = buffer.len();
        buffer.extend_from_slice(&self.carried);
        let count = match read_behind(&self.stream, buffer, READ_BYTES_MAX) {
            Ok(count) => count,
            Err(error) => {
                assembler.truncate(mark);
                return match error.kind() {
                    io::ErrorKind::WouldBlock => Turn::Dry,
                    io::ErrorKind::Interrupted => Turn::More,
                    _ => {
                        self.end(assembler);
                        Turn::Broken(Trouble::Io(error))
                    }
                };
            }
        };
        if count == 0 {
            assembler.truncate(mark);
            self.end(assembler);
            return Turn::Closed;
        }
        self.last_read = now;
        match assembler.stream(&mut self.framer, start, peer) {
            Ok(consumed) => {
                let rest = &assembler.buffer()[start + consumed..];
                self.carried.clear();
                self.carried.extend_from_slice(rest);
                if self.carried.is_empty() && self.carried.capacity() > 4096 {
                    // A large message passed; an idle connection must not keep its room.
                    self.carried = Vec::new();
                }
                assembler.truncate(if consumed == 0 { mark } else { start + consumed });
                Turn::More
            }
            Err(error) => {
                self.carried = Vec::new();
                Turn::Broken(Trouble::Frame(error))
            }
        }
    }

    /// Keeps the unfinished message as an event: the stream ended, or is about to.
    pub(super) fn end(&mut self, assembler: &mut Assembler) {
        if self.carried.is_empty() {
            return;
        }
        let carried = std::mem::take(&mut self.carried);
        let peer = assembler.peer(self.peer.ip);
        let start = assembler.buffer().len();
        assembler.buffer().extend_from_slice(&carried);
        assembler.finish_stream(&mut self.framer, start, peer);
    }
}
