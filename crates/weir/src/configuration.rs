//! From files on the command line to a plan, with every error printed.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use weir_config::{AgentConfig, Diagnostics, Document};
use weir_connectors::registry;
use weir_engine::agent::Plan;

use crate::exit::{Exit, Failure};

/// What came of checking a configuration.
pub(crate) struct Checked {
    /// What can be run; `None` if there was an error.
    pub(crate) plan: Option<Plan>,
    /// What was understood, defaults filled in.
    pub(crate) config: AgentConfig,
    /// Everything there is to say.
    pub(crate) diagnostics: Diagnostics,
}

/// Reads and checks `files`.
pub(crate) fn check(files: &[PathBuf]) -> Checked {
    let (document, diagnostics) = Document::load(files);
    check_document(&document, diagnostics)
}

/// Checks a configuration that is not in a file; `name` stands for the file in messages.
pub(crate) fn check_text(name: &str, text: &str) -> Checked {
    let (document, diagnostics) = Document::parse(&[(name, text)]);
    check_document(&document, diagnostics)
}

fn check_document(document: &Document, mut diagnostics: Diagnostics) -> Checked {
    let registry = registry();
    let (config, found) = document.check(&registry.catalogue(), &|name| std::env::var(name).ok());
    diagnostics.append(found);
    let plan = Plan::new(&config, &registry, &mut diagnostics);
    Checked { plan: plan.filter(|_| !diagnostics.has_errors()), config, diagnostics }
}

/// Reads and checks `files` and prints what there is to say.
///
/// # Errors
/// If there was an error in them.
pub(crate) fn load(files: &[PathBuf]) -> Result<Plan, Failure> {
    let checked = check(files);
    show(&checked.diagnostics);
    checked.plan.ok_or_else(|| Failure { exit: Exit::Configuration, message: checked.diagnostics.summary() })
}

/// Prints diagnostics for a person.
#[expect(clippy::print_stderr, reason = "diagnostics of a command go to standard error")]
pub(crate) fn show(diagnostics: &Diagnostics) {
    if !diagnostics.is_empty() {
        eprint!("{}", diagnostics.render(std::io::stderr().is_terminal()));
    }
}
