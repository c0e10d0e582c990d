//! The system calls: reading behind a buffer, many datagrams at once, and what the kernel dropped.
#![expect(
    unsafe_code,
    reason = "recvmmsg and SO_MEMINFO have no safe wrapper; each call is a few lines with its proof"
)]

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;

use socket2::SockRef;

/// Datagrams per system call: at 400,000 a second that is 6,000 calls, and a block stays a few MiB.
const DATAGRAMS_MAX: usize = 64;
/// The longest datagram UDP can carry.
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// Address space of a [`DatagramBlock`]; pages that no datagram reached are never touched.
pub(super) const DATAGRAM_BLOCK_BYTES: usize = DATAGRAMS_MAX * DATAGRAM_BYTES_MAX;

/// Reads at most `bytes_max` from a stream into the spare capacity behind `buffer`; the number of bytes, 0 at its end.
pub(super) fn read_behind(stream: &impl AsRawFdRef, buffer: &mut Vec<u8>, bytes_max: usize) -> io::Result<usize> {
    let spare = buffer.spare_capacity_mut();
    let room = spare.len().min(bytes_max);
    let count = stream.sock_ref().recv(&mut spare[..room])?;
    let filled = buffer.len() + count;
    // SAFETY: recv initialised `count` bytes of the spare capacity, which starts at the current length.
    unsafe { buffer.set_len(filled) };
    Ok(count)
}

/// Anything with a socket.
pub(super) trait AsRawFdRef {
    /// The socket, borrowed.
    fn sock_ref(&self) -> SockRef<'_>;
}

/// Room for a block of datagrams, reused for ever.
pub(super) struct DatagramBlock {
    bytes: Vec<u8>,
    addresses: Vec<libc::sockaddr_storage>,
}

/// One received datagram.
pub(super) struct Datagram<'a> {
    pub(super) bytes: &'a [u8],
    /// The kernel had more than fits.
    pub(super) cut: bool,
    /// Who sent it; `None` for unix sockets.
    pub(super) peer: Option<IpAddr>,
}

impl DatagramBlock {
    pub(super) fn new() -> Self {
        // SAFETY: all zeros is a valid sockaddr_storage: plain integers.
        let address: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        Self { bytes: vec![0; DATAGRAM_BLOCK_BYTES], addresses: vec![address; DATAGRAMS_MAX] }
    }

    /// Receives what is there, at most a block, and hands each datagram to `take`; how many there were. Does not wait.
    pub(super) fn receive(&mut self, socket: &impl AsRawFd, mut take: impl FnMut(Datagram<'_>)) -> io::Result<usize> {
        let mut parts: [MaybeUninit<libc::iovec>; DATAGRAMS_MAX] = [MaybeUninit::uninit(); DATAGRAMS_MAX];
        // SAFETY: all zeros is a valid mmsghdr: null pointers and zero lengths.
        let mut headers: [libc::mmsghdr; DATAGRAMS_MAX] = unsafe { std::mem::zeroed() };
        let slots = self.bytes.chunks_exact_mut(DATAGRAM_BYTES_MAX).zip(&mut self.addresses);
        for ((header, part), (slot, address)) in headers.iter_mut().zip(&mut parts).zip(slots) {
            let part = part.write(libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot.len() });
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = std::ptr::from_mut(address).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        }
        // SAFETY: every header points to one initialised iovec and one address, all of which outlive the call; the
        // kernel writes at most iov_len bytes to each.
        let received = unsafe {
            let flags = libc::MSG_DONTWAIT;
            libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), DATAGRAMS_MAX as u32, flags, std::ptr::null_mut())
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        let slots = self.bytes.chunks_exact(DATAGRAM_BYTES_MAX).zip(&self.addresses);
        for (header, (slot, address)) in headers.iter().take(received).zip(slots) {
            let named = header.msg_hdr.msg_namelen as usize;
            take(Datagram {
                bytes: &slot[..(header.msg_len as usize).min(slot.len())],
                cut: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
                peer: if named > 0 { ip_of(address) } else { None },
            });
        }
        Ok(received)
    }
}

fn ip_of(address: &libc::sockaddr_storage) -> Option<IpAddr> {
    match i32::from(address.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the storage holds a sockaddr_in, and it is large and aligned enough.
            let v4 = unsafe { &*std::ptr::from_ref(address).cast::<libc::sockaddr_in>() };
            Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr))))
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for sockaddr_in6.
            let v6 = unsafe { &*std::ptr::from_ref(address).cast::<libc::sockaddr_in6>() };
            Some(IpAddr::V6(Ipv6Addr::from(v6.sin6_addr.s6_addr)).to_canonical())
        }
        _ => None,
    }
}

/// Datagrams that the kernel dropped at this socket since it was opened (wraps at 2^32); `None` where it does not say.
pub(super) fn kernel_drops(socket: &impl AsRawFd) -> Option<u32> {
    // SK_MEMINFO_DROPS is the last of the nine numbers of SO_MEMINFO (Linux 4.12).
    const DROPS: usize = 8;
    let mut numbers = [0_u32; DROPS + 1];
    let mut length = size_of_val(&numbers) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, the size of the array.
    let outcome = unsafe {
        let option = libc::SO_MEMINFO;
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, numbers.as_mut_ptr().cast(), &mut length)
    };
    (outcome == 0 && length as usize == size_of_val(&numbers)).then_some(numbers[DROPS])
}

/// Sets the receive buffer, over the system's limit if we may; the size the kernel then reports.
pub(super) fn set_receive_buffer(socket: &SockRef<'_>, bytes: usize) -> io::Result<usize> {
    let wanted = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    // SAFETY: the option takes one int, which lives through the call.
    let forced = unsafe {
        let value = std::ptr::from_ref(&wanted).cast();
        let length = size_of_val(&wanted) as libc::socklen_t;
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, value, length)
    };
    if forced != 0 {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.recv_buffer_size()
}
