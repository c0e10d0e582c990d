//! The engine: what every agent does, whatever its components.
//!
//! Component traits ([`source`], [`sink`], [`interceptor`], [`channel`]), the lanes that drive them, acknowledgement
//! ([`receipt`], [`delivery`], [`group`]), the [`ledger`], [`status`], and the [`agent`] that puts them together.
//! It knows no protocol, no destination and no command line.
#![forbid(unsafe_code)]

pub mod agent;
pub mod backoff;
mod chain;
pub mod channel;
pub mod clock;
pub mod delivery;
pub mod group;
pub mod interceptor;
pub mod lane_account;
pub mod ledger;
pub mod outlet;
mod rate;
pub mod receipt;
pub mod registry;
pub mod seat;
pub mod selector;
pub mod sink;
mod sink_lane;
pub mod source;
pub mod status;
pub mod stop;
pub mod stored;

pub use chain::chain;
