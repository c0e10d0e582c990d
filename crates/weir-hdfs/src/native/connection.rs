//! One connection of Hadoop's IPC, version 9, shared by many calls.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::frame::{self, FRAME_BYTES_MAX, invalid};
use super::wire::{ConnectionContext, RequestHeader, RpcRequestHeader, RpcResponseHeader, UserInformation};

/// The call id of the first frame.
const CONTEXT: i32 = -3;
/// Frames that wait to be sent; each waits for its call's answer anyway.
const FRAMES_MAX: usize = 64;

/// Why a call failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection, which is of no further use; whether the call was carried out is not known.
    Broken(String),
    /// Nothing came over the connection for so long, whatever it was asked; it is of no further use.
    Silent(Duration),
    /// The server's exception: its class without the package, and the first line of its message.
    Remote { class: String, message: String },
}

type Answer = Result<BytesMut, Failure>;
type Pending = Arc<Mutex<State>>;

struct State {
    /// Calls without an answer; `None` once broken.
    waiting: Option<HashMap<i32, oneshot::Sender<Answer>>>,
    /// When the last answer came.
    heard: Instant,
}

/// What a call is.
pub(super) struct Call<'a> {
    pub(super) id: i32,
    pub(super) retry: i32,
    pub(super) client_id: &'a [u8],
    pub(super) method: &'a str,
}

