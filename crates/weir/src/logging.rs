//! The agent's own log: structured, to standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts logging at `level` in `format` (`text` or `json`). `WEIR_LOG` overrides the level, with tracing's filter syntax.
/// Later calls change nothing.
pub(crate) fn start(level: &str, format: &str) {
    let filter = EnvFilter::try_from_env("WEIR_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let outcome = match format {
        "json" => builder.json().flatten_event(true).try_init(),
        _ => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
    // Already started: the first one stays.
    let _ = outcome;
}
