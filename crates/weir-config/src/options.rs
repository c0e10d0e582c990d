//! Checked values, by name.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Address, Diagnostic, Location, OptionSpec, Secret};

/// A checked value.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Value {
    Bytes(u64),
    Duration(Duration),
    Count(u64),
    Rate(Option<f64>),
    Float(f64),
    Flag(bool),
    /// Of `Kind::Text` and `Kind::Reference`.
    Text(String),
    Path(PathBuf),
    Choice(&'static str),
    Address(Address),
    Secret(Secret),
    List(Vec<Self>),
    /// In the order of the file.
    Map(Vec<(String, Self)>),
    Table(Options),
}

/// One option of a section: its declaration, its value, where the user wrote it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) spec: &'static OptionSpec,
    /// `None` if unset.
    pub(crate) value: Option<Value>,
    /// `None` if the value is the default.
    pub(crate) location: Option<Location>,
}

/// The checked values of a section, one for each option of its table.
///
/// Getters take the name of an option, or a dotted path into sub-tables that are always there (`"roll.size"`). They
/// panic when the name is not in the table, when the option is of another kind, and when it may be unset and the getter
/// is not an `_opt` one: faults of the program, which any test of the component brings to light. No content of a
/// file makes them panic.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) path: String,
    pub(crate) location: Location,
    pub(crate) entries: Vec<Entry>,
}

impl PartialEq for Options {
    /// Equal values; places do not matter. What a reload compares.
    fn eq(&self, other: &Self) -> bool {
        let values = |options: &'_ Self| -> Vec<(&'static str, Option<Value>)> {
            options.entries.iter().map(|entry| (entry.spec.name, entry.value.clone())).collect()
        };
        values(self) == values(other)
    }
}

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident, $name_opt:ident: $variant:ident($pattern:pat) => $result:expr, $type:ty;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Panics
            /// On a fault of the program: see [`Options`].
            #[must_use]
            pub fn $name(&self, name: &str) -> $type {
                match self.value(name) {
                    Value::$variant($pattern) => $result,
                    other => self.wrong_kind(name, stringify!($name), other),
                }
            }

            $(#[$doc])*
            /// `None` if it is unset.
            ///
            /// # Panics
            /// On a fault of the program: see [`Options`].
            #[must_use]
            pub fn $name_opt(&self, name: &str) -> Option<$type> {
                match self.value_opt(name)? {
                    Value::$variant($pattern) => Some($result),
                    other => self.wrong_kind(name, stringify!($name_opt), other),
                }
            }
        )*
    };
}

impl Options {
    getters! {
        /// A size in bytes.
        bytes, bytes_opt: Bytes(bytes) => *bytes, u64;
        /// A duration.
        duration, duration_opt: Duration(duration) => *duration, Duration;
        /// A count.
        count, count_opt: Count(count) => *count, u64;
        /// A number.
        float, float_opt: Float(number) => *number, f64;
        /// A flag.
        flag, flag_opt: Flag(flag) => *flag, bool;
        /// A text, or the name of a component.
        text, text_opt: Text(text) => text, &str;
        /// A path as written.
        path, path_opt: Path(path) => path, &Path;
        /// The name of the choice, as in the table.
        choice, choice_opt: Choice(choice) => choice, &'static str;
        /// An address.
        address, address_opt: Address(address) => address, &Address;
        /// A reference to a secret.
        secret, secret_opt: Secret(secret) => secret, &Secret;
        /// A sub-table.
        table, table_opt: Table(table) => table, &Options;
    }

    /// A rate per second; `None` is no limit, or an unset option.
    ///
    /// # Panics
    /// On a fault of the program: see [`Options`].
    #[must_use]
    pub fn rate(&self, name: &str) -> Option<f64> {
        match self.value_opt(name)? {
            Value::Rate(rate) => *rate,
            other => self.wrong_kind(name, "rate", other),
        }
    }

    /// A list of texts or of names of components; empty if unset.
    ///
    /// # Panics
    /// On a fault of the program: see [`Options`].
    #[must_use]
    pub fn list_text(&self, name: &str) -> Vec<&str> {
        self.list(name, |value| match value {
            Value::Text(text) => text.as_str(),
            other => self.wrong_kind(name, "list_text", other),
        })
    }

    /// A list of addresses; empty if unset.
    ///
    /// # Panics
    /// On a fault of the program: see [`Options`].
    #[must_use]
    pub fn addresses(&self, name: &str) -> Vec<&Address> {
        self.list(name, |value| match value {
            Value::Address(address) => address,
            other => self.wrong_kind(name, "addresses", other),
        })
    }

    /// A list of paths; empty if unset.
    ///
    /// # Panics
    /// On a fault of the program: see [`Options`].
    #[must_use]
    pub fn paths(&self, name: &str) -> Vec<&Path> {
        self.list(name, |value| match value {
            Value::Path(path) => path.as_path(),
            other => self.wrong_kind(name, "paths", other),
        })
    }

