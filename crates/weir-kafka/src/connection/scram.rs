//! SCRAM (RFC 5802, RFC 7677) without I/O: what the client says, and whether the broker's proof is right.

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use thiserror::Error;

use super::ScramMechanism;

/// Kafka's own brokers use 4,096 to 16,384; far more would let a false broker keep this client busy.
const ITERATIONS_MAX: u32 = 1_000_000;

/// Why an exchange ended.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum ScramError {
    #[error("the broker's message lacks {0}")]
    Lacks(&'static str),
    #[error("the broker's nonce does not start with this client's")]
    Nonce,
    #[error("{0} iterations are not between 1 and {ITERATIONS_MAX}")]
    Iterations(u32),
    #[error("the broker says {0}")]
    Refused(String),
    #[error("the broker does not know the password")]
    Signature,
}

/// An exchange after the client's first message.
pub(super) struct Scram {
    mechanism: ScramMechanism,
    nonce: String,
    first_bare: String,
}

/// An exchange after the client's final message.
pub(super) struct Proven {
    server_signature: Vec<u8>,
}

impl Scram {
    pub(super) fn new(mechanism: ScramMechanism, username: &str, nonce: String) -> Self {
        let username = username.replace('=', "=3D").replace(',', "=2C");
        Self { mechanism, first_bare: format!("n={username},r={nonce}"), nonce }
    }

    pub(super) fn first_message(&self) -> String {
        // No channel binding.
        format!("n,,{}", self.first_bare)
    }

    /// Answers the broker's first message.
    pub(super) fn prove(self, server_first: &str, password: &str) -> Result<(String, Proven), ScramError> {
        let nonce = field(server_first, "r=").ok_or(ScramError::Lacks("a nonce"))?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(ScramError::Nonce);
        }
        let salt = field(server_first, "s=").and_then(|salt| BASE64.decode(salt).ok());
        let salt = salt.ok_or(ScramError::Lacks("a salt"))?;
        let iterations: u32 =
            field(server_first, "i=").and_then(|count| count.parse().ok()).ok_or(ScramError::Lacks("iterations"))?;
        let count = std::num::NonZeroU32::new(iterations).filter(|count| count.get() <= ITERATIONS_MAX);
        let count = count.ok_or(ScramError::Iterations(iterations))?;

        let (hmac_algorithm, digest_algorithm, derivation) = match self.mechanism {
            ScramMechanism::Sha256 => (hmac::HMAC_SHA256, &digest::SHA256, pbkdf2::PBKDF2_HMAC_SHA256),
            ScramMechanism::Sha512 => (hmac::HMAC_SHA512, &digest::SHA512, pbkdf2::PBKDF2_HMAC_SHA512),
        };
        let sign = |key: &[u8], message: &[u8]| hmac::sign(&hmac::Key::new(hmac_algorithm, key), message);
        let mut salted = vec![0; digest_algorithm.output_len()];
        pbkdf2::derive(derivation, count, &salt, password.as_bytes(), &mut salted);
        let client_key = sign(&salted, b"Client Key");
        let stored_key = digest::digest(digest_algorithm, client_key.as_ref());
        // "biws" is the header "n,," of the first message.
        let without_proof = format!("c=biws,r={nonce}");
        let authenticated = format!("{},{server_first},{without_proof}", self.first_bare);
        let signature = sign(stored_key.as_ref(), authenticated.as_bytes());
        let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(key, mask)| key ^ mask).collect();
        let server_key = sign(&salted, b"Server Key");
        let server_signature = sign(server_key.as_ref(), authenticated.as_bytes()).as_ref().to_vec();
        Ok((format!("{without_proof},p={}", BASE64.encode(proof)), Proven { server_signature }))
    }
}

impl Proven {
    /// Checks the broker's final message.
    pub(super) fn verify(&self, server_final: &str) -> Result<(), ScramError> {
        if let Some(error) = field(server_final, "e=") {
            return Err(ScramError::Refused(error.to_owned()));
        }
        let signature = field(server_final, "v=").and_then(|text| BASE64.decode(text).ok());
        let signature = signature.ok_or(ScramError::Lacks("a signature"))?;
        // Not secret any more at this point, so the time of the comparison tells nothing.
        if signature == self.server_signature { Ok(()) } else { Err(ScramError::Signature) }
    }
}

fn field<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.split(',').find_map(|part| part.strip_prefix(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: the example exchange of RFC 7677.
    /// Guarantees: the client's proof and the expected signature of the server are those of the RFC; any other
    /// signature is refused.
    #[test]
    fn the_example_of_the_rfc() {
        let scram = Scram::new(ScramMechanism::Sha256, "user", "rOprNGfwEbeRWgbNEkqO".to_owned());
        assert_eq!(scram.first_message(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server_first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (last, proven) = scram.prove(server_first, "pencil").expect("a proof");
        assert_eq!(
            last,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(proven.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(()));
        assert_eq!(proven.verify("v=AAAA"), Err(ScramError::Signature));
        assert_eq!(proven.verify("e=invalid-proof"), Err(ScramError::Refused("invalid-proof".to_owned())));
    }

    /// Scenario: a broker that is none answers the first message.
    /// Guarantees: a foreign nonce and absurd iteration counts are refused before any work.
    #[test]
    fn false_brokers_are_refused() {
        let scram = || Scram::new(ScramMechanism::Sha512, "a,b", "abc".to_owned());
        assert!(scram().first_message().contains("n=a=2Cb"));
        assert_eq!(scram().prove("r=xyz,s=AAAA,i=4096", "p").err(), Some(ScramError::Nonce));
        assert_eq!(scram().prove("r=abcd,s=AAAA,i=0", "p").err(), Some(ScramError::Iterations(0)));
        assert_eq!(scram().prove("r=abcd,s=AAAA,i=4000000000", "p").err(), Some(ScramError::Iterations(4_000_000_000)));
        assert_eq!(scram().prove("r=abcd,i=4096", "p").err(), Some(ScramError::Lacks("a salt")));
    }
}
