//! Tokens from files and from an endpoint in this process.

use std::error::Error as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::token::Tokens;
use super::{CredentialsError, Secret, TokenEndpoint, TokenSource};

/// A token endpoint that gives one answer after the other, each on a connection of its own, and ends with them.
struct Endpoint {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    thread: JoinHandle<()>,
}

impl Endpoint {
    fn start(answers: &[(u16, &str)], tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let url = format!("{}://{address}/token", if tls.is_some() { "https" } else { "http" });
        let answers: Vec<String> = answers.iter().map(|(status, body)| answer(*status, body)).collect();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let requests = asked.clone();
        let thread = std::thread::spawn(move || {
            for answer in answers {
                let socket = listener.accept().expect("a connection").0;
                match &tls {
                    None => serve(socket, &answer, &requests),
                    Some(config) => {
                        let session = ServerConnection::new(config.clone()).expect("a configuration");
                        serve(StreamOwned::new(session, socket), &answer, &requests);
                    }
                }
            }
        });
        Self { url, asked, thread }
    }

    fn tokens(&self, change: impl FnOnce(&mut TokenEndpoint)) -> Tokens {
        let mut endpoint = TokenEndpoint::new(&self.url, "weir:1", Secret::new("p+w d"));
        change(&mut endpoint);
        Tokens::new(&TokenSource::Endpoint(endpoint)).expect("options")
    }

    /// The requests, once all answers were given.
    fn requests(self) -> Vec<String> {
        self.thread.join().expect("no panic");
        std::mem::take(&mut *self.asked.lock().expect("no panic"))
    }
}

