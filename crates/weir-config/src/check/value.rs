//! One value against its kind.

use std::path::PathBuf;
use std::time::Duration;

use super::section::{Checker, Reference, UnknownKeys};
use crate::document::{Key, Node, NodeValue};
use crate::options::{Value, join};
use crate::spec::Kind;
use crate::substitute::{Reason, Unresolved, substitute};
use crate::units::{
    format_bytes, format_count, format_duration, format_rate, parse_bytes, parse_count, parse_duration, parse_rate,
};
use crate::{Address, Diagnostic, Secret, suggest};

/// Why a value is not of its kind.
enum Fault {
    /// Another type: "expected ..., found ...".
    Type,
    /// The right type, with this wrong in it.
    Content(String),
    /// Beyond a bound; the doc of the option says why it is there.
    Bound(String),
    /// Already reported.
    Reported,
}

impl Checker<'_> {
    /// The value of `node`, or `None` after reporting what is wrong with it. `doc` gives the reason of bounds.
    pub(super) fn value(&mut self, path: &str, kind: &Kind, doc: &str, node: &Node) -> Option<Value> {
        let result = match kind {
            Kind::List { of, items_min } => self.list(path, of, *items_min, doc, node),
            Kind::Map(of) => self.map(path, of, doc, node),
            Kind::Table(specs) => self.table(path, specs, node),
            _ => match self.text(path, node) {
                Ok(text) => self.single(path, kind, node, text.as_deref()),
                Err(fault) => Err(fault),
            },
        };
        let fault = match result {
            Ok(value) => return Some(value),
            Err(fault) => fault,
        };
        let error = |message: String| Diagnostic::error(&node.location, path, message);
        let diagnostic = match fault {
            Fault::Reported => return None,
            Fault::Content(message) => error(self.as_written(node, message)),
            Fault::Bound(message) => error(message).with_hint(doc),
            Fault::Type => {
                // What stands in the place of a secret is probably the secret.
                let found = if *kind == Kind::Secret { "something else" } else { &describe(node) };
                let diagnostic = error(format!("expected {}, found {found}", kind.expected()));
                match correction(kind, node) {
                    Some(hint) => diagnostic.with_hint(hint),
                    None => diagnostic,
                }
            }
        };
        let is_secret = *kind == Kind::Secret;
        self.report(if is_secret { diagnostic.about_a_secret() } else { diagnostic });
        None
    }

    /// A message that quotes a value, with the value as it stands in the file: what a variable holds may be a secret.
    fn as_written(&self, node: &Node, message: String) -> String {
        match &node.value {
            NodeValue::Text(written) => match substitute(written, self.environment) {
                Ok(value) if value != *written && !value.is_empty() => message.replace(&value, written),
                _ => message,
            },
            _ => message,
        }
    }

    /// The text of a text node with its references replaced; `None` for other nodes.
    fn text(&mut self, path: &str, node: &Node) -> Result<Option<String>, Fault> {
        let NodeValue::Text(text) = &node.value else {
            return Ok(None);
        };
        substitute(text, self.environment).map(Some).map_err(|unresolved| {
            for fault in unresolved {
                self.report(unresolved_reference(path, node, text, &fault));
            }
            Fault::Reported
        })
    }

    /// A value that is neither list nor table. `text` is that of a text node.
    fn single(&mut self, path: &str, kind: &Kind, node: &Node, text: Option<&str>) -> Result<Value, Fault> {
        match (kind, text, &node.value) {
            (
                Kind::Bytes { .. }
                | Kind::Count { .. }
                | Kind::Duration { .. }
                | Kind::Rate { .. }
                | Kind::Float { .. },
                ..,
            ) => amount(kind, node, text),
            // Flags as texts come from `${VAR}`.
            (Kind::Flag, _, NodeValue::Flag(flag)) => Ok(Value::Flag(*flag)),
            (Kind::Flag, Some("true"), _) => Ok(Value::Flag(true)),
            (Kind::Flag, Some("false"), _) => Ok(Value::Flag(false)),
            (Kind::Text, Some(text), _) => Ok(Value::Text(text.to_owned())),
            (Kind::Path, Some(""), _) => Err(Fault::Content("the path is empty".to_owned())),
            (Kind::Path, Some(text), _) if text.starts_with("~/") => {
                let message = "\"~\" is not expanded; write the whole path, or ${HOME}/...";
                Err(Fault::Content(message.to_owned()))
            }
            (Kind::Path, Some(text), _) => Ok(Value::Path(PathBuf::from(text))),
            (Kind::Choice(choices), Some(text), _) => choice(choices, text).ok_or(Fault::Type),
            (Kind::Address(schemes), Some(text), _) => {
                Address::parse(text, schemes).map(Value::Address).map_err(content)
            }
            (Kind::Secret, Some(text), _) => Secret::parse(text).map(Value::Secret).ok_or(Fault::Type),
            (Kind::Reference(target), Some(name), _) => {
                let (path, location) = (path.to_owned(), node.location.clone());
                self.references.push(Reference { path, location, target: *target, name: name.to_owned() });
                Ok(Value::Text(name.to_owned()))
            }
            _ => Err(Fault::Type),
        }
    }

    fn list(&mut self, path: &str, of: &Kind, items_min: usize, doc: &str, node: &Node) -> Result<Value, Fault> {
        let NodeValue::List(items) = &node.value else {
            return Err(Fault::Type);
        };
        let values: Vec<_> = items.iter().map(|item| self.value(path, of, doc, item)).collect();
        if items.len() < items_min {
            let least = if items_min == 1 { "one item".to_owned() } else { format!("{items_min} items") };
            return Err(Fault::Bound(format!("the list needs at least {least}, found {}", items.len())));
        }
        let values: Vec<_> = values.into_iter().collect::<Option<_>>().ok_or(Fault::Reported)?;
        if matches!(of, Kind::Reference(_)) {
            for (index, value) in values.iter().enumerate() {
                if let (Value::Text(name), true) = (value, values[..index].contains(value)) {
                    let message = format!("{name:?} is named twice in this list");
                    self.report(Diagnostic::error(&items[index].location, path, message));
                }
            }
        }
        Ok(Value::List(values))
    }

    fn map(&mut self, path: &str, of: &Kind, doc: &str, node: &Node) -> Result<Value, Fault> {
        let NodeValue::Table(keys) = &node.value else {
            return Err(Fault::Type);
        };
        let entries: Vec<_> = keys
            .iter()
            .map(|key| {
                let value = self.value(&join(path, &key.name), of, doc, &key.node)?;
                Some((key.name.clone(), value))
            })
            .collect();
        entries.into_iter().collect::<Option<_>>().map(Value::Map).ok_or(Fault::Reported)
    }

    fn table(&mut self, path: &str, specs: &'static [crate::OptionSpec], node: &Node) -> Result<Value, Fault> {
        let NodeValue::Table(keys) = &node.value else {
            return Err(Fault::Type);
        };
        let keys: Vec<&Key> = keys.iter().collect();
        let specs: Vec<_> = specs.iter().collect();
        let section = self.section(path, &node.location, &keys, &specs, UnknownKeys::Report);
        if section.is_valid { Ok(Value::Table(section.options)) } else { Err(Fault::Reported) }
    }
}

