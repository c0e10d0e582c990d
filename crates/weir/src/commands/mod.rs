//! What each command does.

mod check;
mod components;
mod demo;
mod log;
mod run;
mod send;
mod status;
mod status_text;
mod verify;

use crate::cli::Command;
use crate::exit::{Exit, Failure};

/// Runs a command.
pub(crate) fn dispatch(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Components(args) => components::components(&args),
        Command::Status(args) => status::status(&args),
        Command::Demo(args) => demo::demo(&args),
        Command::Log(command) => log::log(&command),
        Command::Send(args) => send::send(&args),
        Command::Verify(args) => verify::verify(&args),
    }
}

/// A value of the command line with units; `what` names the option in the error.
pub(crate) fn with_units<T, E: std::fmt::Display>(
    what: &str,
    text: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<T, Failure> {
    parse(text).map_err(|error| Failure { exit: Exit::Usage, message: format!("{what} {text:?}: {error}") })
}

/// Prints a line of a command's answer. A reader that went away (`| head`) ends nothing.
pub(crate) fn print(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints a value as JSON.
pub(crate) fn print_json(value: &impl serde::Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(&text),
        Err(error) => tracing::error!(%error, "answer could not be written as JSON"),
    }
}