    /// A list of sub-tables; empty if unset.
    ///
    /// # Panics
    /// On a fault of the program: see [`Options`].
    #[must_use]
    pub fn tables(&self, name: &str) -> Vec<&Self> {
        self.list(name, |value| match value {
            Value::Table(table) => table,
            other => self.wrong_kind(name, "tables", other),
        })
    }

    /// A table of texts with keys of the user's choice, in the order of the file; empty if unset.
    ///
    /// # Panics
    /// On a fault of the program: see [`Options`].
    #[must_use]
    pub fn text_map(&self, name: &str) -> Vec<(&str, &str)> {
        self.map(name, |value| match value {
            Value::Text(text) => text.as_str(),
            other => self.wrong_kind(name, "text_map", other),
        })
    }

    /// A table of lists of texts (or names of components) with keys of the user's choice, in the order of the file;
    /// empty if unset.
    ///
    /// # Panics
    /// On a fault of the program: see [`Options`].
    #[must_use]
    pub fn list_map(&self, name: &str) -> Vec<(&str, Vec<&str>)> {
        self.map(name, |value| match value {
            Value::List(items) => items
                .iter()
                .map(|item| match item {
                    Value::Text(text) => text.as_str(),
                    other => self.wrong_kind(name, "list_map", other),
                })
                .collect(),
            other => self.wrong_kind(name, "list_map", other),
        })
    }

    /// Whether the user wrote this option.
    ///
    /// # Panics
    /// If the name is not in the table.
    #[must_use]
    pub fn is_given(&self, name: &str) -> bool {
        self.entry(name).1.location.is_some()
    }

    /// Where the value of this option stands; the head of its section if the user did not write it.
    ///
    /// # Panics
    /// If the name is not in the table.
    #[must_use]
    pub fn location_of(&self, name: &str) -> &Location {
        let (section, entry) = self.entry(name);
        entry.location.as_ref().unwrap_or(&section.location)
    }

    /// Where the section stands.
    #[must_use]
    pub const fn location(&self) -> &Location {
        &self.location
    }

    /// Path of the section, such as `sinks.out`.
    #[must_use]
    pub fn section(&self) -> &str {
        &self.path
    }

    /// An error about the option `name`, at its place: for checks across options.
    ///
    /// # Panics
    /// If the name is not in the table.
    #[must_use]
    pub fn error(&self, name: &str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.location_of(name), &join(&self.path, name), message)
    }

    /// A warning about the option `name`, at its place.
    ///
    /// # Panics
    /// If the name is not in the table.
    #[must_use]
    pub fn warning(&self, name: &str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(self.location_of(name), &join(&self.path, name), message)
    }

    /// The entry of a name or dotted path, and the section it is in.
    fn entry(&self, name: &str) -> (&Self, &Entry) {
        let (head, rest) = match name.split_once('.') {
            Some((head, rest)) => (head, Some(rest)),
            None => (name, None),
        };
        let Some(entry) = self.entries.iter().find(|entry| entry.spec.name == head) else {
            let names: Vec<_> = self.entries.iter().map(|entry| entry.spec.name).collect();
            panic!("the option table of {} has no {head:?}; it has {}", self.path, names.join(", "));
        };
        match (rest, &entry.value) {
            (None, _) => (self, entry),
            (Some(rest), Some(Value::Table(table))) => table.entry(rest),
            (Some(_), value) => panic!(
                "{name:?} of {} leads through {head:?}, which is {} and not a table that is always there",
                self.path,
                if value.is_some() { "a single value" } else { "unset" }
            ),
        }
    }

    fn value_opt(&self, name: &str) -> Option<&Value> {
        self.entry(name).1.value.as_ref()
    }

    fn value(&self, name: &str) -> &Value {
        self.value_opt(name)
            .unwrap_or_else(|| panic!("the option {name:?} of {} may be unset; use the getter with _opt", self.path))
    }

    fn list<'a, T>(&'a self, name: &str, item: impl Fn(&'a Value) -> T) -> Vec<T> {
        match self.value_opt(name) {
            None => Vec::new(),
            Some(Value::List(items)) => items.iter().map(item).collect(),
            Some(other) => self.wrong_kind(name, "a list", other),
        }
    }

    fn map<'a, T>(&'a self, name: &str, item: impl Fn(&'a Value) -> T) -> Vec<(&'a str, T)> {
        match self.value_opt(name) {
            None => Vec::new(),
            Some(Value::Map(entries)) => entries.iter().map(|(key, value)| (key.as_str(), item(value))).collect(),
            Some(other) => self.wrong_kind(name, "a map", other),
        }
    }

    fn wrong_kind(&self, name: &str, asked: &str, found: &Value) -> ! {
        // Only the kind: a value may come from the environment and belongs in no panic message.
        let found = format!("{found:?}");
        let kind = found.split(['(', ' ']).next().unwrap_or_default();
        panic!("the option {name:?} of {} is {kind}, asked for as {asked}", self.path)
    }
}

/// `section.key`, or `key` at the top.
pub(crate) fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}
