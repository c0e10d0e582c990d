//! [`TokenSource`]: bearer tokens from a file or a token endpoint.
//!
//! A token with a known life is shared by all connections of a cluster and replaced when 80 % of that is over: by the first
//! connection that needs one then, while the others wait for it. If there is no new one, the old one is used to its end.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::CertificateDer;
use serde_json::Value;
use tokio::sync::Mutex;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use super::bearer::abbreviated;
use super::credentials::on_thread;
use super::{CredentialsError, Secret, TlsError, TlsOptions, tls};

/// A broker takes at most 512 KiB in a message of SASL.
const TOKEN_BYTES_MAX: usize = 256 << 10;
/// An answer has a token and a few fields.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// The share of a token's life after which it is replaced.
const REFRESH: f64 = 0.8;
/// Longer lives are cut to this: a year.
const LIFE_MAX: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Where bearer tokens come from.
#[derive(Clone, Debug)]
pub enum TokenSource {
    /// A file that somebody else keeps up to date; read for each authentication. White space around the token is ignored.
    File {
        /// The file.
        path: PathBuf,
    },
    /// An OAuth 2 token endpoint.
    Endpoint(TokenEndpoint),
}

/// A token endpoint, and what this client is to it: the client credentials grant (RFC 6749, 4.4). Credentials go in the
/// header `Authorization` (Basic, both parts form-encoded as the RFC says). Redirects are not followed, and proxies of the
/// environment not used.
#[derive(Clone)]
pub struct TokenEndpoint {
    /// Its address: `https://id.example.org/token`. With `http` the secret goes over the wire.
    pub url: String,
    /// Name of this client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// What to ask for, separated by spaces; `None` for what the endpoint gives by default.
    pub scope: Option<String>,
    /// Further parameters of the request, such as `audience` or `resource`.
    pub parameters: Vec<(String, String)>,
    /// Certificates of authorities that may vouch for the endpoint, PEM; empty if those of the system are enough.
    pub authorities_pem: String,
    /// Whether the authorities that the operating system trusts may vouch for it, too.
    pub system_authorities: bool,
    /// Limit on connecting and answering together. The connect timeout of connections counts as well.
    pub timeout: Duration,
}

impl TokenEndpoint {
    /// The endpoint at `url` with this client's credentials, vouched for by the system's authorities, given 10 s.
    #[must_use]
    pub fn new(url: impl Into<String>, client_id: impl Into<String>, client_secret: Secret) -> Self {
        Self {
            url: url.into(),
            client_id: client_id.into(),
            client_secret,
            scope: None,
            parameters: Vec::new(),
            authorities_pem: String::new(),
            system_authorities: true,
            timeout: Duration::from_secs(10),
        }
    }
}

impl fmt::Debug for TokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenEndpoint")
            .field("url", &self.url)
            .field("client_id", &self.client_id)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// The tokens of a cluster's connections.
pub(super) struct Tokens {
    source: Arc<Source>,
    /// Held while a token is got, so that one connection does it for all.
    kept: Arc<Mutex<Option<Kept>>>,
}

enum Source {
    File(PathBuf),
    Endpoint { endpoint: TokenEndpoint, agent: ureq::Agent },
}

/// A token whose life is known.
struct Kept {
    token: Secret,
    refresh_at: Instant,
    ends: Instant,
}

impl Tokens {
    pub(super) fn new(source: &TokenSource) -> Result<Self, TlsError> {
        let source = match source {
            TokenSource::File { path } => Source::File(path.clone()),
            TokenSource::Endpoint(endpoint) => Source::Endpoint { agent: agent(endpoint)?, endpoint: endpoint.clone() },
        };
        Ok(Self { source: Arc::new(source), kept: Arc::default() })
    }

