//! Requests to nodes: with connections that are kept, a deadline, and the name of who asks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use thiserror::Error;

use crate::error::RequestError;
use crate::options::{ClientOptions, Login};
use crate::state::ClusterState;

/// Below the half minute after which Jetty and most proxies end a silent connection.
const IDLE_MAX: Duration = Duration::from_secs(20);
/// A token is read again after this, so that a new one counts well before the old one ends.
const TOKEN_AGE_MAX: Duration = Duration::from_secs(30);
/// A question is answered in milliseconds; a node that pauses is not waited for while there are others.
const PATIENCE_SHORT: Duration = Duration::from_secs(5);
/// A collection of many shards takes a minute to make.
const PATIENCE_LONG: Duration = Duration::from_secs(180);
/// An answer to an update has some hundred bytes; with thousands of refused documents, or the state of a cluster with
/// thousands of collections, some MiB.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// What is kept of an answer that is not Solr's: a proxy's page.
const MESSAGE_CHARS_MAX: usize = 500;

/// A client that could not be made.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The certificates cannot be read.
    #[error("the certificates of the authorities cannot be read: {reason}")]
    Authorities {
        /// Why.
        reason: String,
    },
    /// The rest.
    #[error("the HTTP client cannot be made")]
    Http(#[source] reqwest::Error),
}

/// Speaks with the nodes of one cluster. Cloning counts references; connections are shared. Dropping a request's future
/// abandons the request: the server may do it all the same.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    options: ClientOptions,
    /// The header that says who we are, and when it was made. Held for a few words' work, or the reading of a small file.
    authorization: Mutex<Option<(Instant, HeaderValue)>>,
    /// Addresses of live nodes that the cluster has named, besides those of the options, and which of all answered last.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    learned: Vec<String>,
    preferred: Option<String>,
}

