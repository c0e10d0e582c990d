//! An agent from TOML text.

use weir_config::{AgentConfig, Diagnostics, Document};
use weir_engine::agent::{Agent, FinalReport, Plan};
use weir_engine::registry::Registry;
use weir_engine::status::{AgentStatus, GroupStatus, SourceStatus};

use crate::wait::eventually;

/// A running agent of a test.
pub struct TestAgent {
    agent: Agent,
}

/// Reads and checks `toml`.
///
/// # Panics
/// With everything that is wrong with it.
#[must_use]
pub fn config(toml: &str, registry: &Registry) -> AgentConfig {
    let (document, mut diagnostics) = Document::parse(&[("test.toml", toml)]);
    let (config, found) = document.check(&registry.catalogue(), &|_| None);
    diagnostics.append(found);
    assert!(!diagnostics.has_errors(), "{}", diagnostics.render(false));
    config
}

/// A checked plan of `toml`.
///
/// # Panics
/// With everything that is wrong with it.
#[must_use]
pub fn plan(toml: &str, registry: &Registry) -> Plan {
    let mut diagnostics = Diagnostics::new();
    let plan = Plan::new(&config(toml, registry), registry, &mut diagnostics);
    plan.unwrap_or_else(|| panic!("{}", diagnostics.render(false)))
}

impl TestAgent {
    /// Starts an agent.
    ///
    /// # Panics
    /// If the configuration is wrong or something does not start.
    #[must_use]
    pub fn start(toml: &str, registry: &Registry) -> Self {
        match Agent::start(plan(toml, registry)) {
            Ok(agent) => Self { agent },
            Err(error) => panic!("{error}: {:?}", error.source),
        }
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> AgentStatus {
        self.agent.status()
    }

    /// Its first source.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    pub fn source(&self) -> SourceStatus {
        self.status().sources.remove(0)
    }

    /// Its first sink group.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    pub fn group(&self) -> GroupStatus {
        self.status().groups.remove(0)
    }

    /// Waits until `condition` holds for its status.
    #[track_caller]
    pub fn until(&self, what: &str, condition: impl Fn(&AgentStatus) -> bool) {
        eventually(what, || condition(&self.status()));
    }

    /// Waits until every source has ended by itself.
    #[track_caller]
    pub fn until_sources_end(&self) {
        eventually("the sources end", || self.agent.sources_have_ended());
    }

    /// Stops it in order.
    #[must_use]
    pub fn stop(self) -> FinalReport {
        self.agent.stop();
        self.agent.join()
    }

    /// The agent itself.
    #[must_use]
    pub fn agent(&self) -> &Agent {
        &self.agent
    }
}
