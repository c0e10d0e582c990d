//! As much of HTTP/1.1 as a fake needs.

use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// Largest request that is read.
const REQUEST_BYTES_MAX: usize = 64 << 20;

/// A request as far as anybody here looks at it.
pub(super) struct Request {
    pub(super) path: String,
    pub(super) query: String,
    pub(super) authorization: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The core it is an update for, by its full name.
    pub(super) fn core(&self) -> Option<&str> {
        self.path.strip_prefix("/solr/")?.strip_suffix("/update")
    }

    /// The collection, alias or core that it searches.
    pub(super) fn searched(&self) -> Option<&str> {
        self.path.strip_prefix("/solr/")?.strip_suffix("/select")
    }

    /// A parameter without its escapes.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| unescaped(value)).next()
    }
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if escaped.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The next request of a connection; `None` at its end.
pub(super) async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Request> {
    const END_OF_HEAD: &[u8] = b"\r\n\r\n";
    let head_bytes = loop {
        if let Some(at) = buffer.windows(END_OF_HEAD.len()).position(|bytes| bytes == END_OF_HEAD) {
            break at;
        }
        more(stream, buffer).await?;
    };
    let head = String::from_utf8_lossy(&buffer[..head_bytes]).into_owned();
    buffer.drain(..head_bytes + END_OF_HEAD.len());
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
    };
    let body_bytes: usize = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while buffer.len() < body_bytes {
        more(stream, buffer).await?;
    }
    let body = buffer.drain(..body_bytes).collect();
    let target = head.split(' ').nth(1)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Some(Request { path: path.to_owned(), query: query.to_owned(), authorization: header("authorization"), body })
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let bytes = stream.read_buf(buffer).await.ok()?;
    (bytes > 0 && buffer.len() <= REQUEST_BYTES_MAX).then_some(())
}

/// An answer.
pub(super) fn http(status: u16, retry_after: Option<u64>, body: &str) -> String {
    let retry_after = retry_after.map(|seconds| format!("Retry-After: {seconds}\r\n")).unwrap_or_default();
    let length = body.len();
    format!(
        "HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n{retry_after}Content-Length: {length}\r\n\r\n{body}"
    )
}

/// An answer that says no, in Solr's form.
pub(super) fn refusal(status: u16, retry_after: Option<u64>, words: &str) -> String {
    let body = json!({"responseHeader": {"status": status}, "error": {"msg": words, "code": status}});
    http(status, retry_after, &body.to_string())
}
