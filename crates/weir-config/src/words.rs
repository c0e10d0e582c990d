//! Words for kinds: the same in errors, in descriptions and in the reference file.

use crate::spec::{DefaultValue, Kind, OptionSpec};
use crate::units::{format_bytes, format_count, format_duration, format_rate};
use std::time::Duration;

impl Kind {
    /// One word, for tables.
    #[must_use]
    pub fn type_name(&self) -> String {
        match self {
            Self::Bytes { .. } => "size".to_owned(),
            Self::Duration { .. } => "duration".to_owned(),
            Self::Count { .. } => "count".to_owned(),
            Self::Rate { .. } => "rate".to_owned(),
            Self::Float { .. } => "number".to_owned(),
            Self::Flag => "flag".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Path => "path".to_owned(),
            Self::Choice(_) => "choice".to_owned(),
            Self::Address(_) => "address".to_owned(),
            Self::Secret => "secret".to_owned(),
            Self::Reference(kind) => format!("{} name", kind.as_str()),
            Self::List { of, .. } => format!("list of {}", of.type_name()),
            Self::Map(of) => format!("table of {}", of.type_name()),
            Self::Table(_) => "table".to_owned(),
        }
    }

    /// What stands after "expected": an article and an example.
    pub(crate) fn expected(&self) -> String {
        match self {
            Self::Bytes { .. } => "a size such as \"64 MiB\"".to_owned(),
            Self::Duration { .. } => "a duration such as \"5 s\"".to_owned(),
            Self::Count { .. } => "a count such as 1_000 or \"10k\"".to_owned(),
            Self::Rate { .. } => "a rate such as \"10k/s\" or \"unlimited\"".to_owned(),
            Self::Float { .. } => "a number such as 0.5".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Text => "a text in quotes".to_owned(),
            Self::Path => "a path in quotes".to_owned(),
            Self::Choice(choices) => {
                let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
                format!("one of {}", names.join(", "))
            }
            Self::Address(schemes) => {
                let example = schemes.first().map_or("", |scheme| scheme.example());
                format!("an address such as \"{example}\"")
            }
            Self::Secret => "a reference to a secret: \"env:NAME\" or \"file:/path/of/it\"".to_owned(),
            Self::Reference(kind) => {
                format!("the name of {} {}", article(kind.as_str()), kind.as_str())
            }
            Self::List { of, .. } => format!("a list of {}", of.plural()),
            Self::Map(of) => format!("a table with {} as values", of.plural()),
            Self::Table(specs) => {
                let names: Vec<_> = specs.iter().map(|spec| spec.name).collect();
                format!("a table with the keys {}", names.join(", "))
            }
        }
    }

    fn plural(&self) -> String {
        match self {
            Self::Text => "texts".to_owned(),
            Self::Address(_) => "addresses".to_owned(),
            Self::Reference(kind) => format!("names of {}", kind.section()),
            Self::List { of, .. } => format!("lists of {}", of.plural()),
            Self::Map(_) | Self::Table(_) => "tables".to_owned(),
            other => format!("{}s", other.type_name()),
        }
    }

    /// The bounds: `1 MiB to 1 GiB`, `at least 1 s`, the choices, the schemes; empty if there are none.
    #[must_use]
    pub fn bounds(&self) -> String {
        let number = |bound: f64| format!("{bound}");
        match *self {
            Self::Bytes { min, max } => range(min, max, 0, u64::MAX, format_bytes),
            Self::Count { min, max } => range(min, max, 0, u64::MAX, format_count),
            Self::Duration { min_ms, max_ms } => {
                range(min_ms, max_ms, 0, u64::MAX, |ms| format_duration(Duration::from_millis(ms)))
            }
            Self::Rate { min, max } => range(min, max, 0.0, f64::MAX, |rate| format_rate(Some(rate))),
            Self::Float { min, max } => range(min, max, f64::MIN, f64::MAX, number),
            Self::Choice(choices) => choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" | "),
            Self::Address(schemes) => schemes.iter().map(|scheme| scheme.prefix()).collect::<Vec<_>>().join(" | "),
            Self::List { of, items_min } => match (items_min, of.bounds()) {
                (0, items) => items,
                (least, items) if items.is_empty() => format!("at least {least}"),
                (least, items) => format!("at least {least}; each {items}"),
            },
            Self::Map(of) => of.bounds(),
            Self::Flag | Self::Text | Self::Path | Self::Secret | Self::Reference(_) | Self::Table(_) => String::new(),
        }
    }

    /// A value of this kind as TOML, from the bare text of an option table.
    pub(crate) fn as_toml(&self, text: &str) -> String {
        let bare = match self {
            Self::List { .. } | Self::Map(_) | Self::Table(_) | Self::Flag | Self::Float { .. } => true,
            Self::Count { .. } | Self::Bytes { .. } => text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_'),
            _ => false,
        };
        if bare { text.to_owned() } else { quote(text) }
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

fn range<T: PartialOrd + Copy>(min: T, max: T, lowest: T, highest: T, show: impl Fn(T) -> String) -> String {
    match (min > lowest, max < highest) {
        (true, true) => format!("{} to {}", show(min), show(max)),
        (true, false) => format!("at least {}", show(min)),
        (false, true) => format!("at most {}", show(max)),
        (false, false) => String::new(),
    }
}

impl OptionSpec {
    /// The default for tables: its text, `required`, or `-`.
    #[must_use]
    pub fn default_text(&self) -> &'static str {
        match self.default {
            DefaultValue::Required => "required",
            DefaultValue::Text(text) => text,
            DefaultValue::Unset => "-",
        }
    }
}

/// A text as a TOML basic string.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() => {
                out.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// A key as TOML: bare where it can be.
pub(crate) fn quote_key(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(is_bare) { key.to_owned() } else { quote(key) }
}
