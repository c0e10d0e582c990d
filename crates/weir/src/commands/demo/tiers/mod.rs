//! What the demos of two tiers share: an edge agent, brokers, a hub agent, and the way from the senders to the topic.
//!
//! ```text
//!   load: 2 x TCP --loopback--> edge: source syslog -> channel file (DIR/log) -> sink kafka
//!     |  sent                            |  received      |  durable               |  delivered
//!     |                                  |                |             topic on the brokers, counted by them
//!     +------------------------------------------- ledger --------------------------+------> hub: channel kafka -> ...
//! ```
//!
//! Both agents are made from configuration text through the same door as everybody's. The brokers are Kafka's own, started
//! for the demo and gone with it, or others that the user names.
//!
//! Ctrl-C: while servers are fetched or started it ends the demo; while events flow it ends the load, and the ledger is
//! closed as usual. A second one ends the process at once; servers of the demo are then killed by what stands by for them.

pub(crate) mod books;
pub(crate) mod brokers;
pub(crate) mod config;
pub(crate) mod panel;
pub(crate) mod report;

use std::time::{Duration, Instant};

use weir_engine::agent::{Agent, FinalReport, Plan};
use weir_engine::status::AgentStatus;

use self::books::Tier;
use self::brokers::Brokers;
use self::panel::Panel;
use super::LOOK_EVERY;
use super::ledger::arrived;
use super::load::{Load, LoadTargets, Sent};
use crate::cli::DemoArgs;
use crate::configuration;
use crate::exit::{Exit, Failure};
use crate::signals::Signals;

/// How long what was sent may rest somewhere without anything moving. A killed broker is missed after 5 s and its
/// partitions are led by others a second or two later; an HDFS that has just started takes as long for its first file. A
/// busy machine takes a few times that.
const SETTLE: Duration = Duration::from_secs(60);
/// When a broker is killed, if nothing says how long the demo lasts.
const KILL_AFTER: Duration = Duration::from_secs(5);

/// A configuration that is not a user's: it has no errors.
pub(crate) fn plan(name: &str, text: &str) -> Result<Plan, Failure> {
    let checked = configuration::check_text(name, text);
    configuration::show(&checked.diagnostics);
    checked.plan.ok_or_else(|| Failure { exit: Exit::Configuration, message: checked.diagnostics.summary() })
}

/// Both agents at work.
pub(crate) struct Tiers {
    edge: Agent,
    hub: Agent,
}

impl Tiers {
    pub(crate) fn start(edge: Plan, hub: Plan) -> Result<Self, Failure> {
        let hub = Agent::start(hub)?;
        match Agent::start(edge) {
            Ok(edge) => Ok(Self { edge, hub }),
            Err(error) => {
                hub.stop();
                // The reason why there is no edge is the one to tell.
                let _ = hub.join();
                Err(error.into())
            }
        }
    }

    fn status(&self) -> (AgentStatus, AgentStatus) {
        (self.edge.status(), self.hub.status())
    }

    /// Stops both, in the direction of the events.
    pub(crate) fn end(self) -> (FinalReport, FinalReport) {
        self.edge.stop();
        let edge = self.edge.join();
        self.hub.stop();
        (edge, self.hub.join())
    }
}

/// Sends and shows until the load ends by itself or a signal comes, then waits until everything sent is where it ends. Gives
/// what was sent, and for how many seconds.
pub(crate) fn run(
    args: &DemoArgs,
    targets: &LoadTargets,
    tiers: &Tiers,
    brokers: &mut Brokers,
    panel: &mut Panel,
    signals: &Signals,
) -> Result<(Sent, f64), Failure> {
    let started = Instant::now();
    let kill_at = args.kill.then(|| started + targets.duration().map_or(KILL_AFTER, |duration| duration / 2));
    let load = Load::start(targets)?;
    while !signals.stop_was_asked() && !load.is_finished() {
        let (edge, hub) = tiers.status();
        panel.show(&edge, &hub, load.sent_so_far());
        if kill_at.is_some_and(|at| Instant::now() >= at) && brokers.killed().is_none() {
            panel.note(&brokers.kill_one());
        }
        signals.wait(LOOK_EVERY);
    }
    let seconds = started.elapsed().as_secs_f64();
    let sent = load.end()?;
    settle(tiers, &sent, panel);
    panel.clear();
    Ok((sent, seconds))
}

/// Waits until every group of the hub is done with everything sent, or nothing moves any more.
fn settle(tiers: &Tiers, sent: &Sent, panel: &mut Panel) {
    let mut last = (Instant::now(), Vec::new());
    loop {
        let (edge, hub) = tiers.status();
        panel.show(&edge, &hub, sent.total());
        let to_topic = Tier::of(&edge);
        let mut now = vec![arrived(&edge), to_topic.left()];
        now.extend(hub.groups.iter().map(|group| Tier::of_group(&hub, &group.group).left()));
        let is_through =
            now[0] >= sent.total() && to_topic.waiting == 0 && now[2..].iter().all(|left| *left >= to_topic.delivered);
        if now != last.1 {
            last = (Instant::now(), now);
        }
        if is_through || last.0.elapsed() > SETTLE {
            return;
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}
