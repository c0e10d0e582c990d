//! Test equipment: conformance suites that any component is run through, agents from a few lines of TOML, the folder of
//! sample data. Never part of a release: a dev-dependency only. Real servers are started by `weir-servers`.

pub mod agent;
pub mod conformance;
pub mod sample_data;
pub mod wait;

pub use agent::TestAgent;
pub use wait::eventually;
