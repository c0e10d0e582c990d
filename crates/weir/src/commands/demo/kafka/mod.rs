//! `weir demo --kafka`: two tiers with Kafka between them, and the proof that nothing was lost or repeated on the way.
//!
//! ```text
//!   load --> edge --> topic on 3 brokers --> hub: channel kafka -> sink files (DIR/files)
//!     |  sent, and everything that `tiers` counts                          |  lines, and the number in each: read by a
//!     +------------------------------------------- ledger ----------------+  reader that shares no code with either
//! ```

mod books;
mod config;

use std::io::IsTerminal as _;

use self::books::{Books, Finished, Report};
use super::config::{Places, Ports};
use super::tiers::books::Ending;
use super::tiers::brokers::Brokers;
use super::tiers::config::{both, edge};
use super::tiers::panel::{End, Panel};
use super::tiers::{Tiers, plan, run};
use super::view::{View, say};
use super::{count, load_options, read};
use crate::cli::DemoArgs;
use crate::commands::{print, print_json};
use crate::exit::{Exit, Failure};
use crate::logging;
use crate::signals::Signals;

/// The group of the hub's only sink.
const GROUP: &str = "default";
static ENDS: [End; 1] = [End { group: GROUP, there: "in files", waiting: "in topic", arrived: "in file" }];

pub(super) fn demo(args: &DemoArgs) -> Result<Exit, Failure> {
    let load_options = load_options(args)?;
    let places = Places::new(args.dir.as_deref())?;
    let ports = Ports::reserve()?;
    let texts = |brokers: &[String], topic: &str| {
        (edge("--kafka", "header", &places, &ports, brokers, topic), config::hub(&places, brokers, topic))
    };
    if args.print_config {
        let brokers = if args.brokers.is_empty() { &["127.0.0.1:9092".to_owned()][..] } else { &args.brokers };
        let (edge, hub) = texts(brokers, "weir-demo");
        print(both(&edge, &hub).trim_end());
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
    let (edge, hub) = texts(brokers.addresses(), brokers.topic());
    let (edge, hub) = (plan("edge.toml", &edge)?, plan("hub.toml", &hub)?);
    let (tcp, _) = ports.release();
    let targets = load_options.stamped(tcp);
    let tiers = Tiers::start(edge, hub)?;
    let view = View::new(Some(&places.files), targets.duration(), std::io::stderr().is_terminal());
    introduce(&places, &brokers, &view);
    let outcome = run(args, &targets, &tiers, &mut brokers, &mut Panel::new(view, &ENDS), &signals);
    let (edge, hub) = tiers.end();
    let (sent, seconds) = outcome?;
    let in_topic = brokers.count().map_err(|failure| failure.message);
    let ending = Ending { sent, seconds, edge, hub, in_topic };
    finish(args, &places, &brokers, &ending, &Finished { before, found: read(&places.files)? })
}

/// Says where things are.
fn introduce(places: &Places, brokers: &Brokers, view: &View) {
    let dir = places.dir.display();
    say(&format!("edge: syslog over TCP -> durable log {dir}/log -> Kafka"));
    say(&format!("      {}", brokers.describe()));
    say(&format!("hub:  Kafka -> files {dir}/files"));
    view.introduce();
}

fn finish(
    args: &DemoArgs,
    places: &Places,
    brokers: &Brokers,
    ending: &Ending,
    files: &Finished,
) -> Result<Exit, Failure> {
    let report = Report::new(Books::new(ending, files), ending, brokers, places);
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
