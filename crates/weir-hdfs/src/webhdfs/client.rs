//! Calls to NameNodes: the one that is active, within a deadline.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::header::{CONNECTION, CONTENT_TYPE, LOCATION};
use reqwest::{Method, StatusCode, Url, redirect};
use serde::de::DeserializeOwned;
use tokio::net::{TcpStream, lookup_host};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};

use super::authentication::{Authenticator, chain};
use super::excluded::Excluded;
use super::json::{Blocks, LocatedBlocks, Location, One};
use super::remote::refusal;
use super::{WebHdfsError, WebHdfsOptions, tls};
use crate::{Faults, HdfsError, HdfsErrorKind, Status};

/// A host that is up answers a connection within milliseconds; a lost packet is sent again after one second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a DataNode that is suspected to be silent may take for any answer. One whose machine is busy with everything else
/// took more than 3 s, and was left though it would have written the file.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(6);
/// One NameNode; a full collection of its memory may take some seconds. Then the next one is asked.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Between rounds over all NameNodes, doubled up to the second.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// A batch of a listing has 1000 entries of some 300 bytes.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// The NameNode picks at random: with 3 nodes, one of them excluded, 8 wrong picks in a row are 1 in 6561.
const PICKS: usize = 8;

/// In place of an operation of WebHDFS: what the NameNode says of itself.
pub(super) const METRICS: &str = "/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState";

/// Shared by the file system and its files.
pub(super) struct Client {
    pub(super) http: reqwest::Client,
    pub(super) options: WebHdfsOptions,
    pub(super) authenticator: Authenticator,
    pub(super) excluded: Excluded,
    /// Where bodies are sent from, whoever waits for them: where the client was made, or first used.
    pub(super) runtime: OnceLock<Handle>,
    /// Index of the NameNode that answered last.
    active: AtomicUsize,
    /// When copies of a block were last waited for in vain.
    copies_missed_at: Mutex<Option<Instant>>,
}

/// One call.
#[derive(Clone)]
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// For messages: `rename`.
    pub(super) operation: &'static str,
    /// Of the protocol: `RENAME`.
    pub(super) op: &'static str,
    pub(super) path: &'a str,
    pub(super) query: Vec<(&'static str, String)>,
}

/// What a NameNode answered.
pub(super) struct Answer {
    pub(super) peer: String,
    /// An earlier attempt may have been carried out: its answer was lost.
    pub(super) repeated: bool,
    location: Option<String>,
    body: Vec<u8>,
}

struct Failure {
    retry: bool,
    /// Whether the server may have done it all the same.
    unknown: bool,
    error: HdfsError,
}

