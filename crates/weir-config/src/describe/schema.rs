//! JSON Schema (draft 2020-12) for editors: keys, types, docs, defaults, choices.
//!
//! It is looser than the real check where schema has no words for it: bounds of values with units, and references.

use serde_json::{Map, Value, json};

use crate::spec::{Catalogue, ComponentKind, DefaultValue, Kind, OptionSpec, TypeSpec};

/// What a text with a variable in it looks like.
const VARIABLE: &str = r"\$\{";

/// The schema of a configuration file.
#[must_use]
pub fn json_schema(catalogue: &Catalogue) -> Value {
    let mut definitions = Map::new();
    let mut properties = Map::new();
    let agent: Vec<_> = catalogue.agent().iter().collect();
    properties.insert("agent".to_owned(), object(&agent, None));
    for kind in ComponentKind::ALL {
        let mut rules = Vec::new();
        let mut names = Vec::new();
        for spec in catalogue.types(kind) {
            let definition = format!("{}.{}", kind.section(), spec.name);
            let own: Vec<_> = std::iter::once(spec.name).chain(spec.aliases.iter().copied()).collect();
            rules.push(json!({
                "if": { "properties": { "type": { "enum": own } }, "required": ["type"] },
                "then": { "$ref": format!("#/$defs/{definition}") },
            }));
            names.extend(own);
            definitions.insert(definition, object(&catalogue.options_of(spec), Some(spec)));
        }
        let component = json!({
            "type": "object",
            "properties": { "type": { "enum": names } },
            "required": ["type"],
            "allOf": rules,
        });
        properties.insert(kind.section().to_owned(), json!({ "type": "object", "additionalProperties": component }));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Weir configuration",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "$defs": definitions,
    })
}

/// An object with these options and no others.
fn object(specs: &[&OptionSpec], component: Option<&TypeSpec>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    if component.is_some() {
        properties.insert("type".to_owned(), json!({ "type": "string" }));
        required.push("type");
    }
    for spec in specs {
        let mut schema = of_kind(&spec.kind);
        schema["description"] = json!(spec.doc);
        match spec.default {
            DefaultValue::Required => required.push(spec.name),
            DefaultValue::Text(text) if !spec.kind.is_compound() => schema["default"] = json!(text),
            DefaultValue::Text(_) | DefaultValue::Unset => {}
        }
        properties.insert(spec.name.to_owned(), schema);
    }
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    if let Some(spec) = component {
        schema["description"] = json!(spec.summary);
    }
    schema
}

/// A text of this form, or one with a variable in it.
fn pattern(form: &str) -> Value {
    json!({ "type": "string", "pattern": format!("^(?:{form})$|{VARIABLE}") })
}

/// A number, or a text with a variable in it.
fn number(kind: &str, min: Value, max: Value) -> Value {
    json!({ "type": kind, "minimum": min, "maximum": max })
}

fn of_kind(kind: &Kind) -> Value {
    let unit = |units: &str| format!(r"\s*[0-9][0-9_]*(?:\.[0-9]+)?\s*(?:{units})?\s*");
    match kind {
        Kind::Bytes { min, max } => {
            let text = pattern(&unit("[kKmMgGtT]?i?[bB]"));
            json!({ "anyOf": [number("integer", json!(min), json!(max)), text] })
        }
        Kind::Count { min, max } => {
            json!({ "anyOf": [number("integer", json!(min), json!(max)), pattern(&unit("[kKmMgGtT]"))] })
        }
        Kind::Duration { .. } => {
            let text = pattern(&format!("(?:{})+", unit("ns|us|\u{b5}s|ms|s|m|min|h|d")));
            json!({ "anyOf": [{ "const": 0 }, text] })
        }
        Kind::Rate { .. } => pattern(&format!("unlimited|flat-out|{}", unit("[kKmMgGtT]?/(?:s|m|min|h)"))),
        Kind::Float { min, max } => {
            json!({ "anyOf": [number("number", json!(min), json!(max)), { "type": "string", "pattern": VARIABLE }] })
        }
        Kind::Flag => {
            json!({ "anyOf": [{ "type": "boolean" }, { "type": "string", "pattern": VARIABLE }] })
        }
        Kind::Text | Kind::Reference(_) => json!({ "type": "string" }),
        Kind::Path => json!({ "type": "string", "minLength": 1 }),
        Kind::Choice(choices) => {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            json!({ "anyOf": [{ "enum": names }, { "type": "string", "pattern": VARIABLE }] })
        }
        Kind::Address(schemes) => {
            let mut prefixes: Vec<_> = schemes.iter().map(|scheme| scheme.prefix()).collect();
            if schemes.len() == 1 {
                prefixes.push("");
            }
            pattern(&format!("(?:{}).+", prefixes.join("|")))
        }
        Kind::Secret => pattern("(?:env|file):.+"),
        Kind::List { of, items_min } => {
            json!({ "type": "array", "items": of_kind(of), "minItems": items_min })
        }
        Kind::Map(of) => json!({ "type": "object", "additionalProperties": of_kind(of) }),
        Kind::Table(specs) => object(&specs.iter().collect::<Vec<_>>(), None),
    }
}
