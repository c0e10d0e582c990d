//! The options of a type as a table of text, as JSON and as Markdown.

use serde_json::{Value, json};

use crate::spec::{Applies, Catalogue, DefaultValue, Kind, OptionSpec, TypeSpec};

/// Width that docs are wrapped to.
const WIDTH: usize = 100;

/// A row: options of sub-tables follow their table, under their full name.
struct Row {
    name: String,
    spec: &'static OptionSpec,
}

fn rows(prefix: &str, specs: &[&'static OptionSpec], out: &mut Vec<Row>) {
    for spec in specs {
        let name = format!("{prefix}{}", spec.name);
        let inner: Vec<_> = spec.kind.inner_options().iter().collect();
        let inner_prefix = match spec.kind {
            Kind::List { .. } => format!("{name}[]."),
            Kind::Map(_) => format!("{name}.KEY."),
            _ => format!("{name}."),
        };
        out.push(Row { name, spec });
        rows(&inner_prefix, &inner, out);
    }
}

fn all_rows(specs: &[&'static OptionSpec]) -> Vec<Row> {
    let mut out = Vec::new();
    rows("", specs, &mut out);
    out
}

/// The doc of an option with what else is to say about it.
fn full_doc(spec: &OptionSpec) -> String {
    let mut doc = spec.doc.to_owned();
    if let Kind::Choice(choices) = spec.kind {
        for (name, meaning) in choices {
            doc.push_str(&format!(" {name}: {meaning}."));
        }
    }
    if spec.applies == Applies::Reload {
        doc.push_str(" Applied on reload.");
    }
    doc
}

/// A type with all its options, for a terminal.
#[must_use]
pub fn describe(catalogue: &Catalogue, spec: &TypeSpec) -> String {
    let mut out = format!("{} {}: {}\n", spec.kind.as_str(), spec.name, spec.summary);
    if !spec.aliases.is_empty() {
        out.push_str(&format!("also named {}\n", spec.aliases.join(", ")));
    }
    out.push('\n');
    out.push_str(&describe_options(&catalogue.options_of(spec)));
    out
}

/// Options as aligned columns, each with its doc below: also for those of `[agent]`.
#[must_use]
pub fn describe_options(specs: &[&'static OptionSpec]) -> String {
    let mut lines = vec![["OPTION", "TYPE", "DEFAULT", "BOUNDS"].map(str::to_owned)];
    let rows = all_rows(specs);
    for row in &rows {
        let kind = &row.spec.kind;
        // The words of a choice may be many and are explained below.
        let bounds = if matches!(kind, Kind::Choice(_)) { String::new() } else { kind.bounds() };
        let default = row.spec.default_text().to_owned();
        lines.push([row.name.clone(), kind.type_name(), default, bounds]);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let (name, kind, default) = (width(0), width(1), width(2));
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        let text = format!("  {:name$}  {:kind$}  {:default$}  {}", line[0], line[1], line[2], line[3]);
        out.push_str(text.trim_end());
        out.push('\n');
        if let Some(row) = index.checked_sub(1).and_then(|index| rows.get(index)) {
            for doc_line in wrap(&full_doc(row.spec), WIDTH - 6) {
                out.push_str(&format!("      {doc_line}\n"));
            }
        }
    }
    out
}

/// Breaks text at spaces; a word longer than `width` has a line of its own.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line to write on");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            let space = if line.is_empty() { "" } else { " " };
            line.push_str(space);
            line.push_str(word);
        }
    }
    lines
}

/// A type with all its options as JSON. `default` is null for options that are required or unset.
#[must_use]
pub fn describe_json(catalogue: &Catalogue, spec: &TypeSpec) -> Value {
    let options: Vec<_> = all_rows(&catalogue.options_of(spec))
        .iter()
        .map(|row| {
            let default = match row.spec.default {
                DefaultValue::Text(text) => Some(text),
                DefaultValue::Required | DefaultValue::Unset => None,
            };
            json!({
                "name": row.name,
                "type": row.spec.kind.type_name(),
                "required": row.spec.default == DefaultValue::Required,
                "default": default,
                "bounds": row.spec.kind.bounds(),
                "doc": row.spec.doc,
                "applied_on_reload": row.spec.applies == Applies::Reload,
            })
        })
        .collect();
    json!({
        "kind": spec.kind.as_str(),
        "type": spec.name,
        "aliases": spec.aliases,
        "summary": spec.summary,
        "options": options,
    })
}

/// A type with all its options as a Markdown section with a table.
#[must_use]
pub fn describe_markdown(catalogue: &Catalogue, spec: &TypeSpec) -> String {
    let cell = |text: &str| text.replace('|', "\\|");
    let code = |text: &str| {
        if text.is_empty() { String::new() } else { format!("`{text}`") }
    };
    let mut out = format!("## {} `{}`\n\n{}\n\n", spec.kind.as_str(), spec.name, spec.summary);
    out.push_str("| option | type | default | bounds | meaning |\n|---|---|---|---|---|\n");
    for row in all_rows(&catalogue.options_of(spec)) {
        let default = match row.spec.default {
            DefaultValue::Required => "required".to_owned(),
            DefaultValue::Text(text) => code(text),
            DefaultValue::Unset => String::new(),
        };
        out.push_str(&format!(
            "| `{}` | {} | {} | {} | {} |\n",
            row.name,
            row.spec.kind.type_name(),
            cell(&default),
            cell(&row.spec.kind.bounds()),
            cell(&full_doc(row.spec)),
        ));
    }
    out
}
