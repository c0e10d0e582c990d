//! The SASL exchange over a fresh connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::StrBytes;

use super::scram::{Scram, ScramError};
use super::{Connection, ConnectionError, Sasl, ScramMechanism};
use crate::ErrorCode;

/// Bytes of a SCRAM nonce before encoding.
const NONCE_BYTES: usize = 24;

impl Sasl {
    const fn name(&self) -> &'static str {
        match self {
            Self::Plain { .. } => "PLAIN",
            Self::Scram { mechanism: ScramMechanism::Sha256, .. } => "SCRAM-SHA-256",
            Self::Scram { mechanism: ScramMechanism::Sha512, .. } => "SCRAM-SHA-512",
        }
    }
}

/// Proves who this client is, and with SCRAM that the broker knows the password.
pub(super) async fn authenticate(
    connection: &Connection,
    sasl: &Sasl,
    timeout: Duration,
) -> Result<(), ConnectionError> {
    let exchange = Exchange { connection, mechanism: sasl.name(), timeout };
    exchange.handshake().await?;
    match sasl {
        Sasl::Plain { username, password } => {
            let message = format!("\0{username}\0{}", password.reveal());
            exchange.say(message).await?;
        }
        Sasl::Scram { mechanism, username, password } => {
            let scram = Scram::new(*mechanism, username, nonce().map_err(|detail| exchange.refused(detail, None))?);
            let first = exchange.say(scram.first_message()).await?;
            let broken = |error: ScramError| exchange.refused(&error.to_string(), None);
            let (last, proven) = scram.prove(&first, password.reveal()).map_err(broken)?;
            let verdict = exchange.say(last).await?;
            proven.verify(&verdict).map_err(broken)?;
        }
    }
    Ok(())
}

struct Exchange<'a> {
    connection: &'a Connection,
    mechanism: &'static str,
    timeout: Duration,
}

impl Exchange<'_> {
    fn refused(&self, detail: &str, code: Option<ErrorCode>) -> ConnectionError {
        let (peer, mechanism) = (self.connection.peer().clone(), self.mechanism);
        ConnectionError::Authentication { peer, mechanism, detail: Arc::from(detail), code }
    }

    async fn handshake(&self) -> Result<(), ConnectionError> {
        let request = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(self.mechanism));
        let response = self.connection.call(&request, self.timeout).await?;
        let Some(code) = ErrorCode::from_wire(response.error_code) else {
            return Ok(());
        };
        let offered: Vec<&str> = response.mechanisms.iter().map(|name| name.as_str()).collect();
        Err(self.refused(&format!("the broker offers {}", offered.join(", ")), Some(code)))
    }

    async fn say(&self, message: String) -> Result<String, ConnectionError> {
        let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(message));
        let response = self.connection.call(&request, self.timeout).await?;
        if let Some(code) = ErrorCode::from_wire(response.error_code) {
            let detail = response.error_message.as_ref().map_or("no reason given", |text| text.as_str());
            return Err(self.refused(detail, Some(code)));
        }
        Ok(String::from_utf8_lossy(&response.auth_bytes).into_owned())
    }
}

fn nonce() -> Result<String, &'static str> {
    use base64::Engine;
    let mut bytes = [0; NONCE_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "the system gives no random numbers")?;
    Ok(base64::engine::general_purpose::STANDARD.encode(bytes))
}
