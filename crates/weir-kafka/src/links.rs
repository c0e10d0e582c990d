//! [`Links`]: a connection per broker for one user, made when needed, paused after failures and quotas.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::connection::Connection;
use crate::{Cluster, ClusterError};

/// The state of the way to a broker.
pub(crate) enum Link {
    /// Being made.
    Dialing,
    /// There.
    Up { connection: Connection, in_flight: usize, quiet_until: Option<Instant> },
    /// Failed; not to be tried again before `until`.
    Down { until: Instant },
}

/// The ways to all brokers one user speaks with.
pub(crate) struct Links {
    cluster: Cluster,
    links: HashMap<i32, Link>,
    /// Failures in a row, by broker.
    failures: HashMap<i32, u32>,
    in_flight_max: usize,
}

/// Whether a request can go to a broker now.
pub(crate) enum Way {
    Open,
    /// An answer or a connection has to come first.
    Busy,
    Pause(Instant),
    /// The caller has to dial, and to report the result.
    Dial,
}

impl Links {
    pub(crate) fn new(cluster: Cluster, in_flight_max: usize) -> Self {
        Self { cluster, links: HashMap::new(), failures: HashMap::new(), in_flight_max }
    }

    pub(crate) fn way(&mut self, broker: i32, now: Instant) -> Way {
        match self.links.get(&broker) {
            Some(Link::Dialing) => return Way::Busy,
            Some(Link::Down { until }) if now < *until => return Way::Pause(*until),
            Some(Link::Up { connection, in_flight, quiet_until }) if connection.is_up() => {
                return match quiet_until.filter(|until| now < *until) {
                    Some(until) => Way::Pause(until),
                    None if *in_flight >= self.in_flight_max => Way::Busy,
                    None => Way::Open,
                };
            }
            _ => {}
        }
        self.links.insert(broker, Link::Dialing);
        Way::Dial
    }

    /// The connection of an open way, for one more request.
    pub(crate) fn enter(&mut self, broker: i32) -> Option<Connection> {
        match self.links.get_mut(&broker)? {
            Link::Up { connection, in_flight, .. } => {
                *in_flight += 1;
                Some(connection.clone())
            }
            _ => None,
        }
    }

    /// An answer came over `connection`, or its failure.
    pub(crate) fn leave(&mut self, broker: i32, connection: &Connection, quiet: Duration) {
        if let Some(Link::Up { connection: current, in_flight, quiet_until }) = self.links.get_mut(&broker)
            && current.is_same(connection)
        {
            *in_flight = in_flight.saturating_sub(1);
            if !quiet.is_zero() {
                *quiet_until = Some(Instant::now() + quiet);
            }
        }
    }

    /// The result of dialling.
    pub(crate) fn dialled(&mut self, broker: i32, result: Result<Connection, ClusterError>) {
        let link = match result {
            Ok(connection) => {
                self.failures.remove(&broker);
                Link::Up { connection, in_flight: 0, quiet_until: None }
            }
            Err(error) => {
                let failures = self.failures.entry(broker).or_default();
                *failures += 1;
                if *failures == 1 {
                    tracing::warn!(
                        broker,
                        error = &error as &dyn std::error::Error,
                        "cannot reach a broker; trying on"
                    );
                }
                Link::Down { until: Instant::now() + self.cluster.options().pause(*failures) }
            }
        };
        self.links.insert(broker, link);
    }
}
