//! SASL OAUTHBEARER.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use libtest_mimic::Failed;
use weir_kafka::{Cluster, Sasl, ScramMechanism, Secret, Security, TokenEndpoint, TokenSource};
use weir_servers::kafka::{self, Listener, PASSWORD, USER, Version};

use crate::account::on_runtime;
use crate::security::{options_by, refused, scram, tls_of};
use crate::sessions;

/// What the broker wants tokens to be for.
const SCOPE: &str = "kafka.use";
/// Seconds that tokens hold, and that the endpoint says they do: so that every renewal of a session has a new one.
const TOKEN_HOLDS: i64 = 60;
const TOKEN_SAID_TO_HOLD: i64 = 5;

/// Scenario: a broker that checks tokens for their time and scope and limits sessions to 6 s; tokens from a file and from an
/// endpoint with client credentials, while events are produced and fetched for more than two sessions, at the same time by
/// SCRAM over TLS with a certificate; then tokens that have run out, are for something else, or are none, and an endpoint
/// that does not know this client.
/// Guarantees: sessions are renewed with new tokens; every event is there once, in order, and no request fails by it; each
/// wrong way is refused with its reason.
pub(crate) fn tokens(version: Version) -> Result<(), Failed> {
    let listeners = vec![Listener::Sasl, Listener::SaslTls, Listener::SaslMutualTls];
    let module = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule";
    let module = format!(
        "{module} required unsecuredLoginStringClaim_sub=\"{USER}\" unsecuredValidatorRequiredScope=\"{SCOPE}\";"
    );
    let property = |listener: &str| (format!("listener.name.{listener}.oauthbearer.sasl.jaas.config"), module.clone());
    let properties = vec![sessions::limit(), property("sasl"), property("sasl_tls")];
    let options = kafka::ClusterOptions { version, listeners, properties, ..kafka::ClusterOptions::default() };
    kafka::Cluster::with(options, |server| {
        on_runtime(async {
            let (tls, mutual_tls) = tls_of(server)?;
            let issuer = Issuer::start()?;
            let by_endpoint = Security { tls: tls.clone(), sasl: Some(issuer.asked_by("right", SCOPE)) };
            let by_scram = Security { tls: mutual_tls, sasl: scram(ScramMechanism::Sha512, PASSWORD) };
            let load = async {
                let (tokens, certificate) = (Listener::SaslTls, Listener::SaslMutualTls);
                tokio::try_join!(
                    sessions::outlive(options_by(server.bootstrap_by(tokens), by_endpoint), "by-token"),
                    sessions::outlive(options_by(server.bootstrap_by(certificate), by_scram), "by-password"),
                )
            };
            load.await?;
            assert!(issuer.issued() >= 3, "{} tokens for three sessions", issuer.issued());
            let folder = tempfile::tempdir()?;
            let by_file = |name: &str, text: &str| -> Result<Security, Failed> {
                let path = folder.path().join(name);
                std::fs::write(&path, text)?;
                let token = TokenSource::File { path };
                Ok(Security { tls: None, sasl: Some(Sasl::OauthBearer { token, extensions: Vec::new() }) })
            };
            let good = by_file("good", &token(SCOPE, TOKEN_HOLDS))?;
            Cluster::connect(options_by(server.bootstrap_by(Listener::Sasl), good)).await?;
            let wrong = [
                (by_file("old", &token(SCOPE, -TOKEN_HOLDS))?, "did not agree on OAUTHBEARER: invalid_token"),
                (
                    by_file("other", &token("mail.read", TOKEN_HOLDS))?,
                    "did not agree on OAUTHBEARER: insufficient_scope",
                ),
                (by_file("nonsense", "nonsense")?, "did not agree on OAUTHBEARER: invalid_token"),
                (by_file("empty", "")?, "has no token: it is empty"),
                (
                    Security { tls: None, sasl: Some(issuer.asked_by("wrong", SCOPE)) },
                    "answered 401: invalid_client: who is that?",
                ),
            ];
            for (security, reason) in wrong {
                refused(server, Listener::Sasl, security, reason).await?;
            }
            Ok(())
        })
    })
}

/// A token as a broker takes it that is given no keys: not signed.
fn token(scope: &str, holds: i64) -> String {
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs() as i64);
    let claims =
        format!(r#"{{"sub":"{USER}","scope":"{scope}","iat":{},"exp":{}}}"#, now - 2 * TOKEN_HOLDS, now + holds);
    format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(claims))
}

/// A token endpoint that knows the client `weir` by the secret `right`. Ends with the process.
struct Issuer {
    url: String,
    issued: Arc<AtomicUsize>,
}

impl Issuer {
    fn start() -> Result<Self, Failed> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}/token", listener.local_addr()?);
        let issued = Arc::new(AtomicUsize::new(0));
        let counter = issued.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                // A client that goes away is no matter.
                if answer(socket).is_ok_and(|was_issued| was_issued) {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Ok(Self { url, issued })
    }

    fn asked_by(&self, secret: &str, scope: &str) -> Sasl {
        let mut endpoint = TokenEndpoint::new(&self.url, "weir", Secret::new(secret));
        endpoint.scope = Some(scope.to_owned());
        endpoint.timeout = Duration::from_secs(5);
        Sasl::OauthBearer { token: TokenSource::Endpoint(endpoint), extensions: Vec::new() }
    }

    fn issued(&self) -> usize {
        self.issued.load(Ordering::Relaxed)
    }
}

/// Answers one request; whether with a token.
fn answer(socket: TcpStream) -> std::io::Result<bool> {
    let mut stream = BufReader::new(socket);
    let (mut is_known, mut length) = (false, 0);
    let right = STANDARD.encode("weir:right");
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        is_known |= line.contains(&right);
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut form = vec![0; length];
    stream.read_exact(&mut form)?;
    let form = String::from_utf8_lossy(&form);
    let scope = form.split('&').find_map(|field| field.strip_prefix("scope=")).unwrap_or_default();
    let (status, body) = match is_known && form.contains("grant_type=client_credentials") {
        false => (401, r#"{"error":"invalid_client","error_description":"who is that?"}"#.to_owned()),
        true => {
            let token = token(scope, TOKEN_HOLDS);
            (200, format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{TOKEN_SAID_TO_HOLD}}}"#))
        }
    };
    let head = format!("HTTP/1.1 {status} Answer\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.get_mut().write_all(format!("{head}{body}").as_bytes())?;
    Ok(status == 200)
}