    /// A token to show now. Cancelling does not cancel a request that is under way: its token is kept for the next.
    pub(super) async fn get(&self) -> Result<Secret, CredentialsError> {
        let mut kept = self.kept.clone().lock_owned().await;
        if let Some(Kept { token, refresh_at, .. }) = &*kept
            && Instant::now() < *refresh_at
        {
            return Ok(token.clone());
        }
        let source = self.source.clone();
        on_thread(move || {
            let asked = Instant::now();
            let fetched = source.fetch();
            settle(&mut kept, asked, fetched, Instant::now())
        })
        .await?
    }
}

/// What to show after a token was asked for at `asked`, and what to keep. Its life counts from then: the answer may have
/// taken some of it.
fn settle(
    kept: &mut Option<Kept>,
    asked: Instant,
    fetched: Result<(Secret, Option<Duration>), CredentialsError>,
    now: Instant,
) -> Result<Secret, CredentialsError> {
    match (fetched, &*kept) {
        (Ok((token, life)), _) => {
            let keep = |life: Duration| Kept {
                token: token.clone(),
                refresh_at: asked + life.mul_f64(REFRESH),
                ends: asked + life,
            };
            *kept = life.map(keep);
            Ok(token)
        }
        (Err(error), Some(old)) if now < old.ends => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "no new token; the old one is used as long as it holds");
            Ok(old.token.clone())
        }
        (Err(error), _) => Err(error),
    }
}

