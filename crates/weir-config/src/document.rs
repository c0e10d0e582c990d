//! Files to one tree of sections with positions.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::location::SourceText;
use crate::{Diagnostic, Diagnostics, Location, syntax};

/// A value as written, with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) location: Location,
    pub(crate) value: NodeValue,
}

#[derive(Clone, Debug)]
pub(crate) enum NodeValue {
    Text(String),
    /// `None` if it does not fit 128 bits.
    Integer(Option<i128>),
    Float(f64),
    Flag(bool),
    Date,
    List(Vec<Node>),
    Table(Table),
}

/// Keys in the order of the file.
pub(crate) type Table = Vec<Key>;

#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) location: Location,
    pub(crate) node: Node,
}

/// One or several configuration files, read and merged, not yet checked against a catalogue.
#[derive(Clone, Debug)]
pub struct Document {
    pub(crate) root: Table,
    /// What stands for the configuration as a whole: the first file.
    pub(crate) origin: Location,
    /// Lines that syntax errors made unreadable, by file rank and line: what follows from them is not reported again.
    pub(crate) broken_lines: HashSet<(usize, usize)>,
}

impl Document {
    /// Reads and merges files. The only I/O of this crate.
    ///
    /// A file that cannot be read, bytes that are not UTF-8, syntax errors, keys and sections that are defined twice are in
    /// the diagnostics; the document holds what could be understood, so that checking it can go on.
    #[must_use]
    pub fn load(files: &[PathBuf]) -> (Self, Diagnostics) {
        let mut diagnostics = Diagnostics::new();
        let mut texts = Vec::new();
        for (rank, file) in files.iter().enumerate() {
            let name = file.display().to_string();
            let text = std::fs::read(file).map_err(|error| error.to_string()).and_then(|bytes| {
                String::from_utf8(bytes).map_err(|error| {
                    let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                    let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
                    format!("line {line} is not UTF-8")
                })
            });
            match text {
                Ok(text) => texts.push(SourceText::new(rank, &name, &text)),
                Err(reason) => {
                    let place = Location::whole_file(&SourceText::new(rank, &name, ""));
                    let message = format!("the configuration file cannot be read: {reason}");
                    diagnostics.push(Diagnostic::error(&place, "", message));
                }
            }
        }
        let (document, found) = Self::merge(&texts);
        diagnostics.append(found);
        (document, diagnostics)
    }

    /// Reads and merges texts, each with the name that messages give it. Otherwise as [`Document::load`].
    #[must_use]
    pub fn parse(texts: &[(&str, &str)]) -> (Self, Diagnostics) {
        let numbered = texts.iter().enumerate();
        let sources: Vec<_> = numbered.map(|(rank, (name, text))| SourceText::new(rank, name, text)).collect();
        Self::merge(&sources)
    }

    fn merge(sources: &[Arc<SourceText>]) -> (Self, Diagnostics) {
        let none = SourceText::new(0, "configuration", "");
        let origin = Location::whole_file(sources.first().unwrap_or(&none));
        let mut document = Self { root: Table::new(), origin, broken_lines: HashSet::new() };
        let mut diagnostics = Diagnostics::new();
        for source in sources {
            let (root, errors) = DeTable::parse_recoverable(&source.text);
            let (found, misread) = syntax::diagnose(source, &errors);
            diagnostics.append(found);
            document.broken_lines.extend(misread.into_iter().map(|line| (source.rank, line)));
            for key in table(source, root.get_ref()) {
                add_section(&mut document.root, key, &mut diagnostics);
            }
        }
        (document, diagnostics)
    }

    /// Whether a file had syntax errors: then what is missing may only have been unreadable.
    pub(crate) fn is_broken(&self) -> bool {
        !self.broken_lines.is_empty()
    }
}

/// Merges a top-level key of a further file.
fn add_section(root: &mut Table, key: Key, diagnostics: &mut Diagnostics) {
    let Some(known) = root.iter_mut().find(|known| known.name == key.name) else {
        root.push(key);
        return;
    };
    let mergeable = key.name != "agent";
    match (&mut known.node.value, key.node.value) {
        (NodeValue::Table(known_table), NodeValue::Table(table)) if mergeable => {
            for entry in table {
                match known_table.iter().find(|known| known.name == entry.name) {
                    None => known_table.push(entry),
                    Some(first) => {
                        let path = format!("{}.{}", key.name, entry.name);
                        diagnostics.push(defined_twice(&path, &entry.location, &first.location));
                    }
                }
            }
        }
        _ => diagnostics.push(defined_twice(&key.name, &key.location, &known.location)),
    }
}

fn defined_twice(path: &str, second: &Location, first: &Location) -> Diagnostic {
    Diagnostic::error(second, path, format!("the section \"{path}\" is already defined at {first}"))
        .with_hint("a section stands in one file; rename or remove one of them")
}

fn table(source: &Arc<SourceText>, table: &DeTable<'_>) -> Table {
    let mut keys: Vec<_> = table
        .iter()
        .map(|(key, value)| {
            let location = Location::new(source, key.span());
            Key { name: key.get_ref().to_string(), location, node: node(source, value) }
        })
        .collect();
    // The reader sorts by name; people think in the order of the file.
    keys.sort_by_key(|key| key.location.order());
    keys
}

fn node(source: &Arc<SourceText>, value: &Spanned<DeValue<'_>>) -> Node {
    let location = Location::new(source, value.span());
    let value = match value.get_ref() {
        DeValue::String(text) => NodeValue::Text(text.to_string()),
        DeValue::Integer(integer) => NodeValue::Integer(i128::from_str_radix(integer.as_str(), integer.radix()).ok()),
        DeValue::Float(float) => NodeValue::Float(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => NodeValue::Flag(*flag),
        DeValue::Datetime(_) => NodeValue::Date,
        DeValue::Array(items) => NodeValue::List(items.iter().map(|item| node(source, item)).collect()),
        DeValue::Table(entries) => NodeValue::Table(table(source, entries)),
    };
    Node { location, value }
}

/// A default or example of a table, as a node: bare text, or TOML where the kind is a list or table.
pub(crate) fn declared(text: &'static str, compound: bool, location: &Location) -> Result<Node, String> {
    if !compound {
        return Ok(Node { location: location.clone(), value: NodeValue::Text(text.to_owned()) });
    }
    let value = DeValue::parse(text).map_err(|error| error.message().to_owned())?;
    let mut node = node(&SourceText::new(0, "option table", text), &value);
    relocate(&mut node, location);
    Ok(node)
}

/// Gives a node from an option table the place of the section it is used in.
fn relocate(node: &mut Node, location: &Location) {
    node.location = location.clone();
    match &mut node.value {
        NodeValue::List(items) => items.iter_mut().for_each(|item| relocate(item, location)),
        NodeValue::Table(keys) => {
            for key in keys {
                key.location = location.clone();
                relocate(&mut key.node, location);
            }
        }
        _ => {}
    }
}