fn content(error: impl std::fmt::Display) -> Fault {
    Fault::Content(error.to_string())
}

/// A value with bounds.
fn amount(kind: &Kind, node: &Node, text: Option<&str>) -> Result<Value, Fault> {
    match (kind, text, &node.value) {
        (Kind::Bytes { min, max }, ..) => {
            let bytes = whole(node, text, parse_bytes)?;
            within(&bytes, min, max, |bytes| format_bytes(*bytes))?;
            Ok(Value::Bytes(bytes))
        }
        (Kind::Count { min, max }, ..) => {
            let count = whole(node, text, parse_count)?;
            within(&count, min, max, |count| format_count(*count))?;
            Ok(Value::Count(count))
        }
        (Kind::Duration { min_ms, max_ms }, ..) => {
            let duration = match (text, &node.value) {
                (Some(text), _) => parse_duration(text).map_err(content)?,
                (None, NodeValue::Integer(Some(0))) => Duration::ZERO,
                _ => return Err(Fault::Type),
            };
            let (min, max) = (Duration::from_millis(*min_ms), Duration::from_millis(*max_ms));
            within(&duration, &min, &max, |duration| format_duration(*duration))?;
            Ok(Value::Duration(duration))
        }
        (Kind::Rate { min, max }, Some(text), _) => {
            let rate = parse_rate(text).map_err(content)?;
            if let Some(rate) = rate {
                within(&rate, min, max, |rate| format_rate(Some(*rate)))?;
            }
            Ok(Value::Rate(rate))
        }
        (Kind::Float { min, max }, text, value) => {
            let number = match (text, value) {
                (Some(text), _) => text.trim().parse().map_err(|_| Fault::Type)?,
                (None, NodeValue::Float(number)) => *number,
                (None, NodeValue::Integer(Some(number))) => *number as f64,
                _ => return Err(Fault::Type),
            };
            within(&number, min, max, f64::to_string)?;
            Ok(Value::Float(number))
        }
        _ => Err(Fault::Type),
    }
}