impl Client {
    /// Reads certificates if it is over TLS.
    pub(super) fn new(options: WebHdfsOptions) -> Result<Self, WebHdfsError> {
        if options.addresses.is_empty() {
            return Err(WebHdfsError::NoAddress);
        }
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true);
        // A body that stands still is judged by us; TCP would cut it after 30 s, whoever is alive.
        #[cfg(target_os = "linux")]
        {
            builder = builder.tcp_user_timeout(options.pipeline_timeout + options.write_timeout);
        }
        builder = builder.tls_backend_preconfigured(match options.tls {
            true => tls::configuration(options.authorities_file.as_deref())?,
            false => tls::trusting_nobody()?,
        });
        let http = builder.build().map_err(WebHdfsError::Client)?;
        let authenticator = Authenticator::new(options.authentication.clone(), options.user());
        let excluded = Excluded::new(options.excluded_time);
        let runtime = Handle::try_current().map_or_else(|_| OnceLock::new(), OnceLock::from);
        Ok(Self {
            http,
            options,
            authenticator,
            excluded,
            runtime,
            active: AtomicUsize::new(0),
            copies_missed_at: Mutex::default(),
        })
    }

    /// Asks until a NameNode answers, 30 s at most.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Answer, HdfsError> {
        self.call_until(call, Instant::now() + self.options.namenode_timeout).await
    }

    async fn call_until(&self, call: &Call<'_>, deadline: Instant) -> Result<Answer, HdfsError> {
        let count = self.options.addresses.len();
        let (mut pause, mut unknown) = (PAUSE, false);
        for attempt in 1.. {
            let index = self.active.load(Ordering::Relaxed) % count;
            let address = &self.options.addresses[index];
            let left = deadline.saturating_duration_since(Instant::now()).min(ATTEMPT_TIMEOUT);
            let failure = match timeout(left, self.once(address, call)).await {
                Ok(Ok(answer)) => return Ok(Answer { repeated: unknown, ..answer }),
                Ok(Err(failure)) => failure,
                Err(_) => {
                    let detail = format!("no answer within {:.1} s", left.as_secs_f32());
                    let error = error(HdfsErrorKind::Timeout, call.operation, call.path, address, detail);
                    Failure { retry: true, unknown: true, error }
                }
            };
            unknown |= failure.unknown;
            if !failure.retry {
                // What an earlier attempt did may be why this one is refused.
                return if unknown { self.refused_again(call, failure.error) } else { Err(failure.error) };
            }
            // The next one, unless another call was quicker.
            let next = (index + 1) % count;
            let _ = self.active.compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed);
            let wait = if attempt % count == 0 { pause } else { Duration::ZERO };
            if Instant::now() + wait >= deadline {
                return Err(failure.error);
            }
            if !wait.is_zero() {
                tracing::debug!(%call.path, "{}; asking again", failure.error);
                sleep(wait / 2 + wait.mul_f32(fastrand::f32() / 2.0)).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
        unreachable!("the loop ends by its deadline")
    }

    /// An answer without content, from which the caller has to find out what the lost one did.
    fn refused_again(&self, call: &Call<'_>, error: HdfsError) -> Result<Answer, HdfsError> {
        match (call.op, error.kind) {
            ("RENAME", HdfsErrorKind::NotFound | HdfsErrorKind::AlreadyExists) => {
                Ok(Answer { peer: error.peer, repeated: true, location: None, body: Vec::new() })
            }
            _ => Err(error),
        }
    }

    async fn once(&self, address: &str, call: &Call<'_>) -> Result<Answer, Failure> {
        let fail = |kind, retry, unknown, detail| {
            let error = error(kind, call.operation, call.path, address, detail);
            Failure { retry, unknown, error }
        };
        loop {
            let request = self.http.request(call.method.clone(), self.url(address, call));
            let request = request.header(CONTENT_TYPE, "application/octet-stream");
            let (request, negotiation) = (self.authenticator.prove(address, request).await)
                .map_err(|detail| fail(HdfsErrorKind::PermissionDenied, false, false, detail))?;
            let mut response = request
                .send()
                .await
                .map_err(|cause| fail(HdfsErrorKind::Unavailable, true, !cause.is_connect(), of_transport(cause)))?;
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED && self.authenticator.forget(address) {
                continue;
            }
            let mut body = Vec::new();
            while let Some(chunk) = (response.chunk().await)
                .map_err(|cause| fail(HdfsErrorKind::Unavailable, true, true, of_transport(cause)))?
            {
                if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                    let detail = format!("the answer is longer than {ANSWER_BYTES_MAX} bytes");
                    return Err(fail(HdfsErrorKind::Other, false, false, detail));
                }
                body.extend_from_slice(&chunk);
            }
            if !status.is_success() && !status.is_redirection() {
                let refusal = refusal(status, &body);
                return Err(fail(refusal.kind, refusal.retry, false, refusal.detail));
            }
            (self.authenticator.accepted(address, negotiation, response.headers()))
                .map_err(|detail| fail(HdfsErrorKind::PermissionDenied, false, true, detail))?;
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
            return Ok(Answer { peer: address.to_owned(), repeated: false, location, body });
        }
    }

    /// Whether it is worth while to wait for the copies of a block: not for a while after that was in vain.
    pub(super) fn copies_come(&self) -> bool {
        let missed = *self.copies_missed_at.lock().unwrap_or_else(PoisonError::into_inner);
        missed.is_none_or(|missed| missed.elapsed() >= self.options.excluded_time)
    }

    /// They were waited for in vain.
    pub(super) fn copies_missed(&self) {
        *self.copies_missed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub(super) async fn status(&self, operation: &'static str, path: &str) -> Result<Status, HdfsError> {
        let call = Call { method: Method::GET, operation, op: "GETFILESTATUS", path, query: Vec::new() };
        Ok(self.call(&call).await?.json::<One>(&call)?.status.status(path.rsplit('/').next()))
    }

    /// The blocks of a file from `offset` on.
    pub(super) async fn blocks(
        &self,
        operation: &'static str,
        path: &str,
        offset: u64,
    ) -> Result<LocatedBlocks, HdfsError> {
        // The default of its length is nothing at all in some versions.
        let query = vec![("offset", offset.to_string()), ("length", i64::MAX.to_string())];
        let call = Call { method: Method::GET, operation, op: "GET_BLOCK_LOCATIONS", path, query };
        Ok(self.call(&call).await?.json::<Blocks>(&call)?.blocks)
    }

    fn url(&self, address: &str, call: &Call<'_>) -> String {
        let scheme = if self.options.tls { "https" } else { "http" };
        if call.op == METRICS {
            return format!("{scheme}://{address}{METRICS}");
        }
        let mut url = format!("{scheme}://{address}/webhdfs/v1");
        encode(call.path, true, &mut url);
        url.push_str("?op=");
        url.push_str(call.op);
        for (name, value) in call.query.iter().cloned().chain(self.authenticator.parameter()) {
            url.push('&');
            url.push_str(name);
            url.push('=');
            encode(&value, false, &mut url);
        }
        url
    }

    /// Asks the NameNode for a DataNode that takes a connection; within the time of one call, however many are made.
    pub(super) async fn datanode(&self, call: &Call<'_>) -> Result<Url, HdfsError> {
        let deadline = Instant::now() + self.options.namenode_timeout;
        let mut last = None;
        for pick in 0..PICKS {
            let mut call = call.clone();
            call.query.push(("noredirect", "true".to_owned()));
            // With every node excluded none is found: the last pick is without.
            if pick + 1 < PICKS {
                call.query.extend(self.excluded.listed().map(|listed| ("excludedatanodes", listed)));
            }
            let answer = match self.call_until(&call, deadline).await {
                Err(error)
                    if error.kind == HdfsErrorKind::Unavailable
                        && pick + 1 < PICKS
                        && Instant::now() + PAUSE < deadline =>
                {
                    last = Some(error);
                    continue;
                }
                answer => answer?,
            };
            let url = location(&call, answer)?;
            let node = authority(&url);
            if pick + 1 < PICKS && self.excluded.contains(&node) {
                continue;
            }
            match self.reach(&url).await {
                Ok(()) => return Ok(url),
                Err(detail) => {
                    self.exclude(&url, &detail).await;
                    last = Some(error(HdfsErrorKind::Unavailable, call.operation, call.path, &node, detail));
                }
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        let nobody = || {
            let detail = format!(
                "every DataNode that the NameNode named failed within the last {:?}",
                self.options.excluded_time
            );
            error(HdfsErrorKind::Unavailable, call.operation, call.path, "", detail)
        };
        Err(last.unwrap_or_else(nobody))
    }

    /// Whether somebody listens: a dead node costs a moment here, not a body that was sent for nothing.
    async fn reach(&self, url: &Url) -> Result<(), String> {
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match timeout(CONNECT_TIMEOUT, TcpStream::connect((host, port))).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(cause)) => Err(cause.to_string()),
            Err(_) => Err(format!("no connection within {} s", CONNECT_TIMEOUT.as_secs())),
        }
    }

    /// Whether the server of `url` says anything at all, be it that it does not know what we mean.
    pub(super) async fn answers(&self, url: &Url) -> bool {
        let mut any = url.clone();
        any.set_path("/webhdfs/v1/");
        any.set_query(None);
        // A connection of its own: one that is kept may have died.
        let request = self.http.get(any).header(CONNECTION, "close");
        matches!(timeout(ANSWER_TIMEOUT, request.send()).await, Ok(Ok(_)))
    }

    /// Does not use the DataNode of `url` for a while.
    pub(super) async fn exclude(&self, url: &Url, why: &str) {
        let node = authority(url);
        if !self.excluded.contains(&node) {
            let seconds = self.options.excluded_time.as_secs();
            tracing::warn!("DataNode {node} is not used for {seconds} s: {why}");
            self.options.faults.count(Faults::DATANODE_LEFT_OUT);
        }
        let address: Option<IpAddr> = match timeout(CONNECT_TIMEOUT, lookup_host(&node)).await {
            Ok(Ok(mut found)) => found.next().map(|address| address.ip()),
            _ => None,
        };
        self.excluded.add(&node, address);
    }
}

