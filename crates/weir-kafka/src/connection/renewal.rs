//! Authenticating anew before a session ends (KIP-368).
//!
//! A broker that limits sessions says with each authentication how long this one lasts, and closes a connection on which
//! anything but a new authentication arrives later. So a task per such connection authenticates in time:
//!
//! ```text
//!   0 ---- requests ---- 85..95 % -- credentials -- line held -- [line empty] -- exchange -- held requests go -- ... 100 %
//! ```
//!
//! - The moment is spread at random, so that the connections of a cluster do not do it all at once.
//! - Credentials are got first, while requests flow. If there are none, it tries on until the session ends.
//! - The exchange has the line for itself: a broker takes nothing else in between. Requests before it are answered, those
//!   after it wait for one to three round trips. No request fails by it.
//! - A broker that refuses ends the connection, and whoever needs one makes a new one.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::handle::WeakConnection;
use super::security::Authenticator;
use super::{Connection, ConnectionError, sasl};

/// When a session is renewed: this share of it is over, and up to [`SPREAD`] more, as Java's client does.
const BEGIN: f64 = 0.85;
const SPREAD: f64 = 0.10;
/// Time between two tries to get credentials; a twentieth of the session if that is less.
const PAUSE: Duration = Duration::from_secs(1);

/// What bounds a session.
pub(super) struct Limits {
    /// How long the first session lasts.
    pub(super) lifetime: Duration,
    /// Limit on each answer during an exchange.
    pub(super) timeout: Duration,
}

/// Renews the session of a connection for as long as somebody holds that.
pub(super) async fn keep(connection: WeakConnection, authenticator: Authenticator, limits: Limits) {
    let mut lifetime = limits.lifetime;
    loop {
        let ends = Instant::now() + lifetime;
        sleep(lifetime.mul_f64(BEGIN + SPREAD * fastrand::f64())).await;
        let Some(connection) = connection.upgrade() else { return };
        let renewed = match opening(&connection, &authenticator, ends, PAUSE.min(lifetime / 20)).await {
            Ok(opening) => sasl::authenticate(&connection, opening, limits.timeout).await,
            Err(error) => Err(error),
        };
        match renewed {
            Ok(Some(next)) => lifetime = next,
            // The broker has stopped limiting sessions.
            Ok(None) => return,
            Err(error) => {
                let peer = connection.peer().clone();
                let cause = ConnectionError::SessionEnded { peer, source: Arc::new(error) };
                tracing::warn!(error = &cause as &dyn std::error::Error, "a connection ends with its session");
                connection.fail(cause);
                return;
            }
        }
        tracing::debug!(peer = %connection.peer(), lifetime_ms = lifetime.as_millis(), "authenticated anew");
    }
}

/// Gets credentials, again and again until the session ends.
async fn opening(
    connection: &Connection,
    authenticator: &Authenticator,
    ends: Instant,
    pause: Duration,
) -> Result<sasl::Opening, ConnectionError> {
    let mut failure = None;
    loop {
        match timeout_at(ends, sasl::prepare(connection, authenticator)).await {
            Ok(Ok(opening)) => return Ok(opening),
            Ok(Err(error)) => {
                // Once per renewal: further tries are close together.
                if failure.is_none() {
                    tracing::warn!(error = &error as &dyn std::error::Error, "no credentials to go on with; trying on");
                }
                failure = Some(error);
            }
            Err(_) => {}
        }
        if Instant::now() + pause >= ends {
            let peer = connection.peer().clone();
            return Err(failure.unwrap_or(ConnectionError::Closed { peer }));
        }
        sleep(pause).await;
    }
}