impl Source {
    /// A token, and its life if that is known. Blocks.
    fn fetch(&self) -> Result<(Secret, Option<Duration>), CredentialsError> {
        match self {
            Self::File(path) => {
                let text = read(path).map_err(|source| CredentialsError::File { path: path.clone(), source })?;
                Ok((token(&path.display().to_string(), &text)?, None))
            }
            Self::Endpoint { endpoint, agent } => endpoint.ask(agent),
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let bytes = std::fs::metadata(path)?.len();
    if bytes > TOKEN_BYTES_MAX as u64 {
        let message = format!("it has {bytes} bytes, a token at most {TOKEN_BYTES_MAX}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    std::fs::read_to_string(path)
}

/// The token in `text` of `place`.
fn token(place: &str, text: &str) -> Result<Secret, CredentialsError> {
    let text = text.trim();
    let no_token = |detail| CredentialsError::NoToken { place: place.to_owned(), detail };
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if text.is_empty() {
        return Err(no_token("it is empty"));
    }
    if text.len() > TOKEN_BYTES_MAX {
        return Err(no_token("it is too long"));
    }
    if !text.bytes().all(is_letter) {
        return Err(no_token("tokens have letters, digits and -._~+/= only"));
    }
    Ok(Secret::new(text))
}

fn agent(endpoint: &TokenEndpoint) -> Result<ureq::Agent, TlsError> {
    let mut config = ureq::Agent::config_builder()
        .timeout_global(Some(endpoint.timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None);
    if !endpoint.url.to_ascii_lowercase().starts_with("http:") {
        let TokenEndpoint { authorities_pem, system_authorities, .. } = endpoint.clone();
        let options = TlsOptions { authorities_pem, system_authorities, ..TlsOptions::default() };
        let own = |certificate: CertificateDer<'static>| Certificate::from_der(&certificate).to_owned();
        let roots: Vec<Certificate<'static>> = tls::authorities(&options)?.into_iter().map(own).collect();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .unversioned_rustls_crypto_provider(provider);
        config = config.tls_config(tls.build());
    }
    Ok(config.build().new_agent())
}

impl TokenEndpoint {
    fn ask(&self, agent: &ureq::Agent) -> Result<(Secret, Option<Duration>), CredentialsError> {
        let (status, body) = self
            .post(agent)
            .map_err(|error| CredentialsError::Endpoint { url: self.url.clone(), source: Box::new(error) })?;
        let json = serde_json::from_slice::<Value>(&body).unwrap_or_default();
        let field = |name: &str| json.get(name).and_then(Value::as_str);
        if status != 200 {
            let detail = match (field("error"), field("error_description")) {
                (Some(error), Some(description)) => abbreviated(&format!("{error}: {description}")),
                (Some(error), None) => abbreviated(error),
                (None, _) => abbreviated(&String::from_utf8_lossy(&body)),
            };
            return Err(CredentialsError::Refused { url: self.url.clone(), status, detail });
        }
        let no_token = |detail| CredentialsError::NoToken { place: self.url.clone(), detail };
        let text = field("access_token").ok_or_else(|| no_token("the answer has no field access_token"))?;
        if field("token_type").is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err(no_token("what it gives is no bearer token"));
        }
        Ok((token(&self.url, text)?, json.get("expires_in").and_then(life)))
    }

    fn post(&self, agent: &ureq::Agent) -> Result<(u16, Vec<u8>), ureq::Error> {
        let credentials = format!("{}:{}", form_encoded(&self.client_id), form_encoded(self.client_secret.reveal()));
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        form.extend(self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let mut response = agent
            .post(&self.url)
            .header("authorization", format!("Basic {}", BASE64.encode(credentials)))
            .header("accept", "application/json")
            .send_form(form)?;
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
        Ok((response.status().as_u16(), body))
    }
}

/// Seconds, as a number or, from some servers, as text; `None` for what allows no keeping.
fn life(value: &Value) -> Option<Duration> {
    let seconds = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    (seconds > 0.0).then(|| Duration::from_secs_f64(seconds.min(LIFE_MAX.as_secs_f64())))
}

/// As in the body of a form (RFC 6749, appendix B).
fn form_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => encoded.push(char::from(byte)),
            b' ' => encoded.push('+'),
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetched(text: &str, seconds: u64) -> Result<(Secret, Option<Duration>), CredentialsError> {
        Ok((Secret::new(text), Some(Duration::from_secs(seconds))))
    }

    fn failed() -> Result<(Secret, Option<Duration>), CredentialsError> {
        Err(CredentialsError::NoToken { place: "nowhere".to_owned(), detail: "it is empty" })
    }

    /// Scenario: a token of 100 s, whose answer took 10 s, then failures of the endpoint, then a token of unknown life.
    /// Guarantees: it is replaced 80 s after it was asked for; failures are bridged until 100 s after that and told later;
    /// what may not be kept is not.
    #[test]
    fn lives_are_kept() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut kept = None;
        assert!(settle(&mut kept, at(0), failed(), at(1)).is_err());
        assert_eq!(settle(&mut kept, at(0), fetched("one", 100), at(10)).expect("a token").reveal(), "one");
        let Some(Kept { refresh_at, ends, .. }) = &kept else { panic!("not kept") };
        assert_eq!((*refresh_at, *ends), (at(80), at(100)));
        assert_eq!(settle(&mut kept, at(90), failed(), at(99)).expect("the old one").reveal(), "one");
        assert!(settle(&mut kept, at(100), failed(), at(100)).is_err());
        assert_eq!(settle(&mut kept, at(101), fetched("two", 10), at(101)).expect("a token").reveal(), "two");
        let endless = settle(&mut kept, at(109), Ok((Secret::new("three"), None)), at(109));
        assert_eq!(endless.expect("a token").reveal(), "three");
        assert!(kept.is_none());
    }

    /// Scenario: lives as numbers, texts, none, negative and absurd.
    /// Guarantees: only a life that is there counts, and none is longer than a year.
    #[test]
    fn lives_are_read() {
        let read = |text: &str| life(&serde_json::from_str(text).expect("JSON"));
        assert_eq!(read("3600"), Some(Duration::from_secs(3_600)));
        assert_eq!(read("\" 299 \""), Some(Duration::from_secs(299)));
        assert_eq!(read("1e300"), Some(LIFE_MAX));
        for nothing in ["0", "-5", "\"soon\"", "null", "{}"] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
    }
}