impl Answer {
    pub(super) fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// The body as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, HdfsError> {
        serde_json::from_slice(&self.body).map_err(|cause| {
            let detail = format!("the answer is not what {} answers: {cause}", call.op);
            error(HdfsErrorKind::Other, call.operation, call.path, &self.peer, detail)
        })
    }
}

fn location(call: &Call<'_>, answer: Answer) -> Result<Url, HdfsError> {
    let given = match &answer.location {
        Some(location) => location.clone(),
        None => answer.json::<Location>(call)?.location,
    };
    Url::parse(&given).map_err(|cause| {
        let detail = format!("the DataNode's address {given:?} is no URL: {cause}");
        error(HdfsErrorKind::Other, call.operation, call.path, &answer.peer, detail)
    })
}

/// `host:port` of a URL.
pub(super) fn authority(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}

/// What went wrong on the way, without the URL, which may hold a token.
pub(super) fn of_transport(cause: reqwest::Error) -> String {
    chain(&cause.without_url())
}

pub(super) fn error(
    kind: HdfsErrorKind,
    operation: &'static str,
    path: &str,
    peer: &str,
    detail: impl Into<String>,
) -> HdfsError {
    HdfsError { kind, operation, path: path.to_owned(), peer: peer.to_owned(), detail: detail.into() }
}

/// Percent-encodes everything but what never means anything else.
fn encode(text: &str, slashes: bool, url: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(byte)),
            b'/' if slashes => url.push('/'),
            _ => write!(url, "%{byte:02X}").expect("a String takes everything"),
        }
    }
}
