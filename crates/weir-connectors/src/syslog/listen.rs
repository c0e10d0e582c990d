//! Opening the sockets and making the lanes.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use mio::net::{TcpListener, UdpSocket, UnixDatagram, UnixListener};
use mio::{Poll, Token, Waker};
use parking_lot::Mutex;
use socket2::{Domain, SockRef, Socket, Type};
use tracing::info;
use weir_config::{Address, HostPort};
use weir_engine::source::{Source, StartError};

use super::config::SyslogSpec;
use super::lane::{Inbox, Lane, WAKER};
use super::socket::set_receive_buffer;

/// Connections that may wait to be accepted: a region's devices coming back at once after a power cut.
const ACCEPT_BACKLOG: i32 = 4096;

/// A socket that was opened, and what it was opened as.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
    Udp(UdpSocket),
    UnixDatagram(UnixDatagram),
}

/// Opens every address and spreads datagram sockets over the lanes; stream listeners belong to the first.
pub(super) fn start(name: &str, spec: &SyslogSpec) -> Result<Vec<Box<dyn Source>>, StartError> {
    let polls = (0..spec.lanes)
        .map(|_| {
            let poll = Poll::new()?;
            let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
            Ok((poll, waker))
        })
        .collect::<io::Result<Vec<_>>>()
        .map_err(|error| StartError::new(format!("source {name}: no event queue from the kernel"), error))?;
    let inboxes: Arc<[Inbox]> = polls
        .iter()
        .map(|(_, waker)| Inbox { arrived: Mutex::default(), connections: AtomicUsize::new(0), waker: waker.clone() })
        .collect();
    let mut lanes: Vec<_> = polls
        .into_iter()
        .enumerate()
        .map(|(index, (poll, _))| Lane::new(name, spec, index, poll, inboxes.clone()))
        .collect();
    let mut datagram_sockets = 0;
    for address in &spec.listen {
        let listener = open(address, spec).map_err(|error| refused(name, address, error))?;
        let lane = match listener {
            Listener::Udp(_) | Listener::UnixDatagram(_) => {
                datagram_sockets += 1;
                (datagram_sockets - 1) % spec.lanes
            }
            Listener::Tcp(_) | Listener::Unix(_) => 0,
        };
        lanes[lane].add(listener, address).map_err(|error| refused(name, address, error))?;
    }
    Ok(lanes.into_iter().map(|lane| Box::new(lane) as Box<dyn Source>).collect())
}

fn open(address: &Address, spec: &SyslogSpec) -> io::Result<Listener> {
    Ok(match address {
        Address::Tcp(host_port) => Listener::Tcp(tcp(resolve(host_port)?)?),
        Address::Udp(host_port) => Listener::Udp(udp(resolve(host_port)?, spec.receive_buffer)?),
        Address::Unix(path) => {
            remove_stale(path)?;
            Listener::Unix(UnixListener::bind(path)?)
        }
        Address::UnixDatagram(path) => {
            remove_stale(path)?;
            let socket = UnixDatagram::bind(path)?;
            set_receive_buffer(&SockRef::from(&socket), spec.receive_buffer)?;
            Listener::UnixDatagram(socket)
        }
    })
}

fn resolve(host_port: &HostPort) -> io::Result<SocketAddr> {
    let mut found = (host_port.host.as_str(), host_port.port).to_socket_addrs()?;
    found.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the host name has no address"))
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restart must not wait for the kernel to forget the connections of the last run.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(ACCEPT_BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

fn udp(address: SocketAddr, receive_buffer: usize) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    let given = set_receive_buffer(&SockRef::from(&socket), receive_buffer)?;
    // The kernel doubles what it is asked for, for its own bookkeeping.
    if given < 2 * receive_buffer {
        info!(
            %address, wanted_bytes = receive_buffer, given_bytes = given / 2,
            "the system limits the receive buffer: raise net.core.rmem_max or give CAP_NET_ADMIN"
        );
    }
    socket.bind(&address.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

/// Removes a socket file that nobody listens on; one that is in use stays, and bind then says so.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket
        && std::os::unix::net::UnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
    {
        return std::fs::remove_file(path);
    }
    Ok(())
}

fn refused(name: &str, address: &Address, error: io::Error) -> StartError {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            ": another process listens there; stop it or choose another port (ss -lntup shows which)"
        }
        io::ErrorKind::PermissionDenied => {
            ": not allowed; ports below 1024 need CAP_NET_BIND_SERVICE, a socket file a writable folder"
        }
        io::ErrorKind::AddrNotAvailable => ": this machine does not have that address",
        _ => "",
    };
    StartError::new(format!("source {name}: cannot listen on {address}{advice}"), error)
}

/// The token of listener `index`: they come after the waker's.
pub(super) fn listener_token(index: usize) -> Token {
    Token(WAKER.0 + 1 + index)
}
