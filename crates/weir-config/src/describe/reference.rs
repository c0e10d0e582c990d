//! The reference file: every key of every type, commented, at its default.

use super::table::wrap;
use crate::spec::{Catalogue, ComponentKind, DefaultValue, Kind, OptionSpec, TypeSpec};
use crate::units::format_duration;
use crate::words::quote;
use std::time::Duration;

/// Width of comments.
const WIDTH: usize = 98;

/// A configuration file with one component of each type and every key at its default, each with its doc. Keys without a
/// default are commented out. It loads without errors, as an agent nobody would run.
#[must_use]
pub fn reference_toml(catalogue: &Catalogue) -> String {
    let mut out = String::new();
    comment(
        &mut out,
        "Every option there is, at its default. Keys in comments have no default. Texts may hold ${VAR} and ${VAR:-default}.",
    );
    out.push_str("\n[agent]\n");
    for spec in catalogue.agent() {
        option(&mut out, catalogue, "", spec, false);
    }
    for kind in ComponentKind::ALL {
        for spec in catalogue.types(kind) {
            component(&mut out, catalogue, spec);
        }
    }
    out
}

/// Name of the component that stands for a type.
fn component_name(spec: &TypeSpec) -> String {
    spec.name.replace(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'), "_")
}

fn component(out: &mut String, catalogue: &Catalogue, spec: &TypeSpec) {
    out.push('\n');
    comment(out, spec.summary);
    out.push_str(&format!("[{}.{}]\n", spec.kind.section(), component_name(spec)));
    out.push_str(&format!("type = {}\n", quote(spec.name)));
    for option_spec in catalogue.options_of(spec) {
        if spec.kind == ComponentKind::Sink && option_spec.name == "group" {
            // All sinks of this file read one channel, so that each needs one.
            out.push('\n');
            comment(out, option_spec.doc);
            out.push_str(&format!("group = {}\n", quote(&component_name(spec))));
        } else {
            option(out, catalogue, "", option_spec, false);
        }
    }
}

fn comment(out: &mut String, text: &str) {
    for line in wrap(text, WIDTH) {
        out.push_str(&format!("# {line}\n"));
    }
}

/// An option with its doc; sub-tables as dotted keys. `is_off`: only as a comment.
fn option(out: &mut String, catalogue: &Catalogue, prefix: &str, spec: &'static OptionSpec, is_off: bool) {
    let name = format!("{prefix}{}", spec.name);
    let is_off = is_off || spec.default == DefaultValue::Unset;
    out.push('\n');
    let table = match (spec.kind, spec.default) {
        // A default with content is shown as it is.
        (_, DefaultValue::Text(text)) if text != "{}" => None,
        (Kind::Table(specs), _) => Some(specs),
        _ => None,
    };
    if let Some(specs) = table {
        comment(out, spec.doc);
        for spec in specs {
            option(out, catalogue, &format!("{name}."), spec, is_off);
        }
        return;
    }
    let bounds = spec.kind.bounds();
    let type_name = spec.kind.type_name();
    let shape = if bounds.is_empty() { type_name } else { format!("{type_name}, {bounds}") };
    comment(out, &format!("{} ({shape})", spec.doc));
    let value = match spec.default {
        DefaultValue::Text(text) => spec.kind.as_toml(text),
        DefaultValue::Required | DefaultValue::Unset => example(catalogue, spec),
    };
    let off = if is_off { "# " } else { "" };
    out.push_str(&format!("{off}{name} = {value}\n"));
}

/// A value for an option without a default.
fn example(catalogue: &Catalogue, spec: &OptionSpec) -> String {
    match spec.example {
        Some(example) => spec.kind.as_toml(example),
        None => example_of(catalogue, &spec.kind),
    }
}

fn example_of(catalogue: &Catalogue, kind: &Kind) -> String {
    match kind {
        Kind::Bytes { min, .. } | Kind::Count { min, .. } => min.to_string(),
        Kind::Duration { min_ms, .. } => quote(&format_duration(Duration::from_millis(*min_ms))),
        Kind::Rate { .. } => quote("unlimited"),
        Kind::Float { min, .. } => format!("{:?}", min.max(-1e15)),
        Kind::Flag => "false".to_owned(),
        Kind::Text => quote("text"),
        Kind::Path => quote("/path"),
        Kind::Choice(choices) => quote(choices.first().map_or("", |(name, _)| name)),
        Kind::Address(schemes) => quote(schemes.first().map_or("", |scheme| scheme.example())),
        Kind::Secret => quote("env:NAME"),
        Kind::Reference(kind) => quote(&catalogue.types(*kind).next().map_or_else(String::new, component_name)),
        Kind::List { items_min: 0, .. } => "[]".to_owned(),
        Kind::List { of, items_min } => {
            let items = vec![example_of(catalogue, of); *items_min];
            format!("[{}]", items.join(", "))
        }
        Kind::Map(_) => "{}".to_owned(),
        Kind::Table(specs) => {
            let required = specs.iter().filter(|spec| spec.default == DefaultValue::Required);
            let entries: Vec<_> =
                required.map(|spec| format!("{} = {}", spec.name, example(catalogue, spec))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}
