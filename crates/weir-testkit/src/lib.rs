//! Test equipment: conformance suites that any component is run through, agents from a few lines of TOML, the folder of
//! sample data, real servers started for a test. Never part of a release: a dev-dependency only.

pub mod agent;
pub mod conformance;
pub mod kafka;
pub mod sample_data;
pub mod servers;
pub mod wait;

pub use agent::TestAgent;
pub use wait::eventually;
