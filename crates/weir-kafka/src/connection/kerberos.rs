//! SASL's GSSAPI (RFC 4752): a Kerberos context, then one message each way about protection.

use weir_gssapi::{Context, Credentials, GssError, Mechanism, Step};

/// In the broker's offer: messages may go unprotected. Protection of the connection is left to TLS: Kafka has no other.
const NO_LAYER: u8 = 1;
/// The client's choice: no protection, hence no largest message; and no name to act as.
const CHOICE: [u8; 4] = [NO_LAYER, 0, 0, 0];

/// An exchange with one broker.
pub(super) struct Kerberos {
    context: Context,
    next: Next,
}

/// What the broker's next message is.
enum Next {
    /// A token of its own.
    Token,
    /// What protection it offers.
    Offer,
    /// Nothing: it is satisfied.
    End,
}

impl Kerberos {
    /// Gets a ticket for `service` at `host`, and the first message. Blocks: see [`weir_gssapi`].
    pub(super) fn open(service: &str, host: &str, credentials: &Credentials) -> Result<(Self, Vec<u8>), GssError> {
        let mut context = Context::new(&format!("{service}@{host}"), Mechanism::Kerberos, credentials)?;
        let (first, next) = match context.step(b"")? {
            Step::Continue(token) => (token, Next::Token),
            Step::Done(token) => (token.unwrap_or_default(), Next::Offer),
        };
        Ok((Self { context, next }, first))
    }

    /// The answer to a message of the broker; `None` if that was its last. Does not block.
    pub(super) fn answer(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, KerberosError> {
        match self.next {
            Next::Token => match self.context.step(message)? {
                Step::Continue(token) => Ok(Some(token)),
                Step::Done(token) => {
                    self.next = Next::Offer;
                    // The broker goes on after an answer only, be it empty.
                    Ok(Some(token.unwrap_or_default()))
                }
            },
            Next::Offer => {
                let offer = self.context.unwrap(message)?;
                if offer.len() != CHOICE.len() || offer[0] & NO_LAYER == 0 {
                    return Err(KerberosError::Layer);
                }
                self.next = Next::End;
                Ok(Some(self.context.wrap(&CHOICE, false)?))
            }
            Next::End => Ok(None),
        }
    }
}

/// Why an exchange ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum KerberosError {
    #[error(transparent)]
    Gss(#[from] GssError),
    #[error("the broker insists on protecting every message by Kerberos, which Kafka does not have: use TLS")]
    Layer,
}