fn answer(status: u16, body: &str) -> String {
    let location = if status == 302 { "location: /elsewhere\r\n" } else { "" };
    let length = body.len();
    format!("HTTP/1.1 {status} Reason\r\n{location}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

/// A client that does not trust this side goes away in the handshake, which is its right.
fn serve(stream: impl Read + Write, answer: &str, requests: &Mutex<Vec<String>>) {
    let mut stream = BufReader::new(stream);
    let (mut request, mut length) = (String::new(), 0);
    loop {
        let start = request.len();
        if stream.read_line(&mut request).unwrap_or(0) == 0 {
            return;
        }
        let line = request[start..].trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().expect("a length");
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a body");
    requests.lock().expect("no panic").push(request + &String::from_utf8_lossy(&body));
    stream.get_mut().write_all(answer.as_bytes()).expect("a reader");
    stream.get_mut().flush().expect("a reader");
}

/// Scenario: four connections at once want a token of an hour, then one more.
/// Guarantees: one request, with the grant, the encoded credentials, the scope and the further parameters; all get the token.
#[tokio::test]
async fn a_token_is_asked_for_once() {
    let endpoint =
        Endpoint::start(&[(200, r#"{"access_token":"abc.def","token_type":"bearer","expires_in":3600}"#)], None);
    let tokens = endpoint.tokens(|endpoint| {
        endpoint.scope = Some("kafka.read kafka.write".to_owned());
        endpoint.parameters = vec![("audience".to_owned(), "a&b".to_owned())];
    });
    let all = tokio::join!(tokens.get(), tokens.get(), tokens.get(), tokens.get());
    for token in [all.0, all.1, all.2, all.3, tokens.get().await] {
        assert_eq!(token.expect("a token").reveal(), "abc.def");
    }
    let requests = endpoint.requests();
    assert_eq!(requests.len(), 1);
    let lower = requests[0].to_ascii_lowercase();
    assert!(requests[0].starts_with("POST /token HTTP/1.1\r\n"), "{requests:?}");
    // weir%3A1:p%2Bw+d
    assert!(requests[0].contains("Basic d2VpciUzQTE6cCUyQncrZA=="), "{requests:?}");
    assert!(lower.contains("content-type: application/x-www-form-urlencoded"), "{requests:?}");
    let body = requests[0].rsplit_once("\r\n\r\n").map(|(_, body)| body);
    assert_eq!(body, Some("grant_type=client_credentials&scope=kafka.read+kafka.write&audience=a%26b"),);
}

/// Scenario: answers that are refusals, no token, no JSON, or somewhere else; then a token without a life, twice.
/// Guarantees: each is an error that says status and reason, and the secret is in none; a token that may not be kept is asked
/// for again.
#[tokio::test]
async fn refusals_say_why() {
    let bad = [
        (
            401,
            r#"{"error":"invalid_client","error_description":"no such\nclient"}"#,
            "answered 401: invalid_client: no such client",
        ),
        (400, r#"{"error":"invalid_scope"}"#, "answered 400: invalid_scope"),
        (503, "<h1>later</h1>", "answered 503: <h1>later</h1>"),
        (302, "", "answered 302: "),
        (200, r#"{"token":"abc"}"#, "has no token: the answer has no field access_token"),
        (200, "abc", "has no token: the answer has no field access_token"),
        (200, r#"{"access_token":"abc","token_type":"mac"}"#, "has no token: what it gives is no bearer token"),
        (
            200,
            r#"{"access_token":"a\u0001auth=Bearer b"}"#,
            "has no token: tokens have letters, digits and -._~+/= only",
        ),
        (200, r#"{"access_token":""}"#, "has no token: it is empty"),
    ];
    let good = (200, r#"{"access_token":"abc"}"#);
    let answers: Vec<(u16, &str)> = bad.iter().map(|(status, body, _)| (*status, *body)).chain([good, good]).collect();
    let endpoint = Endpoint::start(&answers, None);
    let tokens = endpoint.tokens(|_| {});
    for (_, _, expected) in bad {
        let error = tokens.get().await.expect_err("no token");
        assert!(error.to_string().ends_with(expected), "{error}");
        assert!(error.to_string().contains("http://127.0.0.1:"), "{error}");
        assert!(!format!("{error:?}").contains("p+w"), "{error:?}");
    }
    for _ in 0..2 {
        assert_eq!(tokens.get().await.expect("a token").reveal(), "abc");
    }
    assert_eq!(endpoint.requests().len(), 11);
}

/// Scenario: an endpoint that accepts and stays silent, one that is not there, an address that is none.
/// Guarantees: each is an error within the limit, with its address and the cause.
#[tokio::test]
async fn endpoints_that_do_not_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let silent_url = format!("http://{}/", silent.local_addr().expect("an address"));
    let gone_url = "http://127.0.0.1:1/token".to_owned();
    for url in [silent_url, gone_url, "http://".to_owned()] {
        let mut endpoint = TokenEndpoint::new(&url, "weir", Secret::new("secret"));
        endpoint.timeout = Duration::from_millis(50);
        let tokens = Tokens::new(&TokenSource::Endpoint(endpoint)).expect("options");
        let error = tokens.get().await.expect_err("no answer");
        assert_eq!(error.to_string(), format!("cannot ask the token endpoint {url}"));
        assert!(error.source().is_some());
    }
}

/// Scenario: an endpoint with TLS whose authority is given, and not given.
/// Guarantees: the first gives a token; the second is not told the secret.
#[tokio::test]
async fn endpoints_prove_who_they_are() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], PrivatePkcs8KeyDer::from(signing_key.serialize_der()).into())
        .expect("a key");
    let good = (200, r#"{"access_token":"abc"}"#);
    let endpoint = Endpoint::start(&[good, good], Some(Arc::new(config)));
    let trusting = endpoint.tokens(|endpoint| {
        endpoint.authorities_pem = cert.pem();
        endpoint.system_authorities = false;
    });
    assert_eq!(trusting.get().await.expect("a token").reveal(), "abc");
    let other = generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate").cert.pem();
    let wary = endpoint.tokens(|endpoint| {
        endpoint.authorities_pem = other;
        endpoint.system_authorities = false;
    });
    let error = wary.get().await.expect_err("a stranger");
    assert!(matches!(error, CredentialsError::Endpoint { .. }), "{error}");
    assert_eq!(endpoint.requests().len(), 1);
}

/// Scenario: a token file that is missing, empty, no text of a token, and is replaced.
/// Guarantees: errors name the file; each authentication reads it anew.
#[tokio::test]
async fn files_are_read_each_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    let tokens = Tokens::new(&TokenSource::File { path: path.clone() }).expect("options");
    let error = tokens.get().await.expect_err("no file");
    assert_eq!(error.to_string(), format!("cannot read a token from {}", path.display()));
    for (text, problem) in [("\n", "it is empty"), ("a b", "tokens have letters, digits and -._~+/= only")] {
        std::fs::write(&path, text).expect("a file");
        let error = tokens.get().await.expect_err("no token");
        assert_eq!(error.to_string(), format!("{} has no token: {problem}", path.display()));
    }
    for text in ["one.two-three", "four=="] {
        std::fs::write(&path, format!("{text}\n")).expect("a file");
        assert_eq!(tokens.get().await.expect("a token").reveal(), text);
    }
}
