//! Kafka: what its source, sink and channel share.
//!
//! ```text
//!   connection/   options to reach a cluster, TLS, SASL        record.rs    events to records and back
//!   consume.rs    group, start, membership of what reads
//!   produce.rs    options of writing     encode.rs  record batches that a topic takes
//!   mend.rs       batches that brokers refused as they were
//!   partition.rs  which partition events go to
//! ```
//!
//! Quotas: what brokers make this client wait is counted as a fault of the source, or of the sink's group, under
//! `throttled by quotas, ms`.
//!
//! The components: [`channel`], [`sink`], [`source`].

pub mod channel;
pub mod connection;
mod consume;
mod encode;
mod mend;
mod partition;
pub mod produce;
pub mod record;
pub mod sink;
pub mod source;

/// What the time is counted under for which brokers asked a client to be silent.
const THROTTLED: &str = "throttled by quotas, ms";

/// Adds what was throttled since the last look: `total` so far, `counted` of it.
fn count_throttled(faults: &weir_engine::ledger::Reasons, total: std::time::Duration, counted: &mut u64) {
    let total_ms = u64::try_from(total.as_millis()).unwrap_or(u64::MAX);
    faults.add(THROTTLED, total_ms.saturating_sub(*counted));
    *counted = total_ms.max(*counted);
}