impl Client {
    /// A client that has spoken with nobody yet.
    ///
    /// # Errors
    /// [`ClientError`] if its certificates are not.
    pub fn new(options: ClientOptions) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(&options)?)
            .connect_timeout(options.connect_timeout)
            .timeout(options.request_timeout)
            .pool_idle_timeout(IDLE_MAX)
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .build()
            .map_err(ClientError::Http)?;
        let inner = Inner { http, options, authorization: Mutex::new(None), known: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The addresses it starts from, for messages.
    #[must_use]
    pub fn addresses(&self) -> String {
        self.inner.options.urls.join(", ")
    }

    /// The state of the cluster, of one collection (or alias) if it is named.
    ///
    /// # Errors
    /// [`RequestError`] of the node asked last, [`RequestError::NoCollection`].
    pub async fn cluster_state(&self, collection: Option<&str>) -> Result<ClusterState, RequestError> {
        let filter = collection.map(|name| format!("&collection={name}")).unwrap_or_default();
        let answer = self.get(&format!("/admin/collections?action=CLUSTERSTATUS&wt=json{filter}")).await;
        match (answer, collection) {
            (Err(RequestError::Refused { status: 400, .. }), Some(name)) => {
                Err(RequestError::NoCollection { name: name.to_owned() })
            }
            (Err(error), _) => Err(error),
            (Ok(answer), _) => {
                let state = ClusterState::parse(&answer).ok_or_else(|| self.strange(&answer))?;
                self.learn(&state);
                Ok(state)
            }
        }
    }

    /// Keeps the addresses of nodes: those of the options may all end one day.
    fn learn(&self, state: &ClusterState) {
        if !state.live_urls.is_empty() {
            self.inner.known.lock().learned.clone_from(&state.live_urls);
        }
    }

    /// Whom to ask, the one that answered last first.
    fn candidates(&self) -> Vec<String> {
        let known = self.inner.known.lock();
        let mut urls: Vec<String> = known.preferred.iter().cloned().collect();
        for url in self.inner.options.urls.iter().chain(&known.learned) {
            if !urls.contains(url) {
                urls.push(url.clone());
            }
        }
        urls
    }

    /// GET of `path` behind the base address of the first node that answers with anything but a fault of its own.
    ///
    /// # Errors
    /// [`RequestError`] of the node asked last.
    pub async fn get(&self, path: &str) -> Result<Value, RequestError> {
        self.ask(Method::GET, path, None, PATIENCE_SHORT).await
    }

    /// GET of `path` behind `address`, the base address of a node or a core: for what only that one can say.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn get_from(&self, address: &str, path: &str) -> Result<Value, RequestError> {
        self.send(self.inner.http.get(format!("{address}{path}")), address).await
    }

    /// [`Client::get`] for what takes a while, such as making a collection.
    ///
    /// # Errors
    /// [`RequestError`] of the node asked last.
    pub async fn get_patiently(&self, path: &str) -> Result<Value, RequestError> {
        self.ask(Method::GET, path, None, PATIENCE_LONG).await
    }

    /// POST of `body` in the same way as [`Client::get_patiently`].
    ///
    /// # Errors
    /// [`RequestError`] of the node asked last.
    pub async fn post(&self, path: &str, content_type: &'static str, body: Bytes) -> Result<Value, RequestError> {
        self.ask(Method::POST, path, Some((content_type, body)), PATIENCE_LONG).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        content: Option<(&'static str, Bytes)>,
        patience: Duration,
    ) -> Result<Value, RequestError> {
        let mut outcome = None;
        for base in self.candidates() {
            let mut request = self.inner.http.request(method.clone(), format!("{base}{path}")).timeout(patience);
            if let Some((content_type, body)) = &content {
                request = request.header(CONTENT_TYPE, *content_type).body(body.clone());
            }
            let answer = self.send(request, &base).await;
            let is_theirs = matches!(&answer, Err(RequestError::Refused { status, .. }) if *status < 500);
            if answer.is_ok() || is_theirs {
                self.inner.known.lock().preferred = Some(base);
                return answer;
            }
            outcome = Some(answer);
        }
        outcome.unwrap_or_else(|| {
            let (address, message) = ("nobody".to_owned(), "no address is given".to_owned());
            Err(RequestError::Refused { address, status: 0, message, retry_after: None })
        })
    }

    /// Posts an update to a core.
    ///
    /// # Errors
    /// [`RequestError`]; an answer of 200 that speaks of an error counts as one.
    pub(crate) async fn update(&self, core: &str, query: &str, content: Content) -> Result<Value, RequestError> {
        let request = self.inner.http.post(format!("{core}/update?{query}"));
        let request = request.header(CONTENT_TYPE, content.content_type).body(content.body);
        self.send(request, core).await
    }

    /// Sends a request; a second time if the login was refused and there is a new one: a token that was renewed since.
    async fn send(&self, request: RequestBuilder, address: &str) -> Result<Value, RequestError> {
        let login = self.authorization()?;
        let again = login.as_ref().and_then(|_| request.try_clone());
        let answer = self.send_as(request, login.clone(), address).await;
        if matches!(answer, Err(RequestError::Refused { status: 401, .. }))
            && let Some(again) = again
            && let renewed @ Some(_) = self.authorization()?
            && renewed != login
        {
            return self.send_as(again, renewed, address).await;
        }
        answer
    }

    async fn send_as(
        &self,
        request: RequestBuilder,
        login: Option<HeaderValue>,
        address: &str,
    ) -> Result<Value, RequestError> {
        let request = match login {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        };
        let unanswered = |source: reqwest::Error| RequestError::Unanswered {
            address: address.to_owned(),
            source: source.without_url(),
        };
        let response = request.send().await.map_err(unanswered)?;
        let status = response.status().as_u16();
        if status == 401 {
            *self.inner.authorization.lock() = None;
        }
        let retry_after = retry_after(&response);
        let body = read(response).await.map_err(unanswered)?;
        judge(address, status, retry_after, &body)
    }

    fn authorization(&self) -> Result<Option<HeaderValue>, RequestError> {
        let mut kept = self.inner.authorization.lock();
        if let Some((made, value)) = &*kept
            && made.elapsed() < TOKEN_AGE_MAX
        {
            return Ok(Some(value.clone()));
        }
        let text = match &self.inner.options.login {
            Login::Nobody => return Ok(None),
            Login::Basic { user, password } => format!("Basic {}", base64(format!("{user}:{password}").as_bytes())),
            Login::Bearer { file } => {
                let token = std::fs::read_to_string(file);
                let unreadable = |source| RequestError::Token { path: file.display().to_string(), source };
                format!("Bearer {}", token.map_err(unreadable)?.trim())
            }
        };
        let Ok(mut value) = HeaderValue::from_str(&text) else { return Ok(None) };
        value.set_sensitive(true);
        *kept = Some((Instant::now(), value.clone()));
        Ok(Some(value))
    }

    fn strange(&self, answer: &Value) -> RequestError {
        let message = format!("an answer that is not understood: {}", shortened(&answer.to_string()));
        RequestError::Refused { address: self.addresses(), status: 200, message, retry_after: None }
    }
}

