//! Ports for servers that want theirs in a file before they start.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

/// Below the range from which the kernel takes the local ports of outgoing connections (32768 and up unless changed), so
/// that a broker which is down for a while finds its port free again.
const RANGE: Range<u16> = 12_000..32_000;

/// Ports of 127.0.0.1 that nothing listens on. Nothing keeps them: another process may take one before the server binds
/// it, so a server that finds its port taken is started again with others.
///
/// # Errors
/// If the range has fewer than `count` free ports.
pub fn free(count: usize) -> io::Result<Vec<u16>> {
    // A new RandomState has new keys: the start is different in every process and in every call.
    let ports = u64::from(RANGE.end - RANGE.start);
    let start = (RandomState::new().hash_one(count) % ports) as u16;
    // All are held until all are found, so that none is found twice.
    let held: Vec<TcpListener> = (RANGE.start + start..RANGE.end)
        .chain(RANGE.start..RANGE.start + start)
        .filter_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
        .take(count)
        .collect();
    if held.len() < count {
        let message =
            format!("only {} of {count} ports between {} and {} are free", held.len(), RANGE.start, RANGE.end);
        return Err(io::Error::new(io::ErrorKind::AddrInUse, message));
    }
    held.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