/// Ends when dropped.
pub(super) struct Connection {
    frames: mpsc::Sender<Vec<u8>>,
    /// Never held over an await.
    pending: Pending,
    protocol: &'static str,
    silence_max: Duration,
    task: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn framed(parts: &[Vec<u8>]) -> Vec<u8> {
    let bytes: usize = parts.iter().map(Vec::len).sum();
    let mut frame = Vec::with_capacity(bytes + 4);
    frame.extend_from_slice(&(bytes as u32).to_be_bytes());
    parts.iter().for_each(|part| frame.extend_from_slice(part));
    frame
}

fn header(call: &Call<'_>) -> Vec<u8> {
    let (id, retry) = (call.id, call.retry);
    // 2: protobuf. 0: the whole call.
    let header = RpcRequestHeader {
        kind: Some(2),
        operation: Some(0),
        call_id: id,
        client_id: call.client_id.to_vec(),
        retry_count: Some(retry),
    };
    header.encode_length_delimited_to_vec()
}

impl Connection {
    /// `timeout` is for the connection, `silence_max` for answers.
    pub(super) async fn open(
        address: &str,
        user: &str,
        protocol: &'static str,
        client_id: &[u8],
        (timeout, silence_max): (Duration, Duration),
    ) -> io::Result<Self> {
        let connect = tokio::time::timeout(timeout, TcpStream::connect(address));
        let stream = connect.await.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "it does not answer"))??;
        stream.set_nodelay(true)?;
        // Version 9, no service class, no SASL.
        let mut first = b"hrpc\x09\x00\x00".to_vec();
        let context = ConnectionContext {
            user: Some(UserInformation { effective: Some(user.to_owned()) }),
            protocol: Some(protocol.to_owned()),
        };
        let call = Call { id: CONTEXT, retry: -1, client_id, method: "" };
        first.extend(framed(&[header(&call), context.encode_length_delimited_to_vec()]));
        let (frames, queue) = mpsc::channel(FRAMES_MAX);
        let pending: Pending = Arc::new(Mutex::new(State { waiting: Some(HashMap::new()), heard: Instant::now() }));
        let task = tokio::spawn(run(stream, first, queue, pending.clone())).abort_handle();
        Ok(Self { frames, pending, protocol, silence_max, task })
    }

    pub(super) fn is_broken(&self) -> bool {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).waiting.is_none()
    }

    fn break_off(&self, reason: &str) {
        self.task.abort();
        fail_all(&self.pending, reason);
    }

    /// The answer, undecoded. Cancelled, the call may be carried out all the same.
    pub(super) async fn call(&self, call: &Call<'_>, request: &impl Message) -> Answer {
        let (sender, answer) = oneshot::channel();
        let broken = || Failure::Broken("the connection was closed".to_owned());
        self.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .waiting
            .as_mut()
            .ok_or_else(broken)?
            .insert(call.id, sender);
        let what = RequestHeader { method: call.method.to_owned(), protocol: self.protocol.to_owned(), version: 1 };
        let frame =
            framed(&[header(call), what.encode_length_delimited_to_vec(), request.encode_length_delimited_to_vec()]);
        let since = Instant::now();
        let answered = async {
            self.frames.send(frame).await.map_err(|_| broken())?;
            answer.await.unwrap_or_else(|_| Err(broken()))
        };
        tokio::select! {
            biased;
            answer = answered => answer,
            () = self.silent(since) => {
                // Whoever else waits here waits for nothing.
                self.break_off(&format!("it was silent for {:?}", self.silence_max));
                Err(Failure::Silent(self.silence_max))
            }
        }
    }

    /// Ends when nothing has come for too long since then. A server that answers others is only slow with this one.
    async fn silent(&self, since: Instant) {
        loop {
            let heard = self.pending.lock().unwrap_or_else(PoisonError::into_inner).heard;
            let until = heard.max(since) + self.silence_max;
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

fn fail_all(pending: &Pending, reason: &str) {
    let waiting = pending.lock().unwrap_or_else(PoisonError::into_inner).waiting.take();
    for (_, sender) in waiting.into_iter().flatten() {
        let _ = sender.send(Err(Failure::Broken(reason.to_owned())));
    }
}

async fn run(stream: TcpStream, first: Vec<u8>, mut queue: mpsc::Receiver<Vec<u8>>, pending: Pending) {
    let (mut input, mut output) = stream.into_split();
    let sent = async {
        output.write_all(&first).await?;
        while let Some(frame) = queue.recv().await {
            output.write_all(&frame).await?;
        }
        Ok(())
    };
    let received = async {
        let mut buffer = BytesMut::new();
        loop {
            let bytes = input.read_u32().await? as usize;
            if bytes > FRAME_BYTES_MAX {
                return Err(invalid(format!("an answer of {bytes} bytes is longer than any that Hadoop sends")));
            }
            while buffer.len() < bytes {
                buffer.reserve(bytes - buffer.len());
                frame::fill(&mut (&mut input).take((bytes - buffer.len()) as u64), &mut buffer).await?;
            }
            answered(&mut buffer.split(), &pending)?;
        }
    };
    let outcome: io::Result<()> = tokio::select! { sent = sent => sent, received = received => received };
    let reason = outcome.err().map_or_else(|| "the connection was closed".to_owned(), |error| error.to_string());
    fail_all(&pending, &reason);
}

fn answered(buffer: &mut BytesMut, pending: &Pending) -> io::Result<()> {
    let header: RpcResponseHeader = frame::take(buffer)?.ok_or_else(|| invalid("an answer without its head"))?;
    let id = header.call_id as i32;
    let answer = if header.status == 0 {
        // The length of the message, whose end is the frame's.
        while buffer.has_remaining() && buffer.get_u8() & 0x80 != 0 {}
        Ok(buffer.split())
    } else {
        let class = header.exception.unwrap_or_default();
        let class = class.rsplit(['.', '$']).next().unwrap_or_default().to_owned();
        let message = header.message.unwrap_or_default().lines().next().unwrap_or_default().to_owned();
        // 2: fatal, the server closes; it may not say for which call.
        if header.status == 2 {
            return Err(io::Error::other(format!("{class}: {message}")));
        }
        Err(Failure::Remote { class, message })
    };
    let mut state = pending.lock().unwrap_or_else(PoisonError::into_inner);
    state.heard = Instant::now();
    if let Some(sender) = state.waiting.as_mut().and_then(|map| map.remove(&id)) {
        let _ = sender.send(answer);
    }
    Ok(())
}
