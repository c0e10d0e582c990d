//! SASL: getting credentials, and the exchange of them with a broker.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::StrBytes;

use super::kerberos::Kerberos;
use super::line::Alone;
use super::scram::Scram;
use super::security::Authenticator;
use super::{Connection, ConnectionError, CredentialsError, Sasl, ScramMechanism, Secret, bearer, pipe};
use crate::ErrorCode;

/// Bytes of a SCRAM nonce before encoding.
const NONCE_BYTES: usize = 24;

impl Sasl {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Plain { .. } => "PLAIN",
            Self::Scram { mechanism: ScramMechanism::Sha256, .. } => "SCRAM-SHA-256",
            Self::Scram { mechanism: ScramMechanism::Sha512, .. } => "SCRAM-SHA-512",
            Self::OauthBearer { .. } => "OAUTHBEARER",
            Self::Gssapi { .. } => "GSSAPI",
        }
    }
}

/// Credentials at hand: all that an exchange needs besides the broker.
pub(super) struct Opening {
    mechanism: &'static str,
    first: First,
}

enum First {
    Plain { username: String, password: Secret },
    Scram { scram: Scram, password: Secret },
    Bearer { message: String },
    Kerberos { kerberos: Kerberos, token: Vec<u8> },
}

/// Gets the credentials for a connection. Asks whoever issues them, but not the broker.
pub(super) async fn prepare(
    connection: &Connection,
    authenticator: &Authenticator,
) -> Result<Opening, ConnectionError> {
    let mechanism = authenticator.sasl.name();
    let unavailable = |error: CredentialsError| ConnectionError::Credentials {
        peer: connection.peer().clone(),
        mechanism,
        source: Arc::new(error),
    };
    let first = match &*authenticator.sasl {
        Sasl::Plain { username, password } => First::Plain { username: username.clone(), password: password.clone() },
        Sasl::Scram { mechanism: hash, username, password } => {
            let nonce = nonce().map_err(|detail| refused(connection, mechanism, detail, None))?;
            First::Scram { scram: Scram::new(*hash, username, nonce), password: password.clone() }
        }
        Sasl::OauthBearer { extensions, .. } => {
            let token = authenticator.token().await.map_err(unavailable)?;
            First::Bearer { message: bearer::first_message(&token, extensions) }
        }
        Sasl::Gssapi { .. } => {
            let host = pipe::host_of(connection.peer()).to_owned();
            let (kerberos, token) = authenticator.ticket(host).await.map_err(unavailable)?;
            First::Kerberos { kerberos, token }
        }
    };
    Ok(Opening { mechanism, first })
}

/// Proves who this client is; SCRAM proves as well that the broker knows the password. Tells how long the broker lets this
/// session last; `None` if it sets no limit. Waits until the line is empty, then for each answer at most `timeout`.
pub(super) async fn authenticate(
    connection: &Connection,
    opening: Opening,
    timeout: Duration,
) -> Result<Option<Duration>, ConnectionError> {
    let Opening { mechanism, first } = opening;
    let alone = connection.alone().await?;
    let mut exchange = Exchange { connection, alone, mechanism, timeout, session_ms: 0 };
    exchange.handshake().await?;
    match first {
        First::Plain { username, password } => {
            exchange.say(format!("\0{username}\0{}", password.reveal())).await?;
        }
        First::Scram { scram, password } => {
            let first = exchange.say_text(scram.first_message()).await?;
            let (last, proven) = scram.prove(&first, password.reveal()).map_err(|error| exchange.broken(&error))?;
            let verdict = exchange.say_text(last).await?;
            proven.verify(&verdict).map_err(|error| exchange.broken(&error))?;
        }
        First::Bearer { message } => {
            let refusal = exchange.say(message).await?;
            if !refusal.is_empty() {
                return Err(exchange.conclude(&refusal).await);
            }
        }
        First::Kerberos { mut kerberos, mut token } => loop {
            let message = exchange.say(token).await?;
            match kerberos.answer(&message).map_err(|error| exchange.broken(&error))? {
                Some(answer) => token = answer,
                None => break,
            }
        },
    }
    Ok(u64::try_from(exchange.session_ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis))
}

struct Exchange<'a> {
    connection: &'a Connection,
    alone: Alone,
    mechanism: &'static str,
    timeout: Duration,
    /// As of the last answer; 0 for no limit.
    session_ms: i64,
}

impl Exchange<'_> {
    fn refused(&self, detail: &str, code: Option<ErrorCode>) -> ConnectionError {
        refused(self.connection, self.mechanism, detail, code)
    }

    fn broken(&self, error: &dyn std::error::Error) -> ConnectionError {
        self.refused(&error.to_string(), None)
    }

    async fn handshake(&self) -> Result<(), ConnectionError> {
        let request = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(self.mechanism));
        let response = self.connection.call_alone(&self.alone, &request, self.timeout).await?;
        let Some(code) = ErrorCode::from_wire(response.error_code) else {
            return Ok(());
        };
        let offered: Vec<&str> = response.mechanisms.iter().map(|name| name.as_str()).collect();
        Err(self.refused(&format!("the broker offers {}", offered.join(", ")), Some(code)))
    }

    async fn say(&mut self, message: impl Into<Bytes>) -> Result<Bytes, ConnectionError> {
        let request = SaslAuthenticateRequest::default().with_auth_bytes(message.into());
        let response = self.connection.call_alone(&self.alone, &request, self.timeout).await?;
        if let Some(code) = ErrorCode::from_wire(response.error_code) {
            let detail = response.error_message.as_ref().map_or("no reason given", |text| text.as_str());
            return Err(self.refused(detail, Some(code)));
        }
        self.session_ms = response.session_lifetime_ms;
        Ok(response.auth_bytes)
    }

    /// Ends an exchange that the broker has refused in the words of the mechanism.
    async fn conclude(&mut self, refusal: &[u8]) -> ConnectionError {
        let code = match self.say(bearer::ACKNOWLEDGED).await {
            Err(ConnectionError::Authentication { code, .. }) => code,
            // What was refused stays so, however the broker ends it.
            Ok(_) | Err(_) => None,
        };
        self.refused(&bearer::explain(refusal), code)
    }

    async fn say_text(&mut self, message: String) -> Result<String, ConnectionError> {
        let answer = self.say(message).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

fn refused(connection: &Connection, mechanism: &'static str, detail: &str, code: Option<ErrorCode>) -> ConnectionError {
    ConnectionError::Authentication { peer: connection.peer().clone(), mechanism, detail: Arc::from(detail), code }
}

fn nonce() -> Result<String, &'static str> {
    use base64::Engine;
    let mut bytes = [0; NONCE_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "the system gives no random numbers")?;
    Ok(base64::engine::general_purpose::STANDARD.encode(bytes))
}
