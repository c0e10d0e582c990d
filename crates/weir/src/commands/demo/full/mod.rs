//! `weir demo --full`: two tiers with Kafka between them, HDFS and Solr behind them, and the proof that both have what they
//! are to have, once.
//!
//! ```text
//!   load --> edge --> topic on 3 brokers --> hub: channel kafka -+-> sink hdfs -> 1 NameNode, 2 DataNodes: everything
//!     |  sent, and everything that `tiers` counts                \-> sink solr -> SolrCloud, 2 nodes: warnings and worse
//!     |                                                              |  lines and documents: read by the code of
//!     +-------------------------------------- ledger ---------------+  `weir verify`, which shares none with the sinks
//! ```
//!
//! All servers are real, started for the demo and gone with it. While they are still up, the demo lists a folder of HDFS and
//! asks Solr a question, as anybody would.

mod books;
mod config;
mod look;
mod proof;
mod servers;

use std::io::IsTerminal as _;

use self::books::Report;
use self::config::{Addresses, HDFS_GROUP, SOLR_GROUP};
use self::look::Look;
use self::proof::Proof;
use self::servers::Servers;
use super::config::{Places, Ports};
use super::load_options;
use super::tiers::books::{Ending, Tier};
use super::tiers::config::{both, edge};
use super::tiers::panel::{End, Panel};
use super::tiers::{Tiers, plan, run};
use super::view::{View, say};
use crate::cli::DemoArgs;
use crate::commands::{print, print_json};
use crate::exit::{Exit, Failure};
use crate::logging;
use crate::signals::Signals;

static ENDS: [End; 2] = [
    End { group: HDFS_GROUP, there: "in HDFS", waiting: "for HDFS", arrived: "in HDFS" },
    End { group: SOLR_GROUP, there: "in Solr", waiting: "for Solr", arrived: "in Solr" },
];

pub(super) fn demo(args: &DemoArgs) -> Result<Exit, Failure> {
    let load_options = load_options(args)?;
    let places = Places::new(args.dir.as_deref())?;
    let ports = Ports::reserve()?;
    // With all fields of a line, so that documents have the application and the process.
    let edge_text = |at: &Addresses| edge("--full", "full", &places, &ports, &at.brokers, &at.topic);
    if args.print_config {
        let usual = Addresses::usual(&args.brokers);
        print(both(&edge_text(&usual), &config::hub(&usual)).trim_end());
        return Ok(Exit::Success);
    }
    if args.dir.is_some() {
        // Sooner than after the servers have started.
        places.make()?;
    }
    let signals = Signals::catch()?;
    logging::start("warn", "text");
    let mut servers = Servers::start(&args.brokers, &signals)?;
    places.make()?;
    let addresses = servers.addresses();
    let (edge, hub) = (plan("edge.toml", &edge_text(&addresses))?, plan("hub.toml", &config::hub(&addresses))?);
    let (tcp, _) = ports.release();
    let targets = load_options.stamped(tcp);
    let tiers = Tiers::start(edge, hub)?;
    let view = View::new(None, targets.duration(), std::io::stderr().is_terminal());
    let query = query(args);
    introduce(&places, &servers, query, &view);
    let outcome = run(args, &targets, &tiers, &mut servers.brokers, &mut Panel::new(view, &ENDS), &signals);
    let (edge, hub) = tiers.end();
    let (sent, seconds) = outcome?;
    let in_topic = servers.brokers.count().map_err(|failure| failure.message);
    finish(args, &places, &servers, query, &Ending { sent, seconds, edge, hub, in_topic })
}

/// What Solr is asked for: something that is among the synthetic lines, anything of a user's own.
fn query(args: &DemoArgs) -> &'static str {
    if args.input.is_some() { "*:*" } else { "message:deny" }
}

/// Says where things are, and how to look at them meanwhile.
fn introduce(places: &Places, servers: &Servers, query: &str, view: &View) {
    say(&format!("edge: syslog over TCP -> durable log {}/log -> Kafka", places.dir.display()));
    say(&format!("      {}", servers.brokers.describe()));
    say(&format!("hub:  Kafka -> HDFS, everything: curl '{}'", look::listing_url(servers.hdfs.web_address())));
    say(&format!(
        "      Kafka -> Solr, warnings and worse: curl '{}'",
        look::search_url(&servers.solr.url(1), query, 1)
    ));
    view.introduce();
}

/// Compares, looks, and tells.
fn finish(args: &DemoArgs, places: &Places, servers: &Servers, query: &str, ending: &Ending) -> Result<Exit, Failure> {
    say("comparing the topic with HDFS and Solr");
    let solr = Tier::of_group(&ending.hub.status, SOLR_GROUP);
    let proof = Proof::find(servers, solr.delivered, solr.left() - solr.delivered);
    // What cannot be looked at is in the proof, too.
    let look = Look::take(&servers.hdfs, &servers.solr, query).inspect_err(|error| say(error)).ok();
    let report = Report::new(ending, &proof, look, &servers.brokers, places);
    if args.json {
        print_json(&report);
    } else {
        print(&report.render());
    }
    if let Some(note) = servers.brokers.leftover() {
        say(&note);
    }
    Ok(if report.closes() { Exit::Success } else { Exit::Ledger })
}