/// A number of 64 bits, from text by `parse` or from an integer.
fn whole<E: std::fmt::Display>(
    node: &Node,
    text: Option<&str>,
    parse: impl Fn(&str) -> Result<u64, E>,
) -> Result<u64, Fault> {
    match (text, &node.value) {
        (Some(text), _) => parse(text).map_err(content),
        (None, NodeValue::Integer(Some(number))) => u64::try_from(*number).map_err(|_| Fault::Type),
        _ => Err(Fault::Type),
    }
}

/// Checks bounds. A number that compares with nothing is out of any.
fn within<T: PartialOrd>(value: &T, min: &T, max: &T, show: impl Fn(&T) -> String) -> Result<(), Fault> {
    if value < min {
        let message = format!("{} is below the minimum, {}", show(value), show(min));
        return Err(Fault::Bound(message));
    }
    if value <= max {
        return Ok(());
    }
    Err(Fault::Bound(format!("{} is above the maximum, {}", show(value), show(max))))
}

fn choice(choices: &'static [(&'static str, &'static str)], text: &str) -> Option<Value> {
    choices.iter().find(|(name, _)| *name == text).map(|(name, _)| Value::Choice(name))
}

/// What a node is, for people.
fn describe(node: &Node) -> String {
    match &node.value {
        NodeValue::Text(text) => {
            let start: String = text.chars().take(60).collect();
            let rest = if start.len() < text.len() { "..." } else { "" };
            format!("the text {start:?}{rest}")
        }
        NodeValue::Integer(Some(number)) => format!("the integer {number}"),
        NodeValue::Integer(None) => "an integer of more than 64 bits".to_owned(),
        NodeValue::Float(number) => format!("the number {number}"),
        NodeValue::Flag(_) => "a boolean".to_owned(),
        NodeValue::Date => "a date".to_owned(),
        NodeValue::List(_) => "a list".to_owned(),
        NodeValue::Table(_) => "a table".to_owned(),
    }
}

/// How to make of this node what was expected, where that is plain.
fn correction(kind: &Kind, node: &Node) -> Option<String> {
    let written = node.location.text();
    match (kind, &node.value) {
        (Kind::Choice(choices), NodeValue::Text(text)) => {
            let names = choices.iter().map(|(name, _)| *name);
            if let Some(nearest) = suggest::nearest(text, names) {
                return Some(format!("did you mean \"{nearest}\"?"));
            }
            let meanings: Vec<_> = choices.iter().map(|(name, meaning)| format!("\"{name}\": {meaning}")).collect();
            Some(meanings.join("; "))
        }
        (Kind::Secret, _) => Some("keep the secret itself out of this file".to_owned()),
        (Kind::List { .. }, NodeValue::Text(_)) if !written.contains('\n') => {
            Some(format!("write it as a list: [{written}]"))
        }
        (
            Kind::Text | Kind::Path | Kind::Reference(_) | Kind::Choice(_),
            NodeValue::Integer(_) | NodeValue::Float(_) | NodeValue::Flag(_) | NodeValue::Date,
        ) => Some(format!("write it in quotes: \"{written}\"")),
        (Kind::Duration { .. }, NodeValue::Integer(_) | NodeValue::Float(_)) => {
            Some(format!("say the unit, such as \"{written} s\" or \"{written} ms\""))
        }
        (Kind::Rate { .. }, NodeValue::Integer(_) | NodeValue::Float(_)) => {
            Some(format!("say per what, such as \"{written}/s\""))
        }
        (Kind::Bytes { .. }, NodeValue::Float(_)) => Some(format!("say the unit, such as \"{written} MiB\"")),
        _ => None,
    }
}

fn unresolved_reference(path: &str, node: &Node, text: &str, fault: &Unresolved) -> Diagnostic {
    let reference = &text[fault.span.clone()];
    // Escapes before the reference move it in the file: looked for there, rather than computed.
    let written = node.location.text();
    let location = match written.find(reference) {
        Some(at) => node.location.part(at..at + reference.len()),
        None => node.location.clone(),
    };
    let (message, hint) = match &fault.reason {
        Reason::Unknown(name) => (
            format!("the environment variable {name} is not set"),
            format!("set it, or give a default: ${{{name}:-value}}"),
        ),
        Reason::Unclosed => (
            "a reference to a variable has no closing brace".to_owned(),
            "write ${NAME}, or $${ for a literal ${".to_owned(),
        ),
        Reason::BadName(name) => (
            format!("{name:?} is not the name of an environment variable"),
            "write ${NAME} or ${NAME:-default}, or $${ for a literal ${".to_owned(),
        ),
    };
    Diagnostic::error(&location, path, message).with_hint(hint)
}
