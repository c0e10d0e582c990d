//! Faults of option tables themselves: what a test of the binary asserts to be none.

use crate::check::Checker;
use crate::spec::{Catalogue, ComponentKind, DefaultValue, OptionSpec};
use crate::{Document, Location};

impl Catalogue {
    /// What is wrong with the tables: defaults and examples that are not values of their options, names that are not
    /// `snake_case` or not unique, missing documentation, required options of `[agent]`. Empty in a sound catalogue.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let (document, _) = Document::parse(&[("option table", "")]);
        let mut checker = Checker::new(&document, &|_| None);
        let mut faults = Vec::new();
        let agent: Vec<_> = self.agent().iter().collect();
        table_faults("agent", &agent, &document.origin, &mut checker, &mut faults);
        for spec in self.agent().iter().filter(|spec| spec.default == DefaultValue::Required) {
            faults.push(format!("agent.{}: an agent starts without [agent], so it cannot be required", spec.name));
        }
        for kind in ComponentKind::ALL {
            let mut names = Vec::new();
            for spec in self.types(kind) {
                let path = format!("{} {}", kind.as_str(), spec.name);
                for name in std::iter::once(&spec.name).chain(spec.aliases) {
                    if names.contains(name) {
                        faults.push(format!("{path}: the type name {name:?} is taken"));
                    }
                    names.push(*name);
                }
                if spec.summary.is_empty() {
                    faults.push(format!("{path}: no summary"));
                }
                if spec.options.iter().any(|option| option.name == "type") {
                    faults.push(format!("{path}: \"type\" names the type of a component"));
                }
                let options = self.options_of(spec);
                table_faults(&path, &options, &document.origin, &mut checker, &mut faults);
            }
        }
        faults
    }
}

fn table_faults(
    path: &str,
    specs: &[&'static OptionSpec],
    location: &Location,
    checker: &mut Checker<'_>,
    faults: &mut Vec<String>,
) {
    let mut names = Vec::new();
    for spec in specs {
        let path = format!("{path}.{}", spec.name);
        if names.contains(&spec.name) {
            faults.push(format!("{path}: declared twice"));
        }
        names.push(spec.name);
        let is_snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if spec.name.is_empty() || !spec.name.chars().all(is_snake) {
            faults.push(format!("{path}: the name is not snake_case"));
        }
        if !spec.doc.ends_with('.') {
            faults.push(format!("{path}: the documentation is not a sentence"));
        }
        let sub_tables: Vec<_> = spec.kind.inner_options().iter().collect();
        let before = faults.len();
        table_faults(&path, &sub_tables, location, checker, faults);
        if faults.len() > before {
            continue;
        }
        let default = match spec.default {
            DefaultValue::Text(text) => Some(text),
            DefaultValue::Required | DefaultValue::Unset => None,
        };
        for text in [default, spec.example].into_iter().flatten() {
            if let Err(fault) = checker.declared_value(&path, spec, text, location) {
                faults.push(format!("{path}: {text:?} is not a value of it: {fault}"));
            }
        }
    }
}
