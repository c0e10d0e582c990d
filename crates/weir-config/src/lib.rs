//! The configuration model: TOML with positions, option tables, every error at once.
//!
//! ```text
//!   files -> Document (sections, positions) --catalogue--> AgentConfig (checked values) -> components
//!                          \________________ Diagnostics (every error, in file order) ________/
//! ```
//!
//! A component declares its options once, as a table of [`OptionSpec`]. The table drives reading, bounds, defaults, the
//! text of `weir components TYPE`, the reference file and the JSON schema; there is no second place to keep in step.
//!
//! This crate knows no component, no network and no clock. Its only I/O is [`Document::load`], which reads the files it
//! is given; environment variables come in through a closure.
#![forbid(unsafe_code)]

mod address;
mod agent;
mod check;
mod describe;
mod diagnostic;
mod document;
mod location;
mod options;
mod references;
mod secret;
mod soundness;
mod spec;
mod substitute;
mod suggest;
mod syntax;
pub mod units;
mod wiring;
mod words;

pub use address::{Address, AddressError, HostPort, Scheme};
pub use agent::{AgentConfig, ComponentConfig};
pub use describe::{
    describe, describe_json, describe_markdown, describe_options, effective_toml, json_schema, reference_toml,
};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use document::Document;
pub use location::Location;
pub use options::Options;
pub use secret::{Secret, SecretError, SecretText};
pub use spec::{Applies, Catalogue, ComponentKind, DefaultValue, Kind, OptionSpec, TypeSpec};
pub use suggest::nearest;

/// Looks up an environment variable: `&|name| std::env::var(name).ok()` in the binary, a map in tests.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

#[cfg(test)]
mod tests;
