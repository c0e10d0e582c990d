//! One section against its option table.

use std::collections::HashSet;

use crate::document::{Document, Key, declared};
use crate::options::{Entry, Value, join};
use crate::spec::{ComponentKind, DefaultValue, OptionSpec};
use crate::{Diagnostic, Diagnostics, Environment, Location, Options, suggest};

/// A component named in a section.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    /// Path of the key that names it.
    pub(crate) path: String,
    /// Where the name stands.
    pub(crate) location: Location,
    pub(crate) target: ComponentKind,
    pub(crate) name: String,
}

/// A checked section. With faults in it the options still have every entry, with defaults in place of what was wrong.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) options: Options,
    pub(crate) is_valid: bool,
}

/// What to do with keys that are not in the table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnknownKeys {
    Report,
    /// The type of the component is unknown, so any key may be right.
    Ignore,
}

/// Checks sections and collects what it finds.
pub(crate) struct Checker<'a> {
    pub(crate) environment: Environment<'a>,
    pub(crate) diagnostics: Diagnostics,
    /// Every component named anywhere, in the order of the checks.
    pub(crate) references: Vec<Reference>,
    broken_lines: HashSet<(usize, usize)>,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(document: &Document, environment: Environment<'a>) -> Self {
        Self {
            environment,
            diagnostics: Diagnostics::new(),
            references: Vec::new(),
            broken_lines: document.broken_lines.clone(),
        }
    }

    /// Adds a diagnostic, unless a syntax error in the same line explains it.
    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        let place = (diagnostic.location.source().rank, diagnostic.location.line());
        if !self.broken_lines.contains(&place) {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Whether what is absent is really absent, rather than lost in a syntax error.
    pub(crate) fn trusts_absence(&self) -> bool {
        self.broken_lines.is_empty()
    }

    /// Checks `keys`, found at `location` under `path`, against `specs`.
    pub(crate) fn section(
        &mut self,
        path: &str,
        location: &Location,
        keys: &[&Key],
        specs: &[&'static OptionSpec],
        unknown_keys: UnknownKeys,
    ) -> Section {
        let unknown = match unknown_keys {
            UnknownKeys::Report => self.unknown_keys(path, keys, specs),
            UnknownKeys::Ignore => Unknown::default(),
        };
        let mut is_valid = unknown.count == 0;
        let mut entries = Vec::with_capacity(specs.len());
        for spec in specs {
            let key = keys.iter().find(|key| key.name == spec.name);
            let option_path = join(path, spec.name);
            let value = match key {
                Some(key) => self.value(&option_path, &spec.kind, spec.doc, &key.node),
                None => None,
            };
            let is_missing = key.is_none() && spec.default == DefaultValue::Required;
            let is_misspelt = unknown.meant.contains(&spec.name);
            if is_missing && !is_misspelt && self.trusts_absence() {
                self.report(missing(path, spec, location));
            }
            is_valid &= !is_missing && (key.is_none() || value.is_some());
            let value = value.or_else(|| self.default(&option_path, spec, location));
            let location = key.map(|key| key.node.location.clone());
            entries.push(Entry { spec, value, location });
        }
        let options = Options { path: path.to_owned(), location: location.clone(), entries };
        Section { options, is_valid }
    }

    /// Reports every key that has no place in the table, and gives for each the name it probably means.
    fn unknown_keys(&mut self, path: &str, keys: &[&Key], specs: &[&'static OptionSpec]) -> Unknown {
        let known: Vec<_> = specs.iter().map(|spec| spec.name).collect();
        let mut unknown = Unknown::default();
        for key in keys.iter().filter(|key| !known.contains(&key.name.as_str())) {
            let key_path = join(path, &key.name);
            let message = format!("unknown key \"{}\"", key.name);
            let hint = suggest::hint(&key.name, "the keys here are", &known);
            let error = Diagnostic::error(&key.location, &key_path, message).with_hint(hint);
            self.report(if sounds_secret(&key.name) { error.hiding(&key.node.location) } else { error });
            unknown.count += 1;
            unknown.meant.extend(suggest::nearest(&key.name, known.iter().copied()));
        }
        unknown
    }

    /// The default of an option.
    ///
    /// # Panics
    /// If it is not a value of its kind: a fault of the option table, which `Catalogue::faults` finds.
    fn default(&mut self, path: &str, spec: &OptionSpec, location: &Location) -> Option<Value> {
        let DefaultValue::Text(text) = spec.default else {
            return None;
        };
        match self.declared_value(path, spec, text, location) {
            Ok(value) => Some(value),
            Err(fault) => panic!("the default of {path} in its option table is wrong: {fault}"),
        }
    }

    /// A text of an option table as a value of the option.
    pub(crate) fn declared_value(
        &mut self,
        path: &str,
        spec: &OptionSpec,
        text: &'static str,
        location: &Location,
    ) -> Result<Value, String> {
        let node = declared(text, spec.kind.is_compound(), location)?;
        let mut apart = Checker {
            environment: &|_| None,
            diagnostics: Diagnostics::new(),
            references: Vec::new(),
            broken_lines: HashSet::new(),
        };
        let value = apart.value(path, &spec.kind, spec.doc, &node);
        self.references.append(&mut apart.references);
        value.ok_or_else(|| apart.diagnostics.iter().map(|item| item.message.as_str()).collect::<Vec<_>>().join("; "))
    }
}

/// The keys of a section that are not in its table.
#[derive(Default)]
struct Unknown {
    count: usize,
    /// The options they probably mean; those are not reported as missing on top.
    meant: Vec<&'static str>,
}

fn missing(path: &str, spec: &OptionSpec, location: &Location) -> Diagnostic {
    let message = format!("the key \"{}\" is missing", spec.name);
    let hint = match spec.example {
        Some(example) => {
            format!("add {} = {}: {}", spec.name, spec.kind.as_toml(example), spec.doc)
        }
        None => format!("add {}, {}: {}", spec.name, spec.kind.expected(), spec.doc),
    };
    Diagnostic::error(location, &join(path, spec.name), message).with_hint(hint)
}

/// Whether a key sounds as if its value were a secret.
fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "passphrase", "passwd", "secret", "token", "credential", "api_key", "apikey"]
        .iter()
        .any(|word| name.contains(word))
}
