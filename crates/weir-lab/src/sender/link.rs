//! One socket to the peer, and how frames go into it.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::block::Block;
use super::target::Target;

/// Datagrams per system call: the kernel's bound is 1024; beyond 64 the call itself no longer shows.
const DATAGRAMS_PER_CALL: usize = 256;
/// How long a send may wait before the thread looks whether it shall stop.
const SEND_TIMEOUT: Duration = Duration::from_millis(100);
/// Time for some hundred datagrams to leave.
const QUEUE_FULL_WAIT: Duration = Duration::from_micros(200);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connected socket.
#[derive(Debug)]
pub(super) struct Link {
    socket: Socket,
    kind: LinkKind,
    messages: Messages,
}

/// What kind of peer, which decides about framing and what its absence means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LinkKind {
    Stream,
    Udp,
    UnixDatagram,
}

/// What became of a send.
#[derive(Debug)]
pub(super) enum Sent {
    /// So many bytes went out (streams), from the start of the frames.
    Bytes(usize),
    /// So many datagrams went out.
    Datagrams(usize),
    /// The peer takes nothing at the moment.
    Blocked,
    /// UDP: an earlier datagram was refused, nobody listens; this one was not sent.
    Refused,
}

impl Link {
    /// Connects. `address` is that of a network target.
    pub(super) fn connect(target: &Target, address: Option<SocketAddr>) -> io::Result<Self> {
        let unix = |path, kind| {
            let socket = Socket::new(Domain::UNIX, kind, None)?;
            socket.connect(&SockAddr::unix(path)?)?;
            Ok::<_, io::Error>(socket)
        };
        let network = |kind| match address {
            Some(address) => {
                let socket = Socket::new(Domain::for_address(address), kind, None)?;
                socket.connect_timeout(&address.into(), CONNECT_TIMEOUT)?;
                Ok((socket, address))
            }
            None => Err(io::Error::new(io::ErrorKind::InvalidInput, "a network target was not resolved")),
        };
        let (socket, kind) = match target {
            Target::Tcp(_) => {
                let (socket, address) = network(Type::STREAM)?;
                // A port of this machine that nobody listens on can connect to itself.
                if socket.local_addr()?.as_socket() == Some(address) {
                    return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
                }
                // Frames are written together already; a slow trickle shall not wait.
                socket.set_tcp_nodelay(true)?;
                (socket, LinkKind::Stream)
            }
            Target::Udp(_) => (network(Type::DGRAM)?.0, LinkKind::Udp),
            Target::UnixDatagram(path) => (unix(path, Type::DGRAM)?, LinkKind::UnixDatagram),
            Target::Unix(path) => match unix(path, Type::STREAM) {
                // The socket there is of the other type.
                Err(error) if error.raw_os_error() == Some(libc::EPROTOTYPE) => {
                    (unix(path, Type::DGRAM)?, LinkKind::UnixDatagram)
                }
                socket => (socket?, LinkKind::Stream),
            },
        };
        socket.set_write_timeout(Some(SEND_TIMEOUT))?;
        Ok(Self { socket, kind, messages: Messages::default() })
    }

    pub(super) fn kind(&self) -> LinkKind {
        self.kind
    }

    /// Hands `lines` of `block`, from byte `offset` of them on, to the kernel, with one system call. Waits up to
    /// 100 ms for room. Datagrams ignore `offset`.
    pub(super) fn send(&mut self, block: &Block, lines: Range<usize>, offset: usize) -> io::Result<Sent> {
        let sent = match self.kind {
            LinkKind::Stream => {
                let bytes = &block.frames(lines)[offset..];
                self.socket.send_with_flags(bytes, libc::MSG_NOSIGNAL).map(Sent::Bytes)
            }
            _ => self.messages.send(&self.socket, block, lines).map(Sent::Datagrams),
        };
        match sent {
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EINTR) => Ok(Sent::Blocked),
                // A device queue is full, which the kernel does not wait for.
                Some(libc::ENOBUFS) => {
                    std::thread::sleep(QUEUE_FULL_WAIT);
                    Ok(Sent::Blocked)
                }
                Some(libc::ECONNREFUSED) if self.kind == LinkKind::Udp => Ok(Sent::Refused),
                _ => Err(error),
            },
            // A stream socket never takes nothing without saying why.
            Ok(Sent::Bytes(0)) => Err(io::Error::from(io::ErrorKind::WriteZero)),
            sent => sent,
        }
    }

    /// Ends a stream in order: what the kernel holds still reaches the peer.
    pub(super) fn finish(&self) {
        if self.kind == LinkKind::Stream {
            // A peer that is gone already has been noticed by a send, or has everything.
            let _ = self.socket.shutdown(std::net::Shutdown::Write);
        }
    }
}

/// The headers of a `sendmmsg`, allocated once. The pointers in them are only good during one call.
#[derive(Default)]
struct Messages {
    slices: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

// SAFETY: each call writes all pointers before the kernel follows them; what is left of them between calls is never
// followed, by any thread.
unsafe impl Send for Messages {}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Messages").finish_non_exhaustive()
    }
}

impl Messages {
    fn send(&mut self, socket: &Socket, block: &Block, lines: Range<usize>) -> io::Result<usize> {
        let count = lines.len().min(DATAGRAMS_PER_CALL);
        self.slices.clear();
        self.headers.clear();
        for line in lines.take(count) {
            let frame = block.frames(line..line + 1);
            self.slices.push(libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() });
        }
        for slice in &mut self.slices {
            // SAFETY: mmsghdr is integers and pointers, for which all zeros is a value: no address, no control data.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_iov = slice;
            header.msg_hdr.msg_iovlen = 1;
            self.headers.push(header);
        }
        // SAFETY: `headers` holds `count` entries, each pointing to one entry of `slices`, which is not touched between
        // here and there; those point to bytes that `block` keeps alive and nobody writes: sending only reads them.
        let sent = unsafe {
            libc::sendmmsg(socket.as_raw_fd(), self.headers.as_mut_ptr(), count as libc::c_uint, libc::MSG_NOSIGNAL)
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(sent as usize) }
    }
}
