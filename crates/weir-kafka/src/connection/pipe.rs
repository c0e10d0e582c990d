//! The socket: opening it, and the two tasks that write and read it.

use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use weir_event::ArenaPool;

use super::line::Line;
use super::{ConnectionError, TlsContext};

/// Small answers are read together with their length; large ones bypass this buffer.
const READ_BUFFER_BYTES: usize = 16 << 10;
/// Most memory set aside on the word of a length field before that much has arrived.
const RESERVE_BYTES_MAX: usize = 4 << 20;

pub(super) type Reading = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type Writing = Box<dyn AsyncWrite + Send + Unpin>;

/// Opens TCP and, if wanted, TLS.
pub(super) async fn open(peer: &str, tls: Option<&TlsContext>) -> io::Result<(Reading, Writing)> {
    let socket = TcpStream::connect(peer).await?;
    socket.set_nodelay(true)?;
    match tls {
        None => {
            let (reading, writing) = socket.into_split();
            Ok((Box::new(reading), Box::new(writing)))
        }
        Some(tls) => {
            let (reading, writing) = tokio::io::split(tls.handshake(socket, host_of(peer)).await?);
            Ok((Box::new(reading), Box::new(writing)))
        }
    }
}

/// The host in `host:port`, without the brackets of an IPv6 address.
pub(super) fn host_of(peer: &str) -> &str {
    let host = peer.rsplit_once(':').map_or(peer, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Writes frames until the connection fails; aborted when nobody holds it any more.
pub(super) async fn write(line: Arc<Line>, mut frames: mpsc::UnboundedReceiver<Vec<u8>>, mut socket: Writing) {
    let work = async {
        while let Some(frame) = frames.recv().await {
            socket.write_all(&frame).await?;
            line.give_buffer(frame);
            if frames.is_empty() {
                socket.flush().await?;
            }
        }
        Ok(())
    };
    tokio::select! {
        done = work => if let Err(source) = done {
            line.fail(ConnectionError::Io { peer: line.peer.clone(), source: Arc::new(source) });
        },
        () = line.failed() => {}
    }
}

/// Reads answers and hands each to the first waiter, until the connection fails.
pub(super) async fn read(line: Arc<Line>, socket: Reading, arenas: ArenaPool, response_bytes_max: usize) {
    let mut socket = BufReader::with_capacity(READ_BUFFER_BYTES, socket);
    let work = async {
        loop {
            let answer = match read_frame(&mut socket, &arenas, response_bytes_max).await {
                Ok(answer) => answer,
                Err(error) => return error,
            };
            if let Err(detail) = line.answer(answer) {
                return Ending::Malformed(detail);
            }
        }
    };
    let peer = line.peer.clone();
    tokio::select! {
        ending = work => line.fail(match ending {
            Ending::Closed => ConnectionError::Closed { peer },
            Ending::Io(source) => ConnectionError::Io { peer, source: Arc::new(source) },
            Ending::Malformed(detail) => {
                ConnectionError::Malformed { peer, what: "any request", detail: Arc::from(detail) }
            }
        }),
        () = line.failed() => {}
    }
}

enum Ending {
    Closed,
    Io(io::Error),
    Malformed(String),
}

async fn read_frame<R: AsyncRead + Unpin>(
    socket: &mut BufReader<R>,
    arenas: &ArenaPool,
    response_bytes_max: usize,
) -> Result<Bytes, Ending> {
    let mut length = [0; 4];
    match socket.read_exact(&mut length).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Ending::Closed),
        Err(error) => return Err(Ending::Io(error)),
        Ok(_) => {}
    }
    let length = i32::from_be_bytes(length);
    let Some(length) = usize::try_from(length).ok().filter(|length| (4..=response_bytes_max).contains(length)) else {
        return Err(Ending::Malformed(format!("an answer of {length} bytes, the limit is {response_bytes_max}")));
    };
    let mut arena = arenas.take();
    let buffer = arena.buffer();
    let mut rest = socket.take(length as u64);
    while buffer.len() < length {
        buffer.reserve((length - buffer.len()).min(RESERVE_BYTES_MAX));
        if rest.read_buf(buffer).await.map_err(Ending::Io)? == 0 {
            return Err(Ending::Closed);
        }
    }
    Ok(arena.freeze())
}

/// The correlation id in front of an answer, which is taken off.
pub(super) fn take_correlation_id(answer: &mut Bytes) -> i32 {
    answer.get_i32()
}
