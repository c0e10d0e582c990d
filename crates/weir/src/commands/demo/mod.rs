//! `weir demo`: the whole system in one process, and the proof that it lost nothing.
//!
//! ```text
//!   load: 2 x TCP, 1 x UDP --loopback--> source syslog -> channel file (DIR/log) -> sink files (DIR/files)
//!     |  sent                              |  received      |  durable                |  lines, counted by a reader
//!     +------------------------------------+------- ledger -+-------------------------+  that shares no code with it
//! ```
//!
//! The pipeline is made from configuration text through the same door as everybody's; there is no path only for the
//! demo.

mod config;
mod full;
mod kafka;
mod ledger;
mod load;
mod panel;
mod tiers;
mod view;

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::{Duration, Instant};

use weir_config::units;
use weir_engine::agent::{Agent, FinalReport};
use weir_lab::files::{FilesAccount, FilesTotals, read_files};

use self::config::{Places, Ports};
use self::ledger::{Books, Report};
use self::load::{Load, LoadOptions, Sent};
use self::panel::Panel;
use super::{print, print_json, with_units};
use crate::admin::Endpoint;
use crate::cli::DemoArgs;
use crate::configuration;
use crate::exit::{Exit, Failure};
use crate::logging;
use crate::signals::Signals;

/// What is sent unless the user says otherwise.
const RATE: &str = "20k/s";
/// The same with --full: servers that have just started, on the cores of everything else, keep up.
const RATE_FULL: &str = "5k/s";
/// Between looks at the agent.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long what was sent may take to arrive without anything moving. The source reads kernel drops once a second.
const SETTLE: Duration = Duration::from_secs(3);

pub(crate) fn demo(args: &DemoArgs) -> Result<Exit, Failure> {
    if args.kafka {
        return kafka::demo(args);
    }
    if args.full {
        return full::demo(args);
    }
    let load_options = load_options(args)?;
    let places = Places::new(args.dir.as_deref())?;
    let ports = Ports::reserve()?;
    let text = config::text(&places, &ports, args.admin.as_deref());
    if args.print_config {
        print(text.trim_end());
        return Ok(Exit::Success);
    }
    places.make()?;
    let checked = configuration::check_text("demo.toml", &text);
    configuration::show(&checked.diagnostics);
    let Some(plan) = checked.plan else {
        return Err(Failure { exit: Exit::Configuration, message: checked.diagnostics.summary() });
    };
    logging::start(plan.agent.choice("log_level"), plan.agent.choice("log_format"));
    let signals = Signals::catch()?;
    let before = count(&places.files)?;
    let (tcp, udp) = ports.release();
    let agent = Agent::start(plan)?;
    let outcome = run(args, &load_options.to(tcp, udp), &places, &agent, &signals);
    agent.stop();
    let report = agent.join();
    let (sent, seconds) = outcome?;
    finish(args, &places, before, sent, seconds, report)
}

fn load_options(args: &DemoArgs) -> Result<LoadOptions, Failure> {
    let duration = args.duration.as_deref().map(|text| with_units("--for", text, units::parse_duration));
    if let Some(input) = &args.input {
        std::fs::metadata(input).map_err(|error| {
            Failure::because(&format!("the lines of --input {} cannot be read", input.display()), &error)
        })?;
    }
    let rate = args.rate.as_deref().unwrap_or(if args.full { RATE_FULL } else { RATE });
    Ok(LoadOptions {
        events_per_second: with_units("--rate", rate, units::parse_rate)?,
        duration: duration.transpose()?,
        input: args.input.clone(),
    })
}

/// Sends and shows until the load ends by itself or a signal comes, then waits until everything sent has arrived.
fn run(
    args: &DemoArgs,
    load_options: &load::LoadTargets,
    places: &Places,
    agent: &Agent,
    signals: &Signals,
) -> Result<(Sent, f64), Failure> {
    let endpoint = args.admin.as_deref().map(|address| Endpoint::start(address, agent.watched())).transpose()?;
    let started = Instant::now();
    let mut panel = Panel::new(places, load_options.duration(), std::io::stderr().is_terminal());
    panel.introduce(endpoint.as_ref().map(Endpoint::address));
    let load = Load::start(load_options)?;
    while !signals.stop_was_asked() && !load.is_finished() {
        panel.show(&agent.status(), load.sent_so_far());
        signals.wait(LOOK_EVERY);
    }
    let seconds = started.elapsed().as_secs_f64();
    panel.clear();
    let sent = load.end()?;
    settle(agent, &sent);
    Ok((sent, seconds))
}

/// Waits until the source has seen everything that was sent, or nothing moves any more.
fn settle(agent: &Agent, sent: &Sent) {
    let mut last = (Instant::now(), 0);
    loop {
        let arrived = ledger::arrived(&agent.status());
        if arrived != last.1 {
            last = (Instant::now(), arrived);
        }
        if arrived >= sent.total() || last.0.elapsed() > SETTLE {
            return;
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}

fn finish(
    args: &DemoArgs,
    places: &Places,
    before: FilesTotals,
    sent: Sent,
    seconds: f64,
    report: FinalReport,
) -> Result<Exit, Failure> {
    let after = count(&places.files)?;
    let books = Books::new(&sent, &report, before, after);
    let report = Report::new(books, sent, seconds, &report, places);
    if args.json {
        print_json(&report);
    } else {
        print(&report.render());
    }
    Ok(if report.closes() { Exit::Success } else { Exit::Ledger })
}

/// Counts the lines of finished files, as anybody could with `wc -l`.
fn count(files: &Path) -> Result<FilesTotals, Failure> {
    read(files).map(|found| found.totals)
}

/// Reads finished files whole; a folder that is not there yet has none.
fn read(files: &Path) -> Result<FilesAccount, Failure> {
    if !files.exists() {
        return Ok(FilesAccount::default());
    }
    read_files(files).map_err(|error| Failure::because("the finished files cannot be counted", &error))
}
