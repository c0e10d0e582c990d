//! `weir demo --kafka`: two tiers with Kafka between them, and the proof that nothing was lost or repeated on the way.
//!
//! ```text
//!   load: 2 x TCP --loopback--> edge: source syslog -> channel file (DIR/log) -> sink kafka
//!     |  sent                            |  received      |  durable               |  delivered
//!     |                                  |                |             topic on 3 brokers, counted by them
//!     |                                  |                |                        |
//!     |                          hub: channel kafka -> sink files (DIR/files)      |
//!     |                                                     |  lines, and the number in each: read by a reader that
//!     +------------------------------------------- ledger --+  shares no code with either
//! ```
//!
//! Both agents are made from configuration text through the same door as everybody's. The brokers are Kafka's own, started
//! for the demo and gone with it, or others that the user names.
//!
//! Ctrl-C: while brokers are fetched or started it ends the demo; while events flow it ends the load, and the ledger is
//! closed as usual. A second one ends the process at once; brokers of the demo are then killed by what stands by for them.

mod books;
mod brokers;
mod config;
mod panel;

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use weir_engine::agent::{Agent, FinalReport};
use weir_engine::status::AgentStatus;

use self::books::{Books, Ending, Report};
use self::brokers::Brokers;
use self::panel::Panel;
use super::config::{Places, Ports};
use super::ledger::arrived;
use super::load::{Load, LoadTargets, Sent};
use super::view::say;
use super::{LOOK_EVERY, count, load_options, read};
use crate::cli::DemoArgs;
use crate::commands::{print, print_json};
use crate::configuration;
use crate::exit::{Exit, Failure};
use crate::logging;
use crate::signals::Signals;

/// How long what was sent may rest somewhere without anything moving. A killed broker is missed after 5 s and its
/// partitions are led by others a second or two later; a busy machine takes a few times that.
const SETTLE: Duration = Duration::from_secs(30);
/// When a broker is killed, if nothing says how long the demo lasts.
const KILL_AFTER: Duration = Duration::from_secs(5);

pub(super) fn demo(args: &DemoArgs) -> Result<Exit, Failure> {
    let load_options = load_options(args)?;
    let places = Places::new(args.dir.as_deref())?;
    let ports = Ports::reserve()?;
    if args.print_config {
        let brokers = if args.brokers.is_empty() { &["127.0.0.1:9092".to_owned()][..] } else { &args.brokers };
        print(config::both(&places, &ports, brokers, "weir-demo").trim_end());
        return Ok(Exit::Success);
    }
    if args.dir.is_some() {
        // Sooner than after the brokers have started.
        places.make()?;
    }
    let signals = Signals::catch()?;
    logging::start("warn", "text");
    let before = count(&places.files)?;
    let mut brokers = Brokers::start(&args.brokers, &signals)?;
    places.make()?;
    let edge = plan("edge.toml", &config::edge(&places, &ports, brokers.addresses(), brokers.topic()))?;
    let hub = plan("hub.toml", &config::hub(&places, brokers.addresses(), brokers.topic()))?;
    let (tcp, _) = ports.release();
    let tiers = Tiers::start(edge, hub)?;
    let outcome = run(args, &load_options.stamped(tcp), &places, &tiers, &mut brokers, &signals);
    let reports = tiers.end();
    let (sent, seconds) = outcome?;
    let in_topic = brokers.count().map_err(|failure| failure.message);
    let found = read(&places.files)?;
    let ending = Ending { sent, seconds, edge: reports.0, hub: reports.1, in_topic, before, found };
    finish(args, &places, &brokers, &ending)
}

fn plan(name: &str, text: &str) -> Result<weir_engine::agent::Plan, Failure> {
    let checked = configuration::check_text(name, text);
    configuration::show(&checked.diagnostics);
    checked.plan.ok_or_else(|| Failure { exit: Exit::Configuration, message: checked.diagnostics.summary() })
}

/// Both agents at work.
struct Tiers {
    edge: Agent,
    hub: Agent,
}

impl Tiers {
    fn start(edge: weir_engine::agent::Plan, hub: weir_engine::agent::Plan) -> Result<Self, Failure> {
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
    fn end(self) -> (FinalReport, FinalReport) {
        self.edge.stop();
        let edge = self.edge.join();
        self.hub.stop();
        (edge, self.hub.join())
    }
}

/// Sends and shows until the load ends by itself or a signal comes, then waits until everything sent is in files.
fn run(
    args: &DemoArgs,
    targets: &LoadTargets,
    places: &Places,
    tiers: &Tiers,
    brokers: &mut Brokers,
    signals: &Signals,
) -> Result<(Sent, f64), Failure> {
    let started = Instant::now();
    let mut panel = Panel::new(places, targets.duration(), std::io::stderr().is_terminal());
    panel.introduce(places, brokers);
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
    settle(tiers, &sent, &mut panel);
    panel.clear();
    Ok((sent, seconds))
}

/// Waits until everything sent is in files, or nothing moves any more.
fn settle(tiers: &Tiers, sent: &Sent, panel: &mut Panel) {
    let mut last = (Instant::now(), [0; 3]);
    loop {
        let (edge, hub) = tiers.status();
        panel.show(&edge, &hub, sent.total());
        let (to_topic, to_files) = (books::left(&edge), books::left(&hub));
        let now = [arrived(&edge), to_topic, to_files];
        if now != last.1 {
            last = (Instant::now(), now);
        }
        let backlog: u64 = edge.groups.iter().map(|group| group.backlog_events).sum();
        if (now[0] >= sent.total() && backlog == 0 && to_files >= books::delivered(&edge)) || last.0.elapsed() > SETTLE
        {
            return;
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}

fn finish(args: &DemoArgs, places: &Places, brokers: &Brokers, ending: &Ending) -> Result<Exit, Failure> {
    let report = Report::new(Books::new(ending), ending, brokers, places);
    if args.json {
        print_json(&report);
    } else {
        print(&report.render());
    }
    if let Some(note) = brokers.leftover() {
        say(&note);
    }
    Ok(if report.closes() { Exit::Success } else { Exit::Ledger })
}
