//! [`ProducerOptions`].

use std::time::Duration;

/// Whose copies count before a batch counts as written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Acks {
    /// All in-sync replicas: survives the loss of all but one of them.
    #[default]
    All,
    /// The leader alone: lost if it dies before the others have copied. Without idempotence.
    Leader,
}

impl Acks {
    pub(super) const fn on_wire(self) -> i16 {
        match self {
            Self::All => -1,
            Self::Leader => 1,
        }
    }
}

/// How a producer works.
#[derive(Clone, Debug)]
pub struct ProducerOptions {
    /// When a batch counts as written.
    pub acks: Acks,
    /// Whether batches bear a producer id and sequence numbers, so that one sent twice is written once and order is
    /// kept over retries. Only with [`Acks::All`]; taken as off otherwise, and then a retry can repeat or reorder.
    pub idempotent: bool,
    /// Bytes of batches taken by `send` and not yet answered; `send` waits beyond that.
    pub in_flight_bytes_max: usize,
    /// Bytes of batches in one request, unless a single batch is larger. Brokers refuse more than 100 MiB by default.
    pub request_bytes_max: usize,
    /// Unanswered requests per broker, 1 to 5. Five is also what brokers remember per partition to tell repeats.
    pub requests_in_flight_max: usize,
    /// How long a broker may wait for the replicas before it answers with an error, after which the batch is sent again.
    pub replication_timeout: Duration,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            idempotent: true,
            in_flight_bytes_max: 64 << 20,
            request_bytes_max: 8 << 20,
            requests_in_flight_max: 5,
            replication_timeout: Duration::from_secs(20),
        }
    }
}
