//! `weir status`: asks the admin endpoint of an agent, on this machine or another.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use weir_engine::status::AgentStatus;

use super::status_text;
use crate::cli::StatusArgs;
use crate::exit::{Exit, Failure};
use crate::signals::Signals;

/// The endpoint answers from memory; one that takes longer than this is not well.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Between looks with `--watch`.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// Moves to the top left corner and clears what is below.
const CLEAR: &str = "\x1b[H\x1b[2J";

pub(crate) fn status(args: &StatusArgs) -> Result<Exit, Failure> {
    if !args.watch {
        let (text, status) = ask(&args.address)?;
        super::print(if args.json { text } else { status_text::render(&status) }.trim_end());
        return Ok(exit_of(&status));
    }
    let signals = Signals::catch()?;
    let clear = if std::io::stdout().is_terminal() && !args.json { CLEAR } else { "" };
    loop {
        let (text, status) = ask(&args.address)?;
        let shown = if args.json { text } else { status_text::render(&status) };
        let written = writeln!(std::io::stdout(), "{clear}{}", shown.trim_end());
        signals.wait(WATCH_EVERY);
        // A reader that went away ends the watch.
        if signals.stop_was_asked() || written.is_err() {
            return Ok(exit_of(&status));
        }
    }
}

/// The answer as it came, and understood.
fn ask(address: &str) -> Result<(String, AgentStatus), Failure> {
    let base = address.trim_end_matches('/');
    let base = base.strip_prefix("http://").unwrap_or(base);
    let url = format!("http://{base}/status");
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).build().into();
    let text = agent.get(&url).call().and_then(|mut response| response.body_mut().read_to_string());
    let text = text.map_err(|error| {
        Failure::new(format!(
            "no answer from {url}: {error}; is the agent running, with admin = \"{base}\" in [agent] or `weir run --admin {base}`?"
        ))
    })?;
    let status = serde_json::from_str(&text).map_err(|error| {
        Failure::because(&format!("{url} answered, but not as an agent of this version does"), &error)
    })?;
    Ok((text, status))
}

fn exit_of(status: &AgentStatus) -> Exit {
    let health = &status.health;
    if health.live && health.ready && health.degraded.is_empty() { Exit::Success } else { Exit::Degraded }
}
