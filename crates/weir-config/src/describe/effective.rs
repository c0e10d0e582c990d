//! What is really configured, defaults included, as TOML.

use crate::agent::AgentConfig;
use crate::options::{Options, Value};
use crate::spec::ComponentKind;
use crate::units::{format_bytes, format_count, format_duration, format_rate};
use crate::words::{quote, quote_key};

/// The whole configuration with every default filled in and variables replaced, as TOML. Secrets are `"***"`; unset
/// options are absent.
#[must_use]
pub fn effective_toml(config: &AgentConfig) -> String {
    let mut out = "[agent]\n".to_owned();
    section(&mut out, "", &config.agent);
    for kind in ComponentKind::ALL {
        for component in config.components(kind) {
            out.push_str(&format!("\n[{}.{}]\n", kind.section(), component.name));
            out.push_str(&format!("type = {}\n", quote(component.type_name)));
            section(&mut out, "", &component.options);
        }
    }
    out
}

/// Each option on a line; sub-tables as dotted keys.
fn section(out: &mut String, prefix: &str, options: &Options) {
    for entry in &options.entries {
        let name = entry.spec.name;
        match &entry.value {
            None => {}
            Some(Value::Table(table)) => section(out, &format!("{prefix}{name}."), table),
            Some(value) => out.push_str(&format!("{prefix}{name} = {}\n", inline(value))),
        }
    }
}

/// A value on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::Bytes(bytes) => quote(&format_bytes(*bytes)),
        Value::Duration(duration) => quote(&format_duration(*duration)),
        Value::Count(count) => match i64::try_from(*count) {
            Ok(count) => count.to_string(),
            // Beyond the integers of TOML.
            Err(_) => quote(&format_count(*count)),
        },
        Value::Rate(rate) => quote(&format_rate(*rate)),
        // Debug keeps the point that makes it a number with a fraction.
        Value::Float(number) => format!("{number:?}"),
        Value::Flag(flag) => flag.to_string(),
        // What looks like a reference to a variable is not one any more.
        Value::Text(text) => quote(&text.replace("${", "$${")),
        Value::Path(path) => quote(&path.display().to_string().replace("${", "$${")),
        Value::Choice(choice) => quote(choice),
        Value::Address(address) => quote(&address.to_string()),
        Value::Secret(_) => quote("***"),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| (quote_key(key), inline(value)));
            braces(entries)
        }
        Value::Table(options) => braces(options.entries.iter().filter_map(|entry| {
            let value = entry.value.as_ref()?;
            Some((entry.spec.name.to_owned(), inline(value)))
        })),
    }
}

fn braces(entries: impl Iterator<Item = (String, String)>) -> String {
    let entries: Vec<_> = entries.map(|(key, value)| format!("{key} = {value}")).collect();
    if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
}
