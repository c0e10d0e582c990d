//! `weir run`: an agent from start to end.

use std::time::Duration;

use tracing::{info, warn};
use weir_engine::agent::{Agent, FinalReport};

use super::print_json;
use crate::admin;
use crate::cli::RunArgs;
use crate::configuration;
use crate::exit::{Exit, Failure};
use crate::logging;
use crate::signals;

/// How often the agent looks for the end of its sources and for signals.
const POLL: Duration = Duration::from_millis(50);

pub(crate) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let plan = configuration::load(&args.config)?;
    logging::start(plan.agent.choice("log_level"), plan.agent.choice("log_format"));
    let address = args.admin.clone().or_else(|| plan.agent.text_opt("admin").map(str::to_owned));
    // Caught before the first event: a signal during the start must not lose what was just read.
    let signals = signals::Signals::catch()?;
    let agent = Agent::start(plan)?;
    let endpoint = address.map(|address| admin::Endpoint::start(&address, agent.watched())).transpose();
    let endpoint = match endpoint {
        Ok(endpoint) => endpoint,
        Err(failure) => {
            agent.stop();
            let _ = agent.join();
            return Err(failure);
        }
    };
    if let Some(endpoint) = &endpoint {
        info!(address = %endpoint.address(), "admin endpoint answers");
    }
    while !signals.stop_was_asked() && !agent.sources_have_ended() {
        signals.wait(POLL);
    }
    info!("stopping");
    agent.stop();
    let report = agent.join();
    drop(endpoint);
    Ok(finish(&report, args.json))
}

/// Says how it ended; the exit code of it.
fn finish(report: &FinalReport, json: bool) -> Exit {
    if json {
        print_json(report);
    }
    for residue in &report.status.ledger.residues {
        warn!(residue, "the ledger does not close");
    }
    for trouble in &report.troubles {
        warn!(trouble, "while stopping");
    }
    if report.is_clean() { Exit::Success } else { Exit::Ledger }
}