/// The body of a request.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
}

fn tls(options: &ClientOptions) -> Result<rustls::ClientConfig, ClientError> {
    let unreadable = |reason: String| ClientError::Authorities { reason };
    let mut roots = rustls::RootCertStore::empty();
    if let Some(pem) = &options.authorities_pem {
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
            roots.add(certificate).map_err(|error| unreadable(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(unreadable("there is none".to_owned()));
        }
    } else if options.urls.iter().any(|url| url.starts_with("https:")) {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| unreadable(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

async fn read(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            break;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What an answer means.
fn judge(address: &str, status: u16, retry_after: Option<Duration>, body: &[u8]) -> Result<Value, RequestError> {
    let answer: Option<Value> = serde_json::from_slice(body).ok();
    let error = answer.as_ref().and_then(|answer| answer.get("error"));
    let inner = answer.as_ref().and_then(|answer| answer.get("responseHeader")?.get("status")?.as_u64()).unwrap_or(0);
    match answer {
        Some(answer) if status == 200 && inner == 0 && answer.get("error").is_none() => Ok(answer),
        ref answer => {
            let code = error.and_then(|error| error.get("code")?.as_u64()).and_then(|code| u16::try_from(code).ok());
            let words = error.and_then(|error| error.get("msg").or_else(|| error.get("message"))?.as_str());
            let message = match words {
                Some(words) => words.to_owned(),
                None if answer.is_none() && status == 200 => {
                    format!("something that is not JSON: {}", shortened(&String::from_utf8_lossy(body)))
                }
                None => shortened(&String::from_utf8_lossy(body)),
            };
            // A 200 with an error inside: the code inside counts; without one, a fault of the server.
            let status = if status == 200 { code.unwrap_or(500) } else { status };
            Err(RequestError::Refused { address: address.to_owned(), status, message, retry_after })
        }
    }
}

fn shortened(text: &str) -> String {
    text.trim().chars().take(MESSAGE_CHARS_MAX).collect()
}

/// Seconds; dates are not read, since clocks differ.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds: u64 = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(3600)))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let sextet = (word >> (18 - 6 * digit)) & 63;
            text.push(if digit <= chunk.len() { char::from(DIGITS[sextet as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads() {
        assert_eq!(base64(b"user:pass"), "dXNlcjpwYXNz");
        assert_eq!(base64(b"a:bc"), "YTpiYw==");
        assert_eq!(base64(b"ab:cd"), "YWI6Y2Q=");
    }

    /// Scenario: answers of 200 that are none: an error inside, a page of a proxy, a status that is not 0.
    /// Guarantees: each is an error, with the words it came with.
    #[test]
    fn a_200_may_be_an_error() {
        let refused = |status, body: &str| match judge("a", status, None, body.as_bytes()) {
            Err(RequestError::Refused { status, message, .. }) => (status, message),
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(200, r#"{"error":{"code":400,"msg":"bad"}}"#), (400, "bad".to_owned()));
        assert_eq!(refused(200, "<html>"), (500, "something that is not JSON: <html>".to_owned()));
        assert_eq!(refused(200, r#"{"responseHeader":{"status":1}}"#).0, 500);
        assert_eq!(refused(503, "busy"), (503, "busy".to_owned()));
        assert!(judge("a", 200, None, br#"{"responseHeader":{"status":0}}"#).is_ok());
    }
}
