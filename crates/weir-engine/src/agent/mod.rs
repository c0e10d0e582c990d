//! An agent: components started from a configuration, run, watched, stopped.
//!
//! ```text
//!   AgentConfig --plan--> Plan (checked specifications, memory added up) --start--> Agent --stop--> FinalReport
//!   start order: channels, groups, sinks, sources            stop order: sources, receipts, sinks, channels
//! ```

mod options;
mod plan;
mod running;
mod start;
mod watch;

pub use options::{AGENT_OPTIONS, SINK_OPTIONS};
pub use plan::{MemoryLine, Plan};
pub use running::{Agent, FinalReport};
pub use watch::Watched;

#[cfg(test)]
mod tests;
