//! Asking a server over HTTP with a few bytes of our own, so that a launcher depends on no client.
//!
//! HTTP/1.0: one question per connection, an answer that ends when the connection does, and no chunks.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer takes milliseconds, creating a collection seconds; a paused server takes for ever.
const PATIENCE: Duration = Duration::from_secs(60);
/// A server that listens accepts at once.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);
/// No answer of these servers to these questions comes near; anything larger is not read on.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// What a server answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Its status: 200.
    pub status: u16,
    /// What came after the headers.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text, invalid UTF-8 replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// This answer if its status is below 400.
    ///
    /// # Errors
    /// With status and body.
    pub fn ok(self) -> io::Result<Self> {
        match self.status {
            ..400 => Ok(self),
            status => Err(io::Error::other(format!("status {status}: {}", self.text()))),
        }
    }
}

/// GET of `path` (with its query). Blocks for at most a minute.
///
/// # Errors
/// If the server does not answer, or not with HTTP. Any status is an answer.
pub fn get(address: SocketAddr, path: &str) -> io::Result<Answer> {
    exchange(address, &format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n"), b"")
}

/// POST of `body` to `path` (with its query). Blocks for at most a minute.
///
/// # Errors
/// As [`get`].
pub fn post(address: SocketAddr, path: &str, content_type: &str, body: &[u8]) -> io::Result<Answer> {
    let head = format!(
        "POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    exchange(address, &head, body)
}

fn exchange(address: SocketAddr, head: &str, body: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    parse(&answer)
}

pub(crate) fn parse(answer: &[u8]) -> io::Result<Answer> {
    const END_OF_HEAD: &[u8] = b"\r\n\r\n";
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP");
    let head_bytes = answer.windows(END_OF_HEAD.len()).position(|bytes| bytes == END_OF_HEAD).ok_or_else(malformed)?;
    let head = std::str::from_utf8(&answer[..head_bytes]).map_err(|_| malformed())?;
    let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    let body = answer[head_bytes + END_OF_HEAD.len()..].to_vec();
    Ok(Answer { status: status.ok_or_else(malformed)?, body })
}
